"""Rules for every difficulty level: requirements of the game, and Mapset Verifier's mania checks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chart.analysis.rows import ROUNDING_MS
from chart.analysis.snap import TOLERANCE_MS, beats_at, snap_beats
from chart.model import KEYS
from reward.core.batch_view import View
from reward.rules.criteria import ALL, Find, Hits, Level, Rule, hits_of_charts, hits_of_notes, snap_scale

SAME_TIME_MS = 1.0
"""Notes of a column closer than this are on the same timestamp of a whole-millisecond file."""
MIN_COLUMN_GAP_MS = 30.0  # MapsetVerifier: a key cannot be lifted and pressed again faster
MIN_HOLD_PROBLEM_MS, MIN_HOLD_WARNING_MS = 20.0, 30.0  # MapsetVerifier: too short long notes
MIN_HOLD_BEATS = 1 / 12  # osu! wiki
COLUMN_SHARE_SLACK = 0.20  # MapsetVerifier: column usage, share of the mean


def _concurrent(view: View) -> Hits:
    return hits_of_notes(view, view.column_gap_ms < SAME_TIME_MS, view.column_gap_ms)


def _overlapping(view: View) -> Hits:
    inside = (view.column_idle_ms < 0) & (view.column_gap_ms >= SAME_TIME_MS)
    return hits_of_notes(view, inside, -view.column_idle_ms)


def _backwards(view: View) -> Hits:
    return hits_of_notes(view, view.end_ms <= view.note_ms, view.note_ms - view.end_ms)


def _column_gap(view: View) -> Hits:
    free = view.column_idle_ms
    close = (free >= 0) & (free <= MIN_COLUMN_GAP_MS) & (view.column_gap_ms >= SAME_TIME_MS)
    return hits_of_notes(view, close, free)


def _hold_ms(low_ms: float, high_ms: float) -> Find:
    def find(view: View) -> Hits:
        length = view.end_ms - view.note_ms
        return hits_of_notes(view, (length >= low_ms) & (length < high_ms) & (length > 0), length)

    return find


def hold_beats(view: View) -> NDArray[np.float64]:
    """[note] length of holds in scaled beats, rounding to milliseconds counted in the mapper's favour; nan = tap."""
    beat_ms = view.note_beats.beat_ms
    return (view.end_ms - view.note_ms + ROUNDING_MS) / beat_ms * snap_scale(beat_ms)


def _hold_twelfth(view: View) -> Hits:
    length = view.end_ms - view.note_ms
    return hits_of_notes(view, (hold_beats(view) < MIN_HOLD_BEATS) & (length > 0), length)


def _empty_column(view: View) -> Hits:
    counts = _column_counts(view)
    empty = ((counts == 0) << np.arange(KEYS)).sum(axis=1)
    return hits_of_charts(view, empty > 0, empty, (counts == 0).sum(axis=1))


def _column_counts(view: View) -> NDArray[np.int64]:
    """[chart, column] notes."""
    flat = np.bincount(view.note_chart * KEYS + view.column, minlength=view.n_charts * KEYS)
    return flat.reshape(view.n_charts, KEYS)


def _column_share(view: View) -> Hits:
    counts = _column_counts(view)
    mean = np.maximum(counts.mean(axis=1, keepdims=True), 1e-9)
    far = (np.abs(counts / mean - 1) > COLUMN_SHARE_SLACK) & (counts > 0)
    worst = np.abs(counts / mean - 1).max(axis=1) * 100
    return hits_of_charts(view, far.any(axis=1), (far << np.arange(KEYS)).sum(axis=1), np.round(worst))


def _unsnapped(view: View) -> Hits:
    return hits_of_notes(view, view.snaps.divisor == 0, np.abs(view.snaps.error_ms))


def _unsnapped_release(view: View) -> Hits:
    hold = np.flatnonzero(~np.isnan(view.end_ms))
    error = np.zeros(view.end_ms.size)
    for index, chart in enumerate(view.charts):
        mine = hold[view.note_chart[hold] == index]
        if mine.size:
            beats = beats_at(view.end_ms[mine] - view.offset_ms[index], chart.red_lines)
            snaps = snap_beats(beats.phase, beats.beat_ms, TOLERANCE_MS)
            error[mine] = np.where(snaps.divisor == 0, np.abs(snaps.error_ms), 0.0)
    return hits_of_notes(view, error > 0, error)


def _in_break(view: View) -> Hits:
    inside = np.zeros(view.note_ms.size, bool)
    for index, chart in enumerate(view.charts):
        for start, end in chart.breaks:
            begin, stop = np.array([start, end]) + view.offset_ms[index]
            inside |= (view.note_ms > begin) & (view.note_ms < stop) & (view.note_chart == index)
    return hits_of_notes(view, inside, np.zeros(view.note_ms.size))


GENERAL_RULES = (
    Rule("concurrent-notes", "problem", ALL, "two notes on one time in one column; remove one", _concurrent),
    Rule(
        "note-in-hold",
        "problem",
        ALL,
        "note {amount} ms before the hold in its column ends; nobody, not even Auto, can hit both",
        _overlapping,
    ),
    Rule("hold-backwards", "problem", ALL, "hold ends {amount} ms before it starts", _backwards),
    Rule("column-gap", "problem", ALL, "only {amount} ms (≤ 30) since the column was released", _column_gap),
    Rule("hold-under-20-ms", "problem", ALL, "hold of {amount} ms; make it a note", _hold_ms(0, MIN_HOLD_PROBLEM_MS)),
    Rule(
        "hold-under-30-ms",
        "warning",
        ALL,
        "hold of {amount} ms is hardly longer than a tap; make it a note or lengthen it",
        _hold_ms(MIN_HOLD_PROBLEM_MS, MIN_HOLD_WARNING_MS),
    ),
    Rule(
        "hold-under-1/12",
        "warning",
        frozenset({Level.INSANE, Level.EXPERT, Level.EXPERT_PLUS}),
        "hold of {amount} ms is shorter than 1/12 of a beat; nobody can time its release",
        _hold_twelfth,
    ),
    Rule("empty-column", "problem", ALL, "{amount} of 4 columns are never used", _empty_column),
    Rule("column-share", "warning", ALL, "columns differ from the mean by up to {amount} % (> 20)", _column_share),
    Rule("unsnapped-note", "problem", ALL, "note is {amount} ms off the nearest snap (≥ 2)", _unsnapped),
    Rule("unsnapped-release", "problem", ALL, "release is {amount} ms off the nearest snap (≥ 2)", _unsnapped_release),
    Rule("note-in-break", "problem", ALL, "note inside a break; move the break or the note", _in_break),
)
