"""Ergonomics for two hands of two fingers.

hands        notes of the left hand against the right          |L − R| / (L + R), less the expectation by chance
columns      unevenness of the four columns                    χ² a degree of freedom; 1 = random columns
repeats      columns pressed twice running                     over the number random columns would give
anchors      notes in long anchors (5 and more)                share of rows in runs at 1/4 and finer
strain       same-column rate of the fastest tenth             presses/s, banded by stars
hand_load    one-hand rate of the busiest tenth                presses/s, banded by stars
stamina      busiest ten seconds against the chart's mean      ratio
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chart.analysis.patterns import anchors
from chart.analysis.rows import LEFT, RIGHT, ROUNDING_MS, SIZE_OF_MASK, Rows, Runs, previous, runs_where
from chart.model import KEYS
from reward.core.bands import Measured, Term, mean_of_sections, ratio
from reward.core.batch_view import View
from reward.core.inputs import Inputs

REPEAT_MS = 700.0
"""Intervals up to which pressing a column again is felt as a repeat."""
ANCHOR_ROWS = 7
"""Rows that an anchor of four notes spans: between the three that Normal forbids and the five that Hard forbids."""
ANCHOR_MS = 400.0
"""Interval of rows up to which an anchor tires one finger while the others rest."""
ONE_HAND_ROWS = 4
"""Rows in succession played by one hand alone that begin to be awkward."""
LOAD_MS = 1_000.0
STAMINA_MS = 10_000.0
"""A player's fast rate falls to 73 % in 20 s (REFERENCES §3); half of that shows whether rests are spread."""
MIN_NOTES = 6.0


def _counts(view: View) -> NDArray[np.float64]:
    """[section, column] notes."""
    flat = np.bincount(view.note_section * KEYS + view.column, minlength=view.n_sections * KEYS)
    return flat.reshape(view.n_sections, KEYS).astype(np.float64)


