"""Checks of a built dataset: arrays that are shorter than their index, and impossible values are refused."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chart.problems import MAX_TIME_MS, beat_length_problem
from mapper.data.entries import ChartEntry, SongEntry

SPLITS = ("train", "val")


def check_bounds(
    songs: Sequence[SongEntry], charts: Sequence[ChartEntry], frames: NDArray[np.uint8], rows: NDArray[np.int32]
) -> None:
    """Raise ValueError where an index does not fit its arrays `frames` [frame, channel] and `rows` [row, 2]."""
    if frames.ndim != 2 or frames.dtype != np.uint8:
        raise ValueError(f"its frames are {frames.dtype} of shape {frames.shape}")
    if rows.ndim != 2 or rows.shape[1] != 2 or rows.dtype.kind != "i":
        raise ValueError(f"its rows are {rows.dtype} of shape {rows.shape}")
    for song in songs:
        _check_span(song.frames, len(frames), f"frames of “{song.name}”")
        if not (_is_number(song.duration_ms) and 0 <= song.duration_ms <= MAX_TIME_MS and _is_number(song.lag_ms)):
            raise ValueError(f"“{song.name}” lasts {song.duration_ms} ms, {song.lag_ms} ms behind its notes")
        if song.split not in SPLITS:
            raise ValueError(f"“{song.name}” is in the split “{song.split}”")
    for chart in charts:
        if not 0 <= chart.song < len(songs):
            raise ValueError(f"“{chart.name}” is of song {chart.song} of {len(songs)}")
        _check_span(chart.rows, len(rows), f"rows of “{chart.name}”")
        _check_lines(chart)


def _check_span(span: Sequence[int], size: int, what: str) -> None:
    first, last = span
    if not 0 <= first <= last <= size:
        raise ValueError(f"{what} are {first}–{last} of {size}: the array is shorter than the index")


def _check_lines(chart: ChartEntry) -> None:
    if not chart.red_lines:
        raise ValueError(f"“{chart.name}” has no red line")
    for time_ms, beat_ms, meter in chart.red_lines:
        problem = beat_length_problem(beat_ms) if _is_number(beat_ms) else f"beat length is {beat_ms}"
        if problem or not _is_number(time_ms) or abs(time_ms) > MAX_TIME_MS or meter < 1:
            raise ValueError(f"a red line of “{chart.name}”: {problem or f'{time_ms} ms, {meter} beats a bar'}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def is_whole_part(file: Path) -> bool:
    """Whether a part of a dataset is there and can be read; one that was cut off is built again."""
    if not file.is_file():
        return False
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError, EOFError, ValueError):
        return False
