"""Compiled judgement by stable's ScoreV1: key presses and notes in, one grade per note out.

Notes and presses lie column after column (`column_at[c]:column_at[c + 1]`), sorted by time inside a column; all times
are whole milliseconds of map time, as the game keeps them. Grades: 0 MAX, 1 300, 2 200, 3 100, 4 50, 5 MISS.
`windows` holds the half-widths of MAX, 300, 200, 100, 50, MISS in map ms (`agents.judgement.judge.hit_windows`).

The rules are those of REFERENCES.md §1; the rules for holds that are let go and pressed again follow from the game's update loop
(docs/agents.md). This file calls no other file's compiled code, so its compile cache cannot go stale.
"""

import numpy as np

from runtime.loops import njit

TAP = np.int32(-(2**31) + 1)
"""End time of a note that is no hold."""
FAR_MS = np.int64(2**40)  # later than every event
ONE = np.uint64(1)


@njit(nogil=True)
def tap_grades(windows):  # type: ignore[no-untyped-def]
    """[ms] int8, the grade of each |error| up to the MISS window, from which a look-up is quicker than comparing."""
    grade = np.full(windows[5] + 1, 5, np.int8)
    for worse in range(5):
        grade[: windows[4 - worse] + 1] = 4 - worse
    return grade


@njit(nogil=True)
def hold_grade(head, total, windows):  # type: ignore[no-untyped-def]
    """ScoreV1's one grade of a hold from |head| and |head| + |tail| in ms; at worst a 50."""
    if head <= windows[0] * 1.2 and total <= windows[0] * 2.4:
        return 0
    if head <= windows[1] * 1.1 and total <= windows[1] * 2.2:
        return 1
    if head <= windows[2] and total <= windows[2] * 2:
        return 2
    if head <= windows[3] and total <= windows[3] * 2:
        return 3
    return 4


@njit(nogil=True, inline="always")
def expiry(begin, finish, windows, now, head, broken, up):  # type: ignore[no-untyped-def]
    """(time at which the column's first note, a hold, is missed without a press, was it broken meanwhile).

    head: latest press of the hold, −FAR_MS if none; up: since when the key has been up; now: the next press.
    """
    due = finish + windows[3]
    # with the key up the game asks again and again whether the hold is over: never pressed, from the end of
    # the head's 50 window on; let go, from the beginning of the tail's, but only while the head's is open
    opens = finish - windows[4]
    checked = max(begin + windows[4] if head == -FAR_MS else opens, up)
    if checked < min(now, due):
        broken = broken or head == -FAR_MS
        if checked >= opens and (head == -FAR_MS or opens <= begin + windows[4] + 1):
            due = checked
    return due, broken


@njit(nogil=True)
def judge_column(notes, keys, windows, tap_grade, out):  # type: ignore[no-untyped-def]
    """Judge one column; returns the number of times a hold was let go in its middle.

    notes: (start [note], end [note], `TAP` for taps, place in time order [note], place of its event [note]);
    keys: (press, release) [press], release ≤ next press; tap_grade: of `tap_grades`.
    out: (grade, head error, tail error) [note in time order], events [event]: time · 8 + grade.
    Places and indices are unsigned, and windows read once, which makes the loop twice as quick: signed ones may count from
    the end of an array, and the compiler cannot tell that no result is written over the windows.
    """
    (start, end, order, place), (press, release) = notes, keys
    grade, head_error, tail_error, events = out
    hit_ms, graded_ms, widest_ms = windows[3], windows[4], windows[5]
    note, breaks, size = np.uint64(0), 0, np.uint64(start.size)
    head, broken, up = -FAR_MS, False, -FAR_MS  # of the first hold: its latest press, was its key ever up inside it
    for number in range(np.uint64(press.size + 1)):
        now = np.int64(press[number]) if number < press.size else FAR_MS
        while note < size:  # notes that are missed before this press
            due = np.int64(start[note]) + hit_ms  # a tap's late 50 does not exist in stable
            if end[note] != TAP:
                due, broken = expiry(np.int64(start[note]), np.int64(end[note]), windows, now, head, broken, up)
            if now < due:
                break
            grade[order[note]], events[place[note]] = 5, due * 8 + 5
            note, head, broken = note + ONE, -FAR_MS, False
        if note >= size or number == press.size:
            break
        up = np.int64(release[number])
        error = now - start[note]
        if error < -widest_ms or (note > 0 and now < start[note - ONE]):
            continue
        to, when, tail = order[note], now, up - end[note]
        got = np.int64(tap_grade[np.uint64(min(abs(error), widest_ms))])
        if end[note] == TAP or abs(error) <= graded_ms:
            head_error[to] = error
        if end[note] != TAP:
            head = now
            if tail < -graded_ms:
                broken, breaks = True, breaks + 1
                continue
            got, when = release_grade(error, tail, end[note] - start[note], broken, windows)
            when += end[note]
            if tail < hit_ms:
                tail_error[to] = tail
        grade[to], events[place[note]] = got, when * 8 + got
        note, head, broken = note + ONE, -FAR_MS, False
    return breaks


@njit(nogil=True, inline="always")
def release_grade(error, tail, length, broken, windows):  # type: ignore[no-untyped-def]
    """(grade, ms after its end at which it falls) of a hold that is let go `tail` ms after its end, and not too early."""
    # a press too early for any grade counts as one at the very end
    off = abs(error) if error >= -windows[4] else length - 1
    if tail >= windows[3]:  # held on too long
        tail = windows[4]
    got = hold_grade(off, off + abs(tail), windows)
    return max(got, 2) if broken else got, tail


@njit(nogil=True)
def judge_plays(chart, keys, windows, results):  # type: ignore[no-untyped-def]
    """Judge every player's presses on one chart.

    chart: (start, end, order, place [note], _, column_at [5]), see `agents.judgement.judge.Notes.for_kernels`;
    keys: (press, release [player, press], press_at [4], count [player, 4]), see `agents.judgement.judge.Presses`.
    results: (grade, tail_grade int8, error, tail_error float32 [player, note] in map ms, nan = none,
    events [player, event], breaks [player]).
    """
    start, end, order, place, _, column_at = chart
    press, release, press_at, count = keys
    grade, tail_grade, error, tail_error, events, breaks = results
    tap_grade = tap_grades(windows)
    tail_grade[:] = -1
    for player in range(grade.shape[0]):
        error[player], tail_error[player], breaks[player] = np.nan, np.nan, 0
        out = (grade[player], error[player], tail_error[player], events[player])
        for c in range(4):
            a, b, p = column_at[c], column_at[c + 1], press_at[c]
            q = p + count[player, c]
            column = (start[a:b], end[a:b], order[a:b], place[a:b])
            breaks[player] += judge_column(column, (press[player, p:q], release[player, p:q]), windows, tap_grade, out)
