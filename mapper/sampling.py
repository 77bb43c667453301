"""Writes charts row by row: hear the song once, then sample from the hazard and row heads with a cached decoder.

Several charts of one song are written side by side; each has its own controls, biases and randomness. What is written
is legal by construction: only legal rows are offered, a column rests `mapper.rows.MIN_COLUMN_GAP_MS` between events, and every hold
ends before the song, or the span that is written, does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chart.grid import SLOTS_PER_CELL, TICKS_PER_BEAT, Grid
from chart.model import KEYS
from mapper.architecture import ELAPSED_BUCKETS
from mapper.hearing import Heard
from mapper.network import Network
from mapper.rows import (
    HELD_AFTER,
    HOLD_END,
    HOLD_START,
    MIN_COLUMN_GAP_MS,
    NOTHING,
    ROW_CODES,
    SYMBOLS,
    TAP,
    Rows,
    held_states,
)
from mapper.sampling_kernels import MOTIF_LAGS, next_codes, next_slots
from mapper.stepper import ReadRows, elapsed_buckets
from mapper.stretch import LONG_AGO_TICKS, MAX_ROWS

KEPT_ROWS = 160
"""Rows of context that are read again when the decoder's cache is full."""
HOLDS_BEGUN = (SYMBOLS == HOLD_START).sum(-1)
NOTES_BEGUN = ((SYMBOLS == HOLD_START) | (SYMBOLS == TAP)).sum(-1)
"""[code], holds and notes that a row begins."""
HOLD_GAIN = 0.3
"""Log-odds that a missing hold adds to every later one: the mapper tends to many holds or none, whichever it began."""
MAX_HOLD_LEAN = 8.0
LAST_HOLD_BEATS = 2
"""No hold starts this close to the end."""


@dataclass(frozen=True)
class Sampling:
    """How a batch is sampled; arrays are per chart. Biases are log-odds added before the temperature divides."""

    seed: int
    rate_bias: NDArray[np.float64]  # [chart], to the hazard: more or fewer rows
    row_bias: NDArray[np.float64] | None = None  # [chart, code], to each row code
    repeat_bias: NDArray[np.float64] | None = None  # [chart], for each column pressed again within half a beat
    hold_share: NDArray[np.float64] | None = None  # [chart], kept to while writing; nan or None: as it comes
    luck: NDArray[np.float32] | None = None  # [chart, slot], in 0–1: a row falls where the hazard is above; charts with
    # the same luck have rows in the same places, as far as their hazards allow; None: each draws its own
    onset_weight: float = 1.5  # of what the encoder hears, in the hazard's log-odds
    rhythm_weight: float = 0.5  # of what the rows written so far suggest; 1 and 1 are the model's own likelihood
    hazard_temperature: float = 0.3
    row_temperature: float = 1.0
    top_p: float = 0.99  # of the row head


@dataclass(frozen=True)
class Span:
    """The part of a song that is written, between what is kept; times are on the grid's clock."""

    first_slot: int
    end_slot: int  # the first slot after it
    before: Rows  # what the mapper reads first: the rows before the span; no column held after them
    last_event_ms: NDArray[np.float64]  # [column], end of what is kept before
    next_event_ms: NDArray[np.float64]  # [column], start of what is kept after

    @staticmethod
    def whole(grid: Grid) -> Span:
        """The whole song, with nothing kept."""
        nothing = Rows(np.empty(0, np.int64), np.empty(0, np.int64))
        return Span(0, grid.slot_ms.size, nothing, np.full(KEYS, -np.inf), np.full(KEYS, np.inf))


def write_rows(
    model: Network,
    heard: Heard,
    sampling: Sampling,
    report: Callable[[float], None] = lambda share: None,
    span: Span | None = None,
) -> list[Rows]:
    """Sample one chart for each set of controls that `heard` was encoded with; within the span if one is given.

    `report` is told the share of the song that is written. The same arguments give the same rows on one machine.
    """
    writing = _Writing(model, heard, sampling, span or Span.whole(heard.grid))
    while writing.active.size:
        writing.advance()
        report(writing.share_done)
    return writing.rows()


