"""Sampling, compiled: when each chart's next row falls, and which of the legal rows it is.

Randomness is a splitmix64 generator a chart, so that a chart does not depend on those written beside it. With guidance,
every chart has an unconditional *shadow* that reads the same rows; shadows have the numbers after those of the charts.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chart.grid import SLOTS_PER_CELL
from chart.model import KEYS
from mapper.network.compiled.cached_decoder import TIME_GAP_BIN
from mapper.sampling.row_penalties import (
    alternation_penalty,
    last_rows,
    move_chord_bias,
    next_recall_bias,
    recall_odds,
    shares_column,
)
from mapper.tokens import vocabulary as architecture
from mapper.tokens.row_codes import (
    HELD_AFTER,
    HOLD_END,
    HOLD_START,
    MIN_COLUMN_GAP_MS,
    NOTHING,
    ROW_CODES,
    SYMBOLS,
    TAP,
)
from runtime.loops import njit

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

HOLD_GAIN = 0.3
"""Log-odds that a missing hold adds to every later one: the mapper tends to many holds or none, whichever it began."""
MAX_HOLD_BIAS = 8.0
HOLDS_BEGUN = (SYMBOLS == HOLD_START).sum(-1)
HOLDS_ENDED = (SYMBOLS == HOLD_END).sum(-1)
NOTES_BEGUN = ((SYMBOLS == HOLD_START) | (SYMBOLS == TAP)).sum(-1)
"""[code], holds that a row begins and ends, notes that it begins."""

_INCREMENT = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
MOTIF_LAGS = np.array(architecture.MOTIF_LAGS)
_LAST_BUCKET = TIME_GAP_BIN.size - 1


class SlotGrid(NamedTuple):
    """Slots that are open for rows; they may be those of several songs, one song behind another."""

    slot_ms: Doubles  # [slot]
    slot_tick: Ints  # [slot]
    open_slots: Bools  # [slot]
    end_slot: Ints  # [chart], first slot after what is written
    last_hold_tick: Ints  # [chart], no hold begins after it
    next_event_ms: Doubles  # [chart, column], of what is kept after
    legal: Bools  # [held state, resting columns, late, code], `mapper.tokens.row_codes.legal_rows`


class SlotEncoding(NamedTuple):
    """Encodings as in `mapper.sampling.encode_song.SongEncoding`; charts may share one."""

    of_chart: Ints  # [chart and shadow], its encoding
    slot: Floats  # [encoding, slot, hazard width]
    onset: Floats  # [encoding, slot]
    alike: Floats  # [encoding, cell, motif lag]


class SamplerParams(NamedTuple):
    """Parameters of the sampler, as in `mapper.sampling.sampler.Sampling`."""

    rate_bias: Doubles  # [chart]
    row_bias: Doubles  # [chart, code]
    chords: Doubles  # [chart, 3], share of rows of 2, 3 and 4 notes to keep to; nan: unconstrained
    hold_share: Doubles  # [chart], nan: unconstrained
    hold_begin: Doubles  # [slot], log-odds of each hold that begins there
    hold_end: Doubles  # [slot], and of each that ends there
    alternation: Doubles  # [chart], log-odds taken from two rows in turn with a chord of three
    recall: Doubles  # [chart], share of rows to press a column of the row before again; nan: unconstrained
    uniforms: Floats  # [chart, slot], uniform numbers to use for the hazard; empty for none
    onset_weight: float
    rhythm_weight: float
    hazard_temperature: float
    row_temperature: float
    top_p: float
    guidance: float  # scale of classifier-free guidance; 1: none, and no shadows


class SamplerState(NamedTuple):
    """State of the charts being written."""

    done: Bools  # [chart]
    slot: Ints  # [chart], of the last row, or where to look on
    tick: Ints  # [chart], of the last row
    held: Ints  # [chart]
    code: Ints  # [chart], of the last row
    last_event_ms: Doubles  # [chart, column]
    hold_logit_bias: Doubles  # [chart], log-odds of a hold that keep to the share
    chord_bias: Doubles  # [chart, 5], log-odds of a row of so many notes that keep to its share
    recall_bias: Doubles  # [chart], log-odds of pressing a column again that keep to the share
    random: NDArray[np.uint64]  # [chart], for the hazard
    gumbel_seeds: NDArray[np.uint64]  # [chart, slot or 1], for the rows: `mapper.sampling.motif_noise.gumbel_seeds`
    code_at: NDArray[np.int16]  # [chart, slot], rows written or kept, 0 elsewhere
    gap: Ints  # [chart], time gap bin of the last row while the decoder has not read it, else −1


@njit(nogil=True)
def uniform(random: NDArray[np.uint64], chart: int) -> float:
    """The chart's next number in [0, 1)."""
    random[chart] += _INCREMENT
    return _mixed(random[chart])


