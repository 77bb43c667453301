"""Logit biases for rows that people write more seldom or more often than the network, compiled.

Two rows in turn with a chord of three are seldom; pressing a column again is six times as common in people's charts; a
requested pattern mix needs chords in some number.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mapper.tokens.row_codes import HOLD_START, SYMBOLS, TAP
from runtime.loops import njit

PRESSED = (((SYMBOLS == TAP) | (SYMBOLS == HOLD_START)) << np.arange(SYMBOLS.shape[1])).sum(-1)
"""[code] → bit c set where a note begins in column c."""
SIZE = np.array([bin(mask).count("1") for mask in range(16)])
RECALL_CHANCE = np.array([[1 - math.comb(4 - a, b) / math.comb(4, b) for b in range(5)] for a in range(5)])
"""[size before, size] chance that two chords with random columns share one."""
CHORD_OF_THREE = 3
NEAR_MS = 500.0
"""Rows further apart are not felt as alternating; as `reward.core.rhythm.ALTERNATION_MS`."""
LONGEST_RUN = 11
"""Rows of an alternation that may be continued: twelve is the longest."""
HALF_BEAT_TICKS = 24
SLOWEST_JACK_MS = 100.0
"""A column pressed again sooner is a jack that tires: those stay as rare as the network writes them."""
RECALL_GAIN, MAX_RECALL_BIAS = 0.3, 4.0
CHORD_GAIN, MAX_CHORD_BIAS = 0.15, 4.0
GROWTH = 0.25
"""By how much of itself the penalty grows with every row that already alternates."""


@njit(nogil=True)
def last_rows(code_at: NDArray[np.int16], at: int, slot_ms: NDArray[np.float64]) -> tuple[int, int, int]:
    """Masks of the second last and the last row before slot `at`, and the rows that alternate up to the last.

    A mask is 0 where no row is near enough. Two unequal rows in succession already count as an alternation of two.
    """
    second, last, rows, before_ms = 0, 0, 0, slot_ms[at]
    expected = 0
    for slot in range(at - 1, -1, -1):
        if before_ms - slot_ms[slot] > NEAR_MS:
            break
        mask = PRESSED[code_at[slot]]
        if mask == 0:
            continue
        before_ms = slot_ms[slot]
        if rows == 0:
            last = mask
        elif rows == 1:
            second = mask
            if mask == last:
                break
        elif mask != expected or rows > LONGEST_RUN:
            break
        rows += 1
        expected = last if rows % 2 == 0 else second
    return second, last, rows


@njit(nogil=True)
def alternation_penalty(code: int, second: int, last: int, rows: int, penalty: float) -> float:
    """Log-odds to take from a row code that repeats the second last row after an unlike one; inf in a run of twelve."""
    mask = PRESSED[code]
    if penalty == 0 or mask == 0 or mask != second or mask == last:
        return 0.0
    if max(SIZE[mask], SIZE[last]) < CHORD_OF_THREE:
        return 0.0
    return np.inf if rows > LONGEST_RUN else penalty * (1.0 + GROWTH * (rows - 2))


@njit(nogil=True)
def recall_odds(code: int, before: int, ticks: int, rest_ms: float, bias: float) -> float:
    """Log-odds to add to a row `ticks` and `rest_ms` after the row `before`, for the columns that both press.

    All of the bias from half a beat, half of it sooner, none for fast jacks. Among the codes of one chord size it adds
    nothing in the mean, so that chords do not become likelier because they can hardly avoid the columns before them.
    """
    if rest_ms < SLOWEST_JACK_MS or bias == 0:
        return 0.0
    if ticks < HALF_BEAT_TICKS:
        bias /= 2
    chance = RECALL_CHANCE[SIZE[PRESSED[before]], SIZE[PRESSED[code]]]
    again = bias if PRESSED[code] & PRESSED[before] else 0.0
    return again - math.log(1.0 - chance + chance * math.exp(bias))


@njit(nogil=True)
def shares_column(code: int, before: int) -> bool:
    """Whether the row presses a column that the row before pressed."""
    return bool(PRESSED[code] & PRESSED[before])


@njit(nogil=True)
def next_recall_bias(bias: float, again: bool, share: float) -> float:
    """Log-odds of pressing a column again after a row that did so or not, where `share` of the rows shall.

    A running bias, as for holds: with a constant one the network goes on as it began, and jacks never end.
    """
    bias += RECALL_GAIN * (share - again)
    return min(max(bias, -MAX_RECALL_BIAS), MAX_RECALL_BIAS)


@njit(nogil=True)
def move_chord_bias(bias: NDArray[np.float64], notes: int, shares: NDArray[np.float64]) -> None:
    """Change the log-odds of rows by their notes [5] after a row of `notes`, where rows of 2, 3, 4 have such `shares` [3].

    Running as well: a constant bias turns every row into a chord, or none. Rows that only end holds, and nan, change nothing.
    """
    for size in range(2, bias.size):
        if notes > 0 and shares[size - 2] >= 0:
            moved = bias[size] + CHORD_GAIN * (shares[size - 2] - (notes == size))
            bias[size] = min(max(moved, -MAX_CHORD_BIAS), MAX_CHORD_BIAS)
