"""A second opinion of difficulty beside the stars: the skill a chart requires, overall and skill by skill, with its uncertainty.

A rating is the level whose players reach 96 % (MAX = 320 weights). Overall, players are all-round. For one skill, only that skill
and the accuracy of the hands are of the level, and the others are beyond the chart: so a rating says how hard the chart would be
if nothing but that skill held its players back. A chart is as hard as its hardest skills together, so the overall rating is the highest.

The uncertainty is one SD: of the plays (half the difference of two halves of them), and of the model, whose accuracies miss those
of real rankings by `MODEL_SD`, divided by the slope of accuracy over level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.difficulty_curve import TARGET, AccuracyCurve, Grid, curve_by, curve_of, grid_for
from agents.judgement.mods import Mods, mods_of
from agents.motor.population import MIN_LEVEL, SKILL_NAMES, Population
from agents.simulate import Simulator
from chart.model import Chart

SKILLS: dict[str, tuple[str, ...]] = {
    "stream": ("speed", "stamina"),
    "jack": ("jack",),
    "hold": ("release",),
    "technical": ("reading",),
}
"""The skills of `agents.motor.population.Player` that each rating varies."""
OVERALL = "overall"
MODEL_SD = 0.008
"""SD of predicted less real mean accuracy on the 15 ranked maps (docs/agents.md)."""
HALVES = (slice(0, None, 2), slice(1, None, 2))
"""Plays of each half."""
FIRST = 8
"""Levels of a skill's grid that are played first."""
MARGIN = 0.75
"""Levels beyond the target's that are played for a skill: half a level for the slope, and one step more."""
LEAST_SLOPE = 0.004
"""Accuracy per level; flatter curves would make an uncertainty beyond the scale."""


@dataclass(frozen=True, slots=True)
class Rating:
    """A required level and its SD, in levels (≈ official stars)."""

    level: float
    sd: float

    def shown(self, digits: int = 2) -> str:
        """Level and SD as people read them; "none" where even the lowest level reaches the accuracy."""
        return f"{self.level:.{digits}f} ± {self.sd:.{digits}f}" if self.level > MIN_LEVEL else "none"


def rate(
    chart: Chart,
    mods: Mods | int | str = "",
    *,
    rules: str = "stable",
    seed: int = 0,
    threads: int = 1,
    overall: AccuracyCurve | None = None,
) -> dict[str, Rating]:
    """Ratings by name: overall, then each of `SKILLS`; "hold" only where the chart has holds.

    `overall` is `agents.difficulty_curve.accuracy_curve` of the same arguments, for those who have it already: the plays are then
    not played again. Raises `ChartFileError` for charts that cannot be played.
    """
    return rate_by(Simulator(chart, mods_of(mods), rules), seed, threads, overall)


def rate_by(simulator: Simulator, seed: int, threads: int, overall: AccuracyCurve | None = None) -> dict[str, Rating]:
    """`rate` of a chart that is ready to be played."""
    if overall is None or overall.plays is None:
        overall = curve_by(simulator, seed, threads)
    assert overall.plays is not None
    ratings = {OVERALL: _rating(overall.level, overall.plays)}
    names = [name for name in SKILLS if name != "hold" or bool(simulator.chart.is_hold.any())]
    return ratings | _skill_ratings(simulator, names, seed, threads)


def _skill_ratings(simulator: Simulator, names: Sequence[str], seed: int, threads: int) -> dict[str, Rating]:
    """Rating of each skill. Its grid is played at `FIRST` levels, then at all those near the ones that reach the target."""
    grid = grid_for(simulator.chart)
    players = [grid.players(_ample(name)).skills.reshape(grid.level.size, grid.count, -1) for name in names]
    known = np.full((len(names), grid.level.size, grid.count), np.nan)
    first = np.linspace(0, grid.level.size - 1, FIRST).round().astype(np.int64)
    wanted = np.zeros(known.shape[:2], bool)
    wanted[:, first] = True
    number = np.arange(grid.level.size * grid.count).reshape(grid.level.size, -1)
    for _ in range(2):
        skill, level = np.nonzero(wanted & np.isnan(known[:, :, 0]))
        skills = np.stack([players[a][b] for a, b in zip(skill, level, strict=True)])
        played = simulator.accuracies(
            Population(skills.reshape(-1, skills.shape[-1])), seed, threads, number[level].ravel()
        )
        known[skill, level] = played.reshape(-1, grid.count)
        near = [_near(one[first], first, grid) for one in known]
        for row, inside in zip(wanted, near, strict=True):
            row[inside] = True
    return {
        name: _rating(grid.level[inside], one[inside]) for name, one, inside in zip(names, known, near, strict=True)
    }


def _near(accuracy: NDArray[np.float64], place: NDArray[np.int64], grid: Grid) -> slice:
    """The levels of the grid on which the rating depends; `accuracy` [level, play] is known at the `place` of some levels.

    They lie between the last of these levels below the target and the first from which on all reach it, whether by all
    plays or by half of them, and `MARGIN` to both sides, for the slope and for levels that noise has out of order. Where even
    the lowest level reaches the target, accuracy is as good as flat, and noise orders all levels.
    """
    series = np.stack([accuracy.mean(axis=1), *(accuracy[:, part].mean(axis=1) for part in HALVES)], axis=1)
    lowest, highest = np.sort(series, axis=1)[:, [0, -1]].T
    under = np.flatnonzero(np.logical_and.accumulate(highest < TARGET))
    over = np.flatnonzero(np.logical_and.accumulate(lowest[::-1] >= TARGET)[::-1])
    if not under.size:
        return slice(0, grid.level.size)
    margin = math.ceil(MARGIN / (grid.level[1] - grid.level[0]))
    high = place[over[0]] if over.size else place[-1]
    return slice(max(int(place[under[-1]]) - margin, 0), int(high) + margin + 1)


def _rating(levels: NDArray[np.float64], accuracy: NDArray[np.float64]) -> Rating:
    """The level that accuracies [level, play] require, and its SD."""
    whole = curve_of(levels, accuracy)
    halves = [curve_of(levels, accuracy[:, part]).level_for(TARGET) for part in HALVES]
    return Rating(
        round(whole.level_for(TARGET), 2),
        round(float(np.hypot((halves[0] - halves[1]) / 2, MODEL_SD / max(_slope(whole), LEAST_SLOPE))), 2),
    )


def in_words(ratings: dict[str, Rating]) -> str:
    """The ratings in one line, as commands print them."""
    return "  ".join(f"{name} {one.shown()}" for name, one in ratings.items())


def _ample(name: str) -> tuple[str, ...]:
    """Skills of a player that shall not hold him back while this one is rated."""
    return tuple(skill for skill in SKILL_NAMES if skill != "accuracy" and skill not in SKILLS[name])


def _slope(curve: AccuracyCurve) -> float:
    """Accuracy per level within half a level of the rating."""
    level = curve.level_for(TARGET)
    low, high = np.interp([level - 0.5, level + 0.5], curve.level, curve.accuracy)
    return float(high - low)
