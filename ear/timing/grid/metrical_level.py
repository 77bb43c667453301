"""Metrical level selection: the multiple of the pulse, and the phase of it, that is the beat.

Each candidate is a steady grid: a multiple of the pulse (`ear.timing.grid.tempo`) at a peak of the fold on it
(`ear.timing.grid.phase`). Without a network the level and phase with the highest probability from the onsets are chosen. With
one, a multinomial logistic regression over all grids combines the probability of the phase with the network's peaks on
and between the grid's beats (`ear.timing.grid.grid_features`, `python -m ear.fitting.fit_level`). A network whose peaks agree
with no grid is ignored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ear.timing.grid.grid_features import peak_features, steady_beats
from ear.timing.grid.phase import BeatPhase, beat_phases
from ear.timing.grid.weights import timing_weights
from ear.tracker.peak_picking import ActivationPeaks, agreement, trust

MIN_LOG_CHANCE = -8.0
"""Floor of a phase's log-probability from the onsets, so that the network can still choose it."""

MAX_PHASES = 6
"""Phases considered at each level, most probable first."""


@dataclass(frozen=True, slots=True)
class LevelChoice:
    """The level and phase chosen for a segment, and the probabilities of all levels."""

    levels: tuple[tuple[float, float], ...]  # (Hz, probability), the chosen one first
    phase: BeatPhase  # within the chosen level
    agreement: float  # 0–1, of the network's beats with the chosen grid; nan without a network


def choose_level(
    strength: NDArray[np.float32], frame_ms: float, levels: list[tuple[float, float]], peaks: ActivationPeaks | None
) -> LevelChoice:
    """The beat of a segment from locally normalized onset strength [band, frame], its levels (Hz, probability), and peaks."""
    if peaks is None or not peaks.beat.time_ms.size:
        return _by_onsets(strength, frame_ms, levels)
    grids: list[tuple[float, BeatPhase]] = []  # (Hz, phase)
    features = []
    for hz, _ in levels:
        for phase in beat_phases(strength, frame_ms, 1000 / hz)[:MAX_PHASES]:
            grids.append((hz, phase))
            features.append(grid_features(phase, hz, peaks))
    agrees = [agreement(peaks.beat, hz, phase.offset_ms) for hz, phase in grids]
    if not trust(max(agrees)):
        return _by_onsets(strength, frame_ms, levels)
    score = np.array(features) @ timing_weights().metrical_level
    joint = np.exp(score - score.max())
    joint /= joint.sum()
    of_level = {hz: float(joint[[one == hz for one, _ in grids]].sum()) for hz, _ in levels}
    best = int(joint.argmax())
    best_hz, phase = grids[best]
    ordered = sorted(of_level.items(), key=lambda level: (level[0] != best_hz, -level[1]))
    within = float(joint[best]) / max(of_level[best_hz], 1e-12)
    return LevelChoice(tuple(ordered), BeatPhase(phase.offset_ms, within), agrees[best])


def grid_features(phase: BeatPhase, hz: float, peaks: ActivationPeaks) -> NDArray[np.float64]:
    """[feature] of one grid: log-probability of its phase from the onsets, and `PEAK_FEATURES`.

    The probability of its level from the onsets is left out: fitted on some collections, it misleads on others.
    """
    onsets = [np.log(max(phase.chance, np.exp(MIN_LOG_CHANCE)))]
    return np.concatenate([onsets, peak_features(peaks, steady_beats(peaks, hz, phase.offset_ms))])


def _by_onsets(strength: NDArray[np.float32], frame_ms: float, levels: list[tuple[float, float]]) -> LevelChoice:
    """The most probable level, and the most probable phase in it."""
    phase = beat_phases(strength, frame_ms, 1000 / levels[0][0])[0]
    return LevelChoice(tuple(levels), phase, float("nan"))
