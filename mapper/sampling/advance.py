"""Writing row after row, compiled: find each chart's next slot, draw its row, read it; hundreds of rows a call.

Charts may be advanced by several threads at once, each its own. Shapes use: chart, listener (a chart, or with guidance its
unconditional twin: all charts first), item (a row that is read), slot, cell, lag.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from chart.grid import SLOTS_PER_CELL, TICKS_PER_BEAT
from mapper.network.cached_decoder import TIME_GAP_BIN, Cache, Weights, affine, read, row_logits
from mapper.network.interface import DecoderInput
from mapper.network.kernels import Floats, Ints
from mapper.sampling.kernels import (
    MOTIF_LAGS,
    SamplerParams,
    SamplerState,
    SlotEncoding,
    SlotGrid,
    draw_codes,
    find_slots,
)
from mapper.tokens.row_codes import HELD_AFTER
from mapper.tokens.vocabulary import TIME_GAP_BINS
from runtime.loops import njit

CACHE_ROWS, KEPT_ROWS = 128, 48
"""Rows that the decoder attends to at most; a full cache is filled again with the last ones. Training windows of 80 beats
are mostly shorter, and longer contexts were worse (docs/LOG.md)."""


class RowEncoding(NamedTuple):
    """The encoder's output as the decoder reads it: mixed of two stored encodings; charts may share them."""

    low: Ints  # [sequence], number of an encoding
    high: Ints  # [sequence], and of the one that it is on the way to
    share: Floats  # [sequence], how far, 0–1
    cell: Floats  # [encoding, cell, width]
    slot: Floats  # [encoding, slot, hazard width]
    control: Floats  # [listener, width]
    song_slot: Ints  # [chart], first slot of its song


