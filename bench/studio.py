"""Cost of the studio and of the command: processor time from a dropped song to its first difficulty on the page.

    python -m bench.studio examples/demo_song.ogg --stars 2.5

The worker's imports happen while the start page is shown, and so are not counted; the command's are. Last line: JSON.
"""

from __future__ import annotations

import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from mania4k.studio.sets.order import checked_order
from mania4k.studio.work import packing, worker

REVIEWS = 7


def spent_s(children: bool = False) -> float:
    """User and system time of this process, or of the children it has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def studio_s(song: Path, stars: float) -> dict[str, float]:
    """Seconds of each step of the studio, and ms of reviewing the chart again after an edit."""
    steps = {}
    began = spent_s()
    analysis = worker.analyse({"song": str(song)}, lambda share: None)
    steps["hear"] = spent_s() - began
    order = checked_order({"stars": stars})
    task = {"song": str(song), "timing": analysis["lines"], "order": order}
    written = worker.generate(task, lambda share: None)
    steps["write"] = spent_s() - began - steps["hear"]
    known = packing.page_song_of(song)
    packing.page_of_texts(str(song), [written["text"]], [stars], known)
    steps["whole"] = spent_s() - began
    steps["show"] = steps["whole"] - steps["hear"] - steps["write"]
    reviews = []
    for _ in range(REVIEWS):
        start = time.process_time()
        packing.page_of_texts(str(song), [written["text"]], [stars], known)
        reviews.append(1000 * (time.process_time() - start))
    return steps | {"review_ms": statistics.median(reviews)}


def command_s(song: Path, stars: float, folder: Path) -> float:
    """Seconds of `mania4k generate --fast` with its page."""
    before = spent_s(children=True)
    command = [sys.executable, "-m", "mania4k", "generate", str(song), "--fast", "--stars", f"{stars:g}"]
    subprocess.run([*command, "-o", str(folder / "set.osz")], check=True, capture_output=True)
    return spent_s(children=True) - before


@click.command()
@click.argument("song", type=click.Path(path_type=Path, exists=True))
@click.option("--stars", default=2.5)
def main(song: Path, stars: float) -> None:
    """Measure the cost of the studio and of the command on SONG."""
    worker.warm_up()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"song{song.suffix}"
        shutil.copy(song, copy)
        command = command_s(copy, stars, Path(folder))
        studio = studio_s(copy, stars)
    ratio = studio["whole"] / command
    click.echo(
        f"studio {studio['whole']:.2f} s, command {command:.2f} s ({ratio:.2f}); a review {studio['review_ms']:.0f} ms"
    )
    click.echo(json.dumps({"command_s": command, "ratio": ratio, **studio}))


if __name__ == "__main__":
    main()
