"""Peaks of a beat network's activations, finer than its frames; the beats they make; their agreement with a grid.

A peak is a frame whose log-odds are the highest within ±60 ms. Its time is the centroid of the probabilities within two
frames, which is nearer to the truth than a parabola (docs/ear.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ear.tracker.interface import BeatActivations

MIN_PEAK = 0.02
"""Lower maxima are noise."""

PEAK_REACH_S = 0.06
"""Half the width of the window in which a peak is the highest frame."""

CENTROID_FRAMES = 2
"""Reach of the centroid: half the width of the training targets, whose times it recovers exactly."""

THRESHOLD, DOWNBEAT_THRESHOLD = 0.4, 0.5
"""Probabilities from which peaks are beats: the best in steps of .05 for the bundled network on held-out training pieces."""

TYPICAL_PERCENTILE = 75.0
"""A song's typical peak is at this percentile of the peaks above `CLEAR_SHARE` of its strongest."""

CLEAR_SHARE = 0.3

LOG_ODDS_LIMIT = 8.0
"""Log-odds are clipped here: activations of exactly 0 and 1 come from float16, not from certainty."""

AGREE_MS, AGREE_BEATS = 40.0, 0.2
"""A peak matches a beat within this distance and within this share of the beat interval."""

SILENT_MS = 3000.0
"""Gaps between peaks longer than this do not count against a grid."""

TRUST_FROM, TRUST_FULLY = 0.65, 0.8
"""Agreement of the best steady grid at which a network's peaks begin to count, and at which they count fully. Chosen so
that a barely trained network does no harm on `train` songs, and simulated good ones decide rendered MIDI."""


@dataclass(frozen=True, slots=True, eq=False)
class PickedBeats:
    """Beats read off the activations alone, in audio time."""

    beat_ms: NDArray[np.float64] = field(repr=False)  # [beat], increasing
    is_downbeat: NDArray[np.bool_] = field(repr=False)  # [beat]
    strength: NDArray[np.float32] = field(repr=False)  # [beat], probability of the beat, 0–1


@dataclass(frozen=True, eq=False)
class Peaks:
    """Local maxima of an activation."""

    time_ms: NDArray[np.float64]  # [peak], increasing, finer than a frame
    strength: NDArray[np.float64]  # [peak], 0–1

    @cached_property
    def typical(self) -> float:
        """Strength of a typical peak of this song, 0–1; 0 without any."""
        if not self.strength.size:
            return 0.0
        clear = self.strength[self.strength >= CLEAR_SHARE * self.strength.max()]
        return float(np.percentile(clear, TYPICAL_PERCENTILE))

    def above(self, threshold: float) -> Peaks:
        """The peaks of at least this strength."""
        kept = self.strength >= threshold
        return Peaks(self.time_ms[kept], self.strength[kept])

    def within(self, start_ms: float, end_ms: float) -> Peaks:
        """The peaks in `start_ms`–`end_ms`, their times relative to `start_ms`."""
        first, last = np.searchsorted(self.time_ms, (start_ms, end_ms))
        return Peaks(self.time_ms[first:last] - start_ms, self.strength[first:last])


@dataclass(frozen=True, slots=True, eq=False)
class ActivationPeaks:
    """Peaks of a network's two activations."""

    beat: Peaks
    downbeat: Peaks

    def within(self, start_ms: float, end_ms: float) -> ActivationPeaks:
        """The peaks from `start_ms` up to `end_ms`."""
        return ActivationPeaks(self.beat.within(start_ms, end_ms), self.downbeat.within(start_ms, end_ms))


def activation_peaks(activations: BeatActivations) -> ActivationPeaks:
    """Peaks of both activations."""
    return ActivationPeaks(
        find_peaks(activations.beat, activations.frames_per_s),
        find_peaks(activations.downbeat, activations.frames_per_s),
    )


def pick_beats(
    activations: BeatActivations, threshold: float = THRESHOLD, downbeat_threshold: float = DOWNBEAT_THRESHOLD
) -> PickedBeats:
    """The beats whose peaks reach the thresholds; a beat with a downbeat peak within ±60 ms is a downbeat."""
    beat = find_peaks(activations.beat, activations.frames_per_s).above(threshold)
    downbeat = find_peaks(activations.downbeat, activations.frames_per_s).above(downbeat_threshold)
    is_downbeat = np.zeros(beat.time_ms.size, np.bool_)
    if beat.time_ms.size and downbeat.time_ms.size:
        nearest = nearest_index(beat.time_ms, downbeat.time_ms)  # [downbeat] → beat
        near = np.abs(beat.time_ms[nearest] - downbeat.time_ms) <= PEAK_REACH_S * 1000
        is_downbeat[nearest[near]] = True
    return PickedBeats(beat.time_ms, is_downbeat, beat.strength.astype(np.float32))


