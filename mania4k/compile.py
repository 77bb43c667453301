"""`mania4k compile`: compile the loops now, so that the first chart is made as quickly as the others.

Loops are compiled where they are first called, and kept (`runtime.loops`). So a made-up song is mapped, and a made-up chart
played, scored and reviewed: what commands call is what is compiled. The parts are compiled in a process each.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import click
import numpy as np

from runtime.command import Command, use_utf8
from runtime.errors import WorkerError
from runtime.progress import waiting

RATE, SONG_S, BEAT_MS = 44_100, 12, 400.0
NOTES = 96


def compile_plays() -> None:
    """Compile what plays, judges and reviews charts, and what exchanges sections of them."""
    from agents import play
    from agents.judgement.judge import RULES
    from chart.model import Chart, TimingPoint
    from eye.review import review_chart
    from mapper.search.splice_kernels import exchanged_stars
    from reward.terms.fairness import skill_grid

    number, one, move = np.arange(NOTES), np.zeros(1), np.zeros(1, np.int64)
    exchanged_stars(one, move, one[None], move, move, move + 1, one.copy())
    time_ms = number * BEAT_MS / 2
    end_ms = np.where(number % 8 == 0, time_ms + BEAT_MS, np.nan)
    chart = Chart.from_notes(time_ms, number * 3 % 4, end_ms, timing_points=(TimingPoint(0.0, BEAT_MS),))
    review_chart(chart)
    for rules in RULES:
        play(chart, skill_grid(3.0, 2), rules=rules)


def compile_charts() -> None:
    """Compile what writes charts."""
    import soundfile

    from mapper.generate import generate

    with tempfile.TemporaryDirectory() as folder:
        song = Path(folder) / "song.wav"
        samples = np.random.default_rng(0).normal(0, 1e-3, SONG_S * RATE)
        for beat_s in np.arange(0.5, SONG_S - 1, BEAT_MS / 1000):
            first = round(beat_s * RATE)
            samples[first : first + 1000] += 0.8 * np.hanning(1000)
        soundfile.write(song, samples, RATE)
        generate(
            song, stars=(2.0, 4.0), effort="fast", bpm=60_000 / BEAT_MS, offset=500.0, out=Path(folder) / "song.osz"
        )


PARTS = {"plays": compile_plays, "charts": compile_charts}


@click.command(cls=Command, help="Compile the loops now, once after installing: the first chart then takes no longer.")
@click.option("--part", type=click.Choice(list(PARTS)), hidden=True, help="Compile a part of them in this process.")
def main(part: str | None) -> None:
    use_utf8()
    if part is not None:
        watch_parent()
        PARTS[part]()
        return
    began = time.perf_counter()
    with waiting("Compiling loops (once, about half a minute)"):
        _compile_all()
    click.echo(f"compiled in {time.perf_counter() - began:.0f} s")


def _compile_all() -> None:
    """Compile all parts at once. Raises WorkerError where one of them fails."""
    from runtime.loops import start_compiler

    with ExitStack() as stack:
        processes = {part: stack.enter_context(start_compiler(part)) for part in PARTS}
        try:
            failed = [part for part, process in processes.items() if process.wait()]
        finally:
            for process in processes.values():
                process.kill()
    if failed:
        raise WorkerError(f"loops could not be compiled ({', '.join(failed)}): they will be when they are first used")


def watch_parent() -> None:
    """Let this process end with the one that started it."""
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Exit when the standard input ends: whoever started this process has ended."""
    while os.read(sys.stdin.fileno(), 1):  # not by `sys.stdin`, whose lock would be held when this process ends
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
