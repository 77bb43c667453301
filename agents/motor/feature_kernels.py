"""Compiled features of a chart's notes, see `agents.motor.note_features` for what they are.

All take notes in time order, real ms, and fill columns of `features` [note, `agents.motor.columns.FEATURES`] float64.
This file calls no other file's compiled code, so its compile cache cannot go stale.
"""

import numpy as np

from agents.motor import columns
from chart.model import KEYS
from runtime.loops import njit

NEVER_MS = 1e6
"""A gap longer than any that matters."""
SHORTEST_GAP_MS = 10.0
"""Doubled notes are felt as this far apart, so that nothing is divided by zero."""
LOAD_WINDOW_MS = 500.0
"""Half the window over which one-hand notes/s is counted: the acceptance tables of REFERENCES.md use a second."""
TAP_MS = 60.0
"""A finger that ends a hold is as far on as one that ended a tap of this length, the median."""
HELD_MARGIN_MS = 30.0
"""A hold of the neighbouring finger hinders a press this long after its start and before its end."""
SLIP_FREE_MS = 220.0
"""A stray press comes where the neighbouring column is free for this long: before and after."""
EVEN = 0.2
"""Gaps between rows that differ by less than this many octaves belong to one chunk of even rhythm."""


@njit(nogil=True)
def fill_fingers(time, end, column, memory_ms, release, features):  # type: ignore[no-untyped-def]
    """Demands of each finger's own notes; `release`: (lag ms, near ms, pull), see `agents.motor.constants.HandConstants`."""
    lag_ms, near_ms, pull = release
    last = np.full(KEYS, -1)
    for note in range(time.size):
        key, at, f = column[note], time[note], features[note]
        f[columns.END] = end[note] if end[note] > at else columns.NO_END
        f[columns.RELEASE_SHIFT] = lag_ms
        f[columns.COLUMN_RATE] = 1.0 / NEVER_MS
        keep, before = 0.0, last[key]
        if before >= 0:
            gap, held = at - time[before], end[before] > time[before]
            keep = np.exp(-gap / memory_ms)
            let_go = end[before] - TAP_MS if held else time[before]
            f[columns.COLUMN_RATE] = 1.0 / max(at - let_go, SHORTEST_GAP_MS)
            features[before, columns.NEXT_RATE] = 0.0 if held else 1.0 / max(gap, SHORTEST_GAP_MS)
            features[before, columns.RELEASE_SHIFT] -= pull * max(near_ms - (at - end[before]), 0.0)
        f[columns.KEEP_FINGER], f[columns.RENEW_FINGER] = keep, np.sqrt(1 - keep * keep)
        last[key] = note


@njit(nogil=True)
def fill_neighbours(time, end, column, features):  # type: ignore[no-untyped-def]
    """Demands of the other finger of each note's hand."""
    for key in range(KEYS):
        beside = key ^ 1
        free, begun = 0, 0  # notes before t − SLIP_FREE_MS, before t − HELD_MARGIN_MS
        free_end, begun_end = -NEVER_MS, -NEVER_MS  # when the last of the other finger's among them ends
        for note in range(time.size):
            if column[note] != key:
                continue
            at = time[note]
            while time[free] < at - SLIP_FREE_MS:
                if column[free] == beside:
                    free_end = max(free_end, end[free])
                free += 1
            while time[begun] < at - HELD_MARGIN_MS:
                if column[begun] == beside:
                    begun_end = max(begun_end, end[begun])
                begun += 1
            near = free
            while near < time.size and time[near] <= at + SLIP_FREE_MS and column[near] != beside:
                near += 1
            alone = near == time.size or time[near] > at + SLIP_FREE_MS
            features[note, columns.SLIP] = alone and free_end <= at - SLIP_FREE_MS
            features[note, columns.HELD] = begun_end > at + HELD_MARGIN_MS


@njit(nogil=True)
def hand_rate(time, weight, at):  # type: ignore[no-untyped-def]
    """[at] weights [note] of notes at `time` [note] per second in the window around each time of `at`."""
    total = np.zeros(time.size + 1)
    total[1:] = np.cumsum(weight)
    until = np.searchsorted(time, at + LOAD_WINDOW_MS, side="right")
    since = np.searchsorted(time, at - LOAD_WINDOW_MS)
    return (total[until] - total[since]) * (1000.0 / (2 * LOAD_WINDOW_MS))


