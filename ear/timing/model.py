"""The result of timing a song: red lines, confidence, alternatives; and the beats they stand for."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chart.model import TimingPoint

Profile = Literal["auto", "stable", "live"]
PROFILES: tuple[Profile, ...] = ("auto", "stable", "live")
"""`stable`: as few red lines as fit the song; `live`: about one a bar; `auto`: live where few lines do not fit."""

DOUBTFUL = 0.5
"""Timings of a lower confidence are given with a reason for doubt."""

OMIT_BAR_LINE = 8
"""Effect bit of a red line within a bar."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another metrical level that could be the beat, or that no level is: the beat keeps no such tempo."""

    bpm: float  # nan = none of the levels
    chance: float  # 0–1; with the timing's confidence the chances of all alternatives sum to 1

    @property
    def is_tempo(self) -> bool:
        """Whether it is a level."""
        return math.isfinite(self.bpm)


@dataclass(frozen=True, slots=True)
class Timing:
    """The red lines of a song, in audio time, sorted.

    Each starts a bar unless its effects omit the bar line; the first also holds before its own time.
    """

    points: tuple[TimingPoint, ...]
    confidence: float  # 0–1; above 0.5 the grid is usually right, below 0.2 it is a guess
    alternatives: tuple[Alternative, ...] = field(default=(), repr=False)
    duration_ms: float = 0.0
    profile: Literal["stable", "live"] = "stable"
    doubt: str = ""  # reason of a confidence below `DOUBTFUL`, for the user, or ""

    @property
    def doubtful(self) -> bool:
        """Whether the user should check the timing."""
        return self.confidence < DOUBTFUL

    @property
    def main(self) -> TimingPoint:
        """The red line in force longest; in the live profile, the one whose tempo is the median over time."""
        ends = [point.time_ms for point in self.points[1:]] + [max(self.duration_ms, self.points[-1].time_ms)]
        spans = np.array([end - point.time_ms for point, end in zip(self.points, ends, strict=True)])
        if self.profile == "stable":
            return self.points[int(np.argmax(spans))]
        order = np.argsort([point.beat_length_ms for point in self.points], kind="stable")
        middle = np.searchsorted(np.cumsum(spans[order]), spans.sum() / 2)
        return self.points[int(order[min(int(middle), len(order) - 1)])]

    @property
    def bpm(self) -> float:
        """Tempo of the main red line."""
        return self.main.bpm

    @property
    def offset_ms(self) -> float:
        """Time of the first downbeat."""
        return self.points[0].time_ms

    @property
    def meter(self) -> int:
        """Beats a bar of the main red line."""
        return self.main.meter


@dataclass(frozen=True, slots=True, eq=False)
class Beats:
    """The beats of a timing within the audio."""

    time_ms: NDArray[np.float64]  # [beat], increasing
    position: NDArray[np.int64]  # [beat], 1 = downbeat


def beats_of(timing: Timing) -> Beats:
    """Every beat from the start of the audio to its end; each red line starts a bar unless it omits its bar line."""
    times, positions = [], []
    place = 0  # in the bar, of the next beat
    for index, point in enumerate(timing.points):
        last = index + 1 == len(timing.points)
        end_ms = timing.duration_ms if last else timing.points[index + 1].time_ms - point.beat_length_ms / 2
        first = 0 if index else -int(point.time_ms // point.beat_length_ms)
        number = np.arange(first, max(first, int(np.ceil((end_ms - point.time_ms) / point.beat_length_ms))))
        if index and point.effects & OMIT_BAR_LINE:
            number = number + place
            times.append(point.time_ms + (number - place) * point.beat_length_ms)
        else:
            times.append(point.time_ms + number * point.beat_length_ms)
        positions.append(number % point.meter + 1)
        place = int(number[-1]) + 1 if number.size else place
    return Beats(np.concatenate(times), np.concatenate(positions))
