"""Features of a grid from a beat network's peaks, by which grids are compared.

A grid at the right metrical level and phase has peaks on its beats, none between them, no difference between its even and
odd beats, and downbeats that repeat every bar. Peaks are weighted by their strength relative to the song's typical peak,
so that an unsure network gives the same features. `ear.timing.grid.metrical_level` combines them with the onsets.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ear.tracker.peak_picking import (
    CLEAR_SHARE,
    ActivationPeaks,
    Peaks,
    beat_agreement,
    relative_strength,
    sounding,
    strength_at,
)

PEAK_FEATURES = (
    "agreement",
    "on the beat",
    "half a beat later",
    "a third later",
    "even against odd",
    "downbeats on beats",
    "downbeats between",
    "every 2",
    "every 3",
    "every 4",
    "every 6",
    "every 8",
    "tempo",
    "tempo squared",
)
"""Names of the features: agreement in 0–1, logarithms of mean strengths, shares, F of the best bar, octaves."""

BARS = (2, 3, 4, 6, 8)
"""Bar lengths tested: at twice the beat, downbeats repeat every eight."""

TYPICAL_BPM = 120.0
"""Origin of the tempo features; the fitted weights hold the tempo prior."""

REACH_MS, BEAT_SHARE, BETWEEN_SHARE = 40.0, 0.2, 0.11
"""A peak is on a beat that is this near, within this share of the beat, and this one for thirds and halves."""

FLOOR = 0.05
"""Added to mean strengths before the logarithm."""


def steady_beats(peaks: ActivationPeaks, hz: float, offset_ms: float) -> NDArray[np.float64]:
    """The beats [beat ≥ 8] at `offset_ms` + k / hz between the first and the last clear peak."""
    beat_ms = 1000 / hz
    clear_ms = _clear_ms(peaks.beat)
    first = np.ceil((clear_ms[0] - offset_ms) / beat_ms - 0.5)
    last = np.floor((clear_ms[-1] - offset_ms) / beat_ms + 0.5)
    return np.asarray(offset_ms + np.arange(first, max(last + 1, first + BARS[-1])) * beat_ms)


def peak_features(peaks: ActivationPeaks, beats: NDArray[np.float64]) -> NDArray[np.float64]:
    """[feature] of beats [beat ≥ 8], increasing; `peaks` has at least one clear peak."""
    weight = relative_strength(peaks.beat)
    inside = beats[sounding(_clear_ms(peaks.beat), beats, REACH_MS)]
    agrees = beat_agreement(peaks.beat, beats)
    if inside.size >= BARS[-1]:
        beats = inside
    interval_ms = np.diff(beats, append=2 * beats[-1] - beats[-2])  # [beat]
    beat_ms = float(np.median(interval_ms))
    near_ms, between_ms = min(REACH_MS, BEAT_SHARE * beat_ms), min(REACH_MS, BETWEEN_SHARE * beat_ms)
    on = strength_at(peaks.beat, weight, beats, near_ms)
    half, third, other_third = (
        strength_at(peaks.beat, weight, beats + share * interval_ms, between_ms).mean()
        for share in (1 / 2, 1 / 3, 2 / 3)
    )
    even, odd = on[::2].mean(), on[1::2].mean()
    down_weight = relative_strength(peaks.downbeat)
    down = strength_at(peaks.downbeat, down_weight, beats, near_ms)
    down_between = strength_at(peaks.downbeat, down_weight, beats + interval_ms / 2, between_ms)
    all_down = max(float(down_weight.sum()), FLOOR)
    octave = np.log2(60_000 / beat_ms / TYPICAL_BPM)
    return np.array(
        [
            agrees,
            np.log(on.mean() + FLOOR),
            np.log(half + FLOOR),
            np.log(max(third, other_third) + FLOOR),
            abs(even - odd) / (even + odd + 0.1),
            down.sum() / all_down,
            down_between.sum() / all_down,
            *(_best_bar(down, beats_a_bar, all_down) for beats_a_bar in BARS),
            octave,
            octave**2,
        ]
    )


def _clear_ms(peaks: Peaks) -> NDArray[np.float64]:
    """Times of the clear peaks [peak]."""
    return peaks.time_ms[relative_strength(peaks) >= CLEAR_SHARE]


def _best_bar(down: NDArray[np.float64], beats_a_bar: int, all_down: float) -> float:
    """0–1: F of the downbeats on beats [beat] with those of the best bar of so many beats."""
    bars = down.size / beats_a_bar
    sums = [float(down[first::beats_a_bar].sum()) for first in range(beats_a_bar)]
    return max(2 * total / (all_down + max(bars, total)) for total in sums)
