"""Feeds mutated files to every reader: `python -m bench.fuzz`, or `--text 200 --binary 50` for a short round.

Every reader must give its value or one `Mania4KError`, within `MAX_S`, without needing more than `MAX_MB`, and write nothing
where it was not asked to. Inputs are made here and mutated by a seeded generator; a failure prints the seed of its input, and
`--only FORMAT --seed SEED --text 1` gives it again. The last line is JSON.
"""

from __future__ import annotations

import io
import json
import logging
import os
import resource
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import soundfile

from runtime.errors import Mania4KError

MAX_S = 2.0
MAX_MB = 500.0
"""Resident memory that a whole round may add."""
TEXT_TOKENS = [
    b"nan", b"inf", b"-1", b"0", b"1e308", b"2147483648", b"99999999999999999999", b"\xff\xfe", b"\x00", b"\xe2\x80\xa8", b",", b":",
    b";", b"#", b"[", b"]", b"\n", b"//", b"[HitObjects]\n", b"[TimingPoints]\n", b"#NOTES:", b"#BPMS:0=", b"- StartTime: ", b"128",
]  # fmt: skip
"""What files from strangers have in odd places."""


@dataclass(frozen=True)
class Target:
    """One format: sound files of it, and what reads them."""

    suffix: str
    seeds: tuple[bytes, ...]
    read: Callable[[Path], Any]
    is_text: bool = False


@dataclass(frozen=True)
class Failure:
    """One input that went wrong."""

    target: str
    seed: int
    what: str


def mutated(data: bytes, rng: np.random.Generator, is_text: bool) -> bytes:
    """`data` with one to eight changes: bytes flipped, pieces cut, doubled, moved or overwritten, tokens put in, the end cut off."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        if not out:
            break
        at, size = int(rng.integers(len(out))), int(2 ** rng.uniform(0, 8))
        kind = int(rng.integers(8 if is_text else 7))
        if kind == 0:
            out[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del out[at : at + size]
        elif kind == 2:
            out[at:at] = out[at : at + size]
        elif kind == 3:
            out[at : at + size] = rng.bytes(min(size, len(out) - at))
        elif kind == 4:
            out[at : at + size] = bytes(min(size, len(out) - at))
        elif kind == 5 and rng.random() < 0.2:
            del out[at:]
        elif kind == 6:
            out[at : at + 4] = int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF])).to_bytes(
                4, rng.choice(["little", "big"])
            )
        elif kind == 7:
            out[at : at + int(rng.integers(4))] = TEXT_TOKENS[int(rng.integers(len(TEXT_TOKENS)))]
    return bytes(out)


def try_one(target: Target, name: str, seed: int, folder: Path) -> Failure | None:
    """Read one mutated file; None where the reader kept its promise."""
    rng = np.random.default_rng([seed, sum(name.encode())])
    data = mutated(target.seeds[int(rng.integers(len(target.seeds)))], rng, target.is_text)
    path = folder / f"input{target.suffix}"
    path.write_bytes(data)
    began = time.process_time()
    try:
        target.read(path)
    except Mania4KError as error:
        if "\n" in str(error):
            return Failure(name, seed, f"more than one line: {str(error)[:200]!r}")
    except Exception:
        return Failure(name, seed, traceback.format_exc(limit=-3))
    seconds = time.process_time() - began
    if seconds > MAX_S:
        return Failure(name, seed, f"took {seconds:.1f} s")
    written = sorted(one.name for one in folder.iterdir() if one != path)
    if written:
        return Failure(name, seed, f"wrote {written}")
    return None


def run_round(
    targets: dict[str, Target], counts: Callable[[Target], int], first_seed: int, log: Callable[[str], None]
) -> tuple[list[Failure], float]:
    """(failures, MB of memory that the round added at its peak)."""
    failures: list[Failure] = []
    with tempfile.TemporaryDirectory() as name:
        here = os.getcwd()
        folder = Path(name) / "in"
        folder.mkdir()
        os.chdir(folder)
        try:
            for target_name, target in targets.items():  # sound files first: what they load does not count
                for seed_file in target.seeds:
                    (folder / f"input{target.suffix}").write_bytes(seed_file)
                    target.read(folder / f"input{target.suffix}")
                (folder / f"input{target.suffix}").unlink()
                log(f"{target_name}: {len(target.seeds)} sound files are read")
            before_mb = peak_mb()
            for target_name, target in targets.items():
                for seed in range(first_seed, first_seed + counts(target)):
                    failure = try_one(target, target_name, seed, folder)
                    if failure is not None:
                        failures.append(failure)
                        log(f"{target_name} seed {seed}: {failure.what}")
                (folder / f"input{target.suffix}").unlink(missing_ok=True)
                log(f"{target_name}: {counts(target)} done, {peak_mb() - before_mb:.0f} MB more")
        finally:
            os.chdir(here)
    return failures, peak_mb() - before_mb


def peak_mb() -> float:
    """Most memory this process has had resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def sound(kind: str, rate: int = 22_050, seconds: float = 6.0, **options: Any) -> bytes:
    """Clicks over noise in a format of libsndfile."""
    rng = np.random.default_rng(0)
    samples = 0.05 * rng.standard_normal((int(rate * seconds), 2))
    samples[:: rate // 2] = 0.9
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, 2, format=kind, **options) as target:
        for at in range(0, len(samples), 8192):
            target.write(samples[at : at + 8192])
    return file.getvalue()


