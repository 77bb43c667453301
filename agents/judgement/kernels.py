"""Compiled judgement of osu!mania: key presses and notes in, one grade per note out.

Notes and presses lie column after column (`column_at[c]:column_at[c + 1]`), sorted by time inside a column; all times
are whole milliseconds of map time, as the game keeps them. Grades: 0 MAX, 1 300, 2 200, 3 100, 4 50, 5 MISS.
`windows` holds the half-widths of MAX, 300, 200, 100, 50, MISS in map ms (`agents.judgement.judge.hit_windows`).

The stable rules are those of REFERENCES.md §1; what holds do when they are let go and pressed again follows from how
the game asks them, update by update (docs/agents.md). All 87 real plays come out exactly as the game counted them.
This file calls no other file's compiled code, so its compile cache cannot go stale.
"""

import math

import numpy as np
from numba import njit

TAP = np.int32(-(2**31) + 1)
"""End time of a note that is no hold."""
NO_TIME = np.int32(2**31 - 1)  # an error that did not happen
FAR_MS = np.int64(2**40)  # later than every event: what an open column is closed with


@njit(cache=True, nogil=True)
def tap_grades(windows):  # type: ignore[no-untyped-def]
    """[ms] int8, the grade of each |error| up to the MISS window, from which a look-up is quicker than comparing."""
    grade = np.full(windows[5] + 1, 5, np.int8)
    for worse in range(5):
        grade[: windows[4 - worse] + 1] = 4 - worse
    return grade


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def judge_column_v1(start, end, press, release, windows, tap_grade, out):  # type: ignore[no-untyped-def]
    """Judge one column by stable ScoreV1.

    start, end: [note] int32 (`TAP` for taps); press, release: [press] int32, release ≤ next press;
    tap_grade: of `tap_grades`.
    out: [note, 4] int32, filled with grade, head error, tail error (`NO_TIME` where there is none), time judged.
    Returns the number of times a hold was let go in its middle.
    """
    w100, w50, w_miss = windows[3], windows[4], windows[5]
    notes, presses = start.size, press.size
    note, breaks = 0, 0
    head, broken = -FAR_MS, False  # of the hold in front: its latest press, and whether its key was ever up inside it
    up = -FAR_MS  # since when the key has been up
    for number in range(presses + 1):
        now = np.int64(press[number]) if number < presses else FAR_MS
        while note < notes:  # what is judged without a press, up to now
            begin, finish = np.int64(start[note]), np.int64(end[note])
            if end[note] == TAP:
                due = begin + w100  # a tap's late 50 does not exist in stable
            else:
                due = finish + w100
                # with the key up the game asks again and again whether the hold is over: never pressed, from the end of
                # the head's 50 window on; let go, from the beginning of the tail's, but only while the head's is open
                asked = max(begin + w50 if head == -FAR_MS else finish - w50, up)
                if asked < min(now, due):
                    if head == -FAR_MS:
                        broken = True
                    if asked >= finish - w50 and (head == -FAR_MS or finish - w50 <= begin + w50 + 1):
                        due = asked
            if now < due:
                break
            out[note, 0], out[note, 3] = 5, due
            note, head, broken = note + 1, -FAR_MS, False
        if note >= notes or number == presses:
            break
        up = np.int64(release[number])
        error = now - begin
        if error < -w_miss or (note > 0 and now < start[note - 1]):
            continue
        if end[note] == TAP:
            out[note, 0], out[note, 1], out[note, 3] = tap_grade[abs(error)], error, now
            note += 1
            continue
        head = now
        if abs(error) <= w50:
            out[note, 1] = error
        if up < finish - w50:
            broken = True
            breaks += 1
            continue
        # a press too early for any grade counts as one at the very end
        off = abs(error) if error >= -w50 else finish - 1 - begin
        tail = up - finish
        if tail >= w100:  # held on too long
            tail = w50
            out[note, 3] = finish + w50
        else:
            out[note, 2], out[note, 3] = tail, up
        grade = hold_grade(off, off + abs(tail), windows)
        out[note, 0] = max(grade, 2) if broken else grade
        note, head, broken = note + 1, -FAR_MS, False
    return breaks


