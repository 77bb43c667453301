"""Generation end to end on real songs: `python -m bench.generate SONGS [--split val] [--songs 6]`.

For each song (audio only) the command's own function writes an `.osz` at five star ratings, which is read back by fosu
and rosu-pp-py and checked. Then `bench.generate_steering`: hold shares, pattern mixes and regenerated sections. Last,
wall time, processor time and peak memory of the command itself for a 3-minute song.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
import rosu_pp_py as rosu
import soundfile

from bench.generate_steering import measure_sections, measure_steering
from bench.report import print_json
from bench.second_opinion import differences
from chart.analysis.star_rating import stars
from chart.formats.osz import read_osz
from chart.model import KEYS, Chart
from chart.problems import find_problems
from mapper.generate import run
from mapper.network.checkpoint import load_mapper
from mapper.network.model import Mapper
from mapper.request.options import GenerateConfig
from reward.rules.check import check
from reward.rules.criteria import Level, level_of
from runtime.command import ChoicesOption, Command, use_utf8
from runtime.errors import Mania4KError
from runtime.progress import progress

STARS = (1.5, 2.5, 3.5, 4.5, 5.5)
PARTS = ("sets", "steering", "sections", "time")
LONG_SONG_S = 180.0
DEMO = Path(__file__).resolve().parent.parent / "examples" / "demo_song.ogg"


@dataclass(frozen=True)
class Result:
    """Results of one song."""

    name: str
    faults: tuple[str, ...]
    stars: tuple[float, ...] = ()
    said: tuple[str, ...] = ()  # unmet constraints in the report
    findings: dict[Level, tuple[int, int, int]] = field(default_factory=dict)  # level → problems, warnings, notes
    nested: tuple[float, ...] = ()  # share of each difficulty's rows that the next harder one has too
    seconds: float = 0.0  # processor time


def audio_of(path: Path, folder: Path) -> Path:
    """The audio of an `.osz` as a file in `folder`."""
    beatmapset = read_osz(path)
    audio = folder / f"song{Path(beatmapset.audio_filename).suffix}"
    audio.write_bytes(beatmapset.read_audio())
    return audio


def run_song(path: Path, folder: Path, model: Mapper) -> Result:
    """Generate for the audio of one `.osz` and measure the result."""
    out = folder / "out.osz"
    began = time.process_time()
    try:
        made = run(GenerateConfig(audio_of(path, folder), out, stars=STARS, title=path.stem), model=model)
    except Mania4KError as error:
        return Result(path.name, (str(error),))
    seconds = time.process_time() - began
    faults, ratings = check_archive(out, len(STARS))
    assert made.report is not None, "run always reports"
    said = tuple(f"{one.asked_stars:g}: {text}" for one in made.report.difficulties for text in one.missed)
    findings = {
        level_of(requested): count_findings(chart, requested)
        for chart, requested in zip(made.charts, STARS, strict=True)
    }
    rows = [np.unique(chart.time_ms) for chart in made.charts]
    nested = tuple(float(np.isin(one, harder).mean()) for one, harder in pairwise(rows))
    return Result(path.name, tuple(faults), ratings, said, findings, nested, seconds)


def count_findings(chart: Chart, rating: float) -> tuple[int, int, int]:
    """(problems, warnings, notes) of a chart at the level of so many stars."""
    found = check(chart, level_of(rating))
    bad = sum(one.severity == "problem" for one in found)
    return bad, len(found) - bad, len(chart)


def check_archive(path: Path, count: int) -> tuple[list[str], tuple[float, ...]]:
    """(faults, official stars of the difficulties in order)."""
    faults, ratings = [], []
    charts = read_osz(path).charts
    with zipfile.ZipFile(path) as archive:
        texts = [archive.read(name).decode() for name in archive.namelist() if name.endswith(".osu")]
    for chart, text in zip(charts, texts, strict=True):
        faults += [f"{chart.metadata.version}: {problem.message}" for problem in find_problems(chart)]
        if len(np.unique(chart.column)) < KEYS:
            faults.append(f"{chart.metadata.version}: a column is empty")
        others = differences(text, chart.metadata.version)
        faults += [f"{chart.metadata.version}: {reader} has {what}" for reader, what in others.items()]
        broken = [
            one for one in check(chart, Level.EXPERT) if one.rule.startswith(("unsnapped", "column-gap", "note-in"))
        ]
        faults += [f"{chart.metadata.version}: {one.rule} at {one.start_ms:.0f} ms" for one in broken]
        ratings.append(float(rosu.Difficulty().calculate(rosu.Beatmap(content=text)).stars))
    if len(charts) != count:
        faults.append(f"{len(charts)} difficulties instead of {count}")
    if (np.diff(ratings) <= 0).any():
        faults.append(f"stars do not rise: {ratings}")
    return faults, tuple(ratings)


def human_findings(songs: Path, names: list[str]) -> dict[Level, tuple[int, int, int]]:
    """Level → (problems, warnings, notes) over the songs' own charts of people."""
    total: dict[Level, np.ndarray] = {}
    for name in names:
        for chart in read_osz(songs / name).charts:
            rating = stars(chart)
            level = level_of(rating)
            total[level] = total.get(level, np.zeros(3, np.int64)) + count_findings(chart, rating)
    return {level: tuple(int(value) for value in counts) for level, counts in total.items()}  # type: ignore[misc]


