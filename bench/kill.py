"""Kills commands at random moments: `python -m bench.kill`, or `--moments 5 --only timing`.

A command that is killed by SIGKILL, alone or with its workers, leaves its results whole or absent, never half-written, and the
same command run again gives what an undisturbed run gives. Temporary files of ours may be left behind; they are counted. The
last line is JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
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
from runtime.errors import Mania4KError

ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""With several threads torch adds in an order that differs from run to run, so that trained weights differ in their last bits."""
LEFT_BEHIND = ".mania4k-"
"""Names of temporary files of ours begin so."""
LENGTH_S, RATE = 20, 22_050
"""Of the songs that are made here."""


@dataclass(frozen=True)
class Job:
    """A command and the folder it writes to, relative to a folder of its own."""

    name: str
    arguments: tuple[str, ...]
    results: tuple[str, ...]  # files (or a dataset's folder) that are absent or as an undisturbed run leaves them
    grows: tuple[str, ...] = ()  # checkpoints that a run replaces by better ones: whole at any moment, equal at its end
    module: str = "mania4k"


@dataclass
class Tally:
    """Counts and faults over all kills of a job."""

    killed: int = 0
    finished: int = 0
    left_behind: int = 0
    wrong: list[str] = field(default_factory=list)


def make_inputs(folder: Path) -> None:
    """Songs of clicks, maps of them, a dataset of those and a small mapper, all made here."""
    (folder / "songs").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number, bpm in enumerate((120, 150, 96, 180)):
        samples = 0.02 * rng.standard_normal(LENGTH_S * RATE)
        samples[:: int(RATE * 60 / bpm)] = 0.9
        map_folder = folder / "maps" / f"{number}"
        map_folder.mkdir(parents=True)
        soundfile.write(map_folder / "audio.wav", samples, RATE)
        if number < 2:
            shutil.copy(map_folder / "audio.wav", folder / "songs" / f"{number}.wav")
        time_ms = np.arange(1000.0, 1000.0 * (LENGTH_S - 1), 30_000 / bpm)
        columns = rng.integers(0, 4, time_ms.size)
        timing = (TimingPoint(0.0, 60_000 / bpm),)
        chart = Chart.from_notes(time_ms, columns.astype(np.int8), timing_points=timing, audio_filename="audio.wav")
        write_osu(chart, map_folder / "map.osu")


def make_training_inputs(folder: Path) -> None:
    """The dataset that is trained on, and the mapper that training begins with."""
    import torch

    from mapper.dataset import build
    from mapper.network.checkpoint import save_mapper
    from mapper.network.model import Mapper
    from mapper.tokens.vocabulary import ModelConfig
    from runtime.workers import Workers

    build([folder / "maps"], folder / "prepared", workers=Workers(1))
    torch.manual_seed(0)
    small = ModelConfig(stem_width=16, width=48, heads=3, encoder_layers=1, shared_layers=0, decoder_layers=1)
    save_mapper(Mapper(small), folder / "small.safetensors", random_steps=1000)


SETTINGS_OF_TRAINING = (
    "--steps",
    "6",
    "--batch",
    "2",
    "--silent-batch",
    "0",
    "--validate-every",
    "3",
    "--save-every",
    "2",
)
SETTINGS_OF_PLAY = (
    *("--updates", "2", "--songs-a-rollout", "2", "--charts", "2", "--versions", "2", "--players", "4"),
    *("--heldout-sections", "2", "--heldout-charts", "1", "--save-every", "1", "--phrases", "1"),
)
JOBS = (
    Job("timing", ("timing", "songs/0.wav", "-o", "out.osu", "--device", "cpu"), ("out.osu",)),
    Job("generate", ("generate", "songs/0.wav", "-o", "out.osz", "--stars", "2", "--fast", "--no-page"), ("out.osz",)),
    Job(
        "folder",
        ("generate", "songs", "-o", "sets", "--stars", "2", "--fast", "--workers", "2"),
        ("sets/0.osz", "sets/1.osz"),
    ),
    Job("dataset", ("dataset", "maps", "-o", "data", "--workers", "2"), ("data",)),
    Job(
        "train",
        ("train", "prepared", "-o", "run", "--init", "small.safetensors", *SETTINGS_OF_TRAINING),
        (),
        ("run/best.safetensors",),
    ),
    Job(
        "refine",
        ("refine", "--songs", "prepared", "-o", "run", "--init", "small.safetensors", *SETTINGS_OF_PLAY),
        (),
        ("run/refined.safetensors",),
    ),
    Job("export", ("export", "-o", "graphs"), ("graphs/encoder.onnx", "graphs/beat.onnx", "graphs/mapper.safetensors")),
    Job("studio", ("songs/0.wav",), ("notes.json",), module="bench.kill_studio"),
)
NEED_TRAINING_INPUTS = frozenset({"train", "refine"})


