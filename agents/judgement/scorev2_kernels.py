"""Compiled judgement by stable's ScoreV2: stable's note lock, head and tail of a hold apart, tail windows × 1.5.

Arrays as in `agents.judgement.stable_kernels`; docs/agents.md has the table of differences. This file calls no other file's
compiled code, so its compile cache cannot go stale.
"""

import numpy as np
from numba import njit

TAP = np.int32(-(2**31) + 1)  # as in stable_kernels
FAR_MS = np.int64(2**40)


@njit(cache=True, nogil=True, inline="always")
def grade_of(doubled, windows):  # type: ignore[no-untyped-def]
    """Grade of an error within windows / 2, MISS beyond the 50 window: heads give 2 · |error|, tails 2 · |error| / 1.5."""
    got = 5
    for worse in range(5):
        if doubled <= 2 * windows[4 - worse]:
            got = 4 - worse
    return got


@njit(cache=True, nogil=True)
def set_head(note, got, when, notes, out):  # type: ignore[no-untyped-def]
    """Write the head's judgement."""
    out[0][notes[2][note]], out[2][notes[3][0][note]] = got, when * 8 + got


@njit(cache=True, nogil=True)
def set_tail(note, got, when, notes, out):  # type: ignore[no-untyped-def]
    """Write the tail's judgement."""
    out[1][notes[2][note]], out[2][notes[3][1][note]] = got, when * 8 + got


@njit(cache=True, nogil=True)
def expire(note, now, notes, windows, up, out):  # type: ignore[no-untyped-def]
    """Miss what is due before the press at `now`; returns the first note with something to come. up: since when the key has been up."""
    start, end, order, _ = notes
    while note < start.size:
        begin, finish, late_head = np.int64(start[note]), np.int64(end[note]), np.int64(start[note]) + windows[3]
        to = order[note]
        if out[0][to] < 0:
            if now < late_head:
                break
            set_head(note, 5, late_head, notes, out)
        if end[note] != TAP:
            due = finish + (3 * windows[3]) // 2 + 1
            if out[0][to] == 5:  # nobody holds it: over as soon as its tail could be judged
                due = min(due, max(max(begin + windows[3], up), finish - (3 * windows[4]) // 2))
            if now < due:
                break
            set_tail(note, 5, due, notes, out)
        note += 1
    return note


@njit(cache=True, nogil=True)
def judge_column(notes, keys, windows, errors, out):  # type: ignore[no-untyped-def]
    """Judge one column; returns the number of holds let go in their middle. Arguments as in `lazer_kernels.judge_column`."""
    start, end, order, (head_place, tail_place) = notes
    press, release = keys
    (head_error, tail_error), (grade, tail_grade, events) = errors, out
    note, broken, breaks, up, size = 0, False, 0, -FAR_MS, start.size
    for number in range(press.size + 1):
        now = np.int64(press[number]) if number < press.size else FAR_MS
        if note < size and now >= start[note] + windows[3]:  # calls cost more than all else here
            before, note = note, expire(note, now, notes, windows, up, out)
            broken = broken and note == before
        if note >= size or number == press.size:
            break
        up, to, error = np.int64(release[number]), order[note], now - start[note]
        if error < -windows[5] or (note > 0 and now < start[note - 1]):
            continue
        if grade[to] < 0:
            got = grade_of(2 * abs(error), windows)
            grade[to], head_error[to], events[head_place[note]] = got, error, now * 8 + got
        if end[note] != TAP:
            tail = up - end[note]
            if 2 * tail < -3 * windows[4]:
                broken, breaks = True, breaks + 1
                continue
            got, when = grade_of((4 * abs(tail) + 2) // 3, windows), up
            if 2 * tail > 3 * windows[3]:  # held on too long
                got, when = 5, np.int64(end[note]) + (3 * windows[3]) // 2 + 1
            else:
                tail_error[to] = tail
            if broken or grade[to] == 5:
                got = max(got, 4)
            tail_grade[to], events[tail_place[note]] = got, when * 8 + got
        note, broken = note + 1, False
    return breaks


@njit(cache=True, nogil=True)
def judge_plays(chart, keys, windows, results):  # type: ignore[no-untyped-def]
    """Judge every player's presses on one chart; arguments as in `agents.judgement.stable_kernels.judge_plays`."""
    start, end, order, head_place, tail_place, column_at = chart
    press, release, press_at, count = keys
    grade, tail_grade, error, tail_error, events, breaks = results
    grade[:], tail_grade[:] = -1, -1
    for player in range(grade.shape[0]):
        error[player], tail_error[player], breaks[player] = np.nan, np.nan, 0
        errors, out = (error[player], tail_error[player]), (grade[player], tail_grade[player], events[player])
        for c in range(4):
            a, b, p = column_at[c], column_at[c + 1], press_at[c]
            q = p + count[player, c]
            column = (start[a:b], end[a:b], order[a:b], (head_place[a:b], tail_place[a:b]))
            breaks[player] += judge_column(column, (press[player, p:q], release[player, p:q]), windows, errors, out)
