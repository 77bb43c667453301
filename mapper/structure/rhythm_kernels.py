"""Compiled loops that choose all bars' rhythms jointly, each from several candidates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.loops import njit

Bools = NDArray[np.bool_]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

CLOSED = -1e3
"""Log-odds of slots where no row may fall; anything below `CLOSED` / 2 is closed."""
RECURRENCE_BARS = np.array([1, 2, 4, 8])
"""Bars back whose rhythm is a candidate, and counts as repeated."""
LONGEST_GAP = 400
"""Ticks; longer gaps between rows are pauses, not intervals of a rhythm."""


@njit(nogil=True)
def decode_bars(
    log_odds: Doubles,  # [bar, slot], of a row from the sound alone, density bias included
    noise: Doubles,  # [bar, draw, slot], added for each drawn candidate
    gumbel: Doubles,  # [bar, draw + recurrence], added to candidates' scores
    recurrence: Doubles,  # [bar, recurrence], score of a candidate whose rhythm stood there
    tick: Ints,  # [slot], 0–191
    least_gap: Ints,  # [bar], ticks between rows at least
    weights: Doubles,  # score of an even bar, and of each different gap
    rhythm: Bools,  # [bar, slot], written
) -> None:
    """Choose every bar's rhythm in order of time: drawn ones and those of earlier bars by likelihood, variety, recurrence."""
    bars, draws, slots = noise.shape
    candidate, best = np.zeros(slots, np.bool_), np.zeros(slots, np.bool_)
    last_tick = -LONGEST_GAP
    for bar in range(bars):
        highest, best_end = -np.inf, -1
        for number in range(draws + RECURRENCE_BARS.size):
            earlier = bar - RECURRENCE_BARS[number - draws] if number >= draws else bar
            if earlier < 0:
                continue
            likelihood, end = 0.0, -1
            for slot in range(slots):
                odds = log_odds[bar, slot]
                taken = odds + noise[bar, number, slot] >= 0 if number < draws else rhythm[earlier, slot]
                taken = taken and odds > CLOSED / 2 and (end < 0 or tick[slot] - end >= least_gap[bar])
                candidate[slot] = taken
                if taken:
                    likelihood += odds
                    end = tick[slot]
            if number >= draws and end < 0:
                continue
            score = likelihood + gumbel[bar, number] + _repeated(bar, candidate, rhythm, recurrence)
            score += _variety(candidate, tick, last_tick, weights)
            if score > highest:
                highest, best_end = score, end
                best[:] = candidate
        rhythm[bar] = best
        last_tick = best_end if best_end >= 0 else last_tick
        last_tick -= 192


@njit(nogil=True)
def _repeated(bar: int, candidate: Bools, rhythm: Bools, recurrence: Doubles) -> float:
    """The highest recurrence score of the earlier bars with this rhythm; 0 where none has it, or it is empty."""
    found, highest = False, -np.inf
    for number in range(RECURRENCE_BARS.size):
        earlier = bar - RECURRENCE_BARS[number]
        if earlier >= 0 and recurrence[bar, number] > highest and _is_same(rhythm[earlier], candidate):
            found, highest = True, recurrence[bar, number]
    return highest if found and candidate.any() else 0.0


@njit(nogil=True)
def _is_same(one: Bools, other: Bools) -> bool:
    """Whether two rhythms are equal; most differ in their first slots."""
    for slot in range(one.size):  # noqa: SIM110 - numba compiles no generators
        if one[slot] != other[slot]:
            return False
    return True


@njit(nogil=True)
def _variety(candidate: Bools, tick: Ints, last_tick: int, weights: Doubles) -> float:
    """Score of the intervals: even bars cost, different ones gain. `last_tick` is of the row before, from this bar's start."""
    seen = np.zeros(LONGEST_GAP, np.bool_)
    different, rows, before, even, first_gap = 0, 0, last_tick, True, -1
    for slot in range(candidate.size):
        if not candidate[slot]:
            continue
        gap = tick[slot] - before
        if gap < LONGEST_GAP and not seen[gap]:
            seen[gap] = True
            different += 1
        if rows == 1:
            first_gap = gap
        elif rows > 1 and gap != first_gap:
            even = False
        rows, before = rows + 1, tick[slot]
    return weights[0] * (rows >= 2 and even) + weights[1] * different