@njit(nogil=True)
def _mixed(z: np.uint64) -> float:
    """A number in [0, 1) that neighbouring z give no hint of."""
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return float((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


@njit(nogil=True)
def find_slots(
    charts: Ints,  # numbers of the charts to go on with
    query: Floats,  # [chart and shadow of these, hazard width]
    by_elapsed: Floats,  # [chart and shadow of these, bucket]
    motif_rhythm: Floats,  # [lag, 2]
    grid: SlotGrid,
    encoding: SlotEncoding,
    params: SamplerParams,
    state: SamplerState,
) -> None:
    """Draw the slot of each chart's next row, slot by slot, and set `slot` to it; a chart without one is done."""
    shadows = query.shape[0] - charts.size
    for number in range(charts.size):
        chart, free = charts[number], number + shadows
        own = encoding.of_chart[chart]
        state.done[chart] = True
        for at in range(state.slot[chart] + 1, grid.end_slot[chart]):
            if not _is_open(chart, at, grid, state):
                continue
            bucket = TIME_GAP_BIN[min(grid.slot_tick[at] - state.tick[chart], _LAST_BUCKET)]
            log_odds = params.onset_weight * encoding.onset[own, at]
            if params.rhythm_weight != 0:
                wrote = _wrote(chart, at, motif_rhythm, encoding.alike[own], state)
                rhythm = by_elapsed[number, bucket] + _match(query[number], encoding.slot[own, at]) + wrote
                log_odds += params.rhythm_weight * rhythm
            if shadows:
                shadow = encoding.of_chart[chart + state.done.size]
                unconditional = params.onset_weight * encoding.onset[shadow, at]
                if params.rhythm_weight != 0:
                    wrote = _wrote(chart, at, motif_rhythm, encoding.alike[shadow], state)
                    rhythm = by_elapsed[free, bucket] + _match(query[free], encoding.slot[shadow, at]) + wrote
                    unconditional += params.rhythm_weight * rhythm
                log_odds += (params.guidance - 1) * (log_odds - unconditional)
            probability = 1 / (1 + math.exp(-(log_odds + params.rate_bias[chart]) / params.hazard_temperature))
            drawn = params.uniforms[chart, at] if params.uniforms.size else uniform(state.random, chart)
            if drawn < probability:
                state.slot[chart], state.done[chart] = at, False
                break


@njit(nogil=True)
def _is_free(slot_ms: float, last_event_ms: float, next_event_ms: float) -> bool:
    """Whether an event at this time leaves the column its rest on both sides."""
    return bool(slot_ms - last_event_ms >= MIN_COLUMN_GAP_MS and next_event_ms - slot_ms >= MIN_COLUMN_GAP_MS)


@njit(nogil=True)
def _is_open(chart: int, at: int, grid: SlotGrid, state: SamplerState) -> bool:
    """Whether any column may have an event at this slot."""
    if not grid.open_slots[at]:
        return False
    for column in range(KEYS):
        if _is_free(grid.slot_ms[at], state.last_event_ms[chart, column], grid.next_event_ms[chart, column]):
            return True
    return False


@njit(nogil=True, fastmath=True)
def _match(query: Floats, slot: Floats) -> float:
    total = np.float32(0)
    for k in range(query.size):
        total += query[k] * slot[k]
    return float(total)


@njit(nogil=True)
def _wrote(chart: int, slot: int, rhythm: Floats, alike: Floats, state: SamplerState) -> float:
    """As `mapper.network.model.Motif.rhythm_logit`; `alike` [cell, lag]."""
    total = 0.0
    for number in range(MOTIF_LAGS.size):
        at = slot - MOTIF_LAGS[number]
        wrote = 1 if at >= 0 and state.code_at[chart, at] > 0 else 0
        total += alike[slot // SLOTS_PER_CELL, number] * rhythm[number, wrote]
    return total


@njit(nogil=True)
def draw_codes(charts: Ints, logits: Floats, grid: SlotGrid, params: SamplerParams, state: SamplerState) -> None:
    """Draw a legal row for each chart's slot and write it; where there is none, the chart is done.

    `logits` [chart and shadow of these, code].
    """
    shadows = logits.shape[0] - charts.size
    for number in range(charts.size):
        score = logits[number].astype(np.float64)
        if shadows:
            score += (params.guidance - 1) * (score - logits[number + shadows])
        _write_row(charts[number], score, grid, params, state)


@njit(nogil=True)
def _write_row(chart: int, score: Doubles, grid: SlotGrid, params: SamplerParams, state: SamplerState) -> None:
    """Draw a legal row for the chart's slot from the likeliest that make up `top_p`; without one, the chart is done."""
    at = state.slot[chart]
    tick, ms = grid.slot_tick[at], grid.slot_ms[at]
    late = tick > grid.last_hold_tick[chart]
    resting = 0
    for column in range(KEYS):
        if not _is_free(ms, state.last_event_ms[chart, column], grid.next_event_ms[chart, column]):
            resting |= 1 << column
    legal = grid.legal[state.held[chart], resting, int(late)]
    second, last, alternating = last_rows(state.code_at[chart], at, grid.slot_ms)
    rest_ms = ms - state.last_event_ms[chart].max()
    hold_begin, hold_end = state.hold_logit_bias[chart] + params.hold_begin[at], params.hold_end[at]
    for code in range(ROW_CODES):
        if not legal[code]:
            score[code] = -np.inf
            continue
        bias = hold_begin * HOLDS_BEGUN[code] + hold_end * HOLDS_ENDED[code]
        bias += state.chord_bias[chart, NOTES_BEGUN[code]]
        bias += recall_odds(code, state.code[chart], tick - state.tick[chart], rest_ms, state.recall_bias[chart])
        bias -= alternation_penalty(code, second, last, alternating, params.alternation[chart])
        score[code] = (score[code] + params.row_bias[chart, code] + bias) / params.row_temperature
    code = _draw(score, params.top_p, _noise(state.gumbel_seeds[chart], at, tick))
    if not code:
        state.done[chart] = True
        return
    move_chord_bias(state.chord_bias[chart], NOTES_BEGUN[code], params.chords[chart])
    if params.recall[chart] >= 0:
        again = shares_column(code, state.code[chart])
        state.recall_bias[chart] = next_recall_bias(state.recall_bias[chart], again, params.recall[chart])
    state.code[chart], state.held[chart] = code, HELD_AFTER[state.held[chart], code]
    state.code_at[chart, at], state.tick[chart] = code, tick
    for column in range(KEYS):
        if SYMBOLS[code, column] != NOTHING:
            state.last_event_ms[chart, column] = ms
    if params.hold_share[chart] >= 0:
        state.hold_logit_bias[chart] = next_hold_bias(state.hold_logit_bias[chart], code, params.hold_share[chart])


@njit(nogil=True)
def _noise(seeds: NDArray[np.uint64], at: int, tick: int) -> np.uint64:
    """Seed of the noise at a slot, from the chart's seeds [slot], or from one seed and the slot's tick."""
    return seeds[at] if seeds.size > 1 else seeds[0] + np.uint64(tick) * _SECOND


@njit(nogil=True)
def next_hold_bias(bias: float, code: int, share: float) -> float:
    """Log-odds of a hold after a row with this code, where it was `bias` before and holds are to be `share` of the notes."""
    bias += HOLD_GAIN * (share * NOTES_BEGUN[code] - HOLDS_BEGUN[code])
    return min(max(bias, -MAX_HOLD_BIAS), MAX_HOLD_BIAS)


@njit(nogil=True)
def _draw(score: Doubles, top_p: float, seed: np.uint64) -> int:
    """Index drawn from the softmax of the scores within its nucleus; 0 when every score is -inf.

    By the largest score with Gumbel noise, so that equal seeds draw the same row also from somewhat different scores.
    """
    highest = score.max()
    if highest == -np.inf:
        return 0
    possible = np.flatnonzero(score > -np.inf)
    mass = np.exp(score[possible] - highest)
    order = np.argsort(-mass)
    total, seen, best, drawn = mass.sum(), 0.0, np.inf, 0
    for rank in order:
        if seen >= top_p * total:
            break
        seen += mass[rank]
        code = possible[rank]
        wait = -math.log(1.0 - _mixed(seed + np.uint64(code) * _INCREMENT)) / mass[rank]  # exponential of rate mass
        if wait < best:
            best, drawn = wait, int(code)
    return drawn
