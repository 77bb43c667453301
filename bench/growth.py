"""Growth of the cost of `generate` with minutes of music, difficulties and cores: wall time, processor time, memory.

    python -m bench.growth [--minutes 1 --minutes 5 --minutes 20] [--difficulties 1 --difficulties 5] [--cores 1 --cores 2]

The song is the demo's, again and again. Every case is run once; loops must be compiled before (`mania4k compile`). `above_linear`
is the cost of a case over that of the case with the fewest minutes and difficulties and as many cores, times the notes it has more:
1 is linear, less is a fixed share (starting, opening networks), more is a term that grows faster.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
import soundfile

from bench.report import print_json
from bench.speed import Cost, run

ROOT = Path(__file__).resolve().parents[1]
SONG = ROOT / "examples" / "demo_song.ogg"
LOWEST_STARS, HIGHEST_STARS = 1.5, 6.0


@dataclass(frozen=True)
class Case:
    """A request: length of the song, number of difficulties, cores that may be used."""

    minutes: float
    difficulties: int
    cores: int

    @property
    def size(self) -> float:
        """Minutes of charts."""
        return self.minutes * self.difficulties


def long_song(path: Path, minutes: float) -> Path:
    """The demo's song as often as it takes, cut at so many minutes."""
    samples, rate = soundfile.read(SONG, dtype="float32")
    length = round(minutes * 60 * rate)
    times = -(-length // len(samples))
    soundfile.write(path, np.concatenate([samples] * times)[:length], rate)
    return path


def measure(case: Case, folder: Path) -> Cost:
    """The cost of the case, on so many of this process's cores."""
    song = long_song(folder / f"{case.minutes:g}.flac", case.minutes)
    stars = np.linspace(LOWEST_STARS, HIGHEST_STARS, case.difficulties + 1)[:-1]
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[: case.cores])
    try:
        out = str(folder / "growth.osz")
        arguments = ["--stars", *(f"{one:.2f}" for one in stars), "-o", out, "--overwrite", "--no-page"]
        return run(ROOT, ["mania4k", "generate", str(song), *arguments])
    finally:
        os.sched_setaffinity(0, allowed)


def above_linear(costs: dict[Case, Cost]) -> dict[Case, float]:
    """Processor time of each case over that of the smallest with as many cores, relative to its size."""
    smallest = {
        cores: min((one for one in costs if one.cores == cores), key=lambda one: one.size)
        for cores in {one.cores for one in costs}
    }
    return {
        case: cost.processor_s / costs[smallest[case.cores]].processor_s * smallest[case.cores].size / case.size
        for case, cost in costs.items()
    }


@click.command()
@click.option("--minutes", multiple=True, default=(1.0, 5.0, 20.0), show_default=True)
@click.option("--difficulties", multiple=True, default=(1, 5, 10), show_default=True)
@click.option("--cores", multiple=True, default=(1, 2), show_default=True)
def main(minutes: Sequence[float], difficulties: Sequence[int], cores: Sequence[int]) -> None:
    """Measure every combination; one line of JSON."""
    costs: dict[Case, Cost] = {}
    with tempfile.TemporaryDirectory() as folder:
        for case in (Case(m, d, c) for m in minutes for d in difficulties for c in cores):
            costs[case] = measure(case, Path(folder))
    growth = above_linear(costs)
    print_json(
        "growth",
        {
            "cases": [
                {**asdict(case), **asdict(cost), "above_linear": round(growth[case], 2)} for case, cost in costs.items()
            ]
        },
    )


if __name__ == "__main__":
    main()
