"""What a chart is asked to be like, as the network is told it and as its sampling is biased."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chart.grid import Grid
from chart.model import Chart, TimingPoint
from mapper.architecture import STYLES
from mapper.controls import Controls
from mapper.hearing import Heard, hear
from mapper.network import Network
from mapper.pattern_mix import FAMILIES
from mapper.rows import Rows, notes_of
from mapper.sampling import Sampling
from mapper.sampling_kernels import NOTES_BEGUN

MIN_TOLD_STARS, MAX_TOLD_STARS = 0.3, 9.0
TOLD_STEP = 0.25
"""Told stars are rounded to this, so that neighbouring difficulties share what is heard for them."""
DENSITY = {"keyboard": (3.29, -1.19), "pad": (2.49, -0.56)}
"""Notes a second of human charts by style: slope and intercept over stars, least squares on the `train` charts."""
MIN_NOTES_PER_S = 0.5
HOLD_SHARE = 0.1
"""Holds among the notes of a typical human chart (the mean of `train` charts is .08 to .16 at any stars)."""

MAX_LEAN = 6.0
STREAM_REPEATS = 2.0
"""Log-odds taken from repeats for a whole share of rows that are missing from streams, in which no column repeats."""
LEAN_PER_SHARE = 4.0
"""Log-odds added for a whole share of rows that are missing from a family of bigger chords."""


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

    def __init__(self, model: Network, song: Song, most_slots: int) -> None:
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


@dataclass(frozen=True)
class Lean:
    """Log-odds by which the sampling of a take leans towards what was asked; 0 is the network's own opinion."""

    chords: float = 0.0  # for each note of a row beyond its first
    repeats: float = 0.0  # for each column pressed again within half a beat

    def corrected(self, steering: Steering, mix: NDArray[np.float64]) -> Lean:
        """The lean of the next takes, when takes with this one had such a pattern mix [family]."""
        asked = dict(zip(FAMILIES, steering.patterns, strict=True))
        short = {
            name: 0.0 if np.isnan(asked[name]) else asked[name] - got for name, got in zip(FAMILIES, mix, strict=True)
        }
        chords = short["jumpstream"] + 2 * short["handstream"] + short["chordjack"] - short["stream"]
        repeats = -STREAM_REPEATS * sum(max(short[name], 0.0) for name in ("stream", "jumpstream", "handstream"))
        for name, got in zip(FAMILIES, mix, strict=True):
            if name in ("jack", "chordjack") and not np.isnan(asked[name]):
                repeats += _log_odds(asked[name]) - _log_odds(float(got))
        leans = (self.chords + LEAN_PER_SHARE * chords, self.repeats + repeats)
        return Lean(*(float(np.clip(lean, -MAX_LEAN, MAX_LEAN)) for lean in leans))


def _log_odds(share: float) -> float:
    kept = min(max(share, 0.01), 0.99)
    return float(np.log(kept / (1 - kept)))


def sampling_of(
    seed: int,
    rate_bias: NDArray[np.float64],
    steering: Sequence[Steering],
    leans: Sequence[Lean],
    luck: NDArray[np.float32] | None = None,
) -> Sampling:
    """How takes with these biases and leans are sampled, one steering each."""
    chords = np.array([one.chords for one in leans])[:, None]
    row_bias = chords * np.maximum(NOTES_BEGUN - 1, 0)
    shares = np.array([np.nan if one.hold_share is None else one.hold_share for one in steering])
    repeats = np.array([one.repeats for one in leans])
    return Sampling(seed, rate_bias, row_bias, repeats, hold_share=shares, luck=luck)


def controls_of(told: Sequence[tuple[float, Steering]]) -> Controls:
    """Controls of charts with these stars: what was asked, the rest as in human charts with as many stars."""
    density = [max(float(np.polyval(DENSITY[one.style], value)), MIN_NOTES_PER_S) * one.density for value, one in told]
    return Controls(
        stars=[value for value, _ in told],
        notes_per_s=density,
        hold_share=[HOLD_SHARE if one.hold_share is None else one.hold_share for _, one in told],
        style=[STYLES.index(one.style) for _, one in told],
        patterns=[one.patterns for _, one in told],
    )
