"""Writes charts row by row: hear the song once, then sample from the hazard and row heads with a cached decoder.

Several charts of one song are written side by side as a batch; each has its own controls and rate bias. What is
written is legal by construction: only legal rows are offered, a column rests `MIN_COLUMN_GAP_MS` between events,
and every hold ends before the song does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from chart.grid import SLOTS_PER_CELL, TICKS_PER_BEAT, Grid
from chart.model import KEYS
from mapper.batches import LONG_AGO_TICKS, MAX_ROWS
from mapper.hearing import Heard
from mapper.model import ELAPSED_BUCKETS, HazardTerms, Mapper, RowTokens, elapsed_bucket
from mapper.rows import HELD_AFTER, HOLD_END, LEGAL, NOTHING, ROW_CODES, STARTS_HOLD, SYMBOLS, Rows, held_states

KEPT_ROWS = 160
"""Rows of context that are read again when the decoder's cache is full."""
SCAN_SLOTS = 96
"""Slots asked at a time for the next row: four beats."""
MIN_COLUMN_GAP_MS = 60.0
"""Between two events of a column, taps, starts and releases alike: 30 ms is unplayable, 60 ms a 250 BPM jack."""
LAST_HOLD_BEATS = 2
"""No hold starts this close to the song's end."""
NO_ROW = np.arange(ROW_CODES) == 0
"""[code], what a chart that is done is left with."""


@dataclass(frozen=True)
class Sampling:
    """How a batch is sampled; arrays are per chart."""

    seed: int
    rate_bias: NDArray[np.float64]  # [chart], added to the hazard's log-odds: more or fewer rows
    onset_weight: float = 1.5  # of what the encoder hears, in the hazard's log-odds
    rhythm_weight: float = 0.5  # of what the rows written so far suggest; 1 and 1 are the model's own likelihood
    hazard_temperature: float = 0.5
    row_temperature: float = 1.0
    top_p: float = 0.99  # of the row head


class Writer:
    """The decoder's memory of a batch of charts being written; all charts advance one row at a time.

    Invariant: the cache holds the keys and values of tokens `0 … length - 1`, and `state` follows the last of them.
    """

    def __init__(self, model: Mapper, heard: Heard) -> None:
        self.model, self.heard = model, heard
        charts = heard.encoding.cell.shape[0]
        head_width = model.config.width // model.config.heads
        shape = (charts, model.config.heads, MAX_ROWS, head_width)
        self.cache = [(torch.zeros(shape), torch.zeros(shape)) for _ in model.decoder]
        self.history: list[RowTokens] = []  # one row each, [chart, 1]
        self.length = 0
        self.state = torch.zeros(charts, 1, model.config.width)

    def push(self, tokens: RowTokens) -> None:
        """Read one more row of every chart."""
        self.history.append(tokens)
        if self.length == MAX_ROWS:
            self._read_again()
        else:
            self._read(replace(tokens, index=torch.full_like(tokens.beat, float(self.length))))

    def _read_again(self) -> None:
        """Start the cache anew with the last rows, behind a start token, as in training."""
        self.length = 0
        before, *recent = self.history[-KEPT_ROWS - 1 :]
        self.history = recent
        long_ago = torch.full_like(before.elapsed, ELAPSED_BUCKETS - 1)
        tokens = [replace(before, code=torch.zeros_like(before.code), elapsed=long_ago), *recent]
        joined = {field.name: torch.cat([getattr(row, field.name) for row in tokens], 1) for field in fields(RowTokens)}
        joined["index"] = torch.arange(len(tokens)).expand(joined["code"].shape).float()
        self._read(RowTokens(**joined))

    def _read(self, tokens: RowTokens) -> None:
        model, end = self.model, self.length + tokens.code.shape[1]
        x = model.embed_rows(tokens, self.heard.encoding, self.heard.decoder_control)
        rotation = model.row_rotation(tokens)
        for block, (keys, values) in zip(model.decoder_blocks(), self.cache, strict=True):
            query, keys[:, :, self.length : end], values[:, :, self.length : end] = block.qkv(x, rotation)
            seen = functional.scaled_dot_product_attention(
                query, keys[:, :, :end], values[:, :, :end], is_causal=tokens.code.shape[1] > 1
            )
            x = block.finish(x, seen)
        self.length = end
        self.state = model.decoder_norm(x[:, -1:])


