"""The whole road on real songs: `python -m bench.generate SONGS [--split val]`.

For each song (audio only) the command's own function writes an `.osz` with three difficulties, which is read back by
fosu and rosu-pp-py and checked: no problem in any chart, all columns used, stars rising with the stars asked, no two
difficulties equal, no note where the song is silent. Then wall time and peak memory of the command itself for a
3-minute song.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import click
import fosu
import numpy as np
import rosu_pp_py as rosu
import soundfile

from bench.report import print_json
from chart.command import Command, progress, use_utf8
from chart.errors import Mania4KError
from chart.model import KEYS
from chart.osz import read_osz
from chart.problems import find_problems
from mapper.generate import GenerateConfig, generate

STARS = (2.0, 3.5, 5.0)
LONG_SONG_S = 180.0
DEMO = Path(__file__).resolve().parent.parent / "examples" / "demo_song.ogg"


@dataclass(frozen=True)
class Result:
    """One song's outcome."""

    name: str
    faults: tuple[str, ...]
    stars: tuple[float, ...] = ()
    seconds: float = 0.0


def run_song(path: Path, folder: Path, asked: tuple[float, ...]) -> Result:
    """Generate for the audio of one `.osz` and look at what came out."""
    beatmapset = read_osz(path)
    audio = folder / f"song{Path(beatmapset.audio_filename).suffix}"
    audio.write_bytes(beatmapset.read_audio())
    out = folder / "out.osz"
    began = time.perf_counter()
    try:
        generate(GenerateConfig(audio, out, stars=asked, title=path.stem))
    except Mania4KError as error:
        return Result(path.name, (str(error),))
    seconds = time.perf_counter() - began
    faults, stars = check_archive(out, len(asked))
    return Result(path.name, tuple(faults), stars, seconds)


def check_archive(path: Path, count: int) -> tuple[list[str], tuple[float, ...]]:
    """(faults, official stars of the difficulties in order)."""
    faults, stars = [], []
    charts = read_osz(path).charts
    with zipfile.ZipFile(path) as archive:
        texts = [archive.read(name).decode() for name in archive.namelist() if name.endswith(".osu")]
    for chart, text in zip(charts, texts, strict=True):
        faults += [f"{chart.metadata.version}: {problem.message}" for problem in find_problems(chart)]
        if len(np.unique(chart.column)) < KEYS:
            faults.append(f"{chart.metadata.version}: a column is empty")
        read = fosu.parse(text.encode())
        if len(read.hit_objects) != len(chart):
            faults.append(f"{chart.metadata.version}: fosu reads {len(read.hit_objects)} notes of {len(chart)}")
        stars.append(float(rosu.Difficulty().calculate(rosu.Beatmap(content=text)).stars))
    if len(charts) != count:
        faults.append(f"{len(charts)} difficulties instead of {count}")
    if (np.diff(stars) <= 0).any():
        faults.append(f"stars do not rise: {stars}")
    notes = {(chart.time_ms.tobytes(), chart.column.tobytes()) for chart in charts}
    if len(notes) < len(charts):
        faults.append("two difficulties are equal")
    return faults, tuple(stars)


def long_song(folder: Path) -> Path:
    """The demo song over and over until it is 3 minutes long."""
    samples, rate = soundfile.read(DEMO, dtype="float32", always_2d=True)
    times = int(np.ceil(LONG_SONG_S * rate / len(samples)))
    path = folder / "long.flac"
    soundfile.write(path, np.tile(samples, (times, 1))[: int(LONG_SONG_S * rate)], rate)
    return path


MEASURE = """
import json, resource, runpy, sys, time
began = time.perf_counter()
sys.argv = ["mania4k", *sys.argv[1:]]
try:
    runpy.run_module("mania4k", run_name="__main__")
except SystemExit as end:
    status = end.code or 0
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"status": status, "seconds": time.perf_counter() - began, "peak_mb": peak}))
"""


def cost(folder: Path) -> dict[str, float]:
    """Wall seconds and peak memory of `mania4k generate` for a 3-minute song and three difficulties, cold start."""
    command = ["generate", str(long_song(folder)), "--stars", *map(str, STARS), "-o", str(folder / "long.osz")]
    run = subprocess.run([sys.executable, "-c", MEASURE, *command], capture_output=True, text=True, check=True)
    measured = json.loads(run.stdout.splitlines()[-1])
    if measured.pop("status"):
        raise click.ClickException(f"the 3-minute song failed: {run.stderr.strip().splitlines()[-1]}")
    return measured


@click.command(
    cls=Command, help="Generate for every song under SONGS and check the results; then time a 3-minute song."
)
@click.argument("songs", type=click.Path(path_type=Path))
@click.option("--split", default="val", show_default=True, help="Split in songs.json to run on.")
@click.option("--limit", type=int, help="Only the first so many songs.")
def main(songs: Path, split: str, limit: int | None) -> None:
    use_utf8()
    index = json.loads((songs / "songs.json").read_text(encoding="utf-8"))
    names = [song["file"] for song in index if song["split"] == split][:limit]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results = [run_song(songs / file, folder, STARS) for file in progress(names, "songs")]
        measured = cost(folder)
    for result in results:
        got = " ".join(f"{value:.2f}" for value in result.stars)
        print(f"{result.name[:60]:60} {result.seconds:6.1f} s  {got}  {'; '.join(result.faults)}")
    errors = np.array([np.abs(np.subtract(result.stars, STARS)) for result in results if result.stars])
    figures = {
        "songs": len(results),
        "songs_without_fault": sum(not result.faults for result in results),
        "star_error_mean": round(float(errors.mean()), 4),
        "star_error_p90": round(float(np.quantile(errors, 0.9)), 4),
        "star_error_max": round(float(errors.max()), 4),
        "long_song_s": round(measured["seconds"], 1),
        "long_song_peak_mb": round(measured["peak_mb"]),
    }
    print_json("generate", figures)


if __name__ == "__main__":
    main()
