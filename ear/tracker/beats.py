"""Beats and downbeats from the activations of a network, finer than its frames.

A beat is a frame whose log-odds are the highest within ±60 ms and above the threshold; its time is the centroid of the
probabilities within two frames: on rendered MIDI that is nearer to the truth than a parabola (docs/ear.md). Where a downbeat is heard within ±60 ms of a beat, the beat is a downbeat.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ear.tracker.tracker import BeatActivations

REACH_FRAMES = 3
"""Two beats are never closer than this; the library's own choice, at 50 frames a second."""

CENTROID_FRAMES = 2
"""Reach of the centroid: that of the targets the bundled network was trained with, which it reads exactly."""

THRESHOLD, DOWNBEAT_THRESHOLD = 0.4, 0.5
"""Probabilities from which peaks count: the best of steps of .05 for the bundled network on held-out training pieces."""

SURE = 1e-7
"""Probabilities are kept this far from 0 and 1, where float32 has no log-odds."""


@dataclass(frozen=True, slots=True, eq=False)
class HeardBeats:
    """Beats as the network hears them, in audio time."""

    beat_ms: NDArray[np.float64] = field(repr=False)  # [beat], increasing
    is_downbeat: NDArray[np.bool_] = field(repr=False)  # [beat]
    strength: NDArray[np.float32] = field(repr=False)  # [beat], probability of the beat, 0–1


def pick_beats(
    activations: BeatActivations, threshold: float = THRESHOLD, downbeat_threshold: float = DOWNBEAT_THRESHOLD
) -> HeardBeats:
    """The peaks of the activations; none for silence."""
    beat = _log_odds(activations.beat)
    frames = _peaks(beat, threshold)
    downbeat_frames = _peaks(_log_odds(activations.downbeat), downbeat_threshold)
    is_downbeat = np.zeros(frames.size, np.bool_)
    if frames.size and downbeat_frames.size:
        nearest = np.abs(frames[:, None] - downbeat_frames[None]).argmin(axis=0)  # [downbeat] → beat
        near = np.abs(frames[nearest] - downbeat_frames) <= REACH_FRAMES
        is_downbeat[nearest[near]] = True
    beat_ms = (frames + _centroid_offset(activations.beat, frames)) * (1000.0 / activations.frames_per_s)
    return HeardBeats(beat_ms, is_downbeat, activations.beat[frames])


def _log_odds(probability: NDArray[np.float32]) -> NDArray[np.float64]:
    safe = np.clip(probability.astype(np.float64), SURE, 1 - SURE)
    return np.asarray(np.log(safe) - np.log1p(-safe))


def _peaks(log_odds: NDArray[np.float64], threshold: float) -> NDArray[np.int64]:
    """Frames [peak] that are the highest within reach and above the threshold; of equals, the first."""
    if not log_odds.size:
        return np.zeros(0, np.int64)
    padded = np.pad(log_odds, REACH_FRAMES, constant_values=-np.inf)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * REACH_FRAMES + 1)  # [frame, neighbour]
    top = around.argmax(axis=1) == REACH_FRAMES
    return np.flatnonzero(top & (log_odds > np.log(threshold / (1 - threshold))))


def _centroid_offset(probability: NDArray[np.float32], frames: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean place of the probability within `CENTROID_FRAMES` of each peak, in frames from it."""
    steps = np.arange(-CENTROID_FRAMES, CENTROID_FRAMES + 1)
    padded = np.pad(probability.astype(np.float64), CENTROID_FRAMES)
    around = padded[frames[:, None] + CENTROID_FRAMES + steps]  # [peak, step]
    return np.asarray((around * steps).sum(axis=1) / np.maximum(around.sum(axis=1), SURE))
