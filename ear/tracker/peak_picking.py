"""What a beat network heard, as peaks of its activations, and how well a steady grid agrees with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ear.audio.onset import parabola_offset

if TYPE_CHECKING:
    from ear.tracker.tracker import BeatActivations

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


TRUST_FROM, TRUST_FULLY = 0.65, 0.8
"""Agreement of the best steady grid at which a network's beats begin to count, and at which they count fully. Chosen so
that a network of hardly any training does no harm on `train` songs, and simulated good ones decide rendered MIDI."""


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
    """0–1: F-measure between peaks and the beats of a steady grid; see `beat_agreement`."""
    if not peaks.time_ms.size:
        return 0.0
    beat_ms = 1000 / hz
    first = np.ceil((peaks.time_ms[0] - offset_ms) / beat_ms - 0.5)
    last = np.floor((peaks.time_ms[-1] - offset_ms) / beat_ms + 0.5)
    return beat_agreement(peaks, offset_ms + np.arange(first, last + 1) * beat_ms)


def beat_agreement(peaks: Peaks, beat_ms: NDArray[np.float64]) -> float:
    """0–1: F-measure between peaks and beats [beat], increasing.

    Peaks count by their strength, a clear one fully; beats count where the network hears anything. 0 without peaks.
    """
    if not peaks.time_ms.size or beat_ms.size < 2:
        return 0.0
    weight = relative_strength(peaks)
    nearest = nearest_index(beat_ms, peaks.time_ms)
    reach_ms = min(AGREE_MS, AGREE_BEATS * float(np.median(np.diff(beat_ms))))
    near = np.abs(beat_ms[nearest] - peaks.time_ms) <= reach_ms
    matched = np.zeros(beat_ms.size)
    np.maximum.at(matched, nearest[near], weight[near])
    clear_ms = peaks.time_ms[weight >= CLEAR_SHARE]
    inside = sounding(clear_ms, beat_ms, reach_ms)
    return float(2 * matched.sum() / (max(int(inside.sum()), matched.sum()) + weight.sum()))


def relative_strength(peaks: Peaks) -> NDArray[np.float64]:
    """Strength [peak] beside the song's typical peak, 0–1."""
    return np.minimum(peaks.strength / max(peaks.typical, MIN_PEAK), 1.0)


def sounding(clear_ms: NDArray[np.float64], time_ms: NDArray[np.float64], reach_ms: float) -> NDArray[np.bool_]:
    """Whether each time [time] is where the network hears anything: near clear peaks [one or more] and the gaps between."""
    inside = (time_ms >= clear_ms[0] - reach_ms) & (time_ms <= clear_ms[-1] + reach_ms)
    for gap in np.flatnonzero(np.diff(clear_ms) > SILENT_MS):
        inside &= (time_ms <= clear_ms[gap] + reach_ms) | (time_ms >= clear_ms[gap + 1] - reach_ms)
    return inside


def strength_at(
    peaks: Peaks, weight: NDArray[np.float64], time_ms: NDArray[np.float64], reach_ms: float
) -> NDArray[np.float64]:
    """Weight [time] of the nearest peak, 0 where it is further than `reach_ms`."""
    if not peaks.time_ms.size:
        return np.zeros(time_ms.size)
    nearest = nearest_index(peaks.time_ms, time_ms)
    return np.where(np.abs(peaks.time_ms[nearest] - time_ms) <= reach_ms, weight[nearest], 0.0)


def trust(best_agreement: float) -> float:
    """0–1: how far a network is believed, from how well its peaks agree with the grid they agree with best."""
    return float(np.clip((best_agreement - TRUST_FROM) / (TRUST_FULLY - TRUST_FROM), 0.0, 1.0))


def nearest_index(sorted_ms: NDArray[np.float64], time_ms: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each time [time] the index of the nearest of `sorted_ms` [one or more]."""
    right = np.minimum(np.searchsorted(sorted_ms, time_ms), sorted_ms.size - 1)
    left = np.maximum(right - 1, 0)
    return np.where(time_ms - sorted_ms[left] <= sorted_ms[right] - time_ms, left, right)
