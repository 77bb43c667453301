"""Readability for players who see about half a second ahead.

density     rows in the half second ahead of each row          rows      lower is easier; banded by stars
rhythm      intervals that the last bar did not prepare        share     0 = always prepared, 1 = never
surprise    bits a learner of this chart needs for the columns ratio     1 = as random columns, 0 = known
holds       ambiguous holds: gaps and shields under 1/4        share     of rows with a hold
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chart.analysis.rows import ROUNDING_MS, SIZE_OF_MASK, previous
from chart.model import KEYS
from reward.core.bands import Measured, Term, ratio
from reward.core.batch_view import View
from reward.core.inputs import Inputs

READ_MS = 500.0
"""Time that notes are in sight: 4K players scroll at 400–650 ms (REFERENCES §3)."""
COMMON_TICKS = 48
"""Ticks a beat in which intervals are compared."""
CHART_TICKS = 1 << 40
"""More ticks than any interval has: keeps the intervals of a batch's charts apart."""
PREPARED_ROWS = 8
"""An interval is prepared when one of so many rows before had it: two bars of beats, one of 1/2."""
SIMPLE_TICKS = np.array([6, 12, 16, 24, 32, 36, 48, 72, 96, 144, 192])
"""Intervals that need no preparation to be understood, in ticks: 1/8, 1/4, 1/3, 1/2, 2/3, 3/4 and whole beats."""
AMBIGUOUS_BEATS = 0.25
BITS_PRIOR = 1.0
"""Weight of the coarser context in the adaptive model, in observations."""
MIN_ROWS = 4.0
"""Sections with fewer rows have no measure of patterns."""


def density(view: View, inputs: Inputs) -> Measured:
    """Mean rows in the half second from each row on, itself included."""
    ahead = np.searchsorted(view.row_ms, view.row_ms + READ_MS - ROUNDING_MS, side="left") - np.arange(view.row_ms.size)
    return ratio(view, ahead.astype(np.float64), np.ones(view.row_ms.size))


def _ticks(view: View) -> NDArray[np.int64]:
    """[row] interval in ticks of 1/48 beat, −1 where a chart begins, −2 where it lies between ticks."""
    gap = view.rows.gap_beats
    finite = np.isfinite(gap)
    exact = np.where(finite, gap, 0.0) * COMMON_TICKS
    ticks = np.round(exact).astype(np.int64)
    beat_ms = view.note_beats.beat_ms[view.row_first]
    off_ms = np.abs(exact - ticks) / COMMON_TICKS * beat_ms
    ticks = np.where(off_ms > 2 * ROUNDING_MS, -2, ticks)
    return np.where(finite, ticks, -1)


def rhythm(view: View, inputs: Inputs) -> Measured:
    """Share of intervals that are neither simple nor among those of the last rows."""
    ticks = _ticks(view)
    own = ticks + view.row_chart * CHART_TICKS  # no interval is prepared by another chart
    seen = np.zeros(ticks.size, bool)
    for back in range(1, PREPARED_ROWS + 1):
        seen |= own == previous(own, back)
    simple = np.isin(ticks, SIMPLE_TICKS) | (ticks > COMMON_TICKS * KEYS)
    cost = np.where(simple, np.where(seen, 0.0, 0.15), np.where(seen, 0.3, 1.0))
    cost = np.where(ticks == -2, 1.0, cost)
    return ratio(view, np.where(ticks == -1, 0.0, cost), (ticks != -1).astype(np.float64), MIN_ROWS)


def _count_before(key: NDArray[np.int64]) -> NDArray[np.float64]:
    """[row] how many earlier rows have the same key."""
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    begins = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    rank = np.arange(key.size) - np.repeat(begins, np.diff(np.append(begins, key.size)))
    count = np.empty(key.size)
    count[order] = rank
    return count


CHOICES = np.array([1, 4, 6, 4, 1])
"""Ways to place 0–4 notes on four columns."""


def column_bits(view: View) -> NDArray[np.float64]:
    """[row] bits that an adaptive order-2 model of this chart needs for the columns, the chord's size being known."""
    rows, mask = view.rows, view.rows.mask
    size = SIZE_OF_MASK[mask]
    speed = np.digitize(rows.gap_beats, [0.3, 0.6])  # 1/4 and finer, 1/2, slower
    starts = ~np.isfinite(rows.gap_ms)
    before = np.where(starts, 0, previous(mask))
    base = (view.row_chart * 5 + size) * 3 + speed
    order1 = base * 16 + before
    order2 = order1 * 16 + np.where(starts, 0, previous(before))
    probability = 1.0 / CHOICES[size]
    for context in (base, order1, order2):
        hits, total = _count_before(context * 16 + mask), _count_before(context)
        probability = (hits + BITS_PRIOR * probability) / (total + BITS_PRIOR)
    return -np.log2(probability)


def surprise(view: View, inputs: Inputs) -> Measured:
    """Bits for the columns over the bits of random columns; charts of quads alone have 0."""
    uniform = np.log2(CHOICES[view.rows.size])
    found = ratio(view, np.where(uniform > 0, column_bits(view), 0.0), np.maximum(uniform, 1e-6), 0.0)
    return Measured(
        np.where(view.rows_in_section >= MIN_ROWS, found.section, np.nan),
        np.where(view.notes_in_chart >= MIN_ROWS, found.chart, np.nan),
    )


def chords(view: View, inputs: Inputs) -> Measured:
    """Mean notes in a row."""
    return ratio(view, view.rows.size.astype(np.float64), np.ones(view.row_ms.size), MIN_ROWS)


def holds(view: View, inputs: Inputs) -> Measured:
    """Share of holds that are ambiguous: a gap under 1/4 beat before or after them in their column."""
    hold = ~np.isnan(view.end_ms)
    beat_ms = view.note_beats.beat_ms
    near = view.column_idle_ms < AMBIGUOUS_BEATS * beat_ms - ROUNDING_MS
    before = np.maximum(view.same_before, 0)
    ambiguous = near & (hold | (hold[before] & (view.same_before >= 0)))
    concerned = np.bincount(view.note_row, hold | ambiguous, minlength=view.row_ms.size)
    bad = np.bincount(view.note_row, ambiguous, minlength=view.row_ms.size)
    return ratio(view, bad.astype(np.float64), concerned.astype(np.float64), MIN_ROWS)


TERMS = (
    Term("readability/density", "rows in 500 ms", "both", density, "scroll time of 4K players, REFERENCES §3", 0.5),
    Term("readability/rhythm", "share of intervals", "high", rhythm, "osu! wiki: simple, predictable snaps", 0.05),
    Term("readability/surprise", "bits / random bits", "both", surprise, "adaptive n-gram of the chart itself", 0.1),
    Term("readability/chords", "notes a row", "high", chords, "osu! wiki: chord sizes by level", 0.15),
    Term("readability/holds", "share of holds", "high", holds, "osu! wiki: shields; REFERENCES §4", 0.1),
)
