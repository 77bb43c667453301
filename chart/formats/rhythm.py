"""Reads songs with charts of other games and modes: times without 4K columns.

A collection is a folder with `rhythm.json`, a JSON list of its songs (`file`, `title`, `artist`, `game`, `sync_lag_ms`: lag
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

from chart.problems import beat_length_problem
from runtime.errors import ChartFileError

INDEX = "rhythm.json"
ENDS = frozenset({"slider_end", "hold_end", "spinner_end", "repeat", "slur", "spinner"})
"""Kinds of events at which no note begins."""
WEIGHT_WITHOUT_FIT, LEAST_WEIGHT, FULL_FIT = 0.8, 0.3, 0.4
"""Weight of a song whose fit was not measured; and of one that fits no better, and so much better, than when it is shifted."""


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
    game: str = "other"
    fit: float | None = None  # share of the notes near an onset, less that of notes moved off it; None: not measured

    def heads_ms(self) -> NDArray[np.float64]:
        """Times as written at which a note of any chart begins, increasing."""
        heads = [
            np.asarray(chart["times_ms"], np.float64)[~np.isin(np.asarray(chart["kinds"], str), list(ENDS))]
            for chart in self.charts
        ]
        joined = np.unique(np.concatenate([np.zeros(0), *heads]))
        return joined[np.isfinite(joined)]


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
        fit = _fit(about)
        return RhythmSong(
            audio=song_file.parent / about["file"],
            title=str(about["title"]),
            artist=str(about["artist"]),
            lag_ms=float(about["sync_lag_ms"]),
            weight=_weight(fit) * float(about["lag_confidence"]),
            red_lines=tuple(sorted(lines)),
            charts=tuple(content["charts"]),
            game=str(about.get("game", "other")),
            fit=fit,
        )
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise ChartFileError(f"{song_file}: not a song of a rhythm collection ({error!r})") from error


def _fit(about: dict[str, Any]) -> float | None:
    near = about.get("share_within_30ms")
    return None if near is None else float(near) - float(about["share_shifted"])


def _weight(fit: float | None) -> float:
    return WEIGHT_WITHOUT_FIT if fit is None else float(np.clip(fit / FULL_FIT, LEAST_WEIGHT, 1.0))


def song_files(folder: Path) -> Iterator[Path]:
    """Yield the `.json` file of every song in the collections below a folder."""
    for index in sorted(folder.rglob(INDEX)):
        yield from sorted(path for path in index.parent.glob("*.json") if path != index)


def is_rhythm_song(path: Path) -> bool:
    """Whether the path is such a file."""
    return path.suffix == ".json"
