"""The structure of a song's charts, planned before their rows are sampled.

    plan = StructurePlan(grid, features, lag_ms, seed, dynamics=1.0)
    uniforms = plan.uniforms(encoding, stars, biases)     # for `mapper.sampling.sampler.Sampling.uniforms`
    rows = plan.mended(rows)                              # after sampling
    plan.hold_share, plan.hold_odds

Charts of one song share the noise of their rhythms, so that easier difficulties keep the rhythm of harder ones and bars
of different candidates can be joined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from chart.grid import Grid
from mapper.structure.bars import BarGrid, BarSound
from mapper.structure.dynamics import density_odds
from mapper.structure.edges import edge_bars
from mapper.structure.holds import hold_odds, hold_share, song_profile
from mapper.structure.idle_holds import end_idle_holds
from mapper.structure.rhythm import ROW_RATIO, STAR_KNOTS, RhythmSettings, expected_rows, plan_rows
from mapper.structure.settings import settings
from mapper.tokens.row_codes import Rows

ROW, NO_ROW = -1.0, 2.0
"""Uniform numbers below and above every chance: a row surely falls there, or none."""


class Encoding(Protocol):
    """The fields of `mapper.sampling.encode_song.SongEncoding` that are read; with guidance, unconditional charts follow the others."""

    @property
    def onset_logit(self) -> NDArray[np.float32]:
        """[chart, slot] log-odds of a row from the sound alone."""

    @property
    def alike(self) -> NDArray[np.float32]:
        """[chart, cell, motif lag] 0–1, how much each cell sounds like the one a lag before."""

    @property
    def open_slots(self) -> NDArray[np.bool_]:
        """[slot] where rows may fall."""


@dataclass(frozen=True)
class Marginals:
    """Settings of slot-by-slot sampling, whose expectation sets the number of rows of a chart."""

    onset_weight: float
    temperature: float
    guidance: float = 1.0


@dataclass(frozen=True)
class StructurePlan:
    """Structure of all charts of one song."""

    grid: Grid
    features: NDArray[np.uint8]  # [frame, channel], `mapper.tokens.song_features`
    lag_ms: float
    seed: int
    dynamics: float = 1.0  # 0: even density, 1: as the encoder has it, 1.5: half as much again

    @cached_property
    def bars(self) -> BarGrid:
        """The song's bars of four beats."""
        return BarGrid(self.grid)

    @cached_property
    def sound(self) -> BarSound:
        """The sound of each bar."""
        return BarSound.of(self.bars, self.features, self.lag_ms)

    @cached_property
    def hold_share(self) -> float:
        """Share of holds for charts of which none is requested."""
        return hold_share(song_profile(self.features, self.grid), settings())

    @cached_property
    def hold_odds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """[slot] log-odds of a hold's begin, and of its end."""
        return hold_odds(self.features, self.grid, self.lag_ms)

    def open_slots(self, stars: float, open_slots: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """[slot] the open slots between the begin and the end of a chart of so many stars."""
        first, last = edge_bars(self.sound, stars, settings().begin, settings().end)
        bar = self.bars.bar_of_slot
        kept = open_slots & (bar >= first) & (bar <= last)
        return kept if kept.any() else open_slots

    def mended(self, rows: Rows) -> Rows:
        """Sampled rows without holds through breaks (`mapper.structure.idle_holds`)."""
        return end_idle_holds(rows, self.grid, self.hold_odds[1])

    def uniforms(
        self,
        encoding: Encoding,
        stars: Sequence[float],
        biases: Sequence[float],
        marginals: Marginals,
        seed: int | None = None,
    ) -> NDArray[np.float32]:
        """[chart, slot] `ROW` where a row falls, `NO_ROW` elsewhere; `stars` are those requested; `seed`: not the plan's."""
        planned = np.full((len(stars), self.grid.slot_ms.size), NO_ROW, np.float32)
        noise = self.seed if seed is None else seed
        for chart, (value, bias) in enumerate(zip(stars, biases, strict=True)):
            logit = encoding.onset_logit[chart].astype(np.float64)
            if marginals.guidance != 1:
                unconditional = encoding.onset_logit[chart + len(stars)]
                logit = logit + (marginals.guidance - 1) * (logit - unconditional)
            within = self.open_slots(value, encoding.open_slots)
            rows = expected_rows(logit, within, marginals.onset_weight, bias, marginals.temperature)
            rows = round(rows * float(np.interp(value, STAR_KNOTS, ROW_RATIO)))
            density = density_odds(self.sound, settings().dynamics, value, self.dynamics)
            chosen = RhythmSettings.at(settings().rhythm, value)
            rhythm = plan_rows(self.bars, logit, within, encoding.alike[chart], rows, chosen, noise, density)
            planned[chart, rhythm] = ROW
        return planned
