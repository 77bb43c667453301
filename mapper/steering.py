"""What a chart is asked to be like, as the network is told it and as its sampling is biased."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from chart.grid import Grid
from chart.model import Chart, TimingPoint
from mapper.hearing import Heard, hear
from mapper.model import STYLES, Controls, Mapper
from mapper.pattern_mix import FAMILIES
from mapper.rows import Rows, notes_of
from mapper.sampling import Sampling

MIN_TOLD_STARS, MAX_TOLD_STARS = 0.3, 9.0
TOLD_STEP = 0.25
"""Told stars are rounded to this, so that neighbouring difficulties share what is heard for them."""
DENSITY = {"keyboard": (3.29, -1.19), "pad": (2.49, -0.56)}
"""Notes a second of human charts by style: slope and intercept over stars, least squares on the `train` charts."""
MIN_NOTES_PER_S = 0.5
HOLD_SHARE = 0.1
"""Holds among the notes of a typical human chart (the mean of `train` charts is .08 to .16 at any stars)."""


@dataclass(frozen=True)
class Song:
    """What the mapper needs of a song. Grid and timing points are in one time; sound comes `lag_ms` after it."""

    grid: Grid
    timing_points: tuple[TimingPoint, ...]
    features: NDArray[np.uint8]  # [frame, band]
    lag_ms: float = 0.0
    first_ms: float = -np.inf  # no note before this

    def chart_of(self, rows: Rows) -> Chart:
        """The chart as the game will read it: times in whole ms, timing points exact."""
        chart = Chart.from_notes(*notes_of(rows, self.grid), timing_points=self.timing_points)
        return replace(chart, time_ms=np.round(chart.time_ms), end_ms=np.round(chart.end_ms))


@dataclass(frozen=True)
class Steering:
    """What charts shall be like besides their stars."""

    style: str = "keyboard"
    hold_share: float | None = None  # None: as it comes
    patterns: tuple[float, ...] = (np.nan,) * len(FAMILIES)  # [family], share of rows, nan: as it comes
    density: float = 1.0  # notes a second, against human charts of the same stars
    stars: float = 0.0  # of the chart that it was read from


class Listener:
    """Hears the song for any controls, and remembers what it heard: hearing costs as much as writing."""

    def __init__(self, model: Mapper, song: Song, most_slots: int) -> None:
        self.model, self.song, self.most_slots = model, song, most_slots
        self.known: dict[tuple[float, Steering], Heard] = {}  # told stars → what is heard for them, one chart each

    def hear(self, wanted: Sequence[tuple[float, Steering]]) -> Heard:
        """What charts hear that are told so many stars and steered so, in order."""
        told = []
        for value, steering in wanted:
            rounded = round(value / TOLD_STEP) * TOLD_STEP
            told.append((float(np.clip(rounded, MIN_TOLD_STARS, MAX_TOLD_STARS)), steering))
        if len(self.known) * self.song.grid.slot_ms.size > self.most_slots:
            self.known = {}
        new = [one for one in dict.fromkeys(told) if one not in self.known]
        if new:
            song, controls = self.song, controls_of(new)
            heard = hear(self.model, song.grid, song.features, song.lag_ms, controls, song.first_ms)
            self.known |= {one: heard.repeated([number]) for number, one in enumerate(new)}
        return Heard.joined([self.known[one] for one in told])


def sampling_of(seed: int, rate_bias: NDArray[np.float64], steering: Sequence[Steering]) -> Sampling:
    """How takes with these biases and wishes are sampled."""
    return Sampling(seed, rate_bias)


def controls_of(told: Sequence[tuple[float, Steering]]) -> Controls:
    """Controls of charts with these stars: what was asked, the rest as in human charts with as many stars."""
    stars = torch.tensor([value for value, _ in told], dtype=torch.float32)
    density = [max(float(np.polyval(DENSITY[one.style], value)), MIN_NOTES_PER_S) * one.density for value, one in told]
    holds = [HOLD_SHARE if one.hold_share is None else one.hold_share for _, one in told]
    return Controls(
        stars=stars,
        notes_per_s=torch.tensor(density, dtype=torch.float32),
        hold_share=torch.tensor(holds, dtype=torch.float32),
        style=torch.tensor([STYLES.index(one.style) for _, one in told]),
        patterns=torch.tensor([one.patterns for _, one in told], dtype=torch.float32),
    )
