"""Writes charts row by row: encode the song once, then sample from the hazard and row heads with a cached decoder.

Several charts are written side by side; each has its own controls, biases and randomness, and its own span of the slots,
which may be those of several songs one behind another. What is written is legal by construction: only legal rows are offered, a column rests `mapper.tokens.row_codes.MIN_COLUMN_GAP_MS` between events, and every hold
ends before the song, or the span that is written, does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chart.grid import SLOTS_PER_CELL, TICKS_PER_BEAT, Grid
from chart.model import KEYS
from mapper.network.compiled.cached_decoder import CachedDecoder
from mapper.network.interface import Network
from mapper.sampling.advance import CACHE_ROWS, RowEncoding, advance
from mapper.sampling.encode_song import Mixture, SongEncoding
from mapper.sampling.kernels import SamplerParams, SamplerState, SlotEncoding, SlotGrid
from mapper.sampling.motif_noise import REPEATED_SHARE, gumbel_seeds
from mapper.tokens.row_codes import HOLD_END, MIN_COLUMN_GAP_MS, ROW_CODES, Rows, held_states, legal_rows
from mapper.tokens.window import LONG_AGO_TICKS
from runtime.limits import threads as usable_threads

LAST_HOLD_BEATS = 2
"""No hold starts this close to the end."""
ROWS_A_CALL = 32
"""Rows of each chart between two reports of progress."""
CHARTS_A_THREAD = 2
"""Charts a thread, at least; one thread may have fewer. A thread reads all matrices once for each row of its charts."""


@dataclass(frozen=True)
class Sampling:
    """Sampling of a batch; arrays are per chart. Biases are log-odds added before the temperature divides."""

    seed: int | NDArray[np.int64]  # of the batch; or [chart], then a chart does not depend on its place in the batch
    rate_bias: NDArray[np.float64]  # [chart], to the hazard: more or fewer rows
    row_bias: NDArray[np.float64] | None = None  # [chart, code], to each row code
    hold_share: NDArray[np.float64] | None = None  # [chart], kept to while writing; nan or None: as it comes
    hold_bias: NDArray[np.float64] | None = None  # [chart], log-odds of a hold at the beginning; None: 0
    uniforms: NDArray[np.float32] | None = (
        None  # [chart, slot], in 0–1: a row falls where the hazard is above; charts with
    )
    # the same uniforms have rows in the same places, as far as their hazards allow; None: each draws its own
    hold_begin: NDArray[np.float64] | None = None  # [slot], log-odds of each hold that begins there
    hold_end: NDArray[np.float64] | None = None  # [slot], and of each that ends there
    alternation: NDArray[np.float64] | None = None  # [chart], taken from two rows in turn with a chord of three
    recall: NDArray[np.float64] | None = None  # [chart], share of rows that press a column of the row before again
    chords: NDArray[np.float64] | None = None  # [chart, 3], share of rows of 2, 3, 4 notes; nan or None: as it comes
    onset_weight: float = 1.5  # of the encoder's onset logit, in the hazard's log-odds
    rhythm_weight: float = 0.0  # of what the rows written so far suggest; 1 and 1 are the model's own likelihood
    hazard_temperature: float = 0.2
    row_temperature: float = 1.0
    top_p: float = 0.99  # of the row head
    repeated_ratio: float = REPEATED_SHARE  # of the bars that resemble an earlier one, those that share its noise
    guidance: float = 1.0  # 0: as without a request, 1: as the network was trained, above 1: the request exaggerated

    def seeds(self, charts: int) -> tuple[NDArray[np.uint64], list[list[int]]]:
        """([chart] states of the hazard's generators, [chart] seeds of the rows' noise)."""
        if not isinstance(self.seed, np.ndarray):
            states = np.random.SeedSequence(self.seed).generate_state(charts, np.uint64).astype(np.uint64)
            return states, [[self.seed, chart] for chart in range(charts)]
        own = [int(seed) for seed in self.seed]
        states = np.array([np.random.SeedSequence(one).generate_state(1, np.uint64)[0] for one in own], np.uint64)
        return states, [[one] for one in own]

    def params(self, slots: int) -> SamplerParams:
        """Parameters of the compiled loops for a grid of so many slots."""
        charts = self.rate_bias.size
        return SamplerParams(
            rate_bias=self.rate_bias,
            row_bias=np.zeros((charts, ROW_CODES)) if self.row_bias is None else self.row_bias,
            chords=np.full((charts, KEYS - 1), np.nan) if self.chords is None else self.chords,
            hold_share=np.full(charts, np.nan) if self.hold_share is None else self.hold_share,
            hold_begin=np.zeros(slots) if self.hold_begin is None else self.hold_begin,
            hold_end=np.zeros(slots) if self.hold_end is None else self.hold_end,
            alternation=np.zeros(charts) if self.alternation is None else self.alternation,
            recall=np.full(charts, np.nan) if self.recall is None else self.recall,
            uniforms=np.zeros((0, 0), np.float32) if self.uniforms is None else self.uniforms,
            onset_weight=self.onset_weight,
            rhythm_weight=self.rhythm_weight,
            hazard_temperature=self.hazard_temperature,
            row_temperature=self.row_temperature,
            top_p=self.top_p,
            guidance=self.guidance,
        )


@dataclass(frozen=True)
class Span:
    """The part of a song that is written, between what is kept; times are on the grid's clock."""

    first_slot: int
    end_slot: int  # the first slot after it
    before: Rows  # rows before the span, read first; no column is held before the first of them
    last_event_ms: NDArray[np.float64]  # [column], end of what is kept before
    next_event_ms: NDArray[np.float64]  # [column], start of what is kept after
    song_slot: int = 0  # the song's first slot
    song_end: int | None = None  # the slot behind the song; None: the grid's end
    ends_holds: bool = True  # release what is held after the last row

    @staticmethod
    def whole(grid: Grid) -> Span:
        """The whole song, with nothing kept."""
        nothing = Rows(np.empty(0, np.int64), np.empty(0, np.int64))
        return Span(0, grid.slot_ms.size, nothing, np.full(KEYS, -np.inf), np.full(KEYS, np.inf))


