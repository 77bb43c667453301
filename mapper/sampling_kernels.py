"""Sampling, compiled: when each chart's next row falls, and which of the legal rows it is.

Randomness is a splitmix64 generator a chart, so that a chart does not depend on those written beside it.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from chart.grid import SLOTS_PER_CELL
from chart.model import KEYS
from mapper import architecture
from mapper.rows import HOLD_START, LEGAL, MIN_COLUMN_GAP_MS, NOTHING, ROW_CODES, STARTS_HOLD, SYMBOLS
from mapper.stepper import ELAPSED_BUCKET

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

REPEAT_TICKS = 24
"""A column pressed again within half a beat is a repeat."""

_INCREMENT = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
MOTIF_LAGS = np.array(architecture.MOTIF_LAGS)
_LAST_BUCKET = ELAPSED_BUCKET.size - 1


@njit(cache=True)
def uniform(random: NDArray[np.uint64], chart: int) -> float:
    """The chart's next number in [0, 1)."""
    random[chart] += _INCREMENT
    z = random[chart]
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return float((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


@njit(cache=True)
def _is_free(slot_ms: float, last_event_ms: Doubles, next_event_ms: Doubles) -> bool:
    """Whether an event at this time leaves the column its rest on both sides."""
    return bool(slot_ms - last_event_ms >= MIN_COLUMN_GAP_MS and next_event_ms - slot_ms >= MIN_COLUMN_GAP_MS)


@njit(cache=True, fastmath=True)
def _motif_log_odds(code_at: NDArray[np.int16], alike: Floats, slot: int, rhythm: Floats) -> float:
    """As `mapper.model.Motif.rhythm_logit`."""
    total = 0.0
    for number in range(MOTIF_LAGS.size):
        at = slot - MOTIF_LAGS[number]
        wrote = 1 if at >= 0 and code_at[at] > 0 else 0
        total += alike[number] * rhythm[number, wrote]
    return total


@njit(cache=True, fastmath=True)
def _log_odds(
    onset: float, slot_vector: Floats, query: Floats, by_rows: float, onset_weight: float, rhythm_weight: float
) -> float:
    match = np.float32(0)
    for k in range(query.size):
        match += query[k] * slot_vector[k]
    return float(onset_weight * onset + rhythm_weight * (match + by_rows))


@njit(cache=True)
def next_slots(
    charts: Ints,  # [active], numbers of the charts to go on with
    slot: Ints,  # [chart], last slot looked at; the next row's when one is found
    tick: Ints,  # [chart], of the last row
    last_event_ms: Doubles,  # [chart, column]
    next_event_ms: Doubles,  # [column], of what is kept after the span
    end_slot: int,
    slot_ms: Doubles,  # [slot]
    slot_tick: Ints,  # [slot]
    open_slots: Bools,  # [slot]
    onset: Floats,  # [chart, slot]
    slot_vector: Floats,  # [chart, slot, hazard width]
    query: Floats,  # [active, hazard width]
    by_elapsed: Floats,  # [active, elapsed bucket]
    code_at: NDArray[np.int16],  # [chart, slot], rows written, 0 elsewhere
    alike: Floats,  # [chart, cell, motif lag]
    motif_rhythm: Floats,  # [motif lag, 2]
    weights: tuple[float, float, float],  # onset, rhythm, temperature
    rate_bias: Doubles,  # [chart]
    random: NDArray[np.uint64],  # [chart]
    luck: Floats,  # [chart, slot], uniform numbers to use instead; empty for none
    found: Bools,  # [active], result
) -> None:
    """Ask each later slot in turn whether the next row falls there."""
    onset_weight, rhythm_weight, temperature = weights
    for active in range(charts.size):
        chart = charts[active]
        found[active] = False
        for at in range(slot[chart] + 1, end_slot):
            if not open_slots[at]:
                continue
            possible = False
            for column in range(KEYS):
                possible |= _is_free(slot_ms[at], last_event_ms[chart, column], next_event_ms[column])
            if not possible:
                continue
            bucket = ELAPSED_BUCKET[min(slot_tick[at] - tick[chart], _LAST_BUCKET)]
            by_rows = by_elapsed[active, bucket] + _motif_log_odds(
                code_at[chart], alike[chart, at // SLOTS_PER_CELL], at, motif_rhythm
            )
            log_odds = _log_odds(
                onset[chart, at], slot_vector[chart, at], query[active], by_rows, onset_weight, rhythm_weight
            )
            chance = 1 / (1 + math.exp(-(log_odds + rate_bias[chart]) / temperature))
            drawn = luck[chart, at] if luck.size else uniform(random, chart)
            if drawn < chance:
                slot[chart] = at
                found[active] = True
                break


@njit(cache=True)
def next_codes(
    charts: Ints,  # [active]
    slot: Ints,  # [chart]
    tick: Ints,  # [chart], of the last row
    held: Ints,  # [chart]
    last_code: Ints,  # [chart]
    last_event_ms: Doubles,  # [chart, column]
    next_event_ms: Doubles,  # [column]
    last_hold_tick: int,
    slot_ms: Doubles,
    slot_tick: Ints,
    logits: Floats,  # [active, code]
    row_bias: Doubles,  # [chart, code]
    repeat_bias: Doubles,  # [chart]
    temperature: float,
    top_p: float,
    random: NDArray[np.uint64],  # [chart]
    picked: Ints,  # [active], result; 0 where no row is legal
) -> None:
    """Draw a legal row for each chart's slot from the likeliest that make up `top_p` of the mass."""
    score = np.empty(ROW_CODES)
    for active in range(charts.size):
        chart = charts[active]
        at = slot[chart]
        near = slot_tick[at] - tick[chart] <= REPEAT_TICKS
        late = slot_tick[at] > last_hold_tick
        for code in range(ROW_CODES):
            legal = LEGAL[held[chart], code] and not (late and STARTS_HOLD[code])
            repeats = 0
            for column in range(KEYS):
                symbol = SYMBOLS[code, column]
                if symbol == NOTHING:
                    continue
                legal = legal and _is_free(slot_ms[at], last_event_ms[chart, column], next_event_ms[column])
                before = SYMBOLS[last_code[chart], column]
                if near and symbol <= HOLD_START and before != NOTHING and before <= HOLD_START:
                    repeats += 1
            score[code] = -np.inf
            if legal:
                score[code] = (
                    logits[active, code] + row_bias[chart, code] + repeat_bias[chart] * repeats
                ) / temperature
        picked[active] = _draw(score, top_p, uniform(random, chart))


@njit(cache=True)
def _draw(score: Doubles, top_p: float, chance: float) -> int:
    """Index drawn from the softmax of the scores within its nucleus; 0 when every score is -inf."""
    order = np.argsort(-score)
    highest = score[order[0]]
    if highest == -np.inf:
        return 0
    total = 0.0
    for code in order:
        total += math.exp(score[code] - highest)
    mass, kept = 0.0, 0
    while kept < order.size and mass < top_p * total:
        mass += math.exp(score[order[kept]] - highest)
        kept += 1
    left = chance * mass
    for rank in range(kept):
        left -= math.exp(score[order[rank]] - highest)
        if left < 0:
            return order[rank]
    return order[kept - 1]
