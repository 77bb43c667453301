"""A Beat This training set on disk: spectrograms and beats of pieces, and which of them are for validation.

    DATA/pieces.json          a list of {name, group, split, seconds}
    DATA/pieces/NAME.npz      mel, beat_ms, is_downbeat, first_ms, last_ms, has_downbeats

The spectrogram is `beat_this_mel` in steps of 1/25, a byte each: 23 MB an hour.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from runtime.atomic_write import replacing, save_bytes
from runtime.errors import ConfigError

Split = Literal["train", "val"]

MEL_STEPS = 25.0
"""Steps a unit of the log spectrogram is kept in; it stays below 10.2, and the rounding (.01) below any noise."""

VAL_SHARE = 0.08
"""Share of pieces held out for validation where nobody says which."""

MAX_NAME = 80


@dataclass(frozen=True, slots=True, eq=False)
class BeatPiece:
    """Spectrogram and beats of one piece, in audio time."""

    name: str
    group: str  # what kind of source, for the figures: osu, stepmania, pop piano, …
    mel: NDArray[np.uint8] = field(repr=False)  # [frame, 128], in steps of 1 / MEL_STEPS
    beat_ms: NDArray[np.float64] = field(repr=False)  # [beat], increasing
    is_downbeat: NDArray[np.bool_] = field(repr=False)  # [beat]
    first_ms: float  # the beats are complete from here …
    last_ms: float  # … to here
    has_downbeats: bool = True  # false where the source does not say

    @property
    def seconds(self) -> float:
        return len(self.mel) / 50.0


@dataclass(frozen=True, slots=True)
class PieceEntry:
    """A line of `pieces.json`."""

    name: str
    group: str
    split: Split
    seconds: float


def quantised(mel: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A spectrogram as bytes."""
    return np.rint(mel * MEL_STEPS).clip(0, 255).astype(np.uint8)


def as_mel(kept: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The spectrogram that `quantised` made bytes of."""
    return kept.astype(np.float32) / np.float32(MEL_STEPS)


def split_of(name: str) -> Split:
    """A split by the piece's name, the same on every machine and for every version of the set."""
    share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
    return "val" if share < VAL_SHARE else "train"


def file_stem(name: str) -> str:
    """A file name for a piece of any title: readable, short, and distinct."""
    plain = unicodedata.normalize("NFKC", name)
    readable = re.sub(r"[^\w\-.]+", "_", plain).strip("._")[:MAX_NAME]
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def write_piece(folder: Path, piece: BeatPiece) -> None:
    """Write one piece's arrays; half a file is never left under its name."""
    path = folder / "pieces" / f"{file_stem(piece.name)}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        np.savez_compressed(
            file,
            mel=piece.mel,
            beat_ms=piece.beat_ms,
            is_downbeat=piece.is_downbeat,
            span_ms=np.array([piece.first_ms, piece.last_ms]),
            has_downbeats=np.array(piece.has_downbeats),
        )


def read_piece(folder: Path, entry: PieceEntry) -> BeatPiece:
    """Read one piece. Raises ConfigError where it is missing or damaged."""
    path = folder / "pieces" / f"{file_stem(entry.name)}.npz"
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            first_ms, last_ms = map(float, file["span_ms"])
            mel, beat_ms, is_downbeat = file["mel"], file["beat_ms"], file["is_downbeat"]
            has_downbeats = bool(file["has_downbeats"])
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path}: missing or damaged ({error}); make the dataset again") from error
    if mel.dtype != np.uint8 or mel.ndim != 2 or mel.shape[1] != 128 or beat_ms.shape != is_downbeat.shape:
        raise ConfigError(f"{path}: is not a piece of a beat dataset; make the dataset again")
    return BeatPiece(entry.name, entry.group, mel, beat_ms, is_downbeat, first_ms, last_ms, has_downbeats)


def write_index(folder: Path, entries: list[PieceEntry]) -> None:
    """Write `pieces.json`, sorted by name."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [asdict(entry) for entry in sorted(entries, key=lambda entry: entry.name)]
    save_bytes(folder / "pieces.json", json.dumps(rows, ensure_ascii=False, indent=0).encode("utf-8"))


def add_to_index(folder: Path, entries: list[PieceEntry]) -> None:
    """Add pieces to `pieces.json`; those of the same name are replaced."""
    old = read_index(folder) if (folder / "pieces.json").is_file() else []
    write_index(folder, list({entry.name: entry for entry in (*old, *entries)}.values()))


def read_index(folder: Path) -> list[PieceEntry]:
    """The pieces of a dataset. Raises ConfigError where there is none."""
    path = folder / "pieces.json"
    try:
        entries = [PieceEntry(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no beat dataset there; make one with `python -m ear.dataset`") from error
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); make the dataset again") from error
    return entries
