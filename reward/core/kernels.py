"""Compiled loops of the reward."""

from __future__ import annotations

import numpy as np

from runtime.loops import njit


@njit()
def add_losses(grade, tail_grade, section, loss_of_grade, by_player):  # type: ignore[no-untyped-def]
    """Sum the accuracy that each player lost in each section.

    grade, tail_grade [player, note] (tail −1 = judged with its head); section [note],
    from 0; loss_of_grade [6]; results are added to by_player [player, section].
    """
    for player in range(grade.shape[0]):
        for note in range(grade.shape[1]):
            loss = loss_of_grade[grade[player, note]]
            tail = tail_grade[player, note]
            if tail >= 0:
                loss = (loss + loss_of_grade[tail]) / 2
            by_player[player, section[note]] += loss


@njit()
def add_demand(note_ms, column, decays, weights, out):  # type: ignore[no-untyped-def]
    """Demand of each press: decayed counts of presses by column, by hand and by all, this one left out.

    note_ms, column [note] in order of time; decays, weights [3] (column, hand, all);
    results into out [note]. Presses of one instant do not add to each other's column, but do to the hand's.
    """
    by_column = np.zeros(4)
    by_hand = np.zeros(2)
    everything = 0.0
    before = note_ms[0] if note_ms.size else 0.0
    for note in range(note_ms.size):
        past = note_ms[note] - before
        before = note_ms[note]
        for key in range(4):
            by_column[key] *= 2.718281828459045 ** (-past / decays[0])
        for hand in range(2):
            by_hand[hand] *= 2.718281828459045 ** (-past / decays[1])
        everything *= 2.718281828459045 ** (-past / decays[2])
        key = column[note]
        seconds = decays / 1000.0
        out[note] = (
            weights[0] * by_column[key] / seconds[0]
            + weights[1] * by_hand[key // 2] / seconds[1]
            + weights[2] * everything / seconds[2]
        )
        by_column[key] += 1.0
        by_hand[key // 2] += 1.0
        everything += 1.0