def write_rows(
    model: Network,
    encoding: SongEncoding,
    sampling: Sampling,
    report: Callable[[float], None] = lambda share: None,
    span: Span | Sequence[Span] | None = None,
) -> list[Rows]:
    """Sample one chart for each row of `encoding.decoder_control`, within its span if one is given.

    `encoding` has an encoding for each chart, or one that all share. `span` is one for all or one a chart; default: the
    whole song. `report` is called with the share written, 0–1. The same arguments give the same rows on one machine.
    """
    charts = sampling.rate_bias.size
    spans = [span or Span.whole(encoding.grid)] * charts if span is None or isinstance(span, Span) else list(span)
    writing = _Writing(model, encoding, sampling, spans)
    writing.write(report)
    return writing.rows()


class _Writing:
    """Charts being written. The decoder's sequences are all charts, then with guidance their shadows (mapper.sampling.kernels)."""

    def __init__(self, model: Network, encoding: SongEncoding, sampling: Sampling, spans: Sequence[Span]) -> None:
        if sampling.rhythm_weight:
            encoding = encoding.dense()  # every slot's encoding is read, not only those of rows
        self.encoding, self.grid, self.spans, self.ended = encoding, encoding.grid, spans, False
        self.charts, sequences = sampling.rate_bias.size, len(encoding.decoder_control)
        assert sequences == self.charts * (1 if sampling.guidance == 1 else 2), "with guidance, each chart has a shadow"
        decoder = CachedDecoder(model, sequences, CACHE_ROWS)
        self.decoder = (decoder.weights, decoder.cache)
        self.last_slot = np.array([last_slot_of(encoding.grid, encoding.open_slots, span) for span in spans])
        self.slot_grid = SlotGrid(
            self.grid.slot_ms,
            self.grid.tick,
            encoding.open_slots,
            np.minimum([span.end_slot for span in spans], self.last_slot + 1),
            self.grid.tick[self.last_slot] - LAST_HOLD_BEATS * TICKS_PER_BEAT,
            np.array([span.next_event_ms for span in spans]),
            legal_rows(),
        )
        several = len(encoding.onset_logit) == sequences
        self.of_chart = np.arange(sequences) if several else np.zeros(sequences, np.int64)
        self.slot_encoding = SlotEncoding(self.of_chart, encoding.slot, encoding.onset_logit, encoding.alike)
        mixture = encoding.mixture or Mixture(self.of_chart, self.of_chart, np.zeros(sequences, np.float32))
        self.song = RowEncoding(
            *mixture,
            encoding.cell,
            encoding.slot,
            encoding.decoder_control,
            np.array([span.song_slot for span in spans]),
        )
        self.params = sampling.params(self.grid.slot_ms.size)
        self.state = self._at_first(sampling)

    def _at_first(self, sampling: Sampling) -> SamplerState:
        """Nothing written behind the rows that are kept before each span."""
        charts, tick = self.charts, self.grid.tick
        states, noise = sampling.seeds(charts)
        state = SamplerState(
            done=np.zeros(charts, np.bool_),
            slot=np.array([span.first_slot - 1 for span in self.spans]),
            tick=np.array([tick[span.song_slot] - LONG_AGO_TICKS for span in self.spans]),
            held=np.zeros(charts, np.int64),
            code=np.zeros(charts, np.int64),
            last_event_ms=np.array([span.last_event_ms for span in self.spans]),
            hold_logit_bias=np.zeros(charts) if sampling.hold_bias is None else sampling.hold_bias.astype(np.float64),
            chord_bias=np.zeros((charts, KEYS + 1)),
            recall_bias=np.zeros(charts),
            random=states,
            gumbel_seeds=self._row_noise(noise, sampling.repeated_ratio),
            code_at=np.zeros((charts, tick.size), np.int16),
            gap=np.full(charts, -1),
        )
        for chart, before in enumerate(span.before for span in self.spans):
            if len(before):
                state.code_at[chart, before.slot] = before.code
                state.slot[chart] = max(state.slot[chart], before.slot[-1])
                state.tick[chart], state.code[chart] = tick[before.slot[-1]], before.code[-1]
                state.held[chart] = held_states(before.code)[-1]
        return state

    def _row_noise(self, seeds: list[list[int]], repeated_ratio: float) -> NDArray[np.uint64]:
        """Seeds of the rows' noise, `SamplerState.gumbel_seeds`; each chart's depend on its own song alone."""
        alike, of_chart = self.encoding.alike, self.of_chart
        if not repeated_ratio:
            return gumbel_seeds(alike[:1], seeds, repeated_ratio)
        result = np.zeros((self.charts, self.grid.slot_ms.size), np.uint64)
        for chart, (span, seed) in enumerate(zip(self.spans, seeds, strict=True)):
            own = slice(span.song_slot, span.song_end or self.grid.slot_ms.size)
            cells = slice(own.start // SLOTS_PER_CELL, own.stop // SLOTS_PER_CELL)
            result[chart, own] = gumbel_seeds(alike[of_chart[chart], cells][None], [seed], repeated_ratio)[0]
        return result

    def write(self, report: Callable[[float], None]) -> None:
        """Write all charts to the end, some in each thread; what is written does not depend on how many there are."""
        threads = max(min(usable_threads(), -(-self.charts // CHARTS_A_THREAD)), 1)
        groups = [np.arange(first, self.charts, threads) for first in range(threads)]
        with ThreadPoolExecutor(threads) as pool:
            others = [pool.submit(self._write_group, group) for group in groups[1:]]
            try:
                self._write_group(groups[0], report)
                for other in others:
                    other.result()
            finally:
                self.ended = True  # after Ctrl-C the other threads stop at their next rows

    def _write_group(self, charts: NDArray[np.int64], report: Callable[[float], None] = lambda share: None) -> None:
        arrays = (self.decoder, self.song, self.slot_encoding, self.slot_grid, self.params, self.state)
        while charts.size and not self.ended:
            charts = advance(*arrays, charts, ROWS_A_CALL)
            report(self._share_done(charts))

    def _share_done(self, charts: NDArray[np.int64]) -> float:
        """Of its span, by the chart that is furthest behind; 1 when none is left."""
        first, end = (
            np.array([getattr(self.spans[one], name) for one in charts]) for name in ("first_slot", "end_slot")
        )
        return float(((self.state.slot[charts] - first) / np.maximum(end - first, 1)).min(initial=1.0))

    def rows(self) -> list[Rows]:
        """The rows written for each chart; holds are released at the end where the span requires it."""
        written = []
        for codes, span, last_slot in zip(self.state.code_at, self.spans, self.last_slot.tolist(), strict=True):
            slot = np.flatnonzero(codes)
            slot = slot[np.isin(slot, span.before.slot, invert=True)]
            rows = Rows(slot, codes[slot].astype(np.int64))
            written.append(_with_every_hold_ended(rows, last_slot) if span.ends_holds else rows)
        return written


def last_slot_of(grid: Grid, open_slots: NDArray[np.bool_], span: Span) -> int:
    """Last slot of the span at which a hold may end, so that what is kept behind the span has its rest."""
    own = slice(span.first_slot, span.end_slot)
    rested = grid.slot_ms[own] <= span.next_event_ms.min() - MIN_COLUMN_GAP_MS
    slots = np.flatnonzero(open_slots[own] & rested)
    return span.first_slot + (int(slots[-1]) if slots.size else -1)


def _with_every_hold_ended(rows: Rows, last_slot: int) -> Rows:
    """Release what is still held at the last slot that sounds."""
    state = int(held_states(rows.code)[-1]) if len(rows) else 0
    if not state:
        return rows
    release = sum(HOLD_END << (2 * column) for column in range(KEYS) if state >> column & 1)
    if rows.slot[-1] < last_slot:
        return Rows(np.append(rows.slot, last_slot), np.append(rows.code, release))
    return Rows(rows.slot, np.append(rows.code[:-1], rows.code[-1] | release))
