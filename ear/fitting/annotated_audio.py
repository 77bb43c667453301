"""Material of the fits: beatmap sets that are not held out, and audio with exact beats."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import click
import numpy as np
from numpy.typing import NDArray

from runtime.errors import ConfigError, Mania4KError
from runtime.progress import progress

S = TypeVar("S")
T = TypeVar("T")


def training_sets(folder: Path) -> list[Path]:
    """The folder's `.osz` files by name, without those that a `songs.json` beside them keeps for validation."""
    held_out = set()
    if (folder / "songs.json").is_file():
        songs = json.loads((folder / "songs.json").read_text(encoding="utf-8"))
        held_out = {song["file"] for song in songs if song["split"] != "train"}
    paths = sorted(path for path in folder.glob("*.osz") if path.name not in held_out)
    if not paths:
        raise ConfigError(f"{folder}: holds no .osz files to learn from; name a folder of beatmap sets")
    return paths


@dataclass(frozen=True, slots=True, eq=False)
class TimedPiece:
    """An audio file or beatmap set and its true beats, in audio time."""

    path: Path
    group: str
    beat_ms: NDArray[np.float64] = field(repr=False)  # [beat], increasing
    is_downbeat: NDArray[np.bool_] = field(repr=False)  # [beat]; all false where nobody says
    collection: str = ""  # who made it, in what style: pieces of one are alike, and held out together


def timed_pieces(folder: Path) -> list[TimedPiece]:
    """The pieces in a folder's `timing.json`."""
    path = folder / "timing.json"
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        pieces = []
        for row in rows:
            beat_ms = np.array(row["beats_s"], np.float64) * 1000
            downbeat = np.array(row.get("downbeat", np.zeros(beat_ms.size)), bool)
            if downbeat.shape != beat_ms.shape:
                raise ValueError(f"{row['file']} has {downbeat.size} downbeats for {beat_ms.size} beats")
            group = str(row.get("group", "rendered"))
            collection = str(row.get("collection", group))
            pieces.append(TimedPiece(folder / row["file"], group, beat_ms, downbeat, collection))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: not a list of pieces with file and beats_s ({error})") from error
    return pieces


def read_material(
    folder: Path,
    timed: Path | None,
    of_set: Callable[[Path], T | None],
    of_piece: Callable[[TimedPiece], T | None],
) -> Iterator[T]:
    """The example of each beatmap set in `folder` and each piece in `timed`; files that cannot be used are named."""
    yield from _usable(training_sets(folder), "reading songs", of_set)
    yield from _usable(timed_pieces(timed) if timed else [], "reading pieces", of_piece)


def _usable(sources: list[S], text: str, example_of: Callable[[S], T | None]) -> Iterator[T]:
    for source in progress(sources, text) if sources else []:
        try:
            if found := example_of(source):
                yield found
        except Mania4KError as error:
            click.echo(f"skipped: {error}", err=True)
