"""Phase of the beat in its period, to a fraction of a millisecond.

Onset strength is folded on the beat: the onsets of a steady grid form a few sharp peaks (the beat, its half, its
quarters). Each peak's top is a candidate phase; fitted weights choose among them from the strength of each band at the
peak and at fractions of a beat after it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ear.audio.onset import parabola_offset
from ear.timing.grid.weights import timing_weights

SMOOTH_MS = 2.0
"""Standard deviation of the smoothing before peaks are sought: below the spread of real onsets about a grid."""

TOLERANCE_MS = 6.0
"""Standard deviation of the smoothing for the fractions of a beat, which need not be exact."""

MAX_PEAKS = 12
"""Peaks considered, highest first; a beat with sextuplets has six."""

MIN_HEIGHT = 0.25
"""Peaks below this share of the highest one are not the beat."""

FRACTIONS = (0.0, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4)
"""Parts of a beat after the peak that tell whether it is the beat."""


@dataclass(frozen=True, slots=True)
class BeatPhase:
    """A candidate for the beat: it falls at `offset_ms` + any whole number of beats."""

    offset_ms: float  # in 0…beat
    chance: float  # 0–1 among the candidates


def fold(strength: NDArray[np.float32], frame_ms: float, period_ms: float) -> NDArray[np.float64]:
    """Mean strength by phase [band, bin] of [band, frame]; bins of about a frame, bin 0 centred on time 0."""
    bins = max(4, round(period_ms / frame_ms))
    phase = (np.arange(strength.shape[1]) * (frame_ms / period_ms)) % 1.0 * bins
    left = np.minimum(phase.astype(np.int64), bins - 1)
    right, share = (left + 1) % bins, phase - left
    seen = np.bincount(left, 1 - share, bins) + np.bincount(right, share, bins) + 1e-9
    rows = [np.bincount(left, row * (1 - share), bins) + np.bincount(right, row * share, bins) for row in strength]
    return np.array(rows) / seen


def smooth(folded: NDArray[np.float64], sigma_bins: float) -> NDArray[np.float64]:
    """Circular Gaussian smoothing of the last axis."""
    bins = folded.shape[-1]
    turn = np.fft.rfftfreq(bins) * 2 * np.pi
    return np.fft.irfft(np.fft.rfft(folded, axis=-1) * np.exp(-0.5 * (turn * sigma_bins) ** 2), bins, axis=-1)


def beat_phases(strength: NDArray[np.float32], frame_ms: float, beat_ms: float) -> list[BeatPhase]:
    """Candidate phases from locally normalized onset strength [band, frame], most probable first; at least one."""
    peaks, features = phase_features(strength, frame_ms, beat_ms)
    score = features @ timing_weights().beat_phase
    chance = np.exp(score - score.max())
    chance /= chance.sum()
    return [BeatPhase(float(peaks[i]), float(chance[i])) for i in np.argsort(-chance, kind="stable")]


def phase_features(
    strength: NDArray[np.float32], frame_ms: float, beat_ms: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times of the fold's peaks [peak] in ms and their features [peak, feature]."""
    two_beats = fold(strength, frame_ms, 2 * beat_ms)  # [band, bin]
    two_beats = np.vstack([two_beats, two_beats.sum(axis=0)])
    half = two_beats.shape[1] // 2
    bin_ms = 2 * beat_ms / two_beats.shape[1]
    folded = fold(strength, frame_ms, beat_ms).sum(axis=0)
    peaks = _peaks(folded, beat_ms)
    wide = smooth(two_beats, TOLERANCE_MS / bin_ms)
    wide /= wide.mean(axis=1, keepdims=True) + 1e-9
    columns = []
    for fraction in FRACTIONS:
        at = np.rint((peaks + fraction * beat_ms) / bin_ms).astype(np.int64)
        first, second = wide[:, at % (2 * half)], wide[:, (at + half) % (2 * half)]  # [band, peak]
        columns.append(np.log((first + second) / 2 + 0.05))
        if fraction in (0.0, 1 / 2):
            columns.append(np.abs(first - second) / (first + second + 0.1))
    return peaks, np.vstack(columns).T


def _peaks(folded: NDArray[np.float64], beat_ms: float) -> NDArray[np.float64]:
    """Times [peak] in ms of the highest local maxima of a folded beat [bin], highest first."""
    bin_ms = beat_ms / folded.size
    line = smooth(folded, SMOOTH_MS / bin_ms)
    top = np.flatnonzero((line > np.roll(line, 1)) & (line >= np.roll(line, -1)))
    if not top.size:
        return np.zeros(1)
    top = top[np.argsort(-line[top], kind="stable")][:MAX_PEAKS]
    top = top[line[top] >= MIN_HEIGHT * line[top[0]]]
    around = [parabola_offset(np.roll(line, 1 - at)[:3], 1) for at in top]
    return ((top + np.array(around)) * bin_ms) % beat_ms
