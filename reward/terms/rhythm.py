"""Rhythm, dynamics and patterns over bars and phrases, against the ranges of human charts.

rhythm/even            bars whose rows are evenly spaced                        share of bars
rhythm/recurrence      bars whose rhythm is that of the bar 1, 2, 4 or 8 before share of bars
rhythm/intervals       variety of the intervals between rows                    bits
rhythm/even_run        longest run of rows at one interval                      octaves (log2 of rows)
rhythm/dynamics        density over windows of 8 s: deviation over mean         ratio
ergonomics/alternation rows that equal the row two before, with a chord of three    share of rows
ergonomics/dominance   busiest column's share of 16 rows                        share of presses

Bands are two-sided: neither a metronome nor a random rhythm is human.
The measures themselves are in `reward.core.rhythm`.
"""

from __future__ import annotations

import numpy as np

from reward.core import rhythm
from reward.core.bands import Measured, Term, mean_of_sections, ratio
from reward.core.batch_view import View, mean_by
from reward.core.inputs import Inputs

MIN_ROWS = 8
"""Sections and charts with fewer rows have no distribution of intervals."""


def _share_of_bars(view: View, marked: np.ndarray) -> Measured:
    """Share of the bars with rows that are marked [bar], per section and per chart."""
    bars = rhythm.bars_of(view)
    value = marked.astype(np.float64)
    return Measured(mean_by(bars.section, value, view.n_sections), mean_by(bars.chart, value, view.n_charts))


def even(view: View, inputs: Inputs) -> Measured:
    """Share of bars with two rows or more, all at one interval."""
    return _share_of_bars(view, rhythm.bars_of(view).even)


def recurrence(view: View, inputs: Inputs) -> Measured:
    """Share of bars whose rhythm is that of the bar 1, 2, 4 or 8 before."""
    return _share_of_bars(view, rhythm.bars_of(view).recurs)


def intervals(view: View, inputs: Inputs) -> Measured:
    """Bits of the distribution of intervals between rows."""
    gap = rhythm.gap_ticks(view)
    known = gap > 0
    section = rhythm.entropy_bits(view.row_section[known], gap[known], view.n_sections)
    chart = rhythm.entropy_bits(view.row_chart[known], gap[known], view.n_charts)
    rows = np.bincount(view.row_chart, minlength=view.n_charts)
    return Measured(
        np.where(view.rows_in_section >= MIN_ROWS, section, np.nan), np.where(rows >= MIN_ROWS, chart, np.nan)
    )


def even_run(view: View, inputs: Inputs) -> Measured:
    """log2 of the rows of the chart's longest run at one interval; of whole charts only."""
    return Measured(np.full(view.n_sections, np.nan), np.log2(rhythm.longest_even_run(view)))


def dynamics(view: View, inputs: Inputs) -> Measured:
    """Deviation of notes a second over windows of 8 s, over their mean; of whole charts only."""
    return Measured(np.full(view.n_sections, np.nan), rhythm.density_variation(view))


def alternation(view: View, inputs: Inputs) -> Measured:
    """Share of rows that equal the row two before but not the last, where one of both is a chord of three."""
    found = rhythm.alternates(view).astype(np.float64)
    return ratio(view, found, np.ones(found.size), MIN_ROWS)


def dominance(view: View, inputs: Inputs) -> Measured:
    """Busiest column's share of the last 16 rows, mean over rows."""
    return mean_of_sections(view, mean_by(view.row_section, rhythm.column_share(view), view.n_sections))


TERMS = (
    Term("rhythm/even", "share of bars", "both", even, "people's charts, docs/RESULTS.md", 0.1),
    Term("rhythm/recurrence", "share of bars", "both", recurrence, "people's charts, docs/RESULTS.md", 0.1),
    Term("rhythm/intervals", "bits", "both", intervals, "people's charts, docs/RESULTS.md", 0.2),
    Term("rhythm/even_run", "octaves of rows", "both", even_run, "people's charts, docs/RESULTS.md", 0.5),
    Term("rhythm/dynamics", "deviation / mean", "both", dynamics, "osu! wiki: difficulty follows intensity", 0.04),
    Term("ergonomics/alternation", "share of rows", "high", alternation, "osu! wiki: split-jumptrills", 0.02),
    Term("ergonomics/dominance", "share of presses", "high", dominance, "osu! wiki: anchors", 0.05),
)
