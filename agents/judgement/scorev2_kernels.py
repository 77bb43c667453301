"""Compiled judgement by stable's ScoreV2: ScoreV1's update loop, head and tail of a hold judged apart, tail windows × 1.5.

Arrays as in `agents.judgement.stable_kernels`; docs/agents.md has the table of differences. This file calls no other file's
compiled code, so its compile cache cannot go stale.
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


@njit(nogil=True)
def set_head(note, got, when, notes, out):  # type: ignore[no-untyped-def]
    """Write the head's judgement."""
    out[0][notes[2][note]], out[2][notes[3][0][note]] = got, when * 8 + got


@njit(nogil=True)
def set_tail(note, got, when, notes, out):  # type: ignore[no-untyped-def]
    """Write the tail's judgement."""
    out[1][notes[2][note]], out[2][notes[3][1][note]] = got, when * 8 + got


@njit(nogil=True)
def let_go_at(moment, number, keys):  # type: ignore[no-untyped-def]
    """The first time from `moment` on at which the key is up; no press after that number is looked at."""
    press, release = keys
    last = min(number, press.size - 1)
    while last >= 0 and press[last] > moment:
        last -= 1
    again = last > 0 and press[last] == moment == release[last - 1]  # let go and pressed in this millisecond
    return moment if last < 0 or again else max(moment, np.int64(release[last]))


@njit(nogil=True)
def hold_over(begin, finish, number, keys, windows, broken):  # type: ignore[no-untyped-def]
    """When a hold that nobody holds is over, unless the press of that number comes before and takes it."""
    missed, opens, due = begin + windows[3], finish - windows[4], finish + (3 * windows[3]) // 2
    if broken:  # checked all the time until its head could be hit no more
        now = np.int64(keys[0][number]) if number < keys[0].size else FAR_MS
        return opens if opens <= missed and opens < now else due
    checked = let_go_at(missed, number, keys)  # checked once; where that is in vain it stays open
    return checked if checked >= max(begin + windows[4], opens) else due


@njit(nogil=True)
def expire(note, number, notes, keys, windows, broken, out):  # type: ignore[no-untyped-def]
    """Mark as missed every note that is due before the key press `number`; returns the first one that is not."""
    start, end, order, _ = notes
    now = np.int64(keys[0][number]) if number < keys[0].size else FAR_MS
    while note < start.size:
        begin, finish = np.int64(start[note]), np.int64(end[note])
        if now < begin + windows[3] and not broken:
            break
        if out[0][order[note]] < 0:
            set_head(note, 5, begin + windows[3], notes, out)
        if end[note] != TAP:
            due = min(hold_over(begin, finish, number, keys, windows, broken), finish + (3 * windows[3]) // 2)
            if now < due:
                break
            set_tail(note, 5, due, notes, out)
        note, broken = note + 1, False
    return note


@njit(nogil=True, inline="always")
def tail_of(tail, now, finish, windows, spoilt):  # type: ignore[no-untyped-def]
    """(grade, ms after its end at which it falls) of a hold let go `tail` ms after its end, whose last press was at `now`."""
    tail = min(tail, (3 * windows[3]) // 2)  # held on: as if let go where it is over
    got = grade_of((4 * abs(tail) + 2) // 3, windows)
    if spoilt:  # its head was missed or it was let go: it had to be held again by its end
        got = max(got, 4) if now <= finish else 5
    return got, tail


@njit(nogil=True)
def judge_column(notes, keys, windows, errors, out):  # type: ignore[no-untyped-def]
    """Judge one column; returns the number of holds let go in their middle. Arguments as in `lazer_kernels.judge_column`."""
    start, end, order, (head_place, tail_place) = notes
    press, release = keys
    (head_error, tail_error), (grade, tail_grade, events) = errors, out
    note, broken, breaks, size = 0, False, 0, start.size
    for number in range(press.size + 1):
        now = np.int64(press[number]) if number < press.size else FAR_MS
        if note < size and (broken or now >= start[note] + windows[3]):  # calls cost more than all else here
            before, note = note, expire(note, number, notes, keys, windows, broken, out)
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
            if tail < -windows[4]:
                broken, breaks = True, breaks + 1
                continue
            got, after = tail_of(tail, now, np.int64(end[note]), windows, broken or grade[to] == 5)
            if tail == after:
                tail_error[to] = tail
            tail_grade[to], events[tail_place[note]] = got, (end[note] + after) * 8 + got
        note, broken = note + 1, False
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
