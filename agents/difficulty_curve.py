"""The level a chart asks for, overall and section by section: the difficulty curve as hands feel it.

All-round players on a grid of levels play the chart with common random numbers; accuracy over level is made monotone and
read where it crosses the target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.judgement.mods import Mods, mods_of
from agents.motor.population import BEST_SCROLL_MS, MAX_LEVEL, MIN_LEVEL, SKILL_NAMES, Population
from agents.simulate import Simulator
from chart.model import Chart
from runtime.errors import ConfigError

TARGET = 0.96
"""Accuracy (MAX = 320 weights) that defines a level: the median of ranked players on charts of 4–5.3 stars."""
STEP = 0.25
"""Spacing of the skill grid, in levels."""
PLAYS = 4
"""Plays at each level of the grid; smoothing over levels makes more unnecessary (docs/agents.md gives the spread)."""
LONG_CHART_NOTES = 40_000
"""Charts with more notes, longer than any ranked map, are played half as often at every other level: the many notes make up for it."""
WEIGHTS = np.array([320, 300, 200, 100, 50, 0]) / 320.0


@dataclass(frozen=True, eq=False)
class AccuracyCurve:
    """Expected accuracy by level."""

    level: NDArray[np.float64]  # [level]
    accuracy: NDArray[np.float64]  # [level], never falling
    plays: NDArray[np.float64] | None = None  # [level, play], accuracies that the curve is drawn through

    def level_for(self, accuracy: float) -> float:
        """The level that reaches this accuracy; `MIN_LEVEL` and `MAX_LEVEL` where all or none do."""
        return _crossing(self.level, self.accuracy, accuracy)


@dataclass(frozen=True, eq=False)
class SectionSkill:
    """The level each section asks for."""

    start_ms: NDArray[np.float64]  # [section]
    end_ms: NDArray[np.float64]  # [section]
    notes: NDArray[np.int64]  # [section]
    level: NDArray[np.float64]  # [section], `MIN_LEVEL` where there is nothing to play


def accuracy_curve(
    chart: Chart, mods: Mods | int | str = "", *, rules: str = "stable", seed: int = 0, threads: int = 1
) -> AccuracyCurve:
    """Expected accuracy of all-round players at every level."""
    return curve_by(Simulator(chart, mods_of(mods), rules), seed, threads)


def curve_by(simulator: Simulator, seed: int, threads: int) -> AccuracyCurve:
    """`accuracy_curve` of a chart that is ready to be played."""
    grid = grid_for(simulator.chart)
    accuracy = simulator.accuracies(grid.players(), seed, threads)
    return curve_of(grid.level, accuracy.reshape(grid.level.size, -1))


def required_skill(
    chart: Chart,
    accuracy: float = TARGET,
    mods: Mods | int | str = "",
    *,
    rules: str = "stable",
    seed: int = 0,
    threads: int = 1,
) -> float:
    """The level (≈ official stars) whose players reach `accuracy` on average; 0 for an empty chart."""
    _check(accuracy)
    return accuracy_curve(chart, mods, rules=rules, seed=seed, threads=threads).level_for(accuracy)


def section_skill(
    chart: Chart,
    accuracy: float = TARGET,
    mods: Mods | int | str = "",
    *,
    section_ms: float | None = 5000.0,
    bounds_ms: Sequence[float] | NDArray | None = None,
    rules: str = "stable",
    seed: int = 0,
    threads: int = 1,
) -> SectionSkill:
    """The level each section asks for, played in its place: what came before tires and unsettles.

    Sections are `section_ms` long from the first note on, or lie between the rising times `bounds_ms`.
    """
    _check(accuracy)
    bounds = _bounds(chart, section_ms, bounds_ms)
    grid = grid_for(chart)
    levels, plays = grid.level, Simulator(chart, mods_of(mods), rules).play(grid.players(), seed, threads)
    at = np.searchsorted(chart.time_ms, bounds)
    notes = np.diff(at)
    level = np.full(notes.size, MIN_LEVEL)
    worth = WEIGHTS[plays.grade]
    both = plays.tail_grade >= 0
    worth = np.where(both, (worth + WEIGHTS[plays.tail_grade]) / 2, worth)
    by_level = worth.reshape(levels.size, -1, len(chart)).mean(axis=1)
    sums = np.concatenate([np.zeros((levels.size, 1)), np.cumsum(by_level, axis=1)], axis=1)
    for section in np.flatnonzero(notes):
        mean = (sums[:, at[section + 1]] - sums[:, at[section]]) / notes[section]
        level[section] = _crossing(levels, rising(mean), accuracy)
    return SectionSkill(bounds[:-1], bounds[1:], notes, level)


@dataclass(frozen=True, eq=False)
class Grid:
    """Levels at which a chart is played, and how often at each."""

    level: NDArray[np.float64]  # [level], rising
    count: int  # players at each level

    def players(self, ample: Sequence[str] = ()) -> Population:
        """[level and player] all-round players, but for the skills in `ample`, which are the highest."""
        skills = np.zeros((self.level.size * self.count, 9))
        skills[:, :6] = np.repeat(self.level, self.count)[:, None]
        skills[:, [SKILL_NAMES.index(name) for name in ample]] = MAX_LEVEL
        skills[:, 6], skills[:, 8] = 1.0, BEST_SCROLL_MS
        return Population(skills)


def grid_for(chart: Chart) -> Grid:
    """The grid on which this chart is played."""
    step, count = (2 * STEP, PLAYS // 2) if len(chart) > LONG_CHART_NOTES else (STEP, PLAYS)
    return Grid(np.arange(MIN_LEVEL, MAX_LEVEL + step / 2, step), count)


def curve_of(levels: NDArray[np.float64], accuracy: NDArray[np.float64]) -> AccuracyCurve:
    """The accuracy curve through `accuracy` [level, play] at the skill `levels`."""
    return AccuracyCurve(levels, rising(accuracy.mean(axis=1)), accuracy)


def rising(accuracy: NDArray) -> NDArray:
    """The nearest curve that never falls (pool adjacent violators)."""
    means: list[float] = []
    sizes: list[int] = []
    for value in accuracy:
        means.append(float(value))
        sizes.append(1)
        while len(means) > 1 and means[-2] > means[-1]:
            size = sizes[-2] + sizes[-1]
            means[-2:] = [(means[-2] * sizes[-2] + means[-1] * sizes[-1]) / size]
            sizes[-2:] = [size]
    return np.repeat(np.array(means, np.float64), sizes)


def _crossing(levels: NDArray, accuracy: NDArray, target: float) -> float:
    if accuracy[0] >= target:
        return float(levels[0])
    if accuracy[-1] < target:
        return float(levels[-1])
    after = int(np.searchsorted(accuracy, target))
    share = (target - accuracy[after - 1]) / (accuracy[after] - accuracy[after - 1])
    return float(levels[after - 1] + share * (levels[after] - levels[after - 1]))


def _bounds(chart: Chart, section_ms: float | None, bounds_ms: Sequence[float] | NDArray | None) -> NDArray[np.float64]:
    if bounds_ms is not None:
        bounds = np.asarray(bounds_ms, np.float64)
        if bounds.size < 2 or not (np.diff(bounds) > 0).all():
            raise ConfigError("section bounds must be at least two times that rise")
        return bounds
    if not section_ms or not section_ms > 0:
        raise ConfigError(f"sections of {section_ms} ms are no sections; give a length above 0")
    if not len(chart):
        return np.array([0.0, section_ms])
    first, last = float(chart.time_ms[0]), float(chart.time_ms[-1])
    sections = int((last - first) // section_ms) + 1
    return np.array([first + section_ms * number for number in range(sections + 1)])


def _check(accuracy: float) -> None:
    if not 0 < accuracy < 1:
        raise ConfigError(f"accuracy is {accuracy}; give a share between 0 and 1, such as 0.96")
