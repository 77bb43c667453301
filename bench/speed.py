"""Two builds side by side: wall time, processor time and peak memory of the public commands, as ratios.

    python -m bench.speed OLD NEW SONG [--songs FOLDER] [--maps FOLDER] [--pairs 5] [--only five --only help]

OLD and NEW are checkouts. Every command is run once in each to warm its caches of compiled loops, then in pairs of which
every other begins with the new build; figures are medians over the pairs, ratios are new / old. Results of both builds are
compared too: `same` is true if the charts that `generate` wrote are equal byte for byte. "train" and "refine" are short runs, start
included, on datasets that each build makes of --maps: rows or charts a second are as the inverse of their ratio, or better.
The size of an installation has a script of its own, `bench.install_size`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np

from bench.report import print_json
from chart.formats.osu_write import format_osu
from chart.model import Chart, TimingPoint

MANY_NOTES = 100_000
SPACING_MS = 60.0
"""Interval of the long chart's notes, ms: a stream of an hour and forty minutes."""
STEPS = 12
"""Steps of the short training."""
FIVE = ("2", "3", "4", "5", "6")


@dataclass(frozen=True)
class Cost:
    """Time and memory of one run of a command."""

    wall_s: float
    processor_s: float  # user and system, its workers included
    peak_mb: float


@dataclass(frozen=True)
class Inputs:
    """Inputs of the commands."""

    song: Path
    folder: Path | None  # of songs
    map_file: Path  # a set with its song
    long_chart: Path
    dataset: Path | None = None  # of the build's own making
    weights: Path = Path()  # of the build's mapper


Case = Callable[[Inputs, Path], list[str]]
CASES: dict[str, Case] = {
    "help": lambda files, out: ["mania4k", "--help"],
    "one": lambda files, out: ["mania4k", "generate", str(files.song), "--stars", "3.5", "-o", str(out / "a.osz")],
    "first": lambda files, out: ["mania4k", "generate", str(files.song), "--stars", "3.5", "-o", str(out / "a.osz")],
    "five": lambda files, out: ["mania4k", "generate", str(files.song), "--stars", *FIVE, "-o", str(out / "a.osz")],
    "folder": lambda files, out: ["mania4k", "generate", str(files.folder), "-o", str(out), "--workers", "2"],
    "timing": lambda files, out: ["mania4k", "timing", str(files.song), "-o", str(out / "a.timing.txt")],
    "review": lambda files, out: ["mania4k", "review", str(files.map_file)],
    "page": lambda files, out: ["eye.page", str(files.map_file), "-o", str(out / "a.html")],
    "long review": lambda files, out: ["mania4k", "review", str(files.long_chart)],
    "long play": lambda files, out: ["mania4k", "play", str(files.long_chart)],
    "long score": lambda files, out: ["mania4k", "score", str(files.long_chart)],
    "train": lambda files, out: [
        *("mania4k", "train", str(files.dataset), "-o", str(out / "run"), "--init", str(files.weights)),
        *("--steps", str(STEPS), "--batch", "4", "--warmup", "1", "--validate-every", str(STEPS)),
    ],
    "refine": lambda files, out: [
        *("mania4k", "refine", "--songs", str(files.dataset), "-o", str(out / "run"), "--init", str(files.weights)),
        *(
            "--updates",
            "1",
            "--songs-a-rollout",
            "2",
            "--charts",
            "2",
            "--heldout-sections",
            "1",
            "--heldout-charts",
            "1",
        ),
    ],
}
NEEDS = {"folder": "songs", "train": "maps", "refine": "maps"}
"""Name of a case → the option without which it is left out."""
"""Name of a case → the module that is run and its arguments; results are written into the second argument."""


