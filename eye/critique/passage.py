"""One place of a chart in numbers: what a remark about it can say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chart.analysis.rows import LEFT, RIGHT, ROUNDING_MS, ROW_TOLERANCE_MS, SIZE_OF_MASK
from chart.model import KEYS
from eye.critique.row_measures import SHORT_BEATS, Measures
from reward.core.song import Song

ACCENT_MS = 30.0
"""A row accents an onset this near: beyond it a listener hears two events."""
REST_MS = 1_000.0
"""Length of the windows in which the rest of the chart is compared."""


@dataclass(frozen=True)
class Place:
    """Rows first–last of a chart, with what the players and the song do there."""

    measures: Measures
    first: int
    last: int
    target: float
    song: Song | None = None

    @property
    def start_ms(self) -> float:
        """Time of the first row."""
        return float(self.measures.row_ms[self.first])

    @property
    def end_ms(self) -> float:
        """Time of the last row."""
        return float(self.measures.row_ms[self.last])

    @property
    def rows(self) -> int:
        """Rows in the place."""
        return self.last - self.first + 1

    @property
    def seconds(self) -> float:
        """From the first row to a row's interval after the last, so that rates are those of the rows."""
        span = self.end_ms - self.start_ms
        return max(span * self.rows / max(self.rows - 1, 1), 100.0) / 1000.0

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """[note] of the chart, true in the place."""
        row = self.measures.view.note_row
        return (row >= self.first) & (row <= self.last)

    @property
    def notes(self) -> int:
        """Number of notes in the place."""
        return int(self.inside.sum())

    @cached_property
    def by_column(self) -> NDArray[np.int64]:
        """[column] number of notes in the place."""
        return np.bincount(self.measures.view.column[self.inside], minlength=KEYS)

    @property
    def busiest(self) -> int:
        """The column with most notes, 0–3."""
        return int(np.argmax(self.by_column))

    @property
    def hands(self) -> tuple[int, int]:
        """Notes of the left and the right hand."""
        mask = self.measures.view.rows.mask[self.first : self.last + 1]
        return int(SIZE_OF_MASK[mask & LEFT].sum()), int(SIZE_OF_MASK[mask & RIGHT].sum())

    @property
    def columns(self) -> tuple[int, ...]:
        """Columns that have notes in the place."""
        return tuple(np.flatnonzero(self.by_column).tolist())

    @cached_property
    def lost(self) -> tuple[float, float] | None:
        """Accuracy that players of the target level lose here and in the whole chart, 0–1; None if unplayed."""
        loss = self.measures.loss
        if self.measures.plays is None or not self.notes:
            return None
        return float(loss[self.inside].mean()), float(loss.mean())

    @cached_property
    def accented(self) -> int | None:
        """Rows that fall on one of the song's stronger onsets; None without a song."""
        if self.song is None or not self.song.peaks.size:
            return None
        strength = self.song.strength[self.song.peaks]
        strong = self.song.peaks[strength >= np.median(strength)] * self.song.hop_ms - self.song.lag_ms
        at = self.measures.row_ms[self.first : self.last + 1]
        after = np.clip(np.searchsorted(strong, at), 0, strong.size - 1)
        near = np.minimum(np.abs(strong[after] - at), np.abs(strong[np.maximum(after - 1, 0)] - at))
        return int((near <= ACCENT_MS).sum())

    @property
    def quieter_share(self) -> float:
        """Share of the chart's rows where the song is quieter than here on average, 0–1."""
        return float(self.measures.loudness_rank[self.first : self.last + 1].mean())

    @cached_property
    def busiest_elsewhere(self) -> float:
        """Notes a second in the busiest second outside the place."""
        view = self.measures.view
        other = view.note_ms[~self.inside]
        if not other.size:
            return 0.0
        return float((np.searchsorted(other, other + REST_MS) - np.arange(other.size)).max()) * 1000.0 / REST_MS

    @cached_property
    def unsnapped(self) -> tuple[int, float]:
        """Rows off the grid, and by how many ms they are (median)."""
        rows = self.measures.view.row_first[self.first : self.last + 1]
        snaps = self.measures.view.snaps
        off = snaps.divisor[rows] == 0
        return int(off.sum()), float(np.median(np.abs(snaps.error_ms[rows][off]))) if off.any() else 0.0

    @property
    def divisors(self) -> NDArray[np.int64]:
        """[row of the place] snap divisors, 0 = unsnapped."""
        view = self.measures.view
        return view.snaps.divisor[view.row_first[self.first : self.last + 1]]

    @cached_property
    def hold_trouble(self) -> tuple[int, int, int]:
        """Holds, gaps under 1/4 at holds, and releases at a moment of their own, in the place."""
        view = self.measures.view
        hold = ~np.isnan(view.end_ms)
        own = hold & self.inside
        before = np.maximum(view.same_before, 0)
        at_hold = hold | (hold[before] & (view.same_before >= 0))
        tight = self.inside & at_hold & (view.column_idle_ms < SHORT_BEATS * view.note_beats.beat_ms - ROUNDING_MS)
        ends = view.end_ms[own]
        after = np.clip(np.searchsorted(view.row_ms, ends), 0, view.row_ms.size - 1)
        beside = np.minimum(np.abs(view.row_ms[after] - ends), np.abs(view.row_ms[np.maximum(after - 1, 0)] - ends))
        return int(own.sum()), int(tight.sum()), int((beside > 2 * ROW_TOLERANCE_MS).sum())
