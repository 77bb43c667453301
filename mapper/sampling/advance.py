"""Writing row after row, compiled: find each chart's next slot, draw its row, read it; hundreds of rows a call.

Charts may be advanced by several threads at once, each its own. Shapes use: chart, listener (a chart, or with guidance its
unconditional twin: all charts first), item (a row that is read), slot, cell, lag.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chart.grid import SLOTS_PER_CELL, TICKS_PER_BEAT
from mapper.network.compiled.cached_decoder import TIME_GAP_BIN, Cache, Weights, affine, read, row_logits
from mapper.network.interface import DecoderInput, Floats, Ints
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
def rows_to_read(
    charts: Ints, cache: Cache, song: RowEncoding, grid: SlotGrid, state: SamplerState
) -> tuple[Ints, Ints, Ints]:
    """The rows that these charts' sequences have not read yet: (sequence [item], slot [item], tokens [item, 3]).

    Tokens are (code, held state, time gap bin). That is the row that was written last, or for a cache that is empty or full a
    start token and the last rows, as in training.
    """
    sequences = sequences_of(charts, cache, state)
    behind = np.zeros(sequences.size + 1, np.int64)  # items before each sequence's
    for number in range(sequences.size):
        chart, length = sequences[number] % state.done.size, cache.length[sequences[number]]
        items = 1 if state.gap[chart] >= 0 else 0
        if length == 0 or (items and length == CACHE_ROWS):
            items = 1 + min(int(np.count_nonzero(state.code_at[chart])), KEPT_ROWS)
            cache.length[sequences[number]] = 0
        behind[number + 1] = behind[number] + items
    sequence, slot = np.empty(behind[-1], np.int64), np.zeros(behind[-1], np.int64)
    tokens = np.zeros((behind[-1], 3), np.int64)
    for number in range(sequences.size):
        own = slice(behind[number], behind[number + 1])
        chart = sequences[number] % state.done.size
        sequence[own] = sequences[number]
        if cache.length[sequences[number]] == 0:
            last_rows(song.song_slot[chart], grid, state.code_at[chart], slot[own], tokens[own])
        elif own.stop > own.start:
            slot[own], tokens[own, 0], tokens[own, 1] = state.slot[chart], state.code[chart], state.held[chart]
            tokens[own, 2] = state.gap[chart]
    for chart in charts:
        state.gap[chart] = -1
    return sequence, slot, tokens


@njit(nogil=True)
def last_rows(song_slot: int, grid: SlotGrid, code_at: NDArray[np.int16], slot: Ints, tokens: Ints) -> None:
    """Fill in a start token and as many of the chart's last rows as there is room for."""
    slots = np.flatnonzero(code_at)
    first = slots.size - (slot.size - 1)
    slot[0], tokens[0, 2] = song_slot, TIME_GAP_BINS - 1
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


@njit(nogil=True)
def row_inputs(song: RowEncoding, grid: SlotGrid, sequence: Ints, slot: Ints, tokens: Ints) -> DecoderInput:
    """What the decoder reads of rows [item] at these slots."""
    items = slot.size
    cell = np.empty((items, song.cell.shape[2]), np.float32)
    at_slot = np.empty((items, song.slot.shape[2]), np.float32)
    control, beat = np.empty_like(cell), np.empty(items, np.float32)
    for item in range(items):
        who, at = sequence[item], slot[item]
        encoding_at(song, who, at, cell[item], at_slot[item])
        control[item], beat[item] = song.control[who], grid.slot_tick[at] / TICKS_PER_BEAT
    columns = np.ascontiguousarray(tokens.T)
    return DecoderInput(sequence, columns[0], columns[1], columns[2], beat, cell, at_slot, control)


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
        sequence, slot, tokens = rows_to_read(charts, cache, song, grid, state)
        if sequence.size:  # at one place only: each place would be compiled by itself, for seconds
            read(weights, cache, row_inputs(song, grid, sequence, slot, tokens))
        sequences = sequences_of(charts, cache, state)
        query, by_gap = np.zeros((sequences.size, 1), np.float32), np.zeros((sequences.size, 1), np.float32)
        if params.rhythm_weight != 0:
            query = affine(weights.hazard_query, cache.state[sequences])
            by_gap = affine(weights.hazard_elapsed, cache.state[sequences])
        find_slots(charts, query, by_gap, weights.motif_rhythm, grid, encoding, params, state)
        charts = charts[~state.done[charts]]
        if not charts.size:
            break
        for chart in charts:
            state.gap[chart] = time_gap_bin(grid.slot_tick[state.slot[chart]] - state.tick[chart])
        logits = next_row_logits(weights, cache, song, encoding, grid, state, sequences_of(charts, cache, state))
        draw_codes(charts, logits, grid, params, state)
        charts = charts[~state.done[charts]]
    return charts


@njit(nogil=True)
def sequences_of(charts: Ints, cache: Cache, state: SamplerState) -> Ints:
    """[sequence]: the charts, and behind them their unconditional twins where there are any."""
    if cache.length.size == state.done.size:
        return charts
    return np.concatenate((charts, charts + state.done.size))
