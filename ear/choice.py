"""Which multiple of the pulse is the beat, and which tick of it: statistics of onsets weighed with a network's beats.

Each candidate is a steady grid: a multiple of the pulse (`ear.tempo`) at a peak of the fold on it (`ear.phase`). Its
chance from the onsets is multiplied by what the network says: up to `LEVEL_WEIGHT` nats for full agreement between
the level's best grid and the beats it heard, and `PHASE_WEIGHT` between the grids of a level. A network whose beats
agree with no grid at all is not trusted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ear.peaks import HeardPeaks, agreement, trust
from ear.phase import BeatPhase, beat_phases

LEVEL_WEIGHT, PHASE_WEIGHT = 8.0, 24.0
"""Nats between a grid that agrees fully with the network's beats and one that does not at all, if it is trusted: on
another level, and on the same one. A little-trained network hears every half beat too, long after it hears which tick is
one: with 24 for both it doubled tempi. 20 or more suit a good one. Chosen with a look at `timing/` (docs/ear.md): to be fitted
again on held-out train pieces with a better network."""

MIN_CHANCE = 0.02
"""Levels less likely than this from the onsets are still possible for the network."""

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
    prior, agrees = [], []
    for hz, chance in levels:
        for phase in beat_phases(strength, frame_ms, 1000 / hz)[:MAX_PHASES]:
            grids.append((hz, phase))
            prior.append(np.log(max(chance, MIN_CHANCE)) + np.log(max(phase.chance, MIN_CHANCE)))
            agrees.append(agreement(heard.beat, hz, phase.offset_ms))
    trusted = trust(max(agrees))
    if not trusted:
        return _by_onsets(strength, frame_ms, levels)
    of_best = np.array([max(a for (other, _), a in zip(grids, agrees, strict=True) if other == hz) for hz, _ in grids])
    score = np.array(prior) + trusted * (LEVEL_WEIGHT * of_best + PHASE_WEIGHT * (np.array(agrees) - of_best))
    joint = np.exp(score - score.max())
    joint /= joint.sum()
    of_level = {hz: float(joint[[one == hz for one, _ in grids]].sum()) for hz, _ in levels}
    best = int(joint.argmax())
    best_hz, phase = grids[best]
    ordered = sorted(of_level.items(), key=lambda level: (level[0] != best_hz, -level[1]))
    within = float(joint[best]) / max(of_level[best_hz], 1e-12)
    return BeatChoice(tuple(ordered), BeatPhase(phase.offset_ms, within), agrees[best])


def _by_onsets(strength: NDArray[np.float32], frame_ms: float, levels: list[tuple[float, float]]) -> BeatChoice:
    """The likeliest level, and the likeliest phase in it."""
    phase = beat_phases(strength, frame_ms, 1000 / levels[0][0])[0]
    return BeatChoice(tuple(levels), phase, float("nan"))
