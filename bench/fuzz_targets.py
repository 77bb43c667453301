"""Formats that `bench.fuzz` mutates: valid files of each, made here, and the readers of the project."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile


@dataclass(frozen=True)
class Target:
    """One format: valid files of it as seeds, and its reader."""

    suffix: str
    seeds: tuple[bytes, ...]
    read: Callable[[Path], Any]
    is_text: bool = False


def sound(kind: str, rate: int = 22_050, seconds: float = 6.0, **options: Any) -> bytes:
    """The bytes of clicks over noise in a format of libsndfile."""
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
MC = """{"meta": {"creator": "me", "version": "4K", "mode": 0, "mode_ext": {"column": 4}, "preview": 9000, "song": {"title": "T"}},
"time": [{"beat": [0, 0, 1], "bpm": 120}, {"beat": [4, 0, 1], "bpm": 90.5}],
"note": [{"beat": [1, 1, 2], "column": 0}, {"beat": [4, 0, 1], "column": 3, "endbeat": [6, 0, 1]},
{"beat": [0, 0, 1], "type": 1, "sound": "a.ogg", "offset": -500}]}
"""
BMS = """#TITLE T
#BPM 120
#BPM01 240
#STOP01 48
#WAV01 a.ogg
#LNOBJ ZZ
#RANDOM 2
#IF 1
#00001:01
#ENDIF
#00111:AA00AA00
#00112:00AA00ZZ
#00208:0001
#00302:0.5
#00309:0100
#00353:AA00AA00
"""


def chart_targets(folder: Path) -> dict[str, Target]:
    """Text formats of charts, sets and timings."""
    from chart.formats.osu_read import parse_osu
    from chart.formats.osu_write import format_osu
    from chart.formats.osz import read_osz, write_osz
    from chart.formats.quaver import format_quaver
    from chart.formats.read import read_charts
    from chart.formats.stepmania import format_ssc
    from chart.problems import find_problems
    from mapper.request.timing_file import read_timing

    def read_and_write(path: Path) -> None:
        for chart in read_charts(path):
            find_problems(chart)
            format_osu(chart)
            format_quaver(chart)
            format_ssc([chart])

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
        "mc": Target(".mc", (MC.encode(),), read_and_write, is_text=True),
        "bms": Target(".bms", (BMS.encode(),), read_and_write, is_text=True),
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


def all_targets(folder: Path) -> dict[str, Target]:
    """Every format by name; seed files are made in `folder`."""
    return chart_targets(folder) | sound_targets() | network_targets(folder) | replay_targets(folder)