def run(checkout: Path, arguments: Sequence[str], loops: Path | None = None) -> Cost:
    """Run `python -m` with these arguments from the checkout; a failure ends the program with the command's words.

    `loops` is a folder to keep compiled loops in, instead of the usual one.
    """
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # else every run compiles our modules, which no user's does
    if loops is not None:
        environment["NUMBA_CACHE_DIR"] = str(loops)
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments], cwd=checkout, env=environment, stdout=subprocess.DEVNULL, stderr=said
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.exit(f"{checkout}: {' '.join(arguments)}:\n{said.read().decode(errors='replace')}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def charts_in(folder: Path) -> dict[str, bytes]:
    """Every `.osu` of the sets in a folder, by set and name."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*.osz")):
        with zipfile.ZipFile(path) as archive:
            found |= {f"{path.name}/{n}": archive.read(n) for n in archive.namelist() if n.endswith(".osu")}
    return found


def compare(name: str, files: tuple[Inputs, Inputs], builds: tuple[Path, Path], pairs: int) -> dict[str, object]:
    """Medians and ratios of one case; "first" begins with no loop compiled, as after an installation without set-up."""
    case = CASES[name]
    costs: tuple[list[Cost], list[Cost]] = ([], [])
    for number in range(-1, pairs):  # the first pair warms up
        written: list[dict[str, bytes]] = [{}, {}]
        for build in (0, 1) if number % 2 == 0 else (1, 0):
            with tempfile.TemporaryDirectory() as out:
                loops = Path(out) / "loops" if name == "first" else None
                cost = run(builds[build], case(files[build], Path(out)), loops)
                written[build] = charts_in(Path(out))
            if number >= 0:
                costs[build].append(cost)
    figures: dict[str, object] = {}
    for figure in ("wall_s", "processor_s", "peak_mb"):
        old, new = (float(np.median([getattr(cost, figure) for cost in some])) for some in costs)
        figures |= {
            f"old_{figure}": round(old, 3),
            f"new_{figure}": round(new, 3),
            f"ratio_{figure}": round(new / old, 3),
        }
    return {**figures, "same": written[0] == written[1]} if written[0] else figures


def long_chart(path: Path) -> Path:
    """A stream of `MANY_NOTES` notes."""
    notes = np.arange(MANY_NOTES)
    chart = Chart.from_notes(notes * SPACING_MS, notes * 3 % 4, timing_points=(TimingPoint(0.0, 4 * SPACING_MS),))
    path.write_text(format_osu(chart), encoding="utf-8")
    return path


def pick(only: Sequence[str], given: Sequence[str]) -> list[str]:
    """Names of the cases to run, of which some need an option to be given."""
    return [name for name in (only or CASES) if NEEDS.get(name, "") in ("", *given)]


def prepared(
    files: Inputs, names: Sequence[str], builds: tuple[Path, Path], maps: Path | None
) -> tuple[Inputs, Inputs]:
    """The inputs of each build, those that have to be made in their folder included."""
    folder = files.map_file.parent
    if {"review", "page"} & set(names):
        run(builds[0], ["mania4k", "generate", str(files.song), "-o", str(files.map_file), "--no-page"])
    weights = [build / "mapper" / "weights" / "mapper.safetensors" for build in builds]
    if not {"train", "refine"} & set(names):
        return replace(files, weights=weights[0]), replace(files, weights=weights[1])
    datasets = folder / "old data", folder / "new data"
    for build, dataset in zip(builds, datasets, strict=True):
        run(build, ["mania4k", "dataset", str(maps), "-o", str(dataset)])
    old, new = (replace(files, dataset=a, weights=b) for a, b in zip(datasets, weights, strict=True))
    return old, new


@click.command()
@click.argument("old", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("new", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("song", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--songs", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Songs to map in a folder."
)
@click.option("--maps", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Sets to train on.")
@click.option("--pairs", default=5, show_default=True, help="Pairs of runs a case.")
@click.option("--only", multiple=True, type=click.Choice(list(CASES)), help="Cases to run; may be repeated.")
def main(
    old: Path, new: Path, song: Path, songs: Path | None, maps: Path | None, pairs: int, only: tuple[str, ...]
) -> None:
    """Compare the commands of the checkouts OLD and NEW on SONG, about three minutes long."""
    builds, figures = (old.resolve(), new.resolve()), {}
    given = {"songs": songs, "maps": maps}
    names = pick(only, [name for name, path in given.items() if path])
    if not names:
        raise click.UsageError(f"nothing to run: {', '.join(only)} need --songs or --maps")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        own = Inputs(song.resolve(), songs and songs.resolve(), folder / "map.osz", long_chart(folder / "long.osu"))
        files = prepared(own, names, builds, maps and maps.resolve())
        for one in names:
            figures[one] = compare(one, files, builds, pairs)
            print(f"{one}: {figures[one]}", flush=True)
    print_json("speed", {"pairs": pairs, "old": str(old), "new": str(new), "cases": figures})


if __name__ == "__main__":
    main()
