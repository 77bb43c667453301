"""Material of the fits: beatmap sets that are not held out, songs of rhythm collections, and audio with exact beats."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import click
import numpy as np
from numpy.typing import NDArray

from chart.formats.rhythm import INDEX, RhythmSong, read_rhythm, song_files
from ear.corpora.mapped_songs import has_bars, rhythm_lines
from ear.timing.model import Timing, beats_of
from ear.training.store import file_stem, read_index
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
    """The pieces in a folder's `timing.json`, or the songs of its rhythm collection, each game a collection of its own."""
    if (folder / INDEX).is_file():
        return [piece for piece in (_of_rhythm(path) for path in song_files(folder)) if piece]
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


def _of_rhythm(path: Path) -> TimedPiece | None:
    """The song whose `.json` this is, or None, named, where its red lines are not its beat."""
    try:
        song = read_rhythm(path)
        return _timed_song(song)
    except Mania4KError as error:
        click.echo(f"skipped: {path.name}: {error}", err=True)
        return None


def _timed_song(song: RhythmSong) -> TimedPiece:
    points = tuple(replace(line, time_ms=line.time_ms + song.lag_ms) for line in rhythm_lines(song))
    first_ms, last_ms = song.heads_ms()[[0, -1]] + song.lag_ms
    beats = beats_of(Timing(points, 1.0, (), float(last_ms) + 1))
    inside = beats.time_ms >= max(first_ms - 1, 0)
    downbeat = (beats.position == 1) & has_bars(song)
    return TimedPiece(song.audio, song.game, beats.time_ms[inside], downbeat[inside], song.game)


@dataclass(frozen=True, slots=True)
class Material:
    """Sources of a fit."""

    folder: Path  # of beatmap sets
    timed: tuple[Path, ...] = ()  # folders with a `timing.json` or a `rhythm.json`
    not_in: Path | None = None  # a training set: its pieces are left out

    def sets(self) -> list[Path]:
        """The beatmap sets; raises ConfigError where there are none."""
        return [path for path in training_sets(self.folder) if file_stem(path.stem) not in self._trained_on()]

    def pieces(self) -> list[TimedPiece]:
        """The annotated pieces that come from no beatmap set."""
        trained_on = self._trained_on()
        found = [piece for folder in self.timed for piece in timed_pieces(folder)]
        return [piece for piece in found if not {piece.path.stem, file_stem(piece.path.stem)} & trained_on]

    def _trained_on(self) -> set[str]:
        """File stems of the training set's pieces; rendered audio is named by them."""
        entries = read_index(self.not_in) if self.not_in else []
        return {file_stem(entry.name) for entry in entries if entry.split == "train"}


def read_material(
    material: Material,
    of_set: Callable[[Path], T | None],
    of_piece: Callable[[TimedPiece], T | None],
) -> Iterator[T]:
    """The example of each beatmap set and each piece; files that cannot be used are named."""
    yield from _usable(material.sets(), "reading songs", of_set)
    yield from _usable(material.pieces(), "reading pieces", of_piece)


def _usable(sources: list[S], text: str, example_of: Callable[[S], T | None]) -> Iterator[T]:
    for source in progress(sources, text) if sources else []:
        try:
            if found := example_of(source):
                yield found
        except Mania4KError as error:
            click.echo(f"skipped: {error}", err=True)