@dataclass
class Progress:
    """Where each chart of a batch stands; arrays are [chart] unless said otherwise."""

    slot: NDArray[np.int64]  # last row written, or the slot before the first
    tick: NDArray[np.int64]
    held: NDArray[np.int64]  # held state
    last_event_ms: NDArray[np.float64]  # [chart, column]
    done: NDArray[np.bool_]


@torch.inference_mode()
def write_rows(
    model: Mapper, heard: Heard, sampling: Sampling, report: Callable[[float], None] = lambda share: None
) -> list[Rows]:
    """Sample one chart for each set of controls that `heard` was encoded with.

    `report` is told the share of the song that is written. The same arguments give the same rows on one machine.
    """
    grid, charts = heard.grid, heard.encoding.cell.shape[0]
    random = np.random.default_rng(sampling.seed)
    at = _start(grid, charts)
    writer = Writer(model, heard)
    writer.push(_tokens(grid, np.zeros(charts, np.int64), np.full(charts, LONG_AGO_TICKS), at, at.slot + 1))
    written: list[list[tuple[int, int]]] = [[] for _ in range(charts)]
    while not at.done.all():
        slot = _next_slots(writer, at, sampling, random)
        code = _next_codes(writer, at, slot, sampling, random)
        for chart in np.flatnonzero(~at.done & (code > 0)):
            written[chart].append((int(slot[chart]), int(code[chart])))
        elapsed = grid.tick[slot] - at.tick
        _move(grid, at, slot, code)
        writer.push(_tokens(grid, code, elapsed, at, at.slot))
        report(float(at.slot[~at.done].min(initial=grid.slot_ms.size)) / grid.slot_ms.size)
    rows = [np.array(chart, np.int64).reshape(-1, 2) for chart in written]
    return [_with_every_hold_ended(Rows(chart[:, 0], chart[:, 1]), heard) for chart in rows]


def _start(grid: Grid, charts: int) -> Progress:
    return Progress(
        slot=np.full(charts, -1),
        tick=np.full(charts, grid.tick[0] - LONG_AGO_TICKS),
        held=np.zeros(charts, np.int64),
        last_event_ms=np.full((charts, KEYS), -np.inf),
        done=np.zeros(charts, bool),
    )


def _tokens(grid: Grid, code: NDArray, elapsed: NDArray, at: Progress, slot: NDArray) -> RowTokens:
    """One row a chart for the decoder."""
    slot = np.clip(slot, 0, grid.slot_ms.size - 1)
    column = lambda array: torch.from_numpy(np.asarray(array))[:, None]  # noqa: E731
    return RowTokens(
        code=column(code),
        held=column(at.held),
        slot=column(slot),
        elapsed=elapsed_bucket(column(elapsed)),
        beat=column(grid.tick[slot] / TICKS_PER_BEAT).float(),
        index=column(np.zeros(len(code))).float(),
    )


def _next_slots(writer: Writer, at: Progress, sampling: Sampling, random: np.random.Generator) -> NDArray[np.int64]:
    """[chart] slot of each chart's next row; charts that reach the end of the song become done."""
    heard, grid = writer.heard, writer.heard.grid
    terms = writer.model.hazard_terms(writer.state)
    last, found = grid.slot_ms.size - 1, np.zeros(len(at.done), bool)
    slot = at.slot.copy()
    while not (found | at.done).all():
        ahead = slot[:, None] + np.arange(1, SCAN_SLOTS + 1)
        asked = np.minimum(ahead, last)
        fires = random.random(asked.shape) < _hazard(
            writer, terms, asked, grid.tick[asked] - at.tick[:, None], sampling
        )
        fires &= heard.open_slots[asked] & (ahead <= last) & _row_is_possible(grid, at, asked)
        first = np.where(fires.any(1), fires.argmax(1), SCAN_SLOTS - 1)
        waiting = ~found & ~at.done
        slot = np.where(waiting, ahead[np.arange(len(slot)), first], slot)
        found |= waiting & fires.any(1)
        at.done |= waiting & ~fires.any(1) & (slot >= last)
    return np.minimum(slot, last)


def _hazard(
    writer: Writer, terms: HazardTerms, slot: NDArray[np.int64], elapsed_ticks: NDArray[np.int64], sampling: Sampling
) -> NDArray[np.float64]:
    """[chart, slot], chance that the next row falls on each slot, none having fallen since the last row."""
    slots = torch.from_numpy(slot)
    charts = torch.arange(slots.shape[0])[:, None]
    encoding = writer.heard.encoding
    elapsed = elapsed_bucket(torch.from_numpy(elapsed_ticks))
    rhythm = terms.rhythm(torch.zeros_like(slots), encoding.slot[charts, slots], elapsed)
    logit = sampling.onset_weight * encoding.onset_logit[charts, slots] + sampling.rhythm_weight * rhythm
    logit = (logit + torch.from_numpy(sampling.rate_bias)[:, None]) / sampling.hazard_temperature
    return torch.sigmoid(logit.double()).numpy()