class _Writing:
    """Charts being written. Arrays are [chart]; `active` numbers those that go on."""

    def __init__(self, model: Network, heard: Heard, sampling: Sampling, span: Span) -> None:
        grid = heard.grid
        self.heard, self.grid, self.sampling, self.span = heard, grid, sampling, span
        self.cell, self.slot_vector = heard.cell, heard.slot
        charts = len(self.cell)
        self.decoder, self.motif_rhythm = model.row_decoder(charts, MAX_ROWS), model.arrays()["motif.rhythm"]
        self.active = np.arange(charts)
        self.random = np.random.SeedSequence(sampling.seed).generate_state(charts, np.uint64).astype(np.uint64)
        self.row_bias = np.zeros((charts, ROW_CODES)) if sampling.row_bias is None else sampling.row_bias
        self.hold_lean = np.zeros(charts)  # log-odds of a hold that keep to the share
        self.repeat_bias = np.zeros(charts) if sampling.repeat_bias is None else sampling.repeat_bias
        self.last_event_ms = np.tile(span.last_event_ms, (charts, 1))
        self.held = np.zeros(charts, np.int64)
        self.code = np.zeros(charts, np.int64)  # of the last row
        self.slot = np.full(charts, span.first_slot - 1)  # where each chart looks on
        self.tick = np.full(charts, grid.tick[0] - LONG_AGO_TICKS)  # of the last row
        self.last_slot = _last_slot(heard, span)
        self.code_at = np.zeros((charts, grid.slot_ms.size), np.int16)  # [chart, slot]
        self.code_at[:, span.before.slot] = span.before.code
        self.log: list[tuple[NDArray, NDArray, NDArray, NDArray]] = []  # charts, slots, codes, held, of all rows read
        self._read_context()

    @property
    def share_done(self) -> float:
        """Of the span, by the chart that is furthest behind."""
        at = self.slot[self.active].min(initial=self.span.end_slot)
        return float(at - self.span.first_slot) / max(self.span.end_slot - self.span.first_slot, 1)

    def advance(self) -> None:
        """One more row for every active chart; those that reach the end are done."""
        found = self._find_slots()
        self.active = self.active[found]
        code = self._draw_codes()
        self.active, code = self.active[code > 0], code[code > 0]
        if not self.active.size:
            return
        active, slot = self.active, self.slot[self.active]
        elapsed = self.grid.tick[slot] - self.tick[active]
        self.tick[active], self.code[active] = self.grid.tick[slot], code
        self.held[active] = HELD_AFTER[self.held[active], code]
        self._count_holds(code)
        touched = SYMBOLS[code] != NOTHING
        self.last_event_ms[active] = np.where(touched, self.grid.slot_ms[slot][:, None], self.last_event_ms[active])
        full = active[self.decoder.length[active] == MAX_ROWS]
        if full.size:
            self._read_again(full)
        self.log.append((active, slot, code, self.held[active]))
        self.code_at[active, slot] = code
        self._read(active, slot, code, self.held[active], elapsed_buckets(elapsed))

    def _count_holds(self, code: NDArray[np.int64]) -> None:
        """Lean to holds where they were too few, and away where they were too many."""
        if self.sampling.hold_share is not None:
            missing = self.sampling.hold_share[self.active] * NOTES_BEGUN[code] - HOLDS_BEGUN[code]
            lean = self.hold_lean[self.active] + HOLD_GAIN * np.nan_to_num(missing)
            self.hold_lean[self.active] = np.clip(lean, -MAX_HOLD_LEAN, MAX_HOLD_LEAN)

    def _find_slots(self) -> NDArray[np.bool_]:
        """[active], whether a next row was found; `slot` is then where."""
        query, by_elapsed = self.decoder.hazard_terms(self.active)
        sampling, found = self.sampling, np.zeros(self.active.size, bool)
        next_slots(
            self.active,
            self.slot,
            self.tick,
            self.last_event_ms,
            self.span.next_event_ms,
            min(self.span.end_slot, self.last_slot + 1),
            self.grid.slot_ms,
            self.grid.tick,
            self.heard.open_slots,
            self.heard.onset_logit,
            self.slot_vector,
            query,
            by_elapsed,
            self.code_at,
            self.heard.alike,
            self.motif_rhythm,
            (sampling.onset_weight, sampling.rhythm_weight, sampling.hazard_temperature),
            sampling.rate_bias,
            self.random,
            np.zeros((0, 0), np.float32) if sampling.luck is None else sampling.luck,
            found,
        )
        return found

    def _draw_codes(self) -> NDArray[np.int64]:
        """[active] row code for each chart's slot."""
        active, slot = self.active, self.slot[self.active]
        picked = np.zeros(active.size, np.int64)
        cell, back = slot // SLOTS_PER_CELL, slot[:, None] - MOTIF_LAGS
        logits = self.decoder.row_logits(
            active,
            self.slot_vector[active, slot],
            self.cell[active, cell],
            elapsed_buckets(self.grid.tick[slot] - self.tick[active]),
            self.held[active],
            np.where(back >= 0, self.code_at[active[:, None], np.maximum(back, 0)], 0),
            self.heard.alike[active, cell],
        )
        next_codes(
            active,
            self.slot,
            self.tick,
            self.held,
            self.code,
            self.last_event_ms,
            self.span.next_event_ms,
            int(self.grid.tick[self.last_slot]) - LAST_HOLD_BEATS * TICKS_PER_BEAT,
            self.grid.slot_ms,
            self.grid.tick,
            logits,
            self.row_bias + self.hold_lean[:, None] * HOLDS_BEGUN,
            self.repeat_bias,
            self.sampling.row_temperature,
            self.sampling.top_p,
            self.random,
            picked,
        )
        return picked

    def _read(self, charts: NDArray, slot: NDArray, code: NDArray, held: NDArray, elapsed: NDArray) -> None:
        self.decoder.read(
            ReadRows(
                chart=charts,
                code=code,
                held=held,
                elapsed=elapsed,
                beat=(self.grid.tick[slot] / TICKS_PER_BEAT).astype(np.float32),
                cell=self.cell[charts, slot // SLOTS_PER_CELL],
                slot=self.slot_vector[charts, slot],
                control=self.heard.decoder_control[charts],
            )
        )

    def _read_context(self) -> None:
        """A start token for every chart, and the rows before the span."""
        before = self.span.before
        rows = Rows(before.slot[-KEPT_ROWS:], before.code[-KEPT_ROWS:])
        held = held_states(before.code)[-KEPT_ROWS - 1 :] if len(before) else np.zeros(0, np.int64)
        start_slot = int(before.slot[-KEPT_ROWS - 1]) if len(before) > KEPT_ROWS else 0
        start_held = int(held[0]) if len(before) > KEPT_ROWS else 0
        for chart in self.active:
            self._read_from(int(chart), start_slot, start_held, rows, held[-len(rows) :])
        if len(rows):
            self.tick[:], self.code[:] = self.grid.tick[rows.slot[-1]], rows.code[-1]
            self.slot = np.maximum(self.slot, rows.slot[-1])

    def _read_again(self, charts: NDArray[np.int64]) -> None:
        """Start the caches of charts anew with their last rows."""
        self.decoder.forget(charts)
        for chart in charts:
            slot, code, held = self._recent(int(chart))
            self._read_from(int(chart), int(slot[0]), int(held[0]), Rows(slot[1:], code[1:]), held[1:])

    def _read_from(self, chart: int, start_slot: int, start_held: int, rows: Rows, held: NDArray[np.int64]) -> None:
        """Read rows behind a start token, as in training; the start stands for a row at `start_slot`."""
        slot = np.concatenate(([start_slot], rows.slot))
        tick = self.grid.tick[slot]
        elapsed = np.concatenate(([ELAPSED_BUCKETS - 1], elapsed_buckets(np.diff(tick))))
        charts = np.full(slot.size, chart)
        self._read(charts, slot, np.concatenate(([0], rows.code)), np.concatenate(([start_held], held)), elapsed)

    def _recent(self, chart: int) -> tuple[NDArray, NDArray, NDArray]:
        """(slot, code, held) of the chart's last rows, one more than `KEPT_ROWS`."""
        parts = []
        for charts, slot, code, held in self.log[-KEPT_ROWS - 1 :]:  # a chart that goes on is in every entry
            at = int(np.searchsorted(charts, chart))
            parts.append((slot[at], code[at], held[at]))
        slot, code, held = np.array(parts).T
        return slot, code, held

    def rows(self) -> list[Rows]:
        """What was written for each chart, every hold ended."""
        joined = [np.concatenate(part) if self.log else np.empty(0, np.int64) for part in zip(*self.log, strict=True)]
        charts, slot, code, _ = joined or [np.empty(0, np.int64)] * 4
        written = [Rows(slot[charts == chart], code[charts == chart]) for chart in range(len(self.cell))]
        return [_with_every_hold_ended(rows, self.last_slot) for rows in written]


def _last_slot(heard: Heard, span: Span) -> int:
    """The last slot of the span where a hold may end, at rest from what is kept after."""
    rested = heard.grid.slot_ms <= span.next_event_ms.min() - MIN_COLUMN_GAP_MS
    slots = np.flatnonzero(heard.open_slots & rested)
    slots = slots[(slots >= span.first_slot) & (slots < span.end_slot)]
    return int(slots[-1]) if slots.size else span.first_slot - 1


def _with_every_hold_ended(rows: Rows, last_slot: int) -> Rows:
    """Release what is still held at the last slot that sounds."""
    state = int(held_states(rows.code)[-1]) if len(rows) else 0
    if not state:
        return rows
    release = sum(HOLD_END << (2 * column) for column in range(KEYS) if state >> column & 1)
    if rows.slot[-1] < last_slot:
        return Rows(np.append(rows.slot, last_slot), np.append(rows.code, release))
    return Rows(rows.slot, np.append(rows.code[:-1], rows.code[-1] | release))
