"""Kills commands at random moments: `python -m bench.kill`, or `--moments 5 --only timing`.

A command that is killed by SIGKILL leaves its result whole or absent, never half-written, and the same command run again gives
what an undisturbed run gives. Temporary files of ours may be left behind; they are counted. The last line is JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np
import soundfile

from chart.formats.osu_write import write_osu
from chart.model import Chart, TimingPoint

LEFT_BEHIND = ".mania4k-"
"""Prefix of the names of our temporary files."""
UNEVEN = (".html", "events.out", "report.json", "config.json", ".npz", "state.pt")
"""Files with dates, durations or parts in any order, which are only checked to be whole."""


@dataclass(frozen=True)
class Job:
    """A command and the folder it writes to, relative to a folder of its own."""

    name: str
    arguments: tuple[str, ...]
    results: tuple[str, ...]  # files that are compared by their bytes


@dataclass
class Tally:
    """Results over all moments of a job."""

    killed: int = 0
    finished: int = 0
    left_behind: int = 0
    wrong: list[str] = field(default_factory=list)


def make_inputs(folder: Path) -> None:
    """Two songs of clicks, and a map with one of them, all made here."""
    (folder / "songs").mkdir(parents=True)
    (folder / "map").mkdir()
    rng = np.random.default_rng(0)
    for number, bpm in enumerate((120, 150)):
        samples = 0.02 * rng.standard_normal(20 * 22_050)
        samples[:: int(22_050 * 60 / bpm)] = 0.9
        soundfile.write(folder / "songs" / f"{number}.wav", samples, 22_050)
    shutil.copy(folder / "songs" / "0.wav", folder / "map" / "audio.wav")
    time_ms = np.arange(1000.0, 19_000.0, 250.0)
    columns = rng.integers(0, 4, time_ms.size)
    chart = Chart.from_notes(
        time_ms, columns.astype(np.int8), timing_points=(TimingPoint(0.0, 500.0),), audio_filename="audio.wav"
    )
    write_osu(chart, folder / "map" / "map.osu")


JOBS = (
    Job("timing", ("timing", "songs/0.wav", "-o", "out.osu", "--device", "cpu"), ("out.osu",)),
    Job("generate", ("generate", "songs/0.wav", "-o", "out.osz", "--stars", "2", "--fast", "--no-page"), ("out.osz",)),
    Job(
        "folder",
        ("generate", "songs", "-o", "sets", "--stars", "2", "--fast", "--workers", "2"),
        ("sets/0.osz", "sets/1.osz"),
    ),
    Job("dataset", ("dataset", "map", "-o", "data", "--workers", "1"), ("data/index.json", "data/rows.npy")),
    Job("export", ("export", "-o", "graphs"), ()),
)


def command(job: Job) -> list[str]:
    """The job's command line for this Python."""
    return [sys.executable, "-m", "mania4k", *job.arguments]


def digests(folder: Path, job: Job) -> dict[str, str]:
    """Result → digest of its bytes; results that are not there are left out."""
    paths = {name: folder / name for name in job.results}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in paths.items() if path.is_file()}


def run(folder: Path, job: Job, until_s: float | None = None) -> float:
    """Run the job in `folder` to its end, or kill it after `until_s`; returns the seconds it took."""
    began = time.monotonic()
    here = str(Path(__file__).parents[1])
    process = subprocess.Popen(
        command(job),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": here},
        start_new_session=True,
    )
    try:
        _, said = process.communicate(timeout=until_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return time.monotonic() - began
    if process.returncode:
        raise RuntimeError(f"{job.name} failed: {said.decode(errors='replace')[-500:]}")
    return time.monotonic() - began


def try_job(job: Job, moments: int, rng: np.random.Generator) -> Tally:
    """Kill the job at random moments, each in a fresh folder, and run it again."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as name:
        whole = Path(name) / "whole"
        make_inputs(whole)
        seconds = run(whole, job)
        expected = digests(whole, job)
        for moment in range(moments):
            folder = Path(name) / str(moment)
            make_inputs(folder)
            at_s = float(rng.uniform(0, seconds))
            if run(folder, job, at_s) < at_s:
                tally.finished += 1
            else:
                tally.killed += 1
            for result, digest in digests(folder, job).items():
                if digest != expected[result]:
                    tally.wrong.append(f"{job.name} killed at {at_s:.2f} s: {result} is half-written")
            tally.left_behind += sum(LEFT_BEHIND in one.name for one in folder.rglob("*"))
            run(folder, job)
            if digests(folder, job) != expected:
                tally.wrong.append(f"{job.name} run again after a kill at {at_s:.2f} s gives another result")
            shutil.rmtree(folder)
    return tally


@click.command()
@click.option("--moments", default=50, show_default=True, help="Kills of each command.")
@click.option("--seed", default=0, show_default=True)
@click.option("--only", multiple=True, help="Only these commands.")
def main(moments: int, seed: int, only: tuple[str, ...]) -> None:
    """Kill commands at random moments and check the files they leave."""
    rng = np.random.default_rng(seed)
    tallies = {}
    for job in JOBS:
        if only and job.name not in only:
            continue
        tallies[job.name] = try_job(job, moments, rng)
        click.echo(f"{job.name}: {tallies[job.name]}")
    wrong = sum(len(tally.wrong) for tally in tallies.values())
    click.echo(json.dumps({"seed": seed, "wrong": wrong, "jobs": {name: vars(one) for name, one in tallies.items()}}))
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
