"""A chart read as rows: notes at one time, the intervals between them, and runs of rows with something in common."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chart.analysis.snap import beats_at
from chart.model import KEYS, Chart

ROW_TOLERANCE_MS = 2.0
"""Notes this close are one row: hands cannot tell them apart and files round to whole milliseconds."""
ROUNDING_MS = 1.5
"""Largest rounding error of an interval between two times in whole milliseconds, ms."""
SIZE_OF_MASK = np.array([bin(mask).count("1") for mask in range(1 << KEYS)])
LEFT, RIGHT = 0b0011, 0b1100
"""Bits of the left and of the right hand's columns in a row mask; bit c is column c."""


@dataclass(frozen=True)
class Runs:
    """Spans of consecutive rows, both ends included."""

    first: NDArray[np.int64]  # [run]
    last: NDArray[np.int64]  # [run]

    @property
    def length(self) -> NDArray[np.int64]:
        """Rows in each run."""
        return self.last - self.first + 1

    def where(self, keep: NDArray[np.bool_]) -> Runs:
        """The runs that `keep` marks."""
        return Runs(self.first[keep], self.last[keep])


@dataclass(frozen=True)
class Rows:
    """Notes grouped by time. A row with an infinite gap begins a chart (several may stand in one `Rows`)."""

    mask: NDArray[np.int64]  # [row], bit c set = column c is pressed
    held: NDArray[np.int64]  # [row], bit c set = column c is held through the row
    gap_ms: NDArray[np.float64]  # [row], since the row before, inf at a start
    gap_beats: NDArray[np.float64]  # [row]

    @cached_property
    def size(self) -> NDArray[np.int64]:
        """Notes in each row."""
        return SIZE_OF_MASK[self.mask]


def runs_where(continues: NDArray[np.bool_]) -> Runs:
    """Runs of rows in which each row but the first is marked as continuing the one before it."""
    edge = np.diff(np.concatenate([[False], continues, [False]]).astype(np.int8))
    return Runs(np.flatnonzero(edge == 1) - 1, np.flatnonzero(edge == -1) - 1)


def previous(values: NDArray, back: int = 1) -> NDArray:
    """Values `back` rows earlier, 0 where there is none."""
    shifted = np.zeros_like(values)
    shifted[back:] = values[:-back]
    return shifted


def row_starts(time_ms: NDArray[np.float64]) -> NDArray[np.bool_]:
    """[note] true where a sorted note begins a new row."""
    return np.diff(time_ms, prepend=-np.inf) > ROW_TOLERANCE_MS


def held_masks(
    row_ms: NDArray[np.float64], note_ms: NDArray[np.float64], column: NDArray, end_ms: NDArray[np.float64]
) -> NDArray[np.int64]:
    """[row] columns held through each row: pressed before it and released after it by more than a row."""
    held = np.zeros(row_ms.size, np.int64)
    for key in range(KEYS):
        mine = (column == key) & ~np.isnan(end_ms)
        if not mine.any():
            continue
        begin = np.searchsorted(row_ms, note_ms[mine] + ROW_TOLERANCE_MS, side="right")
        stop = np.searchsorted(row_ms, end_ms[mine] - ROW_TOLERANCE_MS, side="left")
        depth = np.zeros(row_ms.size + 1, np.int64)
        np.add.at(depth, begin, stop > begin)
        np.add.at(depth, np.maximum(stop, begin), -(stop > begin).astype(np.int64))
        held |= (np.cumsum(depth[:-1]) > 0).astype(np.int64) << key
    return held


def rows_of(chart: Chart) -> Rows:
    """The rows of one chart."""
    begins = row_starts(chart.time_ms)
    row = np.cumsum(begins) - 1
    time_ms = chart.time_ms[begins]
    mask = np.zeros(time_ms.size, np.int64)
    np.bitwise_or.at(mask, row, 1 << chart.column.astype(np.int64))
    beats = beats_at(time_ms, chart.red_lines)
    return Rows(
        mask=mask,
        held=held_masks(time_ms, chart.time_ms, chart.column, chart.end_ms),
        gap_ms=np.diff(time_ms, prepend=-np.inf),
        gap_beats=np.diff(beats.beat, prepend=-np.inf),
    )


def steady_runs(rows: Rows, continues: NDArray[np.bool_]) -> Runs:
    """Like `runs_where`, but a run ends where the interval changes; the row between two runs belongs to both."""
    gap = np.where(np.isfinite(rows.gap_ms), rows.gap_ms, -1e9)
    joined = continues & (np.abs(gap - previous(gap)) <= ROW_TOLERANCE_MS)
    joined[1:] &= continues[:-1]
    joined[:1] = False
    ends = continues & ~np.append(joined[1:], False)
    return Runs(np.flatnonzero(continues & ~joined) - 1, np.flatnonzero(ends))


def beats_of(rows: Rows, runs: Runs) -> NDArray[np.float64]:
    """[run] beats from the first to the last row."""
    position = np.cumsum(np.where(np.isfinite(rows.gap_beats), rows.gap_beats, 0.0))
    return position[runs.last] - position[runs.first]


def within(rows: Rows, limit_beats: float) -> NDArray[np.bool_]:
    """[row] true where the interval before the row is at most `limit_beats`, rounding to milliseconds allowed for."""
    return rows.gap_beats * (1 - ROUNDING_MS / rows.gap_ms) <= limit_beats
