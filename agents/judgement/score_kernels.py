"""Compiled totals of a play: counts, combo, health, accuracy and score, from its judgements in the order in which they fell.

An event is one judgement: its time in map ms · 8 + its grade. This file calls no other file's compiled code, so its compile
cache cannot go stale.
"""

import math

import numpy as np

from runtime.loops import njit

LAZER_COMBO = 400  # combo beyond which lazer and ScoreV2 weigh a judgement no higher
(RULE_APART, RULE_HP, RULE_MULTIPLIER, RULE_DIVIDER) = range(4)
"""Places of the [rule] array: 1 where heads and tails are judged apart (ScoreV2, lazer), HP, and the modifiers' factors of the score."""


@njit(nogil=True)
def sort_events(events):  # type: ignore[no-untyped-def]
    """Sort one play's events in place; they come nearly sorted, which insertion sort makes the most of."""
    for at in range(1, events.size):
        event, to = events[at], at
        while to > 0 and events[to - 1] > event:
            events[to] = events[to - 1]
            to -= 1
        events[to] = event


@njit(nogil=True)
def health_gains(hp):  # type: ignore[no-untyped-def]
    """[grade] change of health, 0–1 (REFERENCES.md §1)."""
    gain = np.array([0.0055, 0.005, 0.004, 0.0, -0.0016, -0.0075])
    slope = np.array([-0.0005, -0.0005, -0.0004, 0.0, -0.0016, -0.0075])
    return gain + slope * hp


@njit(nogil=True)
def count_health(events, gain, totals):  # type: ignore[no-untyped-def]
    """Counts by grade, longest combo, health at the end and time at which it ran out."""
    combo, best, health, fail = 0, 0, 1.0, np.nan
    counts = np.zeros(6, np.int64)
    for at in range(events.size):
        grade = events[at] & 7
        counts[grade] += 1
        combo = 0 if grade == 5 else combo + 1
        best = max(best, combo)
        health = min(1.0, health + gain[grade])
        if health <= 0.0 and fail != fail:
            fail = events[at] >> 3
    for grade in range(6):
        totals[grade] = counts[grade]
    totals[9], totals[10], totals[11] = best, health, fail


@njit(nogil=True)
def score_v1(events, divider):  # type: ignore[no-untyped-def]
    """ScoreV1 of up to 1,000,000: half for hits, half for a bonus that mistakes lower (osu! wiki, Score/ScoreV1/osu!mania)."""
    value = np.array([320.0, 300.0, 200.0, 100.0, 50.0, 0.0])
    bonus_value = np.array([32.0, 32.0, 16.0, 8.0, 4.0, 0.0])
    bonus_step = np.array([2.0, 1.0, -8.0, -24.0, -44.0, -100.0])
    bonus_step[2:] /= divider
    bonus, score = 100.0, 0.0
    for at in range(events.size):
        grade = events[at] & 7
        bonus = min(100.0, max(0.0, bonus + bonus_step[grade]))
        score += value[grade] + bonus_value[grade] * math.sqrt(bonus)
    return 500_000.0 / 320.0 * score / max(events.size, 1)


@njit(nogil=True)
def score_apart(events, accuracy):  # type: ignore[no-untyped-def]
    """Lazer's score of up to 1,000,000: 150,000 for combo, the rest for accuracy."""
    value = np.array([300.0, 300.0, 200.0, 100.0, 50.0, 0.0])
    weight = np.empty(LAZER_COMBO + 1)
    for combo in range(LAZER_COMBO + 1):
        weight[combo] = max(0.5, math.log(max(combo, 1)) / math.log(4.0))
    combo, got, full = 0, 0.0, 0.0
    for at in range(events.size):
        grade = events[at] & 7
        combo = 0 if grade == 5 else combo + 1
        got += value[grade] * weight[min(combo, LAZER_COMBO)]
        full += 300.0 * weight[min(at + 1, LAZER_COMBO)]
    share = got / full if full > 0 else 0.0
    return 150_000.0 * share + 850_000.0 * accuracy ** (2.0 + 2.0 * accuracy)


@njit(nogil=True)
def spread(error, totals):  # type: ignore[no-untyped-def]
    """Mean and SD of the hit errors in map ms; errors are whole or nan."""
    hits, total, squares = 0, 0, 0
    for note in range(error.size):
        hit = error[note] == error[note]
        off = np.int64(error[note]) if hit else 0
        hits, total, squares = hits + hit, total + off, squares + off * off
    if hits:
        totals[13] = total / hits
        totals[14] = math.sqrt(max(0.0, squares / hits - (total / hits) ** 2))


@njit(nogil=True)
def count_accuracies(events, rule, accuracy):  # type: ignore[no-untyped-def]
    """Fill accuracy [player] with a MAX worth 320, 1 where nothing was judged, from events [player, event] in any order."""
    top = 305.0 if rule[RULE_APART] > 0 else 300.0
    for player in range(events.shape[0]):
        mine = events[player]
        got = np.zeros(8, np.int64)
        for at in range(mine.size):
            got[np.uint64(mine[at] & 7)] += 1
        points = top * got[0] + 300.0 * got[1] + 200.0 * got[2] + 100.0 * got[3] + 50.0 * got[4]
        accuracy[player] = (points + (320.0 - top) * got[0]) / (320.0 * mine.size) if mine.size else 1.0


@njit(nogil=True)
def count_plays(events, error, breaks, rule, totals):  # type: ignore[no-untyped-def]
    """Fill `totals` [player, 15] (see `agents.judgement.judge.TOTALS`) from events [player, event] and errors [player, note]."""
    gain, apart = health_gains(rule[RULE_HP]), rule[RULE_APART] > 0
    top = 305.0 if apart else 300.0
    for player in range(events.shape[0]):
        mine, got = events[player], totals[player]
        sort_events(mine)
        count_health(mine, gain, got)
        hits = max(mine.size, 1)
        points = top * got[0] + 300.0 * got[1] + 200.0 * got[2] + 100.0 * got[3] + 50.0 * got[4]
        got[6] = points / (top * hits)
        got[7] = (points + (320.0 - top) * got[0]) / (320.0 * hits)
        got[8] = rule[RULE_MULTIPLIER] * (score_apart(mine, got[6]) if apart else score_v1(mine, rule[RULE_DIVIDER]))
        got[12] = breaks[player]
        spread(error[player], got)
