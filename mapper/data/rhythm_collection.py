"""Reads songs with charts of other games and modes: times without 4K columns, from which the encoder learns onsets.

A collection is a folder with `rhythm.json`, a JSON list of its songs (`file`, `title`, `artist`, `sync_lag_ms`: lag
of the sound after the times as written, `lag_confidence`, `share_within_30ms` of the notes near an onset or null, and
`share_shifted`, the same of notes moved by a part of a beat), and beside each song's audio a `.json` of the same name:
`timing_points` [time_ms, beat_length_ms, metre] and `charts` of {mode, difficulty, times_ms, kinds}.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chart.grid import Grid
from chart.problems import beat_length_problem
from mapper.tokens.vocabulary import STYLES
from runtime.errors import ChartFileError

INDEX = "rhythm.json"
ENDS = frozenset({"slider_end", "hold_end", "spinner_end", "repeat", "slur", "spinner"})
"""Kinds of events at which no note begins: they are no evidence for or against a row of a 4K chart."""
MIN_HEADS = 30
"""Charts with fewer notes are sketches."""
SNAP_MS = 8.0
MIN_SNAPPED_SHARE = 0.85
"""Charts with fewer notes within `SNAP_MS` of a slot have no usable timing."""
FADE_MS = 1500.0
"""The end of an excerpt fades out: nothing is scored there."""
WEIGHT_WITHOUT_FIT, LEAST_WEIGHT, FULL_FIT = 0.8, 0.3, 0.4
"""Weight of a song whose fit was not measured; and of one that fits no better, and so much better, than when it is shifted."""
STYLE_BY_MODE = (
    *(("drums", "drums"), ("guitar", "guitar"), ("saber", "saber"), ("arcaea", "arcaea"), ("syllable", "syllables")),
    *(("7k", "keyboard"), ("5k", "keyboard"), ("bms", "keyboard"), ("standard", "standard"), ("catch", "catch")),
    *(("taiko", "taiko"), ("osu!", "standard")),
)
"""Style by the first of these words in a chart's mode (or, for drums, its difficulty)."""
NOT_SCORED, BEGINS = 0, 1
"""Codes of `mapper.data.corpus` for charts without columns."""


@dataclass(frozen=True)
class RhythmSong:
    """One song of a collection."""

    audio: Path
    title: str
    artist: str
    lag_ms: float  # lag of the sound after the times as written
    weight: float  # 0–1: reliability of its times
    red_lines: tuple[tuple[float, float, int], ...]  # (time_ms, beat_length_ms, meter)
    charts: tuple[dict[str, Any], ...]  # as in the file


@dataclass(frozen=True)
class RhythmRows:
    """A chart's events on a grid."""

    rows: NDArray[np.int32]  # [row, 2], slot and `BEGINS` or `NOT_SCORED`
    heads_per_s: float
    span_ms: tuple[float, float]  # first and last head


def read_rhythm(song_file: Path) -> RhythmSong:
    """The song whose `.json` this is. Raises ChartFileError when it, or the collection's index, does not fit."""
    try:
        index = json.loads((song_file.parent / INDEX).read_text(encoding="utf-8"))
        about = next(song for song in index if Path(song["file"]).stem == song_file.stem)
        content = json.loads(song_file.read_text(encoding="utf-8"))
        lines = tuple((float(at), float(beat), int(meter) or 4) for at, beat, meter in content["timing_points"])
        lines = tuple(line for line in lines if np.isfinite(line[:2]).all() and not beat_length_problem(line[1]))
        if not lines:
            raise ChartFileError(f"{song_file}: it has no timing points")
        return RhythmSong(
            audio=song_file.parent / about["file"],
            title=str(about["title"]),
            artist=str(about["artist"]),
            lag_ms=float(about["sync_lag_ms"]),
            weight=_weight(about),
            red_lines=tuple(sorted(lines)),
            charts=tuple(content["charts"]),
        )
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise ChartFileError(f"{song_file}: not a song of a rhythm collection ({error!r})") from error


def _weight(about: dict[str, Any]) -> float:
    fit, shifted = about.get("share_within_30ms"), about.get("share_shifted")
    fits = WEIGHT_WITHOUT_FIT if fit is None else float(np.clip((fit - shifted) / FULL_FIT, LEAST_WEIGHT, 1.0))
    return fits * float(about["lag_confidence"])


def rhythm_rows(chart: dict[str, Any], grid: Grid, lag_ms: float, duration_ms: float) -> RhythmRows | str:
    """The chart on the song's grid, or why it was left out."""
    time_ms = np.asarray(chart["times_ms"], np.float64)
    ends = np.isin(np.asarray(chart["kinds"]), list(ENDS))
    inside = np.isfinite(time_ms) & (time_ms > -lag_ms) & (time_ms < duration_ms - lag_ms)
    heads = np.unique(time_ms[~ends & inside])
    if heads.size < MIN_HEADS:
        return f"only {heads.size} notes"
    slot = grid.nearest_slot(heads)
    snapped = np.abs(grid.slot_ms[slot] - heads) <= SNAP_MS
    if snapped.mean() < MIN_SNAPPED_SHARE:
        return f"{1 - snapped.mean():.0%} of its notes lie on no snap"
    begins = np.unique(slot[snapped])
    unknown = np.union1d(slot[~snapped], grid.nearest_slot(time_ms[ends & inside]))
    unknown = np.setdiff1d(unknown, begins)
    slots = np.concatenate((begins, unknown))
    codes = np.repeat([BEGINS, NOT_SCORED], [begins.size, unknown.size])
    order = np.argsort(slots)
    span_ms = float(heads[0]), float(heads[-1])
    per_s = begins.size / max((span_ms[1] - span_ms[0]) / 1000, 1.0)
    return RhythmRows(np.stack((slots, codes), -1)[order].astype(np.int32), per_s, span_ms)


def style_of(chart: dict[str, Any]) -> int:
    """Index into STYLES."""
    mode, difficulty = str(chart["mode"]).lower(), str(chart["difficulty"]).lower()
    if "guitar" in mode:  # such files hold charts of both
        mode = "drums" if "drum" in difficulty else "guitar"
    return STYLES.index(next((style for part, style in STYLE_BY_MODE if part in mode), "other"))


def song_files(folder: Path) -> Iterator[Path]:
    """The `.json` of every song of the collections below a folder."""
    for index in sorted(folder.rglob(INDEX)):
        yield from sorted(path for path in index.parent.glob("*.json") if path != index)


def is_rhythm_song(path: Path) -> bool:
    """Whether the path is such a file."""
    return path.suffix == ".json"