@njit(nogil=True)
def encoding_at(song: RowEncoding, sequence: int, at: int, cell: Floats, slot: Floats) -> None:
    """Fill in the sequence's encoding of a slot's cell [width] and of the slot [hazard width]."""
    low, high, share = song.low[sequence], song.high[sequence], song.share[sequence]
    cell[:], slot[:] = song.cell[low, at // SLOTS_PER_CELL], song.slot[low, at]
    if share > 0:
        cell += share * (song.cell[high, at // SLOTS_PER_CELL] - cell)
        slot += share * (song.slot[high, at] - slot)


@njit(nogil=True)
def time_gap_bin(ticks: int) -> int:
    """Bin of a number of ticks since the row before."""
    return int(TIME_GAP_BIN[min(ticks, TIME_GAP_BIN.size - 1)])


@njit(nogil=True)
def read_rows(
    weights: Weights, cache: Cache, song: RowEncoding, grid: SlotGrid, sequence: Ints, slot: Ints, tokens: Ints
) -> None:
    """Read rows [item] at these slots; `tokens` are [item, (code, held state, time gap bin)]."""
    items = slot.size
    cell = np.empty((items, song.cell.shape[2]), np.float32)
    at_slot = np.empty((items, song.slot.shape[2]), np.float32)
    control, beat = np.empty_like(cell), np.empty(items, np.float32)
    for item in range(items):
        who, at = sequence[item], slot[item]
        encoding_at(song, who, at, cell[item], at_slot[item])
        control[item], beat[item] = song.control[who], grid.slot_tick[at] / TICKS_PER_BEAT
    columns = np.ascontiguousarray(tokens.T)
    read(weights, cache, DecoderInput(sequence, columns[0], columns[1], columns[2], beat, cell, at_slot, control))


@njit(nogil=True)
def read_last_rows(
    weights: Weights, cache: Cache, song: RowEncoding, grid: SlotGrid, state: SamplerState, sequence: int
) -> None:
    """Fill the sequence's cache with a start token and the last rows of its chart, as in training."""
    chart = sequence % state.done.size
    code_at = state.code_at[chart]
    slots = np.flatnonzero(code_at)
    rows = min(slots.size, KEPT_ROWS)
    first = slots.size - rows
    slot, tokens = np.zeros(rows + 1, np.int64), np.zeros((rows + 1, 3), np.int64)
    slot[0], tokens[0, 2] = song.song_slot[chart], TIME_GAP_BINS - 1
    held = 0
    for number in range(slots.size):
        held = int(HELD_AFTER[held, code_at[slots[number]]])
        if number < first - 1:
            continue
        at = number - first + 1  # the start token stands for the row before the first
        slot[at] = slots[number]
        if at:
            tokens[at, 0], tokens[at, 1] = code_at[slots[number]], held
            tokens[at, 2] = time_gap_bin(grid.slot_tick[slot[at]] - grid.slot_tick[slot[at - 1]])
        else:
            tokens[0, 1] = held
    cache.length[sequence] = 0
    read_rows(weights, cache, song, grid, np.full(rows + 1, sequence), slot, tokens)


@njit(nogil=True)
def row_tables(weights: Weights, gap: Ints, held: Ints, earlier: Ints, alike: Floats) -> Floats:
    """[item, width]: table entries of the time gap [item], the held state [item] and motifs [item, lag] for the row head."""
    tables = np.empty((gap.size, weights.next_elapsed.shape[1]), np.float32)
    for item in range(gap.size):
        motifs = weights.motif[0, earlier[item, 0]] * alike[item, 0]
        for lag in range(1, alike.shape[1]):
            motifs += weights.motif[lag, earlier[item, lag]] * alike[item, lag]
        tables[item] = weights.next_elapsed[gap[item]] + weights.next_held[held[item]]
        tables[item] += motifs
    return tables


@njit(nogil=True)
def next_row_logits(
    weights: Weights,
    cache: Cache,
    song: RowEncoding,
    encoding: SlotEncoding,
    grid: SlotGrid,
    state: SamplerState,
    sequence: Ints,
) -> Floats:
    """[sequence, code] for the slot that each one's chart has come to."""
    items, lags, charts = sequence.size, MOTIF_LAGS.size, state.done.size
    gap, held = np.empty(items, np.int64), np.empty(items, np.int64)
    earlier, alike = np.zeros((items, lags), np.int64), np.empty((items, lags), np.float32)
    cell = np.empty((items, song.cell.shape[2]), np.float32)
    slot = np.empty((items, song.slot.shape[2]), np.float32)
    after = np.empty((items, cache.state.shape[1]), np.float32)
    for item in range(items):
        who = sequence[item]
        chart = who % charts
        at = state.slot[chart]
        gap[item] = time_gap_bin(grid.slot_tick[at] - state.tick[chart])
        held[item], after[item] = state.held[chart], cache.state[who]
        encoding_at(song, who, at, cell[item], slot[item])
        alike[item] = encoding.alike[encoding.of_chart[who], at // SLOTS_PER_CELL]
        for lag in range(lags):
            if at >= MOTIF_LAGS[lag]:
                earlier[item, lag] = state.code_at[chart, at - MOTIF_LAGS[lag]]
    return row_logits(weights, after, slot, cell, row_tables(weights, gap, held, earlier, alike))


@njit(nogil=True)
def advance(
    decoder: tuple[Weights, Cache],
    song: RowEncoding,
    encoding: SlotEncoding,
    grid: SlotGrid,
    params: SamplerParams,
    state: SamplerState,
    charts: Ints,
    rows: int,
) -> Ints:
    """Write up to so many rows of each of these charts; returns those that are not finished."""
    weights, cache = decoder
    for _ in range(rows):
        sequences = sequences_of(charts, cache, state)
        query, by_gap = np.zeros((sequences.size, 1), np.float32), np.zeros((sequences.size, 1), np.float32)
        if params.rhythm_weight != 0:
            query = affine(weights.hazard_query, cache.state[sequences])
            by_gap = affine(weights.hazard_elapsed, cache.state[sequences])
        find_slots(charts, query, by_gap, weights.motif_rhythm, grid, encoding, params, state)
        charts = charts[~state.done[charts]]
        if not charts.size:
            break
        gap = np.empty(charts.size, np.int64)
        for number in range(charts.size):
            chart = charts[number]
            gap[number] = time_gap_bin(grid.slot_tick[state.slot[chart]] - state.tick[chart])
        logits = next_row_logits(weights, cache, song, encoding, grid, state, sequences_of(charts, cache, state))
        draw_codes(charts, logits, grid, params, state)
        unfinished = ~state.done[charts]
        charts = charts[unfinished]
        read_new_rows(weights, cache, song, grid, state, charts, gap[unfinished])
    return charts


@njit(nogil=True)
def read_new_rows(
    weights: Weights, cache: Cache, song: RowEncoding, grid: SlotGrid, state: SamplerState, charts: Ints, gap: Ints
) -> None:
    """Read the row that each of these charts has got, `gap` [chart] bins after the one before; full caches are filled anew."""
    full = cache.length[charts] == CACHE_ROWS
    for sequence in sequences_of(charts[full], cache, state):
        read_last_rows(weights, cache, song, grid, state, sequence)
    some, gap = charts[~full], gap[~full]
    sequences = sequences_of(some, cache, state)
    slot, tokens = np.empty(sequences.size, np.int64), np.empty((sequences.size, 3), np.int64)
    for item in range(sequences.size):
        chart = some[item % some.size]
        slot[item] = state.slot[chart]
        tokens[item, 0], tokens[item, 1], tokens[item, 2] = state.code[chart], state.held[chart], gap[item % some.size]
    read_rows(weights, cache, song, grid, sequences, slot, tokens)


@njit(nogil=True)
def sequences_of(charts: Ints, cache: Cache, state: SamplerState) -> Ints:
    """[sequence]: the charts, and behind them their unconditional twins where there are any."""
    if cache.length.size == state.done.size:
        return charts
    return np.concatenate((charts, charts + state.done.size))
