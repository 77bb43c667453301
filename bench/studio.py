"""The studio against the command: time from dropping a song to watching its first difficulty, and the page's frames meanwhile.

    python -m bench.studio                       # three minutes of the demo song, three pairs
    python -m bench.studio song.mp3 --stars 3.5 --pairs 5

Each pair is a real studio in a headless Chromium (the song dropped, the difficulty ordered at once by a click, the chart
drawn), and `mania4k generate --fast` of the same. The worker's imports happen while the start page is shown, and so are
not counted; the command's are. Wall time, and processor time of server and workers (Linux), since machines are shared.
Frames are gaps between animation frames, with and without work, and tasks of the page longer than 50 ms. Last line: JSON.
"""

from __future__ import annotations

import base64
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import soundfile

from mania4k.studio.work.worker import lower_priority
from tests.browser import Browser, find_programs, headless
from tests.studio_server import served

DEMO_SONG = Path(__file__).resolve().parents[1] / "examples" / "demo_song.ogg"
SONG_S = 180
WAIT_S = 900.0
IDLE_S = 5.0
"""Of frames without work, to compare with."""
SLOW_MS = 20.0
REVIEWS = 7
ONE_THREAD = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
"""As `tests.studio_server.served` gives the studio."""

WATCH = """
window.frames_seen = []; window.long_tasks = [];
if (!window.watching) {
  window.watching = true;
  let last = performance.now();
  const next = (now) => { window.frames_seen.push(now - last); last = now; requestAnimationFrame(next); };
  requestAnimationFrame(next);
  new PerformanceObserver((list) => window.long_tasks.push(...list.getEntries().map((one) => one.duration))).observe({ type: "longtask" });
  window.long_scripts = [];
  new PerformanceObserver((list) => window.long_scripts.push(...list.getEntries().flatMap((frame) => frame.scripts)
    .map((one) => [Math.round(one.duration), one.sourceFunctionName || one.invoker]))).observe({ type: "long-animation-frame" });
}
"""
BRING = """
const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0));
window.brought = new DataTransfer();
window.brought.items.add(new File([bytes], arguments[1]));
"""
DROP = """
window.dropped_at = performance.now();
window.shown_at = null;
const look = () => {
  if (mania.chart.notes.length && document.getElementById("stage-canvas").clientHeight) window.shown_at = performance.now();
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: window.brought, bubbles: true, cancelable: true }));
"""
ORDER = """
const rows = [...document.querySelectorAll("#orders tr")];
for (const row of rows.slice(1)) row.remove();
const set = (name, value) => { rows[0].querySelector(`[name=${name}]`).value = value; };
set("stars", arguments[0]); set("effort", "fast");
"""


@dataclass(frozen=True)
class Frames:
    """Gaps between the page's frames in ms, and its long tasks."""

    count: int
    median_ms: float
    slow_share: float  # of gaps above SLOW_MS
    worst_ms: float
    long_tasks: int
    longest_task_ms: float


def frames_since(browser: Browser) -> Frames:
    """Measurements of the page since WATCH was run last."""
    gaps, tasks = browser.run("return [window.frames_seen.slice(2), window.long_tasks]")
    slow = sum(gap > SLOW_MS for gap in gaps) / max(len(gaps), 1)
    return Frames(len(gaps), statistics.median(gaps or [0]), slow, max(gaps or [0]), len(tasks), max(tasks or [0]))


def tree_s(pid: int) -> float:
    """Processor time in s of a process and its living children, from /proc; nan elsewhere."""
    if not Path("/proc/self/stat").exists():
        return float("nan")
    ticks = 0
    parents: dict[int, int] = {}
    spent: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(folder.name)], spent[int(folder.name)] = int(fields[1]), int(fields[11]) + int(fields[12])
    for process, time_spent in spent.items():
        at: int | None = process
        while at is not None and at != pid:
            at = parents.get(at)
        ticks += time_spent if at == pid else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def wait_until_idle(pid: int) -> None:
    """Until the workers have imported what they need."""
    before = -1.0
    while tree_s(pid) - before > 0.05:
        before = tree_s(pid)
        time.sleep(2)


def studio_run(browser: Browser, song: Path, stars: float, home: Path) -> dict[str, Any]:
    """One song from the drop to its first difficulty on the page."""
    with served(home) as (address, process):
        browser.open(address)
        wait_until_idle(process.pid)
        spent = tree_s(process.pid)
        browser.run(BRING, base64.b64encode(song.read_bytes()).decode(), song.name)
        time.sleep(2)
        browser.run(WATCH)
        browser.run(DROP)
        browser.wait("return studio.view.jobs && studio.view.jobs.length > 0", WAIT_S)
        browser.click("#tabs [data-view=order]")
        browser.run(ORDER, stars)
        browser.click("#order-write")
        browser.wait("return window.shown_at !== null", WAIT_S)
        wall = browser.run("return window.shown_at - window.dropped_at") / 1000
        frames, scripts = (
            frames_since(browser),
            browser.run("return window.long_scripts.sort((a, b) => b[0] - a[0]).slice(0, 8)"),
        )
        cost = tree_s(process.pid) - spent
        browser.run("mania.clock.pause()")
        time.sleep(2)
        browser.run(WATCH)
        time.sleep(IDLE_S)
        idle = frames_since(browser)
        browser.leave()
    return {
        "wall_s": wall,
        "processor_s": cost,
        "frames": asdict(frames),
        "idle_frames": asdict(idle),
        "scripts": scripts,
    }