OSU = """osu file format v14

[General]
AudioFilename: a.mp3
PreviewTime: 1000
Mode: 3

[Metadata]
Title:T
TitleUnicode:題 // no comment
Artist:A
Version:V
Tags:a b

[Difficulty]
HPDrainRate:8
CircleSize:4
OverallDifficulty:8

[Events]
0,0,"bg.jpg",0,0
2,3000,9000

[TimingPoints]
10.5,500,4,2,0,100,1,0
2000,-50,4,2,0,100,0,1

[HitObjects]
64,192,1000,1,0,0:0:0:0:
192,192,1250,128,0,1500:0:0:0:0:
448,192,1500,1,0,0:0:0:0:
"""
SM = """#TITLE:T;
#ARTIST:A;
#MUSIC:a.ogg;
#OFFSET:-0.5;
#BPMS:0=120,8=-120,9=120;
#STOPS:4=0.25,6=-0.1;
#NOTES:
  dance-single:
  me:
  Hard:
  9:
  0,0:
1000
0200
0301
M00F
,
4000
3000
0010
0001
;
"""
SSC = """#VERSION:0.83;
#TITLE:T;
#MUSIC:a.ogg;
#BPMS:0=120;
#WARPS:2=1;
#FAKES:6=1;
#NOTEDATA:;
#STEPSTYPE:dance-single;
#DIFFICULTY:Hard;
#METER:9;
#BPMS:0=120,4=60;
#DELAYS:1=0.5;
#NOTES:
1000
0200
0301
0000
,
1111
;
"""
QUA = """AudioFile: a.mp3
Mode: Keys4
Title: T
Tags: a, b
TimingPoints:
- StartTime: 500
  Bpm: 120
- StartTime: 9000.5
  Bpm: 90
  Signature: Triple
HitObjects:
- StartTime: 500
  Lane: 1
- StartTime: 1000
  Lane: 2
  EndTime: 1500
- Type: Mine
  Lane: 3
"""


def chart_targets(folder: Path) -> dict[str, Target]:
    """Text formats of charts, sets and timings."""
    from chart.formats.osu_read import parse_osu
    from chart.formats.osu_write import format_osu
    from chart.formats.osz import read_osz, write_osz
    from chart.formats.read import read_charts
    from chart.problems import find_problems
    from mapper.request.timing_file import read_timing

    def read_and_write(path: Path) -> None:
        for chart in read_charts(path):
            find_problems(chart)
            format_osu(chart)

    def read_set(path: Path) -> None:
        beatmapset = read_osz(path)
        if beatmapset.charts:
            beatmapset.read_audio()

    song = folder / "a.ogg"
    song.write_bytes(b"song")
    write_osz([parse_osu(OSU, "a.osu")] * 2, song, folder / "a.osz")
    osu = OSU.encode()
    return {
        "osu": Target(".osu", (osu, osu.replace(b"v14", b"v3"), OSU.encode("utf-16")), read_and_write, is_text=True),
        "sm": Target(".sm", (SM.encode(),), read_and_write, is_text=True),
        "ssc": Target(".ssc", (SSC.encode(),), read_and_write, is_text=True),
        "qua": Target(".qua", (QUA.encode(),), read_and_write, is_text=True),
        "timing": Target(".txt", (b"[TimingPoints]\n10,500,4,2,0,100,1,0\n",), read_timing, is_text=True),
        "osz": Target(".osz", ((folder / "a.osz").read_bytes(),), read_set),
    }


