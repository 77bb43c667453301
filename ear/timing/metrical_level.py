"""Which multiple of the pulse is the beat, and which tick of it: statistics of onsets weighed with a network's beats.

Each candidate is a steady grid: a multiple of the pulse (`ear.timing.tempo`) at a peak of the fold on it (`ear.timing.phase`). Without
a network the likeliest multiple and tick of the onsets are taken. With one, a multinomial logistic regression over all
grids weighs the chance of the tick with how the network's peaks lie on and between the grid's beats (`ear.timing.grid_features`,
`python -m ear.fitting.fit_level`). A network whose beats agree with no grid at all is not trusted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ear.timing.fitted.metrical_level import HEARD_BEAT_WEIGHTS
from ear.timing.grid_features import heard_features, steady_beats
from ear.timing.phase import BeatPhase, beat_phases
from ear.tracker.peak_picking import HeardPeaks, agreement, trust

MIN_LOG_CHANCE = -8.0
"""Ticks less likely than this from the onsets are still possible for the network."""

MAX_PHASES = 6
"""Ticks considered at each level, the likeliest first."""


@dataclass(frozen=True, slots=True)
class BeatChoice:
    """The beat chosen for a stretch, and what else it could be."""

    levels: tuple[tuple[float, float], ...]  # (Hz, chance), likeliest first; the first is chosen
    phase: BeatPhase  # within the chosen level
    agreement: float  # 0–1, of the network's beats with the chosen grid; nan without a network


def choose_beat(
    strength: NDArray[np.float32], frame_ms: float, levels: list[tuple[float, float]], heard: HeardPeaks | None
) -> BeatChoice:
    """The beat of a stretch from balanced onset strength [band, frame], its levels (Hz, chance), and what is heard."""
    if heard is None or not heard.beat.time_ms.size:
        return _by_onsets(strength, frame_ms, levels)
    grids: list[tuple[float, BeatPhase]] = []  # (Hz, phase)
    features = []
    for hz, _ in levels:
        for phase in beat_phases(strength, frame_ms, 1000 / hz)[:MAX_PHASES]:
            grids.append((hz, phase))
            features.append(grid_features(phase, hz, heard))
    agrees = [agreement(heard.beat, hz, phase.offset_ms) for hz, phase in grids]
    if not trust(max(agrees)):
        return _by_onsets(strength, frame_ms, levels)
    score = np.array(features) @ HEARD_BEAT_WEIGHTS
    joint = np.exp(score - score.max())
    joint /= joint.sum()
    of_level = {hz: float(joint[[one == hz for one, _ in grids]].sum()) for hz, _ in levels}
    best = int(joint.argmax())
    best_hz, phase = grids[best]
    ordered = sorted(of_level.items(), key=lambda level: (level[0] != best_hz, -level[1]))
    within = float(joint[best]) / max(of_level[best_hz], 1e-12)
    return BeatChoice(tuple(ordered), BeatPhase(phase.offset_ms, within), agrees[best])


def grid_features(phase: BeatPhase, hz: float, heard: HeardPeaks) -> NDArray[np.float64]:
    """[feature] of one grid: logarithm of its tick's chance from the onsets, and what the network says (`ear.timing.grid_features`).

    Which multiple the onsets hold likeliest is left out: learnt from some collections of music, it misleads in others.
    """
    onsets = [np.log(max(phase.chance, np.exp(MIN_LOG_CHANCE)))]
    return np.concatenate([onsets, heard_features(heard, steady_beats(heard, hz, phase.offset_ms))])


def _by_onsets(strength: NDArray[np.float32], frame_ms: float, levels: list[tuple[float, float]]) -> BeatChoice:
    """The likeliest level, and the likeliest phase in it."""
    phase = beat_phases(strength, frame_ms, 1000 / levels[0][0])[0]
    return BeatChoice(tuple(levels), phase, float("nan"))
