"""Speed and memory of simulated plays.

    python -m bench.agents

Plays a generated 1,500-note chart (no data needed) on one core, warm. Reports notes played and judged per second, the
time of 200 plays under each set of rules, of one small section, of `required_skill` and of `rate`, and the memory that 10,000 calls leave allocated. Ends with one
line of JSON.
"""

from __future__ import annotations

import json
import platform
import subprocess
import time
import tracemalloc
from collections.abc import Callable

import click
import numpy as np

from agents import around, play, rate, required_skill
from chart.model import Chart, TimingPoint
from runtime.command import Command

NOTES = 1_500
PLAYS = 200
REPEATS = 15
LEAK_CALLS = 10_000


def bench_chart(notes: int, holds: float = 0.15, seed: int = 1) -> Chart:
    """A keyboard-style chart: 1/4 rows at 170 BPM of one or two notes, no jacks beyond two, some holds."""
    rng = np.random.default_rng(seed)
    step = 60_000 / 170 / 4
    time_ms: list[float] = []
    column: list[int] = []
    end_ms: list[float] = []
    busy_until = np.zeros(4)
    row = 0
    while len(time_ms) < notes:
        now = 1000 + row * step
        free = np.flatnonzero(busy_until + step * 1.5 < now)
        for c in rng.permutation(free)[: 1 + int(rng.random() < 0.3)]:
            length = step * 3 if rng.random() < holds else 0.0
            time_ms.append(now)
            column.append(int(c))
            end_ms.append(now + length if length else np.nan)
            busy_until[c] = now + length
        row += 1
    chart = Chart.from_notes(
        time_ms[:notes], column[:notes], end_ms[:notes], timing_points=(TimingPoint(1000.0, 4 * step),)
    )
    return chart


def timed(
    run: Callable[[], object], repeats: int = REPEATS, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Seconds of each of `repeats` runs after one that warms up, sorted."""
    run()
    out = []
    for _ in range(repeats):
        start = clock()
        run()
        out.append(clock() - start)
    return sorted(out)


def memory_growth(run: Callable[[], object], calls: int) -> int:
    """Growth of allocated bytes between a tenth of the `calls` and the last of them."""
    tracemalloc.start()
    for _ in range(calls // 10):
        run()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(calls):
        run()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return grown


def measure(leak_calls: int) -> dict[str, object]:
    """All figures; times are medians and best of warm runs on one core."""
    rng = np.random.default_rng(0)
    out: dict[str, object] = {"machine": platform.processor() or platform.machine(), "commit": _commit()}
    for name, holds in (("taps", 0.0), ("holds_15", 0.15)):
        chart, players = bench_chart(NOTES, holds), around(5.0, PLAYS, rng)
        seconds = timed(lambda chart=chart, players=players: play(chart, players, 1))  # type: ignore[misc]
        median, best = seconds[len(seconds) // 2], seconds[0]
        on_cpu = timed(lambda chart=chart, players=players: play(chart, players, 1), clock=time.process_time)  # type: ignore[misc]
        cpu = on_cpu[len(on_cpu) // 2]  # processor time: a busy machine does not distort it
        out[name] = {
            "plays_ms": round(1000 * median, 1),
            "best_ms": round(1000 * best, 1),
            "notes_per_s": round(NOTES * PLAYS / median),
            "best_notes_per_s": round(NOTES * PLAYS / best),
            "cpu_ms": round(1000 * cpu, 1),
            "cpu_notes_per_s": round(NOTES * PLAYS / max(cpu, 1e-9)),
        }
    held, players = bench_chart(NOTES, 0.15), around(5.0, PLAYS, rng)
    for rules in ("scorev2", "lazer"):
        on_cpu = timed(lambda rules=rules: play(held, players, 1, rules=rules), clock=time.process_time)  # type: ignore[misc]
        out[f"{rules}_cpu_ms"] = round(1000 * on_cpu[len(on_cpu) // 2], 1)
    section, some = bench_chart(60), around(5.0, 32, rng)
    out["section_60_notes_32_plays_ms"] = round(1000 * timed(lambda: play(section, some, 1))[REPEATS // 2], 2)
    whole = bench_chart(NOTES)
    out["required_skill_ms"] = round(1000 * timed(lambda: required_skill(whole), 5)[2], 1)
    out["rate_ms"] = round(1000 * timed(lambda: rate(whole), 5)[2], 1)
    small, two = bench_chart(20), around(5.0, 2, rng)
    out["grown_bytes"] = memory_growth(lambda: play(small, two, 1), leak_calls)
    out["leak_calls"] = leak_calls
    return out


def _commit() -> str:
    try:
        done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


@click.command(cls=Command)
@click.option("--leak-calls", default=LEAK_CALLS, show_default=True, help="Calls after which memory is compared.")
def main(leak_calls: int) -> None:
    """Measure the speed and memory of simulated plays."""
    click.echo(json.dumps(measure(leak_calls)))


if __name__ == "__main__":
    main()
