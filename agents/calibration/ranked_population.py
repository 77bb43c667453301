"""The ranked population fitted to the accuracies of ranked players on whole maps.

Each map is played once by players of all levels; every population that is tried only weighs those plays anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agents.calibration.descent import polish
from agents.calibration.real_plays import RankedMap
from agents.difficulty_curve import AccuracyCurve, rising
from agents.judgement.mods import mods_of
from agents.motor.constants import Constants, SkillConstants
from agents.motor.population import Population, around
from agents.ranking import ranked_density, ranked_levels
from agents.simulate import Plays, play_with
from chart.model import Chart

GRID_LEVELS = np.arange(1.0, 13.0, 0.5)
SAMPLED = 24
"""Ranked players a map in every step of the fit of the hands."""
POOL, POOL_LEVELS = 1_500, (1.5, 12.5)
"""Players a map from whom populations are weighed, and the levels between which they are spread evenly."""
FITTED = ("ranked_level", "ranked_slope", "ranked_scale", "ranked_least")
MEAN_SD, PERCENTILE_SD = 0.006, 0.02
"""Errors of a map's mean accuracy, and of its 10th percentile and median, that cost 1."""
PASSES = 40


def skill_grid(chart: Chart, shared: Constants, seed: int = 2) -> AccuracyCurve:
    """A coarse accuracy curve: one play at each level of the grid."""
    skills = np.zeros((GRID_LEVELS.size, 9))
    skills[:, :6], skills[:, 6], skills[:, 8] = GRID_LEVELS[:, None], 1.0, 520.0
    return AccuracyCurve(GRID_LEVELS, rising(play_plain(chart, Population(skills), seed, shared).accuracy))


def ranked_accuracy(
    chart: Chart, curve: AccuracyCurve, shared: Constants, players: int = SAMPLED
) -> NDArray[np.float64]:
    """[player], accuracies of the ranked players at even quantiles on the chart of this curve."""
    levels = ranked_levels(curve, (np.arange(players) + 0.5) / players, shared.skill)
    return play_plain(chart, around(levels, players, np.random.default_rng(3), shared.skill), 3, shared).accuracy


@dataclass(frozen=True, eq=False)
class RankedPool:
    """One map played by players of all levels."""

    target: RankedMap
    curve: AccuracyCurve
    level: NDArray[np.float64]  # [player]
    accuracy: NDArray[np.float64]  # [player], rising

    def figures(self, skill: SkillConstants) -> tuple[float, float, float]:
        """(mean, 10th percentile, median) accuracy of the ranked players."""
        weight = ranked_density(self.curve, self.level, skill)
        below = np.cumsum(weight)
        p10, p50 = np.interp([0.1, 0.5], below / below[-1], self.accuracy)
        return float(weight @ self.accuracy / below[-1]), float(p10), float(p50)

    def misfit(self, skill: SkillConstants) -> float:
        """Squared errors in units of their accepted size."""
        mean, p10, p50 = self.figures(skill)
        off = (
            (mean - self.target.mean) / MEAN_SD,
            (p10 - self.target.p10) / PERCENTILE_SD,
            (p50 - self.target.p50) / PERCENTILE_SD,
        )
        return float(np.square(off).sum())


def ranked_pools(maps: Sequence[RankedMap], shared: Constants) -> list[RankedPool]:
    """Each map's pool, with common random numbers."""
    pools = []
    for one in maps:
        rng = np.random.default_rng(7)
        level = rng.uniform(*POOL_LEVELS, POOL)
        accuracy = play_plain(one.chart, around(level, POOL, rng, shared.skill), 3, shared).accuracy
        order = np.argsort(accuracy)
        pools.append(RankedPool(one, skill_grid(one.chart, shared), level[order], accuracy[order]))
    return pools


def fit_population(pools: Sequence[RankedPool], skill: SkillConstants) -> SkillConstants:
    """The skill constants with the ranked population that fits these maps best."""

    def with_population(vector: NDArray) -> SkillConstants:
        values = dict(zip(FITTED, np.exp(vector).tolist(), strict=True))
        return replace(skill, **(values | {"ranked_least": min(values["ranked_least"], 0.95)}))

    def residuals(vector: NDArray) -> NDArray:
        trial = with_population(vector)
        return np.sqrt([pool.misfit(trial) for pool in pools])

    start = np.log([getattr(skill, name) for name in FITTED])
    return with_population(polish(residuals, start, PASSES, _silent))


def spearman(a: Sequence[float] | NDArray, b: Sequence[float] | NDArray) -> float:
    """Spearman's rank correlation of values without ties."""
    first, second = (np.argsort(np.argsort(np.asarray(values))) for values in (a, b))
    return float(np.corrcoef(first, second)[0, 1])


def play_plain(chart: Chart, players: Population, seed: int, shared: Constants) -> Plays:
    """Plays without modifiers under stable's rules, with these constants."""
    return play_with(chart, players, seed, mods_of(), "stable", 1, False, shared)


_silent: Callable[[int, float], None] = lambda number, cost: None  # noqa: E731
