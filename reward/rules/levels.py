"""Rules of one difficulty level each, Easy to Insane: rhythm, runs, chords, jacks and holds (REFERENCES §4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chart.analysis.patterns import RECOGNISERS, alternations, anchors, column_repeats
from chart.analysis.rows import (
    LEFT,
    RIGHT,
    ROUNDING_MS,
    ROW_TOLERANCE_MS,
    SIZE_OF_MASK,
    Runs,
    previous,
    runs_where,
    within,
)
from reward.core.batch_view import View
from reward.rules.criteria import (
    Find,
    Hits,
    Level,
    Rule,
    allowed,
    hits_of_notes,
    hits_of_rows,
    hits_of_runs,
    row_beat_ms,
    scaled_rows,
    snap_scale,
)
from reward.rules.general import hold_beats

PHRASE_BEATS = 16.0  # osu! wiki: a musical phrase is usually four measures
EASY, NORMAL = frozenset({Level.EASY}), frozenset({Level.NORMAL})
HARD, INSANE = frozenset({Level.HARD}), frozenset({Level.INSANE})


def _runs(view: View, divisor: int) -> Runs:
    """Runs of rows at 1/divisor or finer, in beats scaled by tempo."""
    return runs_where(within(scaled_rows(view), 1 / divisor))


def _longer_than(view: View, runs: Runs, count: int) -> Runs:
    return runs.where(runs.length > allowed(count, row_beat_ms(view)[runs.first]))


def _run_beats(view: View, runs: Runs) -> NDArray[np.float64]:
    """[run] beats of the song (not scaled: phrases belong to the music) from first to last row."""
    position = view.note_beats.beat[view.row_first]
    return position[runs.last] - position[runs.first]


def _consecutive(divisor: int, more_than: int) -> Find:
    """Runs at 1/divisor or finer of more than `more_than` rows, however slow the song."""

    def find(view: View) -> Hits:
        runs = _runs(view, divisor)
        return hits_of_runs(view, runs.where(runs.length > more_than))

    return find


def _long_run(divisor: int, count: int) -> Find:
    return lambda view: hits_of_runs(view, _longer_than(view, _runs(view, divisor), count))


def _no_rest(divisor: int) -> Find:
    def find(view: View) -> Hits:
        runs = _runs(view, divisor)
        return hits_of_runs(view, runs.where(_run_beats(view, runs) > PHRASE_BEATS + 0.02))

    return find


def _chord(largest: int, other_hand_free: bool = False) -> Find:
    """Rows with more columns down than allowed, held columns counted."""

    def find(view: View) -> Hits:
        rows = view.rows
        size = SIZE_OF_MASK[rows.mask | rows.held]
        too_many = size > largest
        if other_hand_free:  # a double by the hand that holds nothing is fine
            for double, other in ((LEFT, RIGHT), (RIGHT, LEFT)):
                too_many &= ~((rows.mask == double) & (rows.held & other == rows.held) & (rows.held > 0))
        return hits_of_rows(view, too_many, size)

    return find


def _chord_inside(divisor: int) -> Find:
    """Chords in a run that neither begin nor end it."""

    def find(view: View) -> Hits:
        fine = within(scaled_rows(view), 1 / divisor)
        inside = fine & np.append(fine[1:], False)
        return hits_of_rows(view, inside & (view.rows.size >= 2), view.rows.size)

    return find


def _close_chords(view: View) -> Hits:
    """Chords of one 1/4 stream less than a beat apart."""
    rows = scaled_rows(view)
    runs = runs_where(within(rows, 1 / 4))
    run_of = np.full(view.row_ms.size, -1)
    for first, last in zip(runs.first, runs.last, strict=True):
        run_of[first : last + 1] = first
    chord = np.flatnonzero((rows.size >= 2) & (run_of >= 0))
    beat = row_beat_ms(view)[chord] / snap_scale(row_beat_ms(view)[chord])
    near = np.diff(view.row_ms[chord], prepend=-np.inf) + ROUNDING_MS < beat
    near &= np.diff(run_of[chord], prepend=-2) == 0
    where = np.zeros(view.row_ms.size, bool)
    where[chord[near]] = True
    return hits_of_rows(view, where, rows.size)


def _anchor(count: int) -> Find:
    def find(view: View) -> Hits:
        runs = anchors(scaled_rows(view))
        limit = np.maximum(allowed(count, row_beat_ms(view)[runs.first]), 3)
        notes = (runs.length + 1) // 2
        hits = hits_of_runs(view, runs.where(notes >= limit))
        return Hits(hits.chart, hits.start_ms, hits.end_ms, hits.columns, notes[notes >= limit].astype(np.float64))

    return find


def _quarter_jack(view: View) -> Hits:
    return hits_of_runs(view, column_repeats(scaled_rows(view), 1 / 4))


def _quarter_jack_long(view: View) -> Hits:
    """1/4 jacks of three and more, and minijacks that follow another repeat within a beat."""
    runs = column_repeats(scaled_rows(view), 1 / 4)
    beat = row_beat_ms(view)[runs.first] / snap_scale(row_beat_ms(view)[runs.first])
    since = np.diff(view.row_ms[runs.last], prepend=-np.inf)
    soon = (since > ROW_TOLERANCE_MS) & (since + ROUNDING_MS < beat)
    return hits_of_runs(view, runs.where((runs.length >= 3) | soon))


def _trill(view: View) -> Hits:
    runs = alternations(scaled_rows(view), 1 / 4)
    single = (view.rows.size[runs.first] == 1) & (view.rows.size[runs.first + 1] == 1)
    return hits_of_runs(view, _longer_than(view, runs.where(single), 9))


def _split_jumptrill(view: View) -> Hits:
    return hits_of_runs(view, _longer_than(view, RECOGNISERS["split-jumptrill"](scaled_rows(view)), 9))


def _split_jumptrill_to_hand(view: View) -> Hits:
    rows = scaled_rows(view)
    runs = RECOGNISERS["split-jumptrill"](rows)
    position = np.cumsum(np.where(np.isfinite(rows.gap_beats), rows.gap_beats, 0.0))
    after = np.minimum(runs.last + 1, rows.mask.size - 1)
    into_hand = (after > runs.last) & within(rows, 1 / 2)[after] & (rows.size[after] >= 3)
    # A trill of two beats at 1/4 has its eighth row at 7/4; the hand that follows stands on beat two.
    return hits_of_runs(view, runs.where(into_hand & (position[after] - position[runs.first] >= 2 - 0.03)))


def _complex_eighths(view: View) -> Hits:
    """Runs at 1/8 or finer over four beats that are not one plain roll."""
    rows = scaled_rows(view)
    runs = runs_where(within(rows, 1 / 8))
    position = np.cumsum(np.where(np.isfinite(rows.gap_beats), rows.gap_beats, 0.0))
    rolls = RECOGNISERS["roll"](rows)
    covered = np.zeros(rows.mask.size + 1, np.int64)
    np.add.at(covered, rolls.first, 1)
    np.add.at(covered, rolls.last + 1, -1)
    plain = np.append(0, np.cumsum(np.cumsum(covered[:-1]) > 0))
    all_plain = plain[runs.last + 1] - plain[runs.first] == runs.length
    return hits_of_runs(view, runs.where((position[runs.last] - position[runs.first] > 4 + 0.03) & ~all_plain))


def _hold_stream(view: View) -> Hits:
    """Four rows and more at 1/6 or finer that each begin a hold."""
    starts_hold = np.zeros(view.row_ms.size, bool)
    starts_hold[view.note_row[~np.isnan(view.end_ms)]] = True
    runs = runs_where(within(scaled_rows(view), 1 / 6) & starts_hold & previous(starts_hold))
    return hits_of_runs(view, runs.where(runs.length >= 4))


def _short_hold(beats: float) -> Find:
    return lambda view: hits_of_notes(view, hold_beats(view) < beats, view.end_ms - view.note_ms)


def _releases(beats: float) -> Find:
    """Releases less than `beats` after another release at another time."""

    def find(view: View) -> Hits:
        holds = np.flatnonzero(~np.isnan(view.end_ms))
        holds = holds[np.lexsort((view.end_ms[holds], view.note_chart[holds]))]
        apart = np.diff(view.end_ms[holds], prepend=-np.inf)
        apart[np.diff(view.note_chart[holds], prepend=-1) != 0] = np.inf
        beat_ms = view.note_beats.beat_ms[holds]
        near = (apart > ROW_TOLERANCE_MS) & ((apart + ROUNDING_MS) / beat_ms * snap_scale(beat_ms) < beats)
        where = np.zeros(view.note_ms.size, bool)
        where[holds[near]] = True
        amount = np.zeros(view.note_ms.size)
        amount[holds] = np.where(np.isfinite(apart), apart, 0.0)
        return hits_of_notes(view, where, amount)

    return find


def _inside_hold(longest_beats: float) -> Find:
    """Holds of at most `longest_beats` with rows strictly inside."""

    def find(view: View) -> Hits:
        begin = np.searchsorted(view.row_ms, view.note_ms + ROW_TOLERANCE_MS, side="right")
        stop = np.searchsorted(view.row_ms, view.end_ms - ROW_TOLERANCE_MS, side="left")
        inside = np.where(np.isnan(view.end_ms), 0, stop - begin)
        return hits_of_notes(view, (inside > 0) & (_at_most(view, longest_beats)), inside)

    return find


def _at_most(view: View, beats: float) -> NDArray[np.bool_]:
    beat_ms = view.note_beats.beat_ms
    return (view.end_ms - view.note_ms - ROUNDING_MS) / beat_ms * snap_scale(beat_ms) <= beats


def _fast_in_hold(view: View) -> Hits:
    """Intervals finer than 1/2 while a hold of over 1/2 and up to 1/1 lasts."""
    rows = scaled_rows(view)
    finer = rows.gap_beats * (1 + ROUNDING_MS / rows.gap_ms) < 1 / 2
    before = np.append(0, np.cumsum(finer))
    begin = np.searchsorted(view.row_ms, view.note_ms + ROW_TOLERANCE_MS, side="right")
    stop = np.searchsorted(view.row_ms, view.end_ms + ROW_TOLERANCE_MS, side="right")
    count = np.where(np.isnan(view.end_ms), 0, before[np.maximum(stop, begin)] - before[begin])
    return hits_of_notes(view, (count > 0) & _at_most(view, 1.0) & ~_at_most(view, 0.5), count)


def _quarter_shield(view: View) -> Hits:
    beat_ms = view.note_beats.beat_ms
    gap = (view.column_idle_ms - ROUNDING_MS) / beat_ms * snap_scale(beat_ms)
    after_tap = (view.same_before >= 0) & np.isnan(view.end_ms[view.same_before])
    return hits_of_notes(view, ~np.isnan(view.end_ms) & after_tap & (gap <= 1 / 4), view.column_idle_ms)


def _warn(name: str, levels: frozenset[Level], text: str, find: Find) -> Rule:
    return Rule(name, "warning", levels, text, find)


LEVEL_RULES = (
    _warn("easy-quarter", EASY, "{amount} notes at 1/4 or finer; Easy moves in 1/1 and 1/2", _consecutive(4, 1)),
    _warn("easy-half-run", EASY, "{amount} notes at 1/2 in a row; Easy rests after 5", _long_run(2, 5)),
    _warn("easy-chord", EASY, "{amount} columns down at once; Easy has at most 2", _chord(2)),
    _warn("easy-chord-in-run", EASY, "chord of {amount} inside a run of 1/2; only at its ends", _chord_inside(2)),
    _warn("easy-short-hold", EASY, "hold of {amount} ms is shorter than 1/1", _short_hold(1.0)),
    _warn("easy-releases", EASY, "release {amount} ms after another; leave 1/1", _releases(1.0)),
    _warn("easy-note-in-hold", EASY, "{amount} rows inside a hold of 1/1 or less", _inside_hold(1.0)),
    _warn("normal-sixth", NORMAL, "{amount} notes at 1/6 or finer; too fast for Normal", _consecutive(6, 1)),
    _warn("normal-quarter-run", NORMAL, "{amount} notes at 1/4 in a row; Normal rests after 5", _long_run(4, 5)),
    _warn("normal-no-rest", NORMAL, "{amount} rows at 1/2 over a phrase without a 1/1 rest", _no_rest(2)),
    _warn("normal-chord", NORMAL, "{amount} columns down at once; Normal has at most 2", _chord(2, True)),
    _warn("normal-chord-in-run", NORMAL, "chord of {amount} inside a run of 1/4; only at its ends", _chord_inside(4)),
    _warn("normal-anchor", NORMAL, "anchor of {amount} notes in a 1/4 run; Normal has none of 3", _anchor(3)),
    _warn("normal-quarter-jack", NORMAL, "1/4 jack of {amount}; too strenuous for Normal", _quarter_jack),
    _warn("normal-short-hold", NORMAL, "hold of {amount} ms is shorter than 1/2", _short_hold(0.5)),
    _warn("normal-releases", NORMAL, "release {amount} ms after another; leave 1/2", _releases(0.5)),
    _warn("normal-note-in-hold", NORMAL, "{amount} rows inside a hold of 1/2 or less", _inside_hold(0.5)),
    _warn("normal-fast-in-hold", NORMAL, "{amount} intervals under 1/2 during a hold of up to 1/1", _fast_in_hold),
    _warn("normal-quarter-shield", NORMAL, "1/4 shield: a note {amount} ms before a hold", _quarter_shield),
    _warn("hard-eighth", HARD, "{amount} notes at 1/8 or finer; Hard has at most 3 grace notes", _consecutive(8, 3)),
    _warn("hard-trill", HARD, "trill of {amount} notes; Hard has at most 9", _trill),
    _warn("hard-no-rest", HARD, "{amount} rows at 1/4 over a phrase without a 1/2 rest", _no_rest(4)),
    _warn("hard-chord", HARD, "{amount} columns down at once; Hard has at most 3", _chord(3)),
    _warn("hard-close-chords", HARD, "chord of {amount} less than 1/1 after another in a 1/4 stream", _close_chords),
    _warn("hard-chord-in-run", HARD, "chord of {amount} inside a run of 1/6; only at its ends", _chord_inside(6)),
    _warn("hard-anchor", HARD, "anchor of {amount} notes in a 1/4 run; Hard has none of 5", _anchor(5)),
    _warn("hard-quarter-jack", HARD, "1/4 jack of {amount} (or minijacks within a beat)", _quarter_jack_long),
    _warn("hard-short-hold", HARD, "hold of {amount} ms is shorter than 1/4", _short_hold(0.25)),
    _warn("insane-complex-eighths", INSANE, "{amount} rows of split rolls or mixed 1/8 over 4 beats", _complex_eighths),
    _warn("insane-hold-stream", INSANE, "{amount} holds in a row at 1/6 or finer; use notes", _hold_stream),
    _warn("insane-split-jumptrill", INSANE, "split-jumptrill of {amount} rows; at most 9", _split_jumptrill),
    _warn("insane-split-to-hand", INSANE, "split-jumptrill of 2+ beats runs into a hand", _split_jumptrill_to_hand),
    _warn("insane-chord-in-run", INSANE, "chord of {amount} inside a run of 1/8; only at its ends", _chord_inside(8)),
)
