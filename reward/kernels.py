"""Compiled loops of the reward."""

from __future__ import annotations

from numba import njit


@njit(cache=True)
def add_losses(grade, tail_grade, section, hand, loss_of_grade, by_player, by_hand):  # type: ignore[no-untyped-def]
    """Sum what each player lost in each section, and what all lost with each hand.

    grade, tail_grade [player, note] (tail −1 = judged with its head); section, hand [note], section from 0;
    loss_of_grade [6]; results added to by_player [player, section] and by_hand [hand, section].
    """
    for player in range(grade.shape[0]):
        for note in range(grade.shape[1]):
            loss = loss_of_grade[grade[player, note]]
            tail = tail_grade[player, note]
            if tail >= 0:
                loss = (loss + loss_of_grade[tail]) / 2
            by_player[player, section[note]] += loss
            by_hand[hand[note], section[note]] += loss