def _row_is_possible(grid: Grid, at: Progress, slot: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[chart, slot], whether some column has rested long enough to be used."""
    return grid.slot_ms[slot] - at.last_event_ms.min(1)[:, None] >= MIN_COLUMN_GAP_MS


def _next_codes(
    writer: Writer, at: Progress, slot: NDArray[np.int64], sampling: Sampling, random: np.random.Generator
) -> NDArray[np.int64]:
    """[chart] row code for each chart's slot; 0 for charts that are done."""
    grid, encoding = writer.heard.grid, writer.heard.encoding
    slots, charts = torch.from_numpy(slot), torch.arange(len(slot))
    logits = writer.model.row_logits(
        writer.state[:, 0],
        encoding.slot[charts, slots],
        encoding.cell[charts, slots // SLOTS_PER_CELL],
        elapsed_bucket(torch.from_numpy(grid.tick[slot] - at.tick)),
        torch.from_numpy(at.held),
    )
    legal = _legal_codes(grid, at, slot, int(grid.tick[writer.heard.last_slot]))
    legal[at.done] = NO_ROW
    probability = _nucleus(logits.double().numpy() / sampling.row_temperature, legal, sampling.top_p)
    picked = (probability.cumsum(1) < random.random((len(slot), 1))).sum(1)
    return np.where(at.done, 0, np.minimum(picked, probability.shape[1] - 1))


def _legal_codes(grid: Grid, at: Progress, slot: NDArray[np.int64], last_tick: int) -> NDArray[np.bool_]:
    """[chart, code]: fits the held columns, lets columns rest, starts no hold at the very end.

    Never empty: a column that has rested (`_row_is_possible`) can be tapped or released.
    """
    resting = grid.slot_ms[slot][:, None] - at.last_event_ms < MIN_COLUMN_GAP_MS  # [chart, column]
    disturbs = ((SYMBOLS != NOTHING)[None] & resting[:, None]).any(-1)
    late = grid.tick[slot] > last_tick - LAST_HOLD_BEATS * TICKS_PER_BEAT
    return LEGAL[at.held] & ~disturbs & ~(late[:, None] & STARTS_HOLD)


def _nucleus(logits: NDArray[np.float64], legal: NDArray[np.bool_], top_p: float) -> NDArray[np.float64]:
    """[chart, code] probabilities of the legal codes that make up the first `top_p` of the mass."""
    logits = np.where(legal, logits, -np.inf)
    probability = np.exp(logits - logits.max(1, keepdims=True))
    probability /= probability.sum(1, keepdims=True)
    order = np.argsort(-probability, axis=1, kind="stable")
    ranked = np.take_along_axis(probability, order, 1)
    ranked[np.cumsum(ranked, 1) - ranked >= top_p] = 0
    kept = np.zeros_like(probability)
    np.put_along_axis(kept, order, ranked, 1)
    return kept / kept.sum(1, keepdims=True)


def _move(grid: Grid, at: Progress, slot: NDArray[np.int64], code: NDArray[np.int64]) -> None:
    """Take the new rows into account; charts that are done stay where they are."""
    at.slot = np.where(at.done, at.slot, slot)
    moved = ~at.done & (code > 0)
    at.tick = np.where(moved, grid.tick[slot], at.tick)
    at.held = np.where(moved, HELD_AFTER[at.held, code], at.held)
    touched = (SYMBOLS[code] != NOTHING) & moved[:, None]
    at.last_event_ms = np.where(touched, grid.slot_ms[slot][:, None], at.last_event_ms)


def _with_every_hold_ended(rows: Rows, heard: Heard) -> Rows:
    """Release what is still held when the song ends, at its last slot that sounds."""
    state = int(held_states(rows.code)[-1]) if len(rows) else 0
    if not state:
        return rows
    release = sum(HOLD_END << (2 * column) for column in range(KEYS) if state >> column & 1)
    end = heard.last_slot
    if rows.slot[-1] < end:
        return Rows(np.append(rows.slot, end), np.append(rows.code, release))
    return Rows(rows.slot, np.append(rows.code[:-1], rows.code[-1] | release))