def sound_targets() -> dict[str, Target]:
    """Audio, with its tags and cover."""
    from ear.audio.decode import load_audio, read_tags
    from mapper.output.cover import cover_of

    def read(path: Path) -> None:
        read_tags(path)
        cover_of(path, path.parent)
        load_audio(path)

    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        ".wav": ("WAV", {}),
        ".flac": ("FLAC", {}),
        ".ogg": ("OGG", {"subtype": "VORBIS"}),
        ".mp3": ("MP3", {"bitrate_mode": "VARIABLE"}),
        ".opus": ("OGG", {"subtype": "OPUS", "rate": 48_000}),
    }
    return {suffix[1:]: Target(suffix, (sound(kind, **options),), read) for suffix, (kind, options) in kinds.items()}


def network_targets(folder: Path) -> dict[str, Target]:
    """Checkpoints and states of training runs."""
    import torch

    from ear.tracker.checkpoint import build_network, load_network, read_checkpoint, save_ckpt, save_network
    from mapper.network import checkpoint as mapper_checkpoint
    from runtime.training.resume import checkpoint_errors, load_state

    tiny = {
        "transformer_dim": 16,
        "head_dim": 8,
        "stem_dim": 4,
        "ff_mult": 1,
        "n_layers": 1,
        "partial_transformers": False,
    }
    network = build_network(tiny)
    save_network(network, tiny, folder / "net.safetensors")
    save_ckpt(network, tiny, folder / "net.ckpt")
    torch.save({"step": 3, "weights": {"a": torch.zeros(3)}, "name": "x"}, folder / "state.pt")

    def read_state(path: Path) -> None:
        path.replace(path.with_name("state.pt"))
        try:
            with checkpoint_errors(path.parent):
                state = load_state(path.parent, "cpu", ("step", "weights"))
                torch.nn.ParameterList().load_state_dict({}) if state is None else dict(state["weights"])
        finally:
            path.with_name("state.pt").replace(path)

    def read_mapper(path: Path) -> None:
        mapper_checkpoint.read_checkpoint(path)

    def read_arrays(path: Path) -> None:
        read_checkpoint(path)

    whole = mapper_checkpoint.BUNDLED.read_bytes()
    head = int.from_bytes(whole[:8], "little") + 8
    return {
        "beat network": Target(".safetensors", ((folder / "net.safetensors").read_bytes(),), load_network),
        "beat checkpoint": Target(".ckpt", ((folder / "net.ckpt").read_bytes(),), read_arrays),
        "state": Target(".state", ((folder / "state.pt").read_bytes(),), read_state),
        "mapper": Target(".safetensors", (whole,), read_mapper) if head < len(whole) else Target("", (), read_mapper),
    }


def replay_targets(folder: Path) -> dict[str, Target]:
    """Replays of the game."""
    from chart.formats.osr import Replay, read_replay, write_replay

    times = np.arange(1000, 9000, 125)
    columns = np.arange(times.size) // 2 % 4
    replay = Replay(
        "0" * 32, "me", 0, np.array([10, 2, 1, 0, 0, 1]), 900_000, 10, times, columns, np.arange(times.size) % 2 == 0
    )
    write_replay(replay, folder / "a.osr")
    return {"osr": Target(".osr", ((folder / "a.osr").read_bytes(),), read_replay)}


@click.command()
@click.option("--text", default=5000, show_default=True, help="Inputs of each text format.")
@click.option("--binary", default=1000, show_default=True, help="Inputs of each binary format.")
@click.option("--seed", default=0, show_default=True, help="First seed.")
@click.option("--only", multiple=True, help="Only these formats.")
def main(text: int, binary: int, seed: int, only: tuple[str, ...]) -> None:
    """Feed mutated files to every reader and print what went wrong."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        targets = chart_targets(folder) | sound_targets() | network_targets(folder) | replay_targets(folder)
        targets = {name: target for name, target in targets.items() if not only or name in only}
        began = time.perf_counter()
        failures, added_mb = run_round(targets, lambda one: text if one.is_text else binary, seed, click.echo)
    if added_mb > MAX_MB:
        failures.append(Failure("all", seed, f"{added_mb:.0f} MB of memory"))
    found = {
        "inputs": {name: text if target.is_text else binary for name, target in targets.items()},
        "seed": seed,
        "failures": len(failures),
        "added_mb": round(added_mb),
        "seconds": round(time.perf_counter() - began),
    }
    click.echo(json.dumps(found))
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
