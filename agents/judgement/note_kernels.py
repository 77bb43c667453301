"""Compiled sums of judgements over plays: what each note costs, and each hand's errors.

This file calls no other file's compiled code, so its compile cache cannot go stale.
"""

import numpy as np

from runtime.loops import njit

LOST_UNITS = 640.0
"""Units of accuracy of a note: its head's and its tail's 320ths."""
HITS, SUM, SQUARES = range(3)
"""Last places of `add_errors`' totals."""


@njit(nogil=True)
def add_losses(grade, tail_grade, lost, missed):  # type: ignore[no-untyped-def]
    """Add up each note's loss and misses over plays.

    grade, tail_grade [player, note] (tail −1 = judged with its head); added to lost [note], in `LOST_UNITS` a play, and to
    missed [note], heads alone.
    """
    cost = np.array([0, 20, 120, 220, 270, 320])
    for player in range(grade.shape[0]):
        for note in range(grade.shape[1]):
            head, tail = grade[player, note], tail_grade[player, note]
            lost[note] += cost[head] + cost[tail if tail >= 0 else head]
            missed[note] += head == 5


@njit(nogil=True)
def add_errors(error, hand, totals):  # type: ignore[no-untyped-def]
    """Add up each player's hit errors by hand: error [player, note] ms, nan = none; hand [note] 0–1; totals [player, hand, 3]."""
    for player in range(error.shape[0]):
        mine = totals[player]
        for note in range(error.shape[1]):
            off = np.float64(error[player, note])
            if off == off:
                mine[hand[note], HITS] += 1.0
                mine[hand[note], SUM] += off
                mine[hand[note], SQUARES] += off * off