@njit(cache=True, nogil=True)
def judge_column_v2(start, end, press, release, windows, tap_grade, out):  # type: ignore[no-untyped-def]
    """Judge one column by lazer's rules (ScoreV2 alike): head and tail of a hold apart, tail windows × 1.5.

    Arrays as in `judge_column_v1`; out is [note, 6]: head grade, head error, tail error, time the head was judged,
    tail grade (−1 for taps), time the tail was judged. Returns the number of holds let go in their middle.
    """
    w50, w_miss = windows[4], windows[5]
    notes, presses = start.size, press.size
    first, holding, broken, breaks = 0, False, False, 0
    for step in range(2 * presses + 1):
        down = step % 2 == 0
        now = FAR_MS
        if step < 2 * presses:
            now = np.int64(press[step // 2]) if down else np.int64(release[step // 2])
        for note in range(first, notes):  # what has run out by now
            if out[note, 0] < 0 and now > start[note] + w50:
                out[note, 0], out[note, 3] = 5, start[note] + w50 + 1
            if end[note] != TAP and out[note, 4] < 0 and 2 * (now - end[note]) > 3 * w50:
                out[note, 4], out[note, 5] = 5, end[note] + (3 * w50) // 2 + 1
            if now <= start[note] + w50:
                break
        while first < notes and out[first, 0] >= 0 and (end[first] == TAP or out[first, 4] >= 0):
            first, holding, broken = first + 1, False, False
        if first >= notes:
            break
        if down:
            target = first
            while target < notes:  # hittable until the next object of the column starts
                if (target + 1 >= notes or now < start[target + 1]) and (
                    out[target, 0] < 0 or (end[target] != TAP and out[target, 4] < 0)
                ):
                    break
                target += 1
            if target >= notes or now - start[target] < -w_miss:
                continue
            for note in range(first, target):  # a hit gives up whatever came before
                if out[note, 0] < 0:
                    out[note, 0], out[note, 3] = 5, now
                if end[note] != TAP and out[note, 4] < 0:
                    out[note, 4], out[note, 5] = 5, now
            if target != first:
                first, holding, broken = target, False, False
            if out[target, 0] < 0:
                error = now - start[target]
                out[target, 0], out[target, 1], out[target, 3] = tap_grade[abs(error)], error, now
            if end[target] == TAP:
                first, holding, broken = target + 1, False, False
            else:
                holding = True
        elif holding and end[first] != TAP and out[first, 4] < 0:
            holding = False
            tail = now - end[first]
            if 2 * tail < -3 * w_miss:
                broken = True
                breaks += 1
                continue
            grade = 5
            for g in range(5):
                if 2 * abs(tail) <= 3 * windows[g]:
                    grade = g
                    break
            if (broken or out[first, 0] == 5) and grade < 4:
                grade = 4
            out[first, 2], out[first, 4], out[first, 5] = tail, grade, now
    return breaks


@njit(cache=True, nogil=True)
def score_tables(rule):  # type: ignore[no-untyped-def]
    """What each grade is worth: health, hit value, bonus value, step of the bonus (REFERENCES.md §1, osu! wiki)."""
    gain = np.array([0.0055, 0.005, 0.004, 0.0, -0.0016, -0.0075])
    slope = np.array([-0.0005, -0.0005, -0.0004, 0.0, -0.0016, -0.0075])
    value = np.array([320.0, 300.0, 200.0, 100.0, 50.0, 0.0])
    bonus_value = np.array([32.0, 32.0, 16.0, 8.0, 4.0, 0.0])
    bonus_step = np.array([2.0, 1.0, -8.0, -24.0, -44.0, -100.0])
    bonus_step[2:] /= rule[3]
    return gain + slope * rule[1], value, bonus_value, bonus_step


@njit(cache=True, nogil=True)
def count_score(out, column_at, rule, tables, totals):  # type: ignore[no-untyped-def]
    """Walk all columns' judgements in the order they fell and fill `totals` (see `agents.judgement.judge.TOTALS`).

    out: [note, 6] as the column judges leave it; rule: [lazer?, HP, score multiplier, bonus divider];
    tables: of `score_tables`.
    """
    lazer = rule[0] > 0
    gain, value, bonus_value, bonus_step = tables
    at = column_at[:4].copy()
    tail = np.zeros(4, np.int64)
    notes = column_at[4]
    events = notes
    if lazer:
        for n in range(notes):
            events += out[n, 4] >= 0
    combo, best, health, fail = 0, 0, 1.0, np.nan
    bonus, score, combo_sum, combo_full = 100.0, 0.0, 0.0, 0.0
    root = 10.0  # of the bonus
    due = np.full(4, FAR_MS)  # time of each column's next judgement
    for c in range(4):
        if at[c] < column_at[c + 1]:
            due[c] = out[at[c], 3]
    for done in range(1, events + 1):
        column = 1 if due[1] < due[0] else 0
        right = 3 if due[3] < due[2] else 2
        if due[right] < due[column]:
            column = right
        when = due[column]
        n = at[column]
        grade = out[n, 4] if tail[column] else out[n, 0]
        if lazer and not tail[column] and out[n, 4] >= 0:
            tail[column], due[column] = 1, out[n, 5]
        else:
            at[column], tail[column] = n + 1, 0
            due[column] = out[n + 1, 3] if n + 1 < column_at[column + 1] else FAR_MS
        combo = 0 if grade == 5 else combo + 1
        best = max(best, combo)
        totals[grade] += 1
        health = min(1.0, health + gain[grade])
        if health <= 0.0 and np.isnan(fail):
            fail = when
        if lazer:
            weight = min(max(0.5, math.log(max(combo, 1)) / math.log(4.0)), math.log(400.0) / math.log(4.0))
            combo_sum += (300.0 if grade == 0 else value[grade]) * weight
            weight = min(max(0.5, math.log(done) / math.log(4.0)), math.log(400.0) / math.log(4.0))
            combo_full += 300.0 * weight
        else:
            after = min(100.0, max(0.0, bonus + bonus_step[grade]))
            if after != bonus:
                bonus, root = after, math.sqrt(after)
            score += value[grade] + bonus_value[grade] * root
    hits = max(events, 1)
    top = 305.0 if lazer else 300.0
    points = top * totals[0] + 300.0 * totals[1] + 200.0 * totals[2] + 100.0 * totals[3] + 50.0 * totals[4]
    totals[6] = points / (top * hits)
    totals[7] = (points + (320.0 - top) * totals[0]) / (320.0 * hits)
    if lazer:
        share = combo_sum / combo_full if combo_full > 0 else 0.0
        totals[8] = rule[2] * (150_000.0 * share + 850_000.0 * totals[6] ** (2.0 + 2.0 * totals[6]))
    else:
        totals[8] = rule[2] * 500_000.0 / 320.0 * score / hits
    totals[9], totals[10], totals[11] = best, health, fail


@njit(cache=True, nogil=True)
def judge_plays(chart, keys, windows, rule, results):  # type: ignore[no-untyped-def]
    """Judge every player's presses on one chart.

    chart: (start, end, column_at, order): [note] int32 × 2, [5], and each note's place in time order.
    keys: (press, release, press_at, presses): [player, press] int32 × 2, first press [4] and number
    [player, 4] by column.
    results: (grade, tail_grade, error, tail_error, totals): [player, note] int8 × 2, float32 × 2 (map ms, nan = none),
    [player, 15] float64, zeroed by the caller.
    """
    start, end, column_at, order = chart
    press, release, press_at, presses = keys
    grade, tail_grade, error, tail_error, totals = results
    notes = start.size
    lazer = rule[0] > 0
    tables, tap_grade = score_tables(rule), tap_grades(windows)
    out = np.empty((notes, 6), np.int32)
    for player in range(grade.shape[0]):
        for n in range(notes):
            out[n, 0], out[n, 1], out[n, 2], out[n, 4] = -1, NO_TIME, NO_TIME, -1
        for c in range(4):
            a, b = column_at[c], column_at[c + 1]
            p, q = press_at[c], press_at[c] + presses[player, c]
            down, up = press[player, p:q], release[player, p:q]
            if lazer:
                breaks = judge_column_v2(start[a:b], end[a:b], down, up, windows, tap_grade, out[a:b])
            else:
                breaks = judge_column_v1(start[a:b], end[a:b], down, up, windows, tap_grade, out[a:b])
            totals[player, 12] += breaks
        count_score(out, column_at, rule, tables, totals[player])
        hits, total, squares = 0, 0, 0
        for n in range(notes):
            to = order[n]
            grade[player, to], tail_grade[player, to] = out[n, 0], out[n, 4]
            error[player, to] = np.nan
            if out[n, 1] != NO_TIME:
                miss_by = np.int64(out[n, 1])
                error[player, to] = miss_by
                hits, total, squares = hits + 1, total + miss_by, squares + miss_by * miss_by
            tail_error[player, to] = np.nan if out[n, 2] == NO_TIME else out[n, 2]
        if hits:
            totals[player, 13] = total / hits
            totals[player, 14] = math.sqrt(max(0.0, squares / hits - (total / hits) ** 2))
