"""What a beat network's peaks say for a sequence of beats: the features by which grids are compared.

A grid at the right multiple and tick has peaks on its beats, none between them, no difference between its even and odd
beats, and downbeats on it that repeat every bar. Peaks count by their strength beside the song's typical one, so that
networks that are less sure of everything say the same. `ear.timing.metrical_level` weighs the features with what the onsets say.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ear.tracker.peak_picking import (
    CLEAR_SHARE,
    HeardPeaks,
    Peaks,
    beat_agreement,
    relative_strength,
    sounding,
    strength_at,
)

HEARD_FEATURES = (
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
"""Beats after which downbeats are expected: at twice the beat they come every eight."""

TYPICAL_BPM = 120.0
"""Where the tempo features are 0; the learnt weights say which tempi are likely."""

REACH_MS, BEAT_SHARE, BETWEEN_SHARE = 40.0, 0.2, 0.11
"""A peak is on a beat that is this near, within this share of the beat, and this one for thirds and halves."""

FLOOR = 0.05
"""Added to mean strengths before the logarithm: less is noise."""


def steady_beats(heard: HeardPeaks, hz: float, offset_ms: float) -> NDArray[np.float64]:
    """The beats [beat] at `offset_ms` + any whole number of 1 / hz where the network hears peaks; a few at least."""
    beat_ms = 1000 / hz
    clear_ms = _clear_ms(heard.beat)
    first = np.ceil((clear_ms[0] - offset_ms) / beat_ms - 0.5)
    last = np.floor((clear_ms[-1] - offset_ms) / beat_ms + 0.5)
    return np.asarray(offset_ms + np.arange(first, max(last + 1, first + BARS[-1])) * beat_ms)


def heard_features(heard: HeardPeaks, beats: NDArray[np.float64]) -> NDArray[np.float64]:
    """[feature] of beats [beat ≥ 8], increasing; `heard` has a clear peak at least."""
    weight = relative_strength(heard.beat)
    inside = beats[sounding(_clear_ms(heard.beat), beats, REACH_MS)]
    agrees = beat_agreement(heard.beat, beats)
    if inside.size >= BARS[-1]:
        beats = inside
    interval_ms = np.diff(beats, append=2 * beats[-1] - beats[-2])  # [beat]
    beat_ms = float(np.median(interval_ms))
    near_ms, between_ms = min(REACH_MS, BEAT_SHARE * beat_ms), min(REACH_MS, BETWEEN_SHARE * beat_ms)
    on = strength_at(heard.beat, weight, beats, near_ms)
    half, third, other_third = (
        strength_at(heard.beat, weight, beats + share * interval_ms, between_ms).mean()
        for share in (1 / 2, 1 / 3, 2 / 3)
    )
    even, odd = on[::2].mean(), on[1::2].mean()
    down_weight = relative_strength(heard.downbeat)
    down = strength_at(heard.downbeat, down_weight, beats, near_ms)
    down_between = strength_at(heard.downbeat, down_weight, beats + interval_ms / 2, between_ms)
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
