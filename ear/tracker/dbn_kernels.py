"""Compiled loop of the beat tracker (`ear.tracker.dbn`): the best sequence of beats over time and interval."""

import numpy as np

from runtime.loops import njit


@njit(nogil=True)
def best_beats(evidence, interval, log_interval, worth, change_cost, score, source):  # type: ignore[no-untyped-def]
    """Fill `score` and `source` by dynamic programming.

    evidence: [frame] float32, gain of a beat there; interval: [interval] int64 frames, increasing, and
    log_interval: [interval] float32; worth: [interval] float32, gain of a beat at this distance from the last.
    score: [frame, interval] float32: the highest gain of beats that end at this frame and continue with a *next*
    interval, less `change_cost` for every unit of change of its logarithm; source: [frame, interval] int16: the interval
    between the last two of those beats.
    """
    frames, count = score.shape
    for t in range(frames):
        for i in range(count):
            before = t - interval[i]
            score[t, i] = evidence[t] + worth[i] + (score[before, i] if before >= 0 else np.float32(0.0))
            source[t, i] = i
        for i in range(1, count):
            passed = score[t, i - 1] - change_cost * (log_interval[i] - log_interval[i - 1])
            if passed > score[t, i]:
                score[t, i] = passed
                source[t, i] = source[t, i - 1]
        for i in range(count - 2, -1, -1):
            passed = score[t, i + 1] - change_cost * (log_interval[i + 1] - log_interval[i])
            if passed > score[t, i]:
                score[t, i] = passed
                source[t, i] = source[t, i + 1]


@njit(nogil=True)
def trace_back(score, source, interval, beats):  # type: ignore[no-untyped-def]
    """Frames of the best sequence, last first, into `beats` [frame] int64; returns how many there are.

    The last beat lies within the longest interval of the end, as the first does of the start.
    """
    frames, count = score.shape
    t, best, i = frames - 1, -np.inf, 0
    for last in range(max(0, frames - interval[-1]), frames):
        for k in range(count):
            if score[last, k] > best:
                t, best, i = last, score[last, k], k
    found = 0
    while t >= 0:
        beats[found] = t
        found += 1
        i = source[t, i]
        t -= interval[i]
    return found