def command_run(song: Path, stars: float, folder: Path) -> dict[str, float]:
    """`mania4k generate --fast` with its page, at the priority of the studio's worker: what else runs weighs on both alike."""
    before, began = children_s(), time.perf_counter()
    command = [sys.executable, "-m", "mania4k", "generate", str(song), "--fast", "--stars", f"{stars:g}"]
    options: dict[str, Any] = {
        "env": os.environ | ONE_THREAD,
        "preexec_fn": lower_priority if os.name == "posix" else None,
    }
    subprocess.run([*command, "-o", str(folder / "set.osz")], check=True, capture_output=True, **options)
    return {"wall_s": time.perf_counter() - began, "processor_s": children_s() - before}


def children_s() -> float:
    """User and system time of the children this process has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def review_ms(song: Path, stars: float) -> float:
    """Processor time of reviewing a chart again after an edit; ms."""
    from mania4k.studio.sets.order import checked_order
    from mania4k.studio.work import packing, worker

    lines = worker.analyse({"song": str(song)}, lambda share: None)["lines"]
    task = {"song": str(song), "timing": lines, "order": checked_order({"stars": stars})}
    text, known = worker.generate(task, lambda share: None)["text"], packing.page_song_of(song)
    costs = []
    for _ in range(REVIEWS):
        start = time.process_time()
        packing.page_of_texts(str(song), [text], [stars], known)
        costs.append(1000 * (time.process_time() - start))
    return statistics.median(costs)


def three_minutes(folder: Path) -> Path:
    """The demo song over and over."""
    samples, rate = soundfile.read(DEMO_SONG, dtype="float32", always_2d=True)
    path = folder / "three minutes.ogg"
    with soundfile.SoundFile(path, "w", rate, samples.shape[1], format="OGG", subtype="VORBIS") as file:
        for block in np.array_split(np.concatenate([samples] * 3)[: SONG_S * rate], SONG_S):
            file.write(block)
    return path


@click.command()
@click.argument("song", required=False, type=click.Path(path_type=Path, exists=True))
@click.option("--stars", default=2.5)
@click.option("--pairs", default=3)
def main(song: Path | None, stars: float, pairs: int) -> None:
    """Measure the studio against the command on SONG."""
    programs = find_programs()
    if programs is None:
        raise click.ClickException("needs chromium and chromedriver")
    with tempfile.TemporaryDirectory() as name, headless(programs, "--window-size=1366,900") as browser:
        folder = Path(name)
        copy = folder / f"song{song.suffix if song else '.ogg'}"
        shutil.copy(song or three_minutes(folder), copy)
        studios, commands = [], []
        for number in range(pairs):
            (home := folder / f"home {number}").mkdir()
            commands.append(command_run(copy, stars, home))
            studios.append(studio_run(browser, copy, stars, home))
            click.echo(
                f"pair {number + 1}: studio {studios[-1]['wall_s']:.1f} s, command {commands[-1]['wall_s']:.1f} s",
                err=True,
            )
        report(studios, commands, review_ms(copy, stars))


def report(studios: list[dict[str, Any]], commands: list[dict[str, float]], review: float) -> None:
    """Print medians, ratios and the JSON line."""
    for kind in ("wall_s", "processor_s"):
        ours, theirs = (statistics.median(run[kind] for run in runs) for runs in (studios, commands))
        ratios = [one[kind] / other[kind] for one, other in zip(studios, commands, strict=True)]
        click.echo(f"{kind}: studio {ours:.2f}, command {theirs:.2f}, ratio {statistics.median(ratios):.2f} (bar 1.3)")
    for name, words in (("frames", "while it works"), ("idle_frames", "without work")):
        shares = [100 * run[name]["slow_share"] for run in studios]
        medians = [run[name]["median_ms"] for run in studios]
        tasks = max(run[name]["longest_task_ms"] for run in studios)
        click.echo(
            f"frames {words}: median gap {statistics.median(medians):.1f} ms, {statistics.median(shares):.1f} % over {SLOW_MS:g} ms,"
            f" longest task of the page {tasks:.0f} ms"
        )
    click.echo(f"review after an edit: {review:.0f} ms of processor time (bar 200)")
    load = os.getloadavg() if hasattr(os, "getloadavg") else None
    click.echo(
        json.dumps(
            {"machine": platform.machine(), "load": load, "review_ms": review, "studio": studios, "command": commands}
        )
    )


if __name__ == "__main__":
    main()
