"""Compiled judgement by lazer's rules: head and tail of a hold apart, tail windows × 1.5.

Arrays as in `agents.judgement.stable_kernels`. A grade of −1 is a judgement to come. This file calls no other file's compiled
code, so its compile cache cannot go stale.
"""

import numpy as np

from runtime.loops import njit

TAP = np.int32(-(2**31) + 1)  # as in stable_kernels
FAR_MS = np.int64(2**40)


@njit(nogil=True, inline="always")
def grade_of(doubled, windows):  # type: ignore[no-untyped-def]
    """Grade of an error within windows / 2, MISS beyond the 50 window: heads give 2 · |error|, tails 2 · |error| / 1.5."""
    got = 5
    for worse in range(5):
        if doubled <= 2 * windows[4 - worse]:
            got = 4 - worse
    return got


@njit(nogil=True, inline="always")
def tail_grade_of(tail, spoilt, windows):  # type: ignore[no-untyped-def]
    """Grade of a tail `tail` ms off: windows × 1.5, and a 50 at best where it was broken or its head missed."""
    got = grade_of((4 * abs(tail) + 2) // 3, windows)
    return max(got, 4) if spoilt else got


@njit(nogil=True, inline="always")
def is_over(note, end, order, grade, tail_grade):  # type: ignore[no-untyped-def]
    """Is nothing of the note to come?"""
    return grade[order[note]] >= 0 and (end[note] == TAP or tail_grade[order[note]] >= 0)


@njit(nogil=True)
def miss_rest(note, end, order, places, out, head_ms, tail_ms):  # type: ignore[no-untyped-def]
    """Miss what is still to come of a note, its head at `head_ms` and its tail at `tail_ms`; −FAR_MS leaves that part open."""
    grade, tail_grade, events = out
    to = order[note]
    if head_ms != -FAR_MS and grade[to] < 0:
        grade[to], events[places[0][note]] = 5, head_ms * 8 + 5
    if tail_ms != -FAR_MS and end[note] != TAP and tail_grade[to] < 0:
        tail_grade[to], events[places[1][note]] = 5, tail_ms * 8 + 5


@njit(nogil=True)
def expire(first, now, notes, w50, out):  # type: ignore[no-untyped-def]
    """Miss heads later than the 50 window and tails later than 1.5 of it; returns the first note with something to come."""
    start, end, order, places = notes
    for note in range(first, start.size):
        late_head, late_tail = now > start[note] + w50, 2 * (now - end[note]) > 3 * w50
        miss_rest(
            note, end, order, places, out,
            np.int64(start[note]) + w50 + 1 if late_head else -FAR_MS,
            np.int64(end[note]) + (3 * w50) // 2 + 1 if late_tail else -FAR_MS,
        )  # fmt: skip
        if not late_head:
            break
    while first < start.size and is_over(first, end, order, out[0], out[1]):
        first += 1
    return first


@njit(nogil=True)
def press_target(first, now, notes, out):  # type: ignore[no-untyped-def]
    """The note that a press hits: the first with something to come whose column's next object has not started."""
    start, end, order, _ = notes
    target = first
    while target < start.size:
        hittable = target + 1 >= start.size or now < start[target + 1]
        if hittable and not is_over(target, end, order, out[0], out[1]):
            break
        target += 1
    return target


@njit(nogil=True)
def judge_column(notes, keys, windows, errors, out):  # type: ignore[no-untyped-def]
    """Judge one column of one player; returns the number of holds let go in their middle. Arguments as `judge_plays` lays them out."""
    (start, end, order, (head_place, tail_place)), (press, release) = notes, keys
    w50, w_miss, size = windows[4], windows[5], start.size
    (head_error, tail_error), (grade, tail_grade, events) = errors, out
    first, holding, broken, breaks = 0, False, False, 0
    for step in range(2 * press.size + 1):
        down = step % 2 == 0
        now = FAR_MS if step == 2 * press.size else np.int64(press[step // 2] if down else release[step // 2])
        before = first
        if first < size and now > start[first] + w50:  # calls cost more than all else here
            first = expire(first, now, notes, w50, out)
        if first >= size:
            break
        holding, broken = holding and first == before, broken and first == before
        if down:
            target = first
            if first + 1 < size and now >= start[first + 1]:
                target = press_target(first, now, notes, out)
            if target >= size or now - start[target] < -w_miss:
                continue
            for note in range(first, target):  # a hit gives up the notes before it
                miss_rest(note, end, order, notes[3], out, now, now)
            broken, first, holding, to = broken and target == first, target, end[target] != TAP, order[target]
            if grade[to] < 0:
                got, head_error[to] = grade_of(2 * abs(now - start[target]), windows), now - start[target]
                grade[to], events[head_place[target]] = got, now * 8 + got
            if not holding:
                first, broken = first + 1, False
        elif holding:
            holding, tail, to = False, now - end[first], order[first]
            if 2 * tail < -3 * w_miss:
                broken, breaks = True, breaks + 1
                continue
            got = tail_grade_of(tail, broken or grade[to] == 5, windows)
            tail_grade[to], tail_error[to], events[tail_place[first]] = got, tail, now * 8 + got
            first, broken = first + 1, False
    return breaks


@njit(nogil=True)
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
