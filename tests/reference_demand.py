"""Slow twin of `agents.motor.feature_kernels`: numpy over whole columns, hands and rows, no code shared with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.judgement.mods import Mods
from agents.motor import columns
from agents.motor.constants import HandConstants
from chart.model import KEYS, Chart

NEVER_MS, SHORTEST_GAP_MS, LOAD_WINDOW_MS = 1e6, 10.0, 500.0
TAP_MS, HELD_MARGIN_MS, SLIP_FREE_MS = 60.0, 30.0, 220.0


def features_of(chart: Chart, mods: Mods, constants: HandConstants) -> NDArray[np.float32]:
    """[note, feature] what `agents.motor.note_features.demand_of` must find."""
    column = (KEYS - 1 - chart.column if mods.mirror else chart.column).astype(np.int8)
    time = np.rint(chart.time_ms) / mods.rate
    end = np.where(chart.is_hold, np.maximum(np.rint(chart.end_ms) / mods.rate, time), time)
    features = np.zeros((len(chart), columns.FEATURES))
    if len(chart):
        _fingers(features, time, end, column, constants)
        _hands(features, time, end, column, constants)
        _rows(features, time, constants)
    return features.astype(np.float32)


def _fingers(features: NDArray, time: NDArray, end: NDArray, column: NDArray, constants: HandConstants) -> None:
    features[:, columns.END] = np.where(end > time, end, columns.NO_END)
    features[:, columns.COLUMN_RATE] = 1.0 / NEVER_MS
    features[:, columns.RELEASE_SHIFT] = constants.release_lag_ms
    for key in range(KEYS):
        mine = np.flatnonzero(column == key)
        keep = np.exp(-np.diff(time[mine], prepend=-np.inf) / constants.finger_memory_ms)
        features[mine, columns.KEEP_FINGER], features[mine, columns.RENEW_FINGER] = keep, np.sqrt(1 - keep * keep)
        next_ms = np.maximum(np.diff(time[mine], append=np.inf), SHORTEST_GAP_MS)
        features[mine, columns.NEXT_RATE] = np.where(end[mine] > time[mine], 0.0, 1.0 / next_ms)
        let_go = np.where(end[mine] > time[mine], end[mine] - TAP_MS, time[mine])
        if mine.size > 1:
            features[mine[1:], columns.COLUMN_RATE] = 1.0 / np.maximum(time[mine[1:]] - let_go[:-1], SHORTEST_GAP_MS)
            near = np.maximum(constants.release_near_ms - (time[mine[1:]] - end[mine[:-1]]), 0.0)
            features[mine[:-1], columns.RELEASE_SHIFT] -= constants.release_pull * near
        beside = np.flatnonzero(column == (key ^ 1))
        after = np.searchsorted(time[beside], time[mine] - SLIP_FREE_MS)
        before = np.searchsorted(time[beside], time[mine] + SLIP_FREE_MS, side="right")
        ended = (
            np.concatenate([[-NEVER_MS], np.maximum.accumulate(end[beside])]) if beside.size else np.full(1, -NEVER_MS)
        )
        features[mine, columns.SLIP] = (after == before) & (ended[after] <= time[mine] - SLIP_FREE_MS)
        begun = np.searchsorted(time[beside], time[mine] - HELD_MARGIN_MS)
        features[mine, columns.HELD] = ended[begun] > time[mine] + HELD_MARGIN_MS


def _hands(features: NDArray, time: NDArray, end: NDArray, column: NDArray, constants: HandConstants) -> None:
    features[:, columns.TIME] = time
    for hand in (0, 1):
        mine = np.flatnonzero(column >> 1 == hand)
        if not mine.size:
            continue
        t = time[mine]
        gap = np.diff(t, prepend=t[0] - NEVER_MS)
        features[mine, columns.HAND_GAP] = gap
        keep = np.exp(-gap / constants.hand_memory_ms)
        features[mine, columns.KEEP_HAND], features[mine, columns.RENEW_HAND] = keep, np.sqrt(1 - keep * keep)
        effort = np.where(gap < constants.flam_ms, constants.chord_load, 1.0)  # a chord or flam is one movement
        features[mine, columns.RATE] = hand_rate(t, effort, t)
        features[mine, columns.RATE_END] = hand_rate(t, effort, end[mine])
        for feature, tau in (
            (columns.TIRED_SHORT, constants.tire_short_ms),
            (columns.TIRED_LONG, constants.tire_long_ms),
        ):
            rate = 0.0
            for n in range(mine.size):
                rate = rate * np.exp(-gap[n] / tau) + effort[n]
                features[mine[n], feature] = rate * 1000.0 / tau
        features[mine, columns.TIME] = _smeared(t, gap, constants)


def hand_rate(time: NDArray, weight: NDArray, at: NDArray) -> NDArray:
    """Weights of notes per second in the window around each time of `at`."""
    total = np.concatenate([[0.0], np.cumsum(weight)])
    until, since = np.searchsorted(time, at + LOAD_WINDOW_MS, side="right"), np.searchsorted(time, at - LOAD_WINDOW_MS)
    return (total[until] - total[since]) * (1000.0 / (2 * LOAD_WINDOW_MS))


def _smeared(time: NDArray, gap: NDArray, constants: HandConstants) -> NDArray:
    """Targets after flams are drawn together: two notes of a hand under `flam_ms` apart meet between them."""
    flam = (gap > 0) & (gap < constants.flam_ms)
    flam[1:] &= ~flam[:-1]  # the third of a roll is no flam with the second
    target = time.copy()
    second = np.flatnonzero(flam)
    pull = gap[second] * 0.5 * constants.flam_pull
    target[second] -= pull
    target[second - 1] += pull
    return target


def _rows(features: NDArray, time: NDArray, constants: HandConstants) -> None:
    """Drift and reading run over rows: all notes of one time."""
    rows, row_of, size = np.unique(time, return_inverse=True, return_counts=True)
    features[:, columns.BESIDE] = np.minimum(size - 1, 3)[row_of]
    gap = np.diff(rows, prepend=rows[0] - NEVER_MS)
    first = np.diff(time, prepend=time[0] - NEVER_MS) > 0
    keep = np.where(first, np.exp(-gap / constants.drift_memory_ms)[row_of], 1.0)
    features[:, columns.KEEP_DRIFT], features[:, columns.RENEW_DRIFT] = keep, np.sqrt(1 - keep * keep)
    features[:, columns.READING] = _reading(rows, gap, constants)[row_of]


def _reading(rows: NDArray, gap: NDArray, constants: HandConstants) -> NDArray:
    """Rows per second to read ahead, in chunks of even rhythm: more where gaps change and where the density jumps."""
    ahead = constants.look_ahead_ms
    begins = np.zeros(rows.size)  # a chunk
    begins[1:] = np.abs(np.log2(np.maximum(gap[1:], 1.0) / np.maximum(gap[:-1], 1.0))) > 0.2
    total = np.concatenate([[0.0], np.cumsum(begins)])
    until = np.searchsorted(rows, rows + ahead, side="right")
    here = np.arange(rows.size)
    count = (until - here).astype(float)
    chunks = total[until] - total[here]
    since = np.searchsorted(rows, rows - ahead)
    before = np.maximum((here - since).astype(float), 1.0)
    sudden = np.clip(np.log2(count / before), 0.0, 2.0)
    return (count + constants.chunk_cost * chunks) * (1000.0 / ahead) * (1 + constants.sudden_cost * sudden)