@njit(nogil=True)
def leaky_rate(time_ms, weight, tau_ms):  # type: ignore[no-untyped-def]
    """[note] leaky mean of events per second up to each of them: times in order, weights, decay."""
    out, level = np.empty(time_ms.size), 0.0
    for n in range(time_ms.size):
        if n:
            level *= np.exp(-(time_ms[n] - time_ms[n - 1]) / tau_ms)
        level += weight[n]
        out[n] = level * 1000.0 / tau_ms
    return out


@njit(nogil=True)
def fill_hands(time, end, column, memory_ms, tire_ms, flam, features):  # type: ignore[no-untyped-def]
    """Demands on each hand; `tire_ms`: (short, long); `flam`: (longest gap ms, load of a chord's second note, pull)."""
    flam_ms, chord_load, pull = flam
    for hand in range(2):
        mine = np.flatnonzero(column >> 1 == hand)
        t, effort = time[mine], np.ones(mine.size)
        near_before = False
        for n in range(mine.size):
            f, gap = features[mine[n]], t[n] - t[n - 1] if n else NEVER_MS
            keep = np.exp(-gap / memory_ms)
            f[columns.HAND_GAP], f[columns.KEEP_HAND], f[columns.RENEW_HAND] = gap, keep, np.sqrt(1 - keep * keep)
            f[columns.TIME] = t[n]
            if gap < flam_ms:
                effort[n] = chord_load  # a chord or flam is one movement
            near = 0 < gap < flam_ms
            if near and not near_before:  # two notes of a hand meet between them; the third of a roll is no flam
                f[columns.TIME] -= gap * 0.5 * pull
                features[mine[n - 1], columns.TIME] += gap * 0.5 * pull
            near_before = near
        rate, rate_end = hand_rate(t, effort, t), hand_rate(t, effort, end[mine])
        short, long = leaky_rate(t, effort, tire_ms[0]), leaky_rate(t, effort, tire_ms[1])
        for n in range(mine.size):
            f = features[mine[n]]
            f[columns.RATE], f[columns.RATE_END] = rate[n], rate_end[n]
            f[columns.TIRED_SHORT], f[columns.TIRED_LONG] = short[n], long[n]


@njit(nogil=True)
def fill_rows(time, memory_ms, read, features):  # type: ignore[no-untyped-def]
    """Drift and reading run over rows: all notes of one time. `read`: (look ahead ms, cost of a chunk, of a jump)."""
    first = np.ones(time.size, np.bool_)
    first[1:] = time[1:] > time[:-1]
    begins = np.append(np.flatnonzero(first), time.size)  # notes
    rows = time[begins[:-1]]
    gap = np.full(rows.size, NEVER_MS)
    gap[1:] = rows[1:] - rows[:-1]
    reading = reading_load(rows, gap, read)
    for row in range(rows.size):
        keep = np.exp(-gap[row] / memory_ms)
        for note in range(begins[row], begins[row + 1]):
            f = features[note]
            f[columns.BESIDE] = min(begins[row + 1] - begins[row] - 1, 3)
            f[columns.KEEP_DRIFT], f[columns.RENEW_DRIFT] = keep, np.sqrt(1 - keep * keep)
            f[columns.READING] = reading[row]
            keep = 1.0  # the other notes of the row have the same drift


@njit(nogil=True)
def reading_load(rows, gap, read):  # type: ignore[no-untyped-def]
    """[row] rows/s to read ahead, in chunks of even rhythm: more where gaps change and where the density jumps."""
    ahead, chunk_cost, sudden_cost = read
    chunks = np.zeros(rows.size + 1)  # that began before each row
    for row in range(rows.size):
        octaves = np.log2(max(gap[row], 1.0) / max(gap[row - 1], 1.0)) if row else 0.0
        chunks[row + 1] = chunks[row] + (abs(octaves) > EVEN)
    out = np.empty(rows.size)
    since, until = 0, 0
    for row in range(rows.size):
        while rows[since] < rows[row] - ahead:
            since += 1
        while until < rows.size and rows[until] <= rows[row] + ahead:
            until += 1
        count = float(until - row)
        sudden = min(max(np.log2(count / max(row - since, 1)), 0.0), 2.0)
        load = count + chunk_cost * (chunks[until] - chunks[row])
        out[row] = load * (1000.0 / ahead) * (1 + sudden_cost * sudden)
    return out
