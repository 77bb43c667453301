"""Measures of rhythm, repetition and row patterns; shared by reward terms, the review and `bench.rhythm`.

A bar is four felt beats of a section (`reward.core.batch_view`); its *rhythm* is the set of ticks, 48 a beat, at which
rows stand. Every function takes a `View` and returns arrays of rows, bars or charts; no audio is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chart.analysis.rows import Runs, previous, runs_where
from chart.model import KEYS
from reward.core.batch_view import SECTION_BEATS, View

TICKS_PER_BEAT = 48
BEATS_PER_BAR = 4
TICKS_PER_BAR = TICKS_PER_BEAT * BEATS_PER_BAR
BARS_PER_SECTION = SECTION_BEATS // BEATS_PER_BAR
RECURRENCE_LAGS = (1, 2, 4, 8)
"""Distances, in bars, at which a rhythm counts as repeated: those at which music repeats."""
WINDOW_ROWS = 16
"""Rows over which one column's share is taken: a bar of 1/4."""
WINDOW_MS = 8_000.0
"""Density is compared between windows of this length: about a phrase at 120 BPM."""
ALTERNATION_MS = 500.0
"""Interval of rows up to which two alternating rows are felt as a trill."""
CHORD_OF_THREE = 3
_ZOBRIST = np.random.default_rng(2026).integers(1, 1 << 63, TICKS_PER_BAR, np.uint64)
"""[tick] random keys; the sum over a bar's rows identifies its rhythm (collisions: about 1 in 10^15 pairs)."""


@dataclass(frozen=True)
class Bars:
    """Bars with at least one row, in order of time."""

    number: NDArray[np.int64]  # [bar], section · 4 + bar of the section, over the whole batch
    section: NDArray[np.int64]  # [bar]
    chart: NDArray[np.int64]  # [bar]
    key: NDArray[np.uint64]  # [bar], equal keys = equal rhythms
    even: NDArray[np.bool_]  # [bar], two rows or more, all at one interval
    recurs: NDArray[np.bool_]  # [bar], the bar 1, 2, 4 or 8 before has the same rhythm


def row_ticks(view: View) -> NDArray[np.int64]:
    """[row] ticks since the start of the batch's first section; only differences within a chart have a meaning."""
    start, beat_ms = view.section_start_ms[view.row_section], view.section_beat_ms[view.row_section]
    tick = np.round((view.row_ms - start) / beat_ms * TICKS_PER_BEAT).astype(np.int64)
    per_section = SECTION_BEATS * TICKS_PER_BEAT
    return np.clip(tick, 0, per_section - 1) + view.row_section * per_section


def bars_of(view: View) -> Bars:
    """The bars of all charts; computed once a view."""
    if "bars" not in view.memo:
        view.memo["bars"] = _bars(view, row_ticks(view))
    bars: Bars = view.memo["bars"]
    return bars


