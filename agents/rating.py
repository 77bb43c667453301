"""A second opinion of difficulty beside the stars: the skill a chart requires, overall and skill by skill, with its uncertainty.

A rating is the level whose players reach 96 % (MAX = 320 weights). Overall, players are all-round. For one skill, only that skill
and the accuracy of the hands are of the level, and the others are beyond the chart: so a rating says how hard the chart would be
if nothing but that skill held its players back. A chart is as hard as its hardest skills together, so the overall rating is the highest.

The uncertainty is one SD: of the plays (half the difference of two halves of them), and of the model, whose accuracies miss those
of real rankings by `MODEL_SD`, divided by the slope of accuracy over level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.difficulty_curve import TARGET, AccuracyCurve, curve_of, play_grid
from agents.judgement.mods import Mods
from agents.motor.population import MIN_LEVEL, SKILL_NAMES
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
    names = [name for name in SKILLS if name != "hold" or bool(chart.is_hold.any())]
    ratings = {}
    for name in (OVERALL, *names):
        if name == OVERALL and overall is not None and overall.plays is not None:
            levels, accuracy = overall.level, overall.plays
        else:
            levels, plays = play_grid(chart, mods, rules, seed, threads, () if name == OVERALL else _ample(name))
            accuracy = plays.accuracy.reshape(levels.size, -1)
        ratings[name] = _rating(levels, accuracy)
    return ratings


def _rating(levels: NDArray[np.float64], accuracy: NDArray[np.float64]) -> Rating:
    """The level that accuracies [level, play] require, and its SD."""
    whole = curve_of(levels, accuracy)
    halves = [curve_of(levels, accuracy[:, part]).level_for(TARGET) for part in (slice(0, None, 2), slice(1, None, 2))]
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