def log_odds(probability: NDArray[np.floating]) -> NDArray[np.float64]:
    """Log-odds within ±`LOG_ODDS_LIMIT`."""
    inside = np.clip(np.asarray(probability, np.float64), 1e-9, 1 - 1e-9)
    return np.clip(np.log(inside / (1 - inside)), -LOG_ODDS_LIMIT, LOG_ODDS_LIMIT)


def find_peaks(activation: NDArray[np.floating], frames_per_s: float) -> Peaks:
    """Peaks of an activation [frame] from `MIN_PEAK` on; of equal frames within reach the first."""
    probability = np.asarray(activation, np.float64)
    line = log_odds(probability)
    reach = max(1, round(PEAK_REACH_S * frames_per_s))
    if not line.size:
        return Peaks(np.zeros(0), np.zeros(0))
    padded = np.pad(line, reach, constant_values=-np.inf)
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    at = np.flatnonzero((line == highest) & (probability >= MIN_PEAK))
    at = at[np.diff(at, prepend=-reach - 1) > reach]  # a plateau counts once
    return Peaks((at + _centroid_offset(probability, at)) * (1000 / frames_per_s), probability[at])


def _centroid_offset(probability: NDArray[np.float64], frame: NDArray[np.int64]) -> NDArray[np.float64]:
    """Centroid [peak] of the probabilities within `CENTROID_FRAMES` of each peak, in frames from it."""
    steps = np.arange(-CENTROID_FRAMES, CENTROID_FRAMES + 1)
    around = np.pad(probability, CENTROID_FRAMES)[frame[:, None] + CENTROID_FRAMES + steps]  # [peak, step]
    return np.asarray((around * steps).sum(axis=1) / np.maximum(around.sum(axis=1), 1e-9))


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

    Peaks are weighted by their strength relative to a typical one; beats in gaps without peaks do not count.
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
    """Strength [peak] relative to the song's typical peak, at most 1."""
    return np.minimum(peaks.strength / max(peaks.typical, MIN_PEAK), 1.0)


def sounding(clear_ms: NDArray[np.float64], time_ms: NDArray[np.float64], reach_ms: float) -> NDArray[np.bool_]:
    """Whether each time [time] is among clear peaks at most `SILENT_MS` apart, or within `reach_ms` of one."""
    inside = (time_ms >= clear_ms[0] - reach_ms) & (time_ms <= clear_ms[-1] + reach_ms)
    for gap in np.flatnonzero(np.diff(clear_ms) > SILENT_MS):
        inside &= (time_ms <= clear_ms[gap] + reach_ms) | (time_ms >= clear_ms[gap + 1] - reach_ms)
    return inside


def strength_at(
    peaks: Peaks, weight: NDArray[np.float64], time_ms: NDArray[np.float64], reach_ms: float
) -> NDArray[np.float64]:
    """Weight [time] of the nearest peak, 0 where that is further than `reach_ms`."""
    if not peaks.time_ms.size:
        return np.zeros(time_ms.size)
    nearest = nearest_index(peaks.time_ms, time_ms)
    return np.where(np.abs(peaks.time_ms[nearest] - time_ms) <= reach_ms, weight[nearest], 0.0)


def trust(best_agreement: float) -> float:
    """0–1: weight of a network's peaks, from their agreement with the grid that fits them best."""
    return float(np.clip((best_agreement - TRUST_FROM) / (TRUST_FULLY - TRUST_FROM), 0.0, 1.0))


def nearest_index(sorted_ms: NDArray[np.float64], time_ms: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each time [time] the index of the nearest of `sorted_ms` [one or more]."""
    right = np.minimum(np.searchsorted(sorted_ms, time_ms), sorted_ms.size - 1)
    left = np.maximum(right - 1, 0)
    return np.where(time_ms - sorted_ms[left] <= sorted_ms[right] - time_ms, left, right)
