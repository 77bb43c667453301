"""Density curve of a chart: how much busier than the mean each bar is, as its sound and place suggest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mapper.structure.bars import BarSound

PHRASE_BARS = 4
"""Bars whose sound is averaged: dynamics are a matter of phrases."""
ODDS_PER_DENSITY = 2.5
"""Log-odds of rows for a unit of log density: the slope of the marginals at a typical chart (docs/LOG.md)."""
NATURAL_STARS, NATURAL = (1.0, 2.0), (0.0, 0.6)
"""Share of the predicted curve that is added at `dynamics` 1, by stars: planned bar by bar, charts of 2 stars and more
vary less than people's."""
MOST = 1.5
"""Largest deviation in log density: a phrase at a quarter or four times the mean is none that people write."""


def bar_features(sound: BarSound) -> NDArray[np.float64]:
    """[bar, feature]: loudness and flux of the phrase around the bar over the song's median, and their squares."""
    loud, flux = (_smooth(values) - 1.0 for values in (sound.loudness, sound.flux))
    return np.stack((loud, flux, loud**2, flux**2), axis=1)


def density_curve(sound: BarSound, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """[bar] predicted log density about its mean over the song."""
    curve = bar_features(sound) @ weights
    curve = np.clip(curve - curve.mean(), -MOST, MOST)
    return curve - curve.mean()


def density_odds(sound: BarSound, weights: NDArray[np.float64], stars: float, dynamics: float) -> NDArray[np.float64]:
    """[bar] log-odds to add for `dynamics`: 1 varies as people's charts do, 0 is flatter, 1.5 livelier."""
    natural = float(np.interp(stars, NATURAL_STARS, NATURAL))
    return (dynamics - 1.0 + natural) * ODDS_PER_DENSITY * density_curve(sound, weights)


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.append(0.0, np.cumsum(values))
    index = np.arange(values.size)
    low, high = np.maximum(index - PHRASE_BARS // 2, 0), np.minimum(index + PHRASE_BARS // 2 + 1, values.size)
    return (total[high] - total[low]) / (high - low)
