"""Confidence of a steady timing: the probability that nine tenths of its beats are right, calibrated on held-out music.

A logistic regression over the probabilities of level and phase, the tracked beats that the grid misses, and the
agreement of grid and tracked beats with a network's peaks (`python -m ear.fitting.fit_confidence`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ear.timing.grid.weights import timing_weights

MAX_LOG_ODDS = 4.0
"""Log-odds of level and phase are clipped here."""

MAX_SHARE, SHARE_SCALE = 0.3, 4.0
"""Bound of the beats missed and of the gain of tracked beats, and their scale among the features."""

RHYTHMIC = 0.5
"""Signal confidence (share of the song that keeps to the grid, less doubts) below which the result is scaled down: noise
and speech lie below it, and hardly any music."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Features of the confidence of a steady timing."""

    signal: float  # 0–1, share of the song that keeps to the grid, less the doubts about level and phase
    level: float  # 0–1, probability of the chosen metrical level
    phase: float  # 0–1, probability of the chosen phase
    off: float  # 0–1, share of the tracked beats that the grid misses
    agreement: float  # 0–1, of the grid with the network's peaks
    tracked_agreement: float  # 0–1, of the tracked beats with the network's peaks

    def features(self) -> NDArray[np.float64]:
        """[feature]: 1, log-odds of level and phase, beats missed, gain of the tracked beats, agreement."""
        gain = max(self.tracked_agreement - self.agreement, 0.0)
        missed, gained = (SHARE_SCALE * min(value, MAX_SHARE) for value in (self.off, gain))
        return np.array([1.0, _log_odds(self.level), _log_odds(self.phase), missed, gained, self.agreement])


def calibrated(evidence: Evidence) -> float:
    """0–1: probability that the timing is right."""
    score = float(evidence.features() @ timing_weights().confidence)
    return float(min(evidence.signal / RHYTHMIC, 1.0) / (1 + np.exp(-score)))


def calibration_error(said: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 10) -> float:
    """Expected calibration error: mean distance of the share right from the confidence [piece], over equal bins."""
    place = np.minimum((said * bins).astype(np.int64), bins - 1)
    gaps = [abs(float((said - right)[place == one].sum())) for one in range(bins)]
    return sum(gaps) / max(said.size, 1)


def _log_odds(probability: float) -> float:
    inside = min(max(probability, 1e-6), 1 - 1e-6)
    return float(np.clip(np.log(inside / (1 - inside)), -MAX_LOG_ODDS, MAX_LOG_ODDS))
