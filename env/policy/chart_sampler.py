"""The mapper's sampler for many songs at once: whole drafts, and sections of charts.

The encodings of all songs that are asked for stand one behind another on one timeline of slots, so that the sampler writes
every chart in one batch. Shapes use: chart, slot (of the timeline), cell, row.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chart.grid import SLOTS_PER_CELL, Grid
from chart.model import KEYS
from env.policy.draft_sampling import Draft, draft_sampling
from env.task.episodes import NO_ROWS, Outline, Target
from env.task.songs import ChartedSong, SongSet
from mapper.network.model import Mapper
from mapper.sampling.advance import KEPT_ROWS
from mapper.sampling.encode_song import SongEncoding, encode_song
from mapper.sampling.motif_noise import BAR_CELLS
from mapper.sampling.sampler import Sampling, Span, write_rows
from mapper.structure.plan import StructurePlan
from mapper.tokens.conditioning_vector import Controls
from mapper.tokens.row_codes import SYMBOLS, Rows

REMEMBERED = 64
"""Encoded songs that are kept."""


@dataclass(frozen=True)
class PolicySampling:
    """Weights of the hazard's log-odds and temperatures; 1, 1, 1, 1 is the model's own likelihood."""

    onset_weight: float = Sampling.onset_weight
    rhythm_weight: float = Sampling.rhythm_weight
    hazard_temperature: float = Sampling.hazard_temperature
    row_temperature: float = Sampling.row_temperature


@dataclass(frozen=True)
class Request:
    """A section to be sampled behind known rows. Slots count from the song's first."""

    song: int
    target: Target
    first_slot: int
    end_slot: int
    rows: Rows  # known before, `env.task.episodes.Episode.context` and what is written already
    onset_bias: float = 0.0
    hold_bias: float = 0.0

    def needed(self, song: ChartedSong) -> NDArray[np.bool_]:
        """[cell] cells whose encoding the sampler reads: those of the last rows, of the section, and the song's first."""
        cell = np.zeros(song.grid.cells, np.bool_)
        read = self.rows.slot[-KEPT_ROWS - 1 :] // SLOTS_PER_CELL
        cell[0] = cell[read] = True
        cell[self.first_slot // SLOTS_PER_CELL : -(-self.end_slot // SLOTS_PER_CELL)] = True
        return cell


@dataclass(frozen=True)
class Timeline:
    """Encodings of stretches of songs, one behind another."""

    encoding: SongEncoding  # one encoding of all, and a `decoder_control` for each chart
    shift: NDArray[np.int64]  # [chart], slot of the timeline where the chart's song begins


def controls_of(targets: Sequence[Target]) -> Controls:
    """The targets as the mapper is conditioned on them."""
    rows = [(one.stars, one.notes_per_s, one.hold_ratio, one.style) for one in targets]
    stars, notes_per_s, hold_ratio, style = zip(*rows, strict=True)
    return Controls(stars, notes_per_s, hold_ratio, style)


class ChartSampler:
    """Samples with one mapper on one song set; remembers encodings until `forget`."""

    def __init__(self, model: Mapper, library: SongSet, sampling: PolicySampling | None = None) -> None:
        self.model, self.library, self.sampling = model, library, sampling or PolicySampling()
        self._known: OrderedDict[tuple[int, Target], tuple[SongEncoding, NDArray[np.bool_]]] = OrderedDict()
        self._plans: OrderedDict[int, StructurePlan] = OrderedDict()

    def forget(self) -> None:
        """Forget all encodings, whose onset logits depend on trained weights."""
        self._known.clear()

    def encode(self, song: int, target: Target, needed: NDArray[np.bool_] | None = None) -> SongEncoding:
        """The encoding of a song for a target; cells that are not `needed` [cell] may be 0. None: all are."""
        charted = self.library.songs[song]
        wanted = np.ones(charted.grid.cells, np.bool_) if needed is None else needed
        encoding, encoded = self._known.get((song, target), (None, ~wanted))
        if encoding is None or (wanted & ~encoded).any():
            encoded = encoded | wanted if encoding is not None else wanted
            controls = controls_of([target])
            args = (self.model, charted.grid, charted.features, charted.lag_ms, controls)
            encoding = encode_song(*args, needed=None if encoded.all() else encoded)
            self._known[song, target] = (encoding, encoded)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end((song, target))
        return encoding

    def draft(self, outlines: Sequence[Outline]) -> list[Rows]:
        """Whole charts for the outlines, as `mapper.generate` samples its first; an `env.task.episodes.Drafter`."""
        grids = [self.library.songs[one.song].grid for one in outlines]
        requests = [
            Request(one.song, one.target, 0, grid.slot_ms.size, NO_ROWS, one.onset_bias)
            for one, grid in zip(outlines, grids, strict=True)
        ]
        timeline = self.timeline(requests)
        seeds = np.array([[one.seed, one.onset_bias > 0] for one in outlines]) @ [2, 1]
        biases = self._rate_bias(requests)
        drafts = [
            Draft(one.target, seed, bias, self.encode(one.song, one.target), self._plan(one.song))
            for one, seed, bias in zip(outlines, seeds.tolist(), biases.tolist(), strict=True)
        ]
        sampling = draft_sampling(drafts, timeline.shift, timeline.encoding.open_slots.size)
        written = self._written(timeline, requests, sampling)
        return [draft.plan.mended(rows) for draft, rows in zip(drafts, written, strict=True)]

    def _plan(self, song: int) -> StructurePlan:
        """The structure of a song's charts, remembered for as long as the sampler lives."""
        if song not in self._plans:
            charted = self.library.songs[song]
            self._plans[song] = StructurePlan(charted.grid, charted.features, charted.lag_ms, seed=0)
            if len(self._plans) > REMEMBERED:
                self._plans.popitem(last=False)
        return self._plans[song]

    def sections(self, requests: Sequence[Request], seeds: NDArray[np.int64]) -> tuple[list[Rows], Timeline]:
        """Rows of the sections, without those known before, from the whole softmax (`top_p` 1); seeds are [chart].

        Rows are noted as they were sampled: holds still open at the end stay open.
        """
        timeline, ways = self.timeline(requests), self.sampling
        sampling = Sampling(
            seeds,
            self._rate_bias(requests),
            hold_share=np.array([one.target.hold_ratio for one in requests]),
            hold_bias=np.array([one.hold_bias for one in requests]),
            onset_weight=ways.onset_weight,
            rhythm_weight=ways.rhythm_weight,
            hazard_temperature=ways.hazard_temperature,
            row_temperature=ways.row_temperature,
            top_p=1.0,
            repeated_ratio=0.0,
        )
        return self._written(timeline, requests, sampling, ends_holds=False), timeline

    def timeline(self, requests: Sequence[Request]) -> Timeline:
        """Encodings for the requests; those of one song and target share a stretch."""
        keys = [(one.song, one.target) for one in requests]
        needed: dict[tuple[int, Target], NDArray[np.bool_]] = {}
        for key, one in zip(keys, requests, strict=True):
            cells = one.needed(self.library.songs[one.song])
            needed[key] = needed[key] | cells if key in needed else cells
        parts = {key: self.encode(*key, cells) for key, cells in needed.items()}
        lengths = [
            -(-len(cells) // BAR_CELLS) * BAR_CELLS for cells in needed.values()
        ]  # whole bars: noise repeats by bar
        starts = dict(zip(parts, (np.cumsum([0, *lengths[:-1]]) * SLOTS_PER_CELL).tolist(), strict=True))
        padded = [_padded(part, length) for part, length in zip(parts.values(), lengths, strict=True)]
        cell, slot, onset_logit, alike = (
            np.concatenate([getattr(one, name) for one in padded], 1)
            for name in ("cell", "slot", "onset_logit", "alike")
        )
        encoding = SongEncoding(
            cell=cell,
            slot=slot,
            onset_logit=onset_logit,
            decoder_control=np.concatenate([parts[key].decoder_control for key in keys]),
            alike=alike,
            grid=_joined([one.grid for one in padded]),
            open_slots=np.concatenate([one.open_slots for one in padded]),
        )
        return Timeline(encoding, np.array([starts[key] for key in keys]))

    def _rate_bias(self, requests: Sequence[Request]) -> NDArray[np.float64]:
        return self.sampling.onset_weight * np.array([one.onset_bias for one in requests])

    def _written(
        self, timeline: Timeline, requests: Sequence[Request], sampling: Sampling, ends_holds: bool = True
    ) -> list[Rows]:
        slot_ms = timeline.encoding.grid.slot_ms
        spans = []
        for one, shift in zip(requests, timeline.shift.tolist(), strict=True):
            before = Rows(one.rows.slot + shift, one.rows.code)
            last = last_event_ms(before, slot_ms)
            first, end = one.first_slot + shift, one.end_slot + shift
            song_end = shift + self.library.songs[one.song].grid.slot_ms.size
            spans.append(Span(first, end, before, last, np.full(KEYS, np.inf), shift, song_end, ends_holds))
        written = write_rows(self.model, timeline.encoding, sampling, span=spans)
        return [Rows(one.slot - by, one.code) for one, by in zip(written, timeline.shift.tolist(), strict=True)]


def last_event_ms(rows: Rows, slot_ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """[column] time of each column's last event, −inf where there is none."""
    result = np.full(KEYS, -np.inf)
    for column in range(KEYS):
        touched = rows.slot[SYMBOLS[rows.code, column] != 0]
        if touched.size:
            result[column] = slot_ms[touched[-1]]
    return result


def _padded(part: SongEncoding, cells: int) -> SongEncoding:
    """The encoding with closed slots behind it, up to so many cells."""
    more, grid = cells - part.cell.shape[1], part.grid
    slots = more * SLOTS_PER_CELL
    after: dict[str, Any] = {
        name: np.pad(getattr(part, name), [(0, 0), (0, more), (0, 0)]) for name in ("cell", "alike")
    }
    after["slot"] = np.pad(part.slot, [(0, 0), (0, slots), (0, 0)])
    after["onset_logit"] = np.pad(part.onset_logit, [(0, 0), (0, slots)])
    arrays = {name: getattr(grid, name) for name in Grid.__dataclass_fields__}
    longer = {
        name: np.pad(array, (0, slots if array.size == grid.slot_ms.size else more), "edge")
        for name, array in arrays.items()
    }
    return replace(part, **after, open_slots=np.pad(part.open_slots, (0, slots)), grid=Grid(**longer))


def _joined(grids: Sequence[Grid]) -> Grid:
    """Grids one behind another; times and ticks begin anew with each."""
    return Grid(**{name: np.concatenate([getattr(one, name) for one in grids]) for name in Grid.__dataclass_fields__})
