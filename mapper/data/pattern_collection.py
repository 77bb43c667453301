"""Reads collections of charts without audio, from which the mapper learns patterns: `.npz` files of plain arrays.

Arrays: `time_ms`, `column` (0–3) and `end_ms` (-1 for a tap) of all notes, chart k being `[offset[k], offset[k + 1])`;
`timing_points` (time_ms, beat_length_ms) of all charts, with `timing_offset` likewise.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from chart.model import KEYS, Chart, TimingPoint
from runtime.errors import ChartFileError

MAX_NOTES = 50_000_000
"""Bound on a collection."""
MAX_TIME_MS = 20 * 60_000
"""Charts with later notes are marathons or broken."""
MIN_BEAT_MS, MAX_BEAT_MS = 60.0, 6_000.0
"""Timing points outside 10–1,000 BPM are effects, not beats."""
NAMES = ("time_ms", "column", "end_ms", "offset", "timing_points", "timing_offset")


def read_collection(path: Path) -> Iterator[Chart | str]:
    """Each chart of the file, or the reason why it is left out. Raises ChartFileError when the file is not such a collection."""
    try:
        with np.load(path, allow_pickle=False) as saved:
            arrays = {name: saved[name] for name in NAMES}
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ChartFileError(
            f"{path}: not a collection of charts ({error}); see mapper/data/pattern_collection.py"
        ) from error
    notes, offset = arrays["time_ms"].size, arrays["offset"]
    ordered = offset.ndim == 1 and offset.size >= 2 and (np.diff(offset) >= 0).all() and offset[0] >= 0
    if notes > MAX_NOTES or not ordered or offset[-1] > notes or arrays["timing_offset"].shape != offset.shape:
        raise ChartFileError(f"{path}: its offsets do not fit its notes; the file is damaged")
    for number in range(offset.size - 1):
        yield _chart(arrays, number)


def _chart(arrays: dict[str, np.ndarray], number: int) -> Chart | str:
    notes = slice(*arrays["offset"][number : number + 2])
    time_ms = arrays["time_ms"][notes].astype(float)
    column = arrays["column"][notes]
    end_ms = arrays["end_ms"][notes].astype(float)
    if not time_ms.size or time_ms.max() > MAX_TIME_MS or column.min() < 0 or column.max() >= KEYS:
        return f"chart {number}: empty, too long or not 4K"
    points = [
        TimingPoint(float(at), float(beat), 4)
        for at, beat in arrays["timing_points"][slice(*arrays["timing_offset"][number : number + 2])]
        if MIN_BEAT_MS <= beat <= MAX_BEAT_MS and np.isfinite(at)
    ]
    if not points:
        return f"chart {number}: no timing"
    points.sort(key=lambda point: point.time_ms)
    try:
        return Chart.from_notes(
            time_ms, column, np.where(end_ms > time_ms, end_ms, np.nan), timing_points=tuple(points)
        )
    except (ValueError, ChartFileError) as error:
        return f"chart {number}: {error}"