def command(job: Job) -> list[str]:
    """The job's command line for this Python."""
    return [sys.executable, "-m", job.module, *job.arguments]


def digests(folder: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Result → digest of its bytes (of a dataset: of what is read from it); results that are not there are left out."""
    found = {}
    for name in names:
        path = folder / name
        if path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif (path / "index.json").is_file():
            found[name] = _digest_of_dataset(path)
    return found


def _digest_of_dataset(folder: Path) -> str:
    from mapper.data.corpus import open_corpus

    corpus = open_corpus(folder)
    songs = [(song.name, song.split, song.frames, song.lag_ms) for song in corpus.songs]
    digest = hashlib.sha256(repr((songs, corpus.charts)).encode())
    digest.update(corpus.frames)
    digest.update(corpus.rows)
    return digest.hexdigest()


def broken(folder: Path, job: Job, expected: dict[str, str]) -> list[str]:
    """Results that a killed job left half-written."""
    from mapper.network.checkpoint import read_checkpoint

    wrong = []
    try:
        wrong += [name for name, digest in digests(folder, job.results).items() if digest != expected[name]]
    except Mania4KError as error:
        wrong.append(str(error))
    for name in job.grows:
        try:
            if (folder / name).exists():
                read_checkpoint(folder / name)
        except Mania4KError as error:
            wrong.append(str(error))
    return wrong


def run(folder: Path, job: Job, until_s: float | None = None, with_workers: bool = False) -> float:
    """Run the job in `folder` to its end, or kill it after `until_s`, alone or with its workers; returns the seconds it took."""
    began = time.monotonic()
    here = str(Path(__file__).parents[1])
    process = subprocess.Popen(
        command(job),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": here, **ONE_THREAD},
        start_new_session=True,
    )
    try:
        _, said = process.communicate(timeout=until_s)
    except subprocess.TimeoutExpired:
        if with_workers:
            os.killpg(process.pid, signal.SIGKILL)
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
        inputs, whole = Path(name) / "inputs", Path(name) / "whole"
        make_inputs(inputs)
        if job.name in NEED_TRAINING_INPUTS:
            make_training_inputs(inputs)
        shutil.copytree(inputs, whole)
        seconds = run(whole, job)
        expected = digests(whole, job.results + job.grows)
        for moment in range(moments):
            folder = Path(name) / str(moment)
            shutil.copytree(inputs, folder)
            at_s = float(rng.uniform(0, seconds))
            if run(folder, job, at_s, with_workers=bool(rng.integers(2))) < at_s:
                tally.finished += 1
            else:
                tally.killed += 1
            tally.wrong += [
                f"{job.name} killed at {at_s:.2f} s: {one} is half-written" for one in broken(folder, job, expected)
            ]
            tally.left_behind += sum(LEFT_BEHIND in one.name for one in folder.rglob("*"))
            run(folder, job)
            if digests(folder, job.results + job.grows) != expected:
                tally.wrong.append(f"{job.name} run again after a kill at {at_s:.2f} s gives another result")
            shutil.rmtree(folder)
    return tally


@click.command()
@click.option("--moments", default=50, show_default=True, help="Kills of each command.")
@click.option("--seed", default=0, show_default=True)
@click.option("--only", multiple=True, help="Only these commands.")
def main(moments: int, seed: int, only: tuple[str, ...]) -> None:
    """Kill commands at random moments and look what they leave."""
    rng = np.random.default_rng(seed)
    tallies: dict[str, Tally] = {}
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