def _by_chart(view: View, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """[chart, column] sums of [section, column]."""
    total = np.zeros((view.n_charts, counts.shape[1]))
    np.add.at(total, view.section_chart, counts)
    return total


def _imbalance(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """|L − R| / (L + R) less one standard deviation of a fair coin."""
    total = counts.sum(axis=1)
    part = np.abs(counts[:, :2].sum(axis=1) - counts[:, 2:].sum(axis=1)) / np.maximum(total, 1.0)
    return np.where(total >= MIN_NOTES, np.maximum(part - 1 / np.sqrt(np.maximum(total, 1.0)), 0.0), np.nan)


def hands(view: View, inputs: Inputs) -> Measured:
    """Imbalance of the hands, 0–1."""
    counts = _counts(view)
    return Measured(_imbalance(counts), _imbalance(_by_chart(view, counts)))


def _unevenness(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    total = counts.sum(axis=1)
    mean = np.maximum(total / KEYS, 1e-9)[:, None]
    return np.where(total >= MIN_NOTES, ((counts - mean) ** 2 / mean).sum(axis=1) / (KEYS - 1), np.nan)


def columns(view: View, inputs: Inputs) -> Measured:
    """χ² of the columns' counts over three degrees of freedom; the chart's value is the sections' mean."""
    return mean_of_sections(view, _unevenness(_counts(view)))


def repeats(view: View, inputs: Inputs) -> Measured:
    """Columns shared with the row before, over what random columns would share; rows up to 700 ms apart."""
    rows = view.rows
    near = rows.gap_ms <= REPEAT_MS
    shared = SIZE_OF_MASK[rows.mask & previous(rows.mask)]
    expected = rows.size * previous(rows.size) / KEYS
    return ratio(view, np.where(near, shared, 0.0), np.where(near, expected, 0.0))


def long_anchors(view: View, inputs: Inputs) -> Measured:
    """Share of rows inside anchors of four notes and more, at any interval that is felt as one."""
    rows = view.rows
    by_time = Rows(rows.mask, rows.held, rows.gap_ms, rows.gap_ms / ANCHOR_MS)
    runs = anchors(by_time, 1.0)
    return _covered(view, runs.where(runs.length >= ANCHOR_ROWS))


def one_handed(view: View, inputs: Inputs) -> Measured:
    """Share of rows in runs of four and more that one hand plays alone while the other rests."""
    rows = view.rows
    near = rows.gap_ms <= REPEAT_MS
    hand = np.where(rows.mask & RIGHT == 0, 1, np.where(rows.mask & LEFT == 0, 2, 0))
    runs = runs_where(near & (hand > 0) & (hand == previous(hand)))
    return _covered(view, runs.where(runs.length >= ONE_HAND_ROWS))


def _covered(view: View, runs: Runs) -> Measured:
    """Share of rows inside the runs."""
    depth = np.zeros(view.row_ms.size + 1)
    np.add.at(depth, runs.first, 1.0)
    np.add.at(depth, runs.last + 1, -1.0)
    return ratio(view, (np.cumsum(depth[:-1]) > 0).astype(np.float64), np.ones(view.row_ms.size))


def _power_mean(view: View, row_values: NDArray[np.float64], power: float = 6.0) -> Measured:
    """Power mean over rows: near the upper tenth, yet smooth and free of sorting."""
    known = np.isfinite(row_values)
    raised = ratio(view, np.where(known, row_values, 0.0) ** power, np.ones(view.row_ms.size), MIN_NOTES)
    return Measured(raised.section ** (1 / power), raised.chart ** (1 / power))


def strain(view: View, inputs: Inputs) -> Measured:
    """Presses a second in one column, 1000 / interval, power mean over rows (the fastest column of each)."""
    rate = np.zeros(view.row_ms.size)
    np.maximum.at(rate, view.note_row, 1000.0 / np.maximum(view.column_gap_ms, 10.0))
    return _power_mean(view, rate)


def hand_load(view: View, inputs: Inputs) -> Measured:
    """Presses a second of the busier hand in the second before each row, power mean."""
    begin = np.searchsorted(view.row_ms, view.row_ms - LOAD_MS + ROUNDING_MS, side="right")
    busiest = np.zeros(view.row_ms.size)
    for hand in (LEFT, RIGHT):
        sums = np.append(0, np.cumsum(SIZE_OF_MASK[view.rows.mask & hand]))
        busiest = np.maximum(busiest, sums[1:] - sums[begin])
    return _power_mean(view, busiest * 1000.0 / LOAD_MS)


def stamina(view: View, inputs: Inputs) -> Measured:
    """Notes in the ten seconds before each row, power mean over the chart's mean rate."""
    begin = np.searchsorted(view.row_ms, view.row_ms - STAMINA_MS + ROUNDING_MS, side="right")
    notes = np.append(0, np.cumsum(view.rows.size))
    load = (notes[1:] - notes[begin]) * 1000.0 / STAMINA_MS
    busy = _power_mean(view, load)
    span = np.full(view.n_charts, STAMINA_MS)
    first = np.flatnonzero(np.diff(view.row_chart, prepend=-1))
    last = np.append(first[1:], view.row_chart.size)[: first.size] - 1
    span[view.row_chart[first]] = np.maximum(view.row_ms[last] - view.row_ms[first], STAMINA_MS)
    mean = np.maximum(view.notes_in_chart / span * 1000.0, 1e-9)
    return Measured(busy.section / mean[view.section_chart], busy.chart / mean)


TERMS = (
    Term("ergonomics/hands", "share", "high", hands, "design: the hands share the load", 0.1),
    Term("ergonomics/columns", "χ² / 3", "high", columns, "MapsetVerifier: column usage", 0.3),
    Term("ergonomics/repeats", "over random", "high", repeats, "osu! wiki: minijacks are discouraged", 0.2),
    Term("ergonomics/anchors", "share of rows", "high", long_anchors, "osu! wiki: anchors", 0.05),
    Term("ergonomics/one_handed", "share of rows", "high", one_handed, "design: awkward transitions", 0.05),
    Term("ergonomics/strain", "presses/s in a column", "high", strain, "measured jack limits, REFERENCES §3", 0.5),
    Term("ergonomics/hand_load", "presses/s of a hand", "high", hand_load, "measured load curve, REFERENCES §3", 0.5),
    Term("ergonomics/stamina", "ratio", "both", stamina, "Rodrigues 2009, REFERENCES §3", 0.1),
)
