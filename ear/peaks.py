"""What a beat network heard, as peaks of its activations, and how well a steady grid agrees with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ear.onset import parabola_offset

if TYPE_CHECKING:
    from ear.beat_network import BeatActivations

MIN_PEAK = 0.02
"""Lower peaks are noise."""

PEAK_REACH_S = 0.06
"""A peak is the highest activation this far around."""

TYPICAL_PERCENTILE = 75.0
"""A clear peak of a song is stronger than this share of its peaks above `CLEAR_SHARE` of the strongest."""

CLEAR_SHARE = 0.3

LOG_ODDS_LIMIT = 8.0
"""Log odds are cut at this: float16 activations of exactly 0 and 1 come from networks that are not that sure."""

AGREE_MS, AGREE_BEATS = 40.0, 0.2
"""A peak belongs to a beat that is this near, and nearer than this share of the beat."""

SILENT_MS = 3000.0
"""Where no peak is for longer than this the network hears nothing, and a grid is not held against it."""


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """Local maxima of an activation."""

    time_ms: NDArray[np.float64]  # [peak], increasing, finer than a frame
    strength: NDArray[np.float64]  # [peak], 0–1

    @property
    def typical(self) -> float:
        """Strength of a clear peak of this song, 0–1; 0 without any."""
        if not self.strength.size:
            return 0.0
        clear = self.strength[self.strength >= CLEAR_SHARE * self.strength.max()]
        return float(np.percentile(clear, TYPICAL_PERCENTILE))

    def within(self, start_ms: float, end_ms: float) -> Peaks:
        """Those from `start_ms` to before `end_ms`, counted from `start_ms`."""
        first, last = np.searchsorted(self.time_ms, (start_ms, end_ms))
        return Peaks(self.time_ms[first:last] - start_ms, self.strength[first:last])


@dataclass(frozen=True, slots=True, eq=False)
class HeardPeaks:
    """Peaks of a network's two activations."""

    beat: Peaks
    downbeat: Peaks

    def within(self, start_ms: float, end_ms: float) -> HeardPeaks:
        """As `Peaks.within`."""
        return HeardPeaks(self.beat.within(start_ms, end_ms), self.downbeat.within(start_ms, end_ms))


def heard_peaks(activations: BeatActivations) -> HeardPeaks:
    """Peaks of both activations."""
    return HeardPeaks(
        find_peaks(activations.beat, activations.frames_per_s),
        find_peaks(activations.downbeat, activations.frames_per_s),
    )


def log_odds(probability: NDArray[np.floating]) -> NDArray[np.float64]:
    """Log odds within ±`LOG_ODDS_LIMIT`."""
    inside = np.clip(np.asarray(probability, np.float64), 1e-9, 1 - 1e-9)
    return np.clip(np.log(inside / (1 - inside)), -LOG_ODDS_LIMIT, LOG_ODDS_LIMIT)


def find_peaks(activation: NDArray[np.floating], frames_per_s: float) -> Peaks:
    """Peaks of an activation [frame], to a fraction of a frame by a parabola through the log odds."""
    line = log_odds(activation)
    reach = max(1, round(PEAK_REACH_S * frames_per_s))
    padded = np.pad(line, reach, constant_values=-np.inf)
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    at = np.flatnonzero((line == highest) & (np.asarray(activation) >= MIN_PEAK))
    at = at[np.diff(at, prepend=-reach - 1) > reach] if at.size else at  # a plateau counts once
    offset = np.array([parabola_offset(line, int(frame)) for frame in at])
    return Peaks((at + offset) * (1000 / frames_per_s), np.asarray(activation, np.float64)[at])


def agreement(peaks: Peaks, hz: float, offset_ms: float) -> float:
    """0–1: F-measure between peaks and the beats of a steady grid.

    Peaks count by their strength, a clear one fully; beats count where the network hears anything. 0 without peaks.
    """
    if not peaks.time_ms.size:
        return 0.0
    weight = np.minimum(peaks.strength / peaks.typical, 1.0)
    beat = (peaks.time_ms - offset_ms) * (hz / 1000)
    number = np.rint(beat).astype(np.int64)
    near = np.abs(beat - number) <= min(AGREE_MS * hz / 1000, AGREE_BEATS)
    matched = np.zeros(int(np.ptp(number)) + 1)
    np.maximum.at(matched, number[near] - number.min(), weight[near])
    gaps_ms = np.diff(peaks.time_ms[weight >= CLEAR_SHARE])
    beats = max(float(np.minimum(gaps_ms, SILENT_MS).sum()) * hz / 1000 + 1, float(matched.sum()))
    return float(2 * matched.sum() / (beats + weight.sum()))