def _bars(view: View, tick: NDArray[np.int64]) -> Bars:
    number, first, rows = np.unique(tick // TICKS_PER_BAR, return_index=True, return_counts=True)
    if not number.size:
        nothing = np.zeros(0, np.int64)
        return Bars(nothing, nothing, nothing, nothing.astype(np.uint64), nothing > 0, nothing > 0)
    key = np.add.reduceat(_ZOBRIST[tick % TICKS_PER_BAR], first)
    gap = np.diff(tick, prepend=0)
    inner = np.ones(tick.size, np.bool_)
    inner[first] = False
    low = np.minimum.reduceat(np.where(inner, gap, np.iinfo(np.int64).max), first)
    high = np.maximum.reduceat(np.where(inner, gap, -1), first)
    section = number // BARS_PER_SECTION
    chart = view.section_chart[section]
    return Bars(number, section, chart, key, (rows >= 2) & (low == high), _recurs(number, chart, key))


def _recurs(number: NDArray[np.int64], chart: NDArray[np.int64], key: NDArray[np.uint64]) -> NDArray[np.bool_]:
    found = np.zeros(number.size, np.bool_)
    for lag in RECURRENCE_LAGS:
        at = np.minimum(np.searchsorted(number, number - lag), number.size - 1)
        found |= (number[at] == number - lag) & (chart[at] == chart) & (key[at] == key)
    return found


def gap_ticks(view: View) -> NDArray[np.int64]:
    """[row] ticks since the row before; −1 at a chart's first row."""
    gap = np.diff(row_ticks(view), prepend=0)
    return np.where(np.isfinite(view.rows.gap_ms), gap, -1)


def entropy_bits(group: NDArray[np.int64], value: NDArray, groups: int) -> NDArray[np.float64]:
    """[group] bits of the distribution of `value` within each group; nan where a group is empty."""
    kind = np.unique(value, return_inverse=True)[1]
    kinds = int(kind.max(initial=0)) + 1
    pairs, many = np.unique(group * kinds + kind, return_counts=True)
    of_group = pairs // kinds
    total = np.bincount(group, minlength=groups).astype(np.float64)
    share = many / total[of_group]
    bits = np.bincount(of_group, -share * np.log2(share), minlength=groups)
    return np.where(total > 0, bits, np.nan)


def longest_even_run(view: View) -> NDArray[np.float64]:
    """[chart] rows of the longest run at one interval; nan without rows."""
    gap = gap_ticks(view)
    same = (gap == previous(gap)) & (gap > 0)
    runs = runs_where(same)
    longest = np.where(np.bincount(view.row_chart, minlength=view.n_charts) > 0, 1.0, np.nan)
    longest[view.row_chart[gap > 0]] = 2.0
    np.maximum.at(longest, view.row_chart[runs.last], runs.length + 1.0)
    return longest


def alternates(view: View) -> NDArray[np.bool_]:
    """[row] equal to the row two before, unlike the row before, one of both a chord of three; all within half seconds."""
    mask, size = view.rows.mask, view.rows.size
    near = view.rows.gap_ms <= ALTERNATION_MS
    near &= previous(near)
    big = np.maximum(size, previous(size)) >= CHORD_OF_THREE
    return near & (mask == previous(mask, 2)) & (mask != previous(mask)) & big


def alternation_runs(view: View) -> Runs:
    """Runs of rows that alternate; a run holds both rows that its first alternating row refers to."""
    runs = runs_where(alternates(view))
    return Runs(runs.first - 1, runs.last)


def column_share(view: View) -> NDArray[np.float64]:
    """[row] busiest column's share of the 16 rows that end here; nan before a chart's 16th row."""
    first = np.searchsorted(view.row_chart, view.row_chart)
    begin = np.arange(view.row_ms.size) + 1 - WINDOW_ROWS
    share = np.zeros(view.row_ms.size)
    for key in range(KEYS):
        pressed = np.append(0, np.cumsum(view.rows.mask >> key & 1))
        share = np.maximum(share, (pressed[1:] - pressed[np.maximum(begin, 0)]) / WINDOW_ROWS)
    return np.where(begin >= first, share, np.nan)


def window_density(view: View, index: int) -> NDArray[np.float64]:
    """[window] notes a second in the full windows of 8 s from the chart's first row on."""
    first, last = np.searchsorted(view.row_chart, [index, index + 1])
    if last == first:
        return np.zeros(0)
    ms = view.row_ms[first:last] - view.row_ms[first]
    windows = max(int((ms[-1] + WINDOW_MS / 2) // WINDOW_MS), 1)
    at = np.minimum((ms // WINDOW_MS).astype(np.int64), windows)
    return np.bincount(at, view.rows.size[first:last], minlength=windows + 1)[:windows] / (WINDOW_MS / 1000.0)


def density_variation(view: View) -> NDArray[np.float64]:
    """[chart] standard deviation of the density over 8 s windows, over its mean; nan under three windows."""
    found = np.full(view.n_charts, np.nan)
    for index in range(view.n_charts):
        density = window_density(view, index)
        if density.size >= 3 and density.mean() > 0:
            found[index] = density.std() / density.mean()
    return found
