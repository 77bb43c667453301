"""Ranked players of a chart: whose levels depend on its difficulty, because nobody hands in a score far below par.

Before they choose a chart, levels follow a logistic distribution, which has the long upper tail of real rankings; of those, players
hand in scores whose level promises at least some accuracy on the chart. On easy charts that is everybody, on hard charts the few
who play hard charts, so that accuracy falls no further however hard the chart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.difficulty_curve import TARGET, AccuracyCurve
from agents.motor.constants import SkillConstants, constants
from agents.motor.population import MAX_LEVEL, MIN_LEVEL, Population, around

LEVELS = np.linspace(MIN_LEVEL, MAX_LEVEL, 561)
SOFT = 0.01
"""Width, in accuracy, of the threshold from which scores are handed in: half do at the threshold, 73 % this much above; assumed."""


def ranked(curve: AccuracyCurve, count: int, rng: np.random.Generator) -> Population:
    """`count` players who hand in scores on the chart of this accuracy curve."""
    return around(ranked_levels(curve, rng.uniform(size=count)), count, rng)


def ranked_levels(
    curve: AccuracyCurve, quantiles: NDArray[np.float64], skill: SkillConstants | None = None
) -> NDArray[np.float64]:
    """[player], the levels at these quantiles of the chart's ranked players."""
    weight = ranked_density(curve, LEVELS, skill)
    below = np.cumsum(weight) - weight / 2
    return np.interp(quantiles, below / weight.sum(), LEVELS)


def ranked_density(
    curve: AccuracyCurve, levels: NDArray[np.float64], skill: SkillConstants | None = None
) -> NDArray[np.float64]:
    """[level], density of the chart's ranked players, up to a factor."""
    s = skill or constants().skill
    off = (levels - s.ranked_level - s.ranked_slope * curve.level_for(TARGET)) / (2 * s.ranked_scale)
    promised = np.interp(levels, curve.level, curve.accuracy)
    # logarithms, for on charts beyond everybody all densities would round to 0
    log_density = -2 * np.logaddexp(off, -off) - np.logaddexp(0, (s.ranked_least - promised) / SOFT)
    density: NDArray[np.float64] = np.exp(log_density - log_density.max())
    return density