def per_thousand(results: list[dict[Level, tuple[int, int, int]]]) -> dict[str, tuple[float, float]]:
    """Level → problems and warnings for 1,000 notes over all results."""
    rates = {}
    for level in Level:
        counts = np.sum([one[level] for one in results if level in one] or [(0, 0, 0)], axis=0)
        if counts[2]:
            rates[level.name.lower()] = tuple(round(float(1000 * value / counts[2]), 2) for value in counts[:2])
    return rates  # type: ignore[return-value]


def long_song(folder: Path) -> Path:
    """The demo song repeated to a length of 3 minutes."""
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
took = {"seconds": time.perf_counter() - began, "processor_s": time.process_time()}
print(json.dumps({"status": status, "peak_mb": peak, **took}))
"""


def cost(song: Path, requested: tuple[float, ...], folder: Path) -> dict[str, float]:
    """Wall and processor seconds and peak memory of `mania4k generate`, cold start."""
    command = ["generate", str(song), "--stars", *map(str, requested), "-o", str(folder / "long.osz")]
    done = subprocess.run([sys.executable, "-c", MEASURE, *command], capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout.splitlines()[-1])
    if measured.pop("status"):
        raise click.ClickException(f"the 3-minute song failed: {done.stderr.strip().splitlines()[-1]}")
    return {name: round(value, 1) for name, value in measured.items()}


def summary(results: list[Result]) -> dict[str, object]:
    """Figures over all songs."""
    made = [result for result in results if result.stars]
    errors = np.array([np.abs(np.subtract(result.stars, STARS)) for result in made])
    said = [
        any(text.startswith(f"{requested:g}:") and "stars instead" in text for text in one.said)
        for one in made
        for requested in STARS
    ]
    return {
        "songs": len(results),
        "songs_without_fault": sum(not result.faults for result in results),
        "star_error_mean": round(float(errors.mean()), 4),
        "star_error_p90": round(float(np.quantile(errors, 0.9)), 4),
        "star_error_max": round(float(errors.max()), 4),
        "star_error_by_target": [round(float(value), 4) for value in errors.mean(axis=0)],
        "within_0.15": round(float((errors <= 0.15).mean()), 4),
        "star_error_mean_unless_said": round(float(errors.ravel()[~np.array(said)].mean()), 4),
        "misses_not_said": int(((errors.ravel() > 0.05) & ~np.array(said)).sum()),
        "monotone": round(float(np.mean([(np.diff(result.stars) > 0).all() for result in made])), 4),
        "rows_kept_by_harder": round(float(np.median([value for result in made for value in result.nested])), 4),
        "findings_per_1000": per_thousand([result.findings for result in made]),
        "processor_s_per_song": round(float(np.median([result.seconds for result in made])), 1),
    }


@click.command(cls=Command, help="Generate for songs under SONGS and check the results; then time a 3-minute song.")
@click.argument("songs", type=click.Path(path_type=Path))
@click.option("--split", default="val", show_default=True, help="Split in songs.json to run on.")
@click.option("--songs", "count", type=int, help="Only so many songs, spread over the split.")
@click.option("--steered", default=4, show_default=True, help="Songs on which steering and sections are measured.")
@click.option("--parts", cls=ChoicesOption, choices=PARTS, default=PARTS, help=f"Only these of {' '.join(PARTS)}.")
def main(songs: Path, split: str, count: int | None, steered: int, parts: tuple[str, ...]) -> None:
    use_utf8()
    index = json.loads((songs / "songs.json").read_text(encoding="utf-8"))
    names = [song["file"] for song in index if song["split"] == split]
    names = names[:: max(len(names) // count, 1)][:count] if count else names
    model = load_mapper()
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "sets" in parts:
            figures |= measure_sets(songs, names, folder, model)
        audio = [audio_of(songs / file, _new(folder, number)) for number, file in enumerate(names[:steered])]
        if "steering" in parts:
            figures |= measure_steering(audio, folder, model)
        if "sections" in parts:
            figures |= measure_sections(audio, folder, model)
        if "time" in parts:
            song = long_song(folder)
            figures |= {"five_difficulties": cost(song, STARS, folder), "one_difficulty": cost(song, (3.5,), folder)}
    print_json("generate", figures)


def measure_sets(songs: Path, names: list[str], folder: Path, model: Mapper) -> dict[str, object]:
    """Print a line for each song, and figures over all."""
    results = []
    for file in progress(names, "songs"):
        result = run_song(songs / file, folder, model)
        got = " ".join(f"{value:.2f}" for value in result.stars)
        said = "; ".join((*result.faults, *result.said))
        print(f"{result.name[:50]:50} {result.seconds:5.1f} s  {got}  {said}", flush=True)
        results.append(result)
    return summary(results) | {"human_findings_per_1000": per_thousand([human_findings(songs, names)])}


def _new(folder: Path, number: int) -> Path:
    inner = folder / str(number)
    inner.mkdir()
    return inner


if __name__ == "__main__":
    main()
