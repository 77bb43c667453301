"""Types of rules, the difficulty levels, and the scaling of the criteria's snaps and run lengths with tempo.

The criteria are written for songs of about 180 BPM. `snap_scale` and `leniency` carry them to other tempos:

    ≤ 90      a snap counts double: 1/8 is judged as 1/4 is at 180 BPM (four times from 45 BPM down)
    90–120    between the two, linearly
    120–180   snaps as written, longer runs allowed (× 180 / BPM)
    180–240   snaps as written, shorter runs allowed
    > 240     a snap counts half: 1/2 is judged as 1/4

Source: osu! wiki, Scaling BPM on the Ranking Criteria; the interpolation between its corner points is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from chart.analysis.rows import Rows, Runs
from reward.core.batch_view import View

REFERENCE_BPM = 180.0
SLOW_BPM, HALF_SPEED_BPM, FAST_BPM = 120.0, 90.0, 240.0


class Level(IntEnum):
    """Difficulty levels of the ranking criteria, by official stars."""

    EASY = 0
    NORMAL = 1
    HARD = 2
    INSANE = 3
    EXPERT = 4
    EXPERT_PLUS = 5


LEVEL_STARS = (2.0, 2.7, 4.0, 5.3, 6.5)
"""Official stars at which each level ends (osu! wiki, Difficulty)."""
ALL = frozenset(Level)


def level_of(stars: float) -> Level:
    """The level that `stars` (official star rating) belongs to."""
    return Level(int(np.searchsorted(LEVEL_STARS, stars, side="right")))


@dataclass(frozen=True)
class Hits:
    """Places where a rule fires, in flat time of the view."""

    chart: NDArray[np.int64]  # [hit]
    start_ms: NDArray[np.float64]  # [hit], flat time
    end_ms: NDArray[np.float64]  # [hit], flat time
    columns: NDArray[np.int64]  # [hit], bit c set = column c is concerned
    amount: NDArray[np.float64]  # [hit], the number in the rule's text


Find = Callable[[View], Hits]
"""Detector of a rule's breaches."""


@dataclass(frozen=True)
class Rule:
    """One row of the criteria."""

    name: str
    severity: str  # "problem" (must be fixed) or "warning" (a guideline: needs a reason)
    levels: frozenset[Level]
    text: str  # for the mapper; {amount} is filled in
    find: Find


def snap_scale(beat_ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Factor on a snap at this beat length: 1 from 120 to 240 BPM, 2 at 90, ½ above 240."""
    bpm = 60_000.0 / beat_ms
    slow = np.interp(bpm, [HALF_SPEED_BPM / 2, SLOW_BPM / 2, HALF_SPEED_BPM, SLOW_BPM], [4.0, 2.0, 2.0, 1.0])
    return np.where(bpm > FAST_BPM, 0.5, slow)


def leniency(beat_ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Factor by which runs may be longer than at 180 BPM: above 1 where the scaled beat is slower."""
    return REFERENCE_BPM / (60_000.0 / beat_ms * snap_scale(beat_ms))


def allowed(count: int, beat_ms: NDArray[np.float64]) -> NDArray[np.int64]:
    """The longest run allowed at this tempo where the criteria allow `count` at 180 BPM."""
    return np.floor(count * leniency(beat_ms) + 0.5).astype(np.int64)


def row_beat_ms(view: View) -> NDArray[np.float64]:
    """[row] length of the beat, ms, at each row."""
    return view.note_beats.beat_ms[view.row_first]


def scaled_rows(view: View) -> Rows:
    """The view's rows with intervals in scaled beats, to which the criteria's snaps apply as written."""
    if "scaled_rows" not in view.memo:
        rows = view.rows
        scaled = rows.gap_beats * snap_scale(row_beat_ms(view))
        view.memo["scaled_rows"] = Rows(rows.mask, rows.held, rows.gap_ms, scaled)
    rows_scaled: Rows = view.memo["scaled_rows"]
    return rows_scaled


def hits_of_notes(view: View, where: NDArray[np.bool_], amount: NDArray) -> Hits:
    """Hits at the marked notes; `amount` is [note]."""
    at = np.flatnonzero(where)
    return Hits(
        view.note_chart[at], view.note_ms[at], view.free_ms[at], 1 << view.column[at], amount[at].astype(np.float64)
    )


def hits_of_rows(view: View, where: NDArray[np.bool_], amount: NDArray) -> Hits:
    """Hits at the marked rows; `amount` is [row]."""
    at = np.flatnonzero(where)
    return Hits(view.row_chart[at], view.row_ms[at], view.row_ms[at], view.rows.mask[at], amount[at].astype(np.float64))


def hits_of_runs(view: View, runs: Runs) -> Hits:
    """Hits that span runs of rows; the amount is their length in rows."""
    columns = np.zeros(runs.first.size, np.int64)
    if columns.size:
        bounds = np.stack([runs.first, runs.last + 1], axis=1).ravel()
        columns = np.bitwise_or.reduceat(np.append(view.rows.mask, 0), bounds)[::2]
    return Hits(
        view.row_chart[runs.first],
        view.row_ms[runs.first],
        view.row_ms[runs.last],
        columns,
        runs.length.astype(np.float64),
    )


def hits_of_charts(view: View, where: NDArray[np.bool_], columns: NDArray[np.int64], amount: NDArray) -> Hits:
    """Hits that concern whole charts; all arguments are [chart]."""
    at = np.flatnonzero(where)
    start = view.offset_ms[at] + np.array([chart.time_ms[0] if len(chart) else 0.0 for chart in view.charts])[at]
    end = view.offset_ms[at] + np.array([chart.last_ms for chart in view.charts])[at]
    return Hits(at, start, end, columns[at], np.asarray(amount, np.float64)[at])
