"""The residuals that calibration lowers, and the descent that lowers them.

They compare simulated with real plays statistic by statistic, the accuracy of a ranked population with real
means on whole maps, and the level required by charts with their official stars. The last of them pull every constant towards the
published value it started from, so that what the data do not tell stays as published.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agents.calibration.real_plays import RankedMap, RealPlay
from agents.calibration.statistics import ChartView, statistics, view_of
from agents.difficulty_curve import AccuracyCurve, rising
from agents.judgement.accuracy import accuracy_320
from agents.judgement.mods import mods_of
from agents.motor.constants import Constants, HandConstants
from agents.motor.note_features import demand_of
from agents.motor.population import Population, around
from agents.simulate import Plays, play_with
from chart.model import Chart, Difficulty

FITTED_HAND = (
    "linear_load", "steep_load", "chord_load", "chord_ease", "chord_coupling", "jack_load", "jack_late_ms", "jack_early_ms", "slip_share", "finger_share", "finger_memory_ms", "drift_share", "hand_memory_ms", "tail_df", "trill_share",
    "repeat_jitter", "tire_long", "lapse", "lapse_load", "lapse_jack",
    "give_up_ms", "held_load", "held_rate", "release_lag_ms", "release_pull", "release_shared",
)  # fmt: skip
FITTED_SKILL = (
    "speed_base", "speed_per_level", "spread_base_ms", "spread_levels", "spread_floor_ms", "repeat_floor_ms",
    "repeat_base_ms", "repeat_levels", "release_base_ms", "release_levels", "release_floor_ms", "ranked_offset",
    "ranked_slope", "ranked_sd", "release_behind", "release_sd", "accuracy_sd", "speed_sd",
)  # fmt: skip
PRIOR_SD = 0.35
"""How far, in log, a constant may stray from its published value at a cost of 1."""
POOL = 48
"""Simulated players a map, from whom those that match real plays in accuracy are chosen."""
MATCHES = 2
"""Simulated plays set against each real one."""
RANKED, MANY_RANKED = 24, 384
"""Ranked players a map: in every step of the fit; and to choose the population and report, for some maps lie .001 apart."""
GRID_LEVELS = np.arange(1.0, 13.0, 1.0)
POPULATION_SLOPES = (0.16, 0.2, 0.24, 0.28, 0.32, 0.36, 0.4)
POPULATION_STEPS = (-0.2, -0.1, 0.0, 0.1, 0.2)  # levels
STRIDE = 0.1
"""Distance, in log, over which slopes are taken."""
STEPS = 4
"""Steps a round: the first with slopes that were measured, the others with slopes that the steps before corrected."""
SOFT = 2.0
"""Residuals beyond this many times 20 % count by their logarithm."""
WEIGHT_LIKENESS = 1.5
WEIGHT_MAP = 0.5
"""Of a statistic on one map: maps shall not be wrong in ways that cancel out."""


@dataclass(frozen=True, eq=False)
class Targets:
    """What is compared with, prepared once."""

    plays: Sequence[RealPlay]
    human: Sequence[dict[str, float]]  # statistics of each play
    views: dict[str, ChartView]  # by map and, if mirrored, "m"
    view_of_play: Sequence[str]  # key of each play's view
    ranked: Sequence[RankedMap]
    starred: Sequence[tuple[Chart, float]]  # charts of OD 8 with their stars


def targets_of(
    plays: Sequence[RealPlay], ranked: Sequence[RankedMap], starred: Sequence[tuple[Chart, float]]
) -> Targets:
    """Statistics of the real plays; Mirror is ignored, for it only swaps the hands."""
    views: dict[str, ChartView] = {}
    human, keys = [], []
    for real in plays:
        name = real.map_name + ("m" if real.mods.mirror else "")
        if name not in views:
            views[name] = view_of(real.chart, demand_of(real.chart, real.mods, HandConstants()))
        keys.append(name)
        judged = real.judged()
        human.append(statistics(views[name], judged.error_ms[0], judged.release_error_ms[0], judged.grade[0]))
    plain = [(replace(chart, difficulty=Difficulty(8.0, 8.0)), stars) for chart, stars in starred]
    return Targets(plays, human, views, keys, ranked, plain)


def simulated_statistics(
    targets: Targets, shared: Constants, pool_size: int = POOL, matches: int = MATCHES, seed: int = 1
) -> list[dict[str, float]]:
    """For each real play the mean statistics of `matches` simulated plays of the same map and accuracy."""
    pools: dict[str, Plays] = {}
    known: dict[tuple[str, int], dict[str, float]] = {}
    out = []
    for real in targets.plays:
        view = targets.views[real.map_name if real.map_name in targets.views else real.map_name + "m"]
        if real.map_name not in pools:
            rng = np.random.default_rng(seed)
            # these plays are from leaderboards: who stands there is no worse at holds than at the rest
            skill = replace(shared.skill, release_behind=0.0)
            players = around(rng.uniform(3.0, 13.0, pool_size), pool_size, rng, skill)
            pools[real.map_name] = _play(real.chart, players, seed, shared)
        pool = pools[real.map_name]
        nearest = np.argsort(np.abs(pool.accuracy - accuracy_320(real.counts)))[:matches]
        chosen = []
        for number in map(int, nearest):
            key = (real.map_name, number)
            if key not in known:
                known[key] = statistics(
                    view, pool.hit_error_ms[number], pool.release_error_ms[number], pool.grade[number]
                )
            chosen.append(known[key])
        out.append({name: nan_mean([one[name] for one in chosen]) for name in chosen[0]})
    return out


def nan_mean(values: Sequence[float]) -> float:
    """Mean of what is not nan; nan of nothing."""
    kept = [value for value in values if value == value]
    return float(np.mean(kept)) if kept else float("nan")


def distance(name: str, human: float, simulated: float) -> float:
    """How far apart two values of a statistic are, in units of the accepted 20 %."""
    if np.isnan(human) or np.isnan(simulated):
        return 0.0
    if name.startswith(("mean", "release mean")):
        return (simulated - human) / max(0.2 * abs(human), 3.0)
    if name.startswith("misses"):
        return float(np.log((simulated + 0.3) / (human + 0.3))) / 0.4
    if name.startswith(("lag", "excess")):
        return (simulated - human) / max(0.2 * abs(human), 0.05)
    return float(np.log(max(simulated, 0.1) / max(human, 0.1))) / 0.2


def skill_grid(chart: Chart, shared: Constants, seed: int = 2) -> AccuracyCurve:
    """A coarse accuracy curve: one play at each level of the grid."""
    skills = np.zeros((GRID_LEVELS.size, 9))
    skills[:, :6], skills[:, 6], skills[:, 8] = GRID_LEVELS[:, None], 1.0, 520.0
    return AccuracyCurve(GRID_LEVELS, rising(_play(chart, Population(skills), seed, shared).accuracy))


def ranked_accuracy(chart: Chart, required: float, shared: Constants, players: int = RANKED) -> NDArray[np.float64]:
    """[player], accuracies of a ranked population on a chart that requires this level."""
    rng = np.random.default_rng(3)
    levels = rng.normal(
        shared.skill.ranked_offset + shared.skill.ranked_slope * required, shared.skill.ranked_sd, players
    )
    return _play(chart, around(levels, players, rng, shared.skill), 3, shared).accuracy


def residuals_of(targets: Targets, shared: Constants, start: Constants) -> NDArray[np.float64]:
    """[residual], whose squares are to be small: about 1 for each statistic that lies 20 % off."""
    simulated = simulated_statistics(targets, shared)
    out: list[float] = []
    everything = np.arange(len(targets.plays))
    maps = np.array([real.map_name for real in targets.plays])
    for among, weight in [(everything, WEIGHT_LIKENESS)] + [
        (np.flatnonzero(maps == one), WEIGHT_MAP) for one in np.unique(maps)
    ]:
        for name in targets.human[0]:
            human, ours = (nan_mean([plays[n][name] for n in map(int, among)]) for plays in (targets.human, simulated))
            # a few far-off ones shall not rule the rest
            out.append(weight * SOFT * float(np.arcsinh(distance(name, human, ours) / SOFT)))
    for one in targets.ranked:
        got = ranked_accuracy(one.chart, skill_grid(one.chart, shared).level_for(0.96), shared)
        out += [float(got.mean() - one.mean) / 0.008, float(np.percentile(got, 10) - one.p10) / 0.03]
    off_stars = np.array([skill_grid(chart, shared).level_for(0.96) - stars for chart, stars in targets.starred])
    band = np.array([int(stars) for _, stars in targets.starred])
    out += [2.0 * float(np.median(off_stars[band == one])) / 0.3 for one in np.unique(band)]
    return np.array([*out, *(0.7 * (vector_of(shared) - vector_of(start)) / PRIOR_SD)])


def vector_of(shared: Constants) -> NDArray[np.float64]:
    """Fitted constants as logarithms: all are above 0."""
    hand = [getattr(shared.hand, name) for name in FITTED_HAND]
    return np.log([*hand, *(getattr(shared.skill, name) for name in FITTED_SKILL)])


def constants_from(vector: NDArray, start: Constants) -> Constants:
    """The inverse of `vector_of`; what is not fitted stays as in `start`."""
    values = np.exp(vector)
    hand = {name: float(value) for name, value in zip(FITTED_HAND, values, strict=False)}
    skill = {name: float(value) for name, value in zip(FITTED_SKILL, values[len(FITTED_HAND) :], strict=True)}
    hand["finger_share"], hand["drift_share"] = min(hand["finger_share"], 0.4), min(hand["drift_share"], 0.4)
    hand["release_shared"], hand["tail_df"] = min(hand["release_shared"], 0.95), max(hand["tail_df"], 2.5)
    hand["chord_ease"], hand["chord_coupling"] = min(hand["chord_ease"], 0.2), min(hand["chord_coupling"], 0.95)
    return Constants(replace(start.hand, **hand), replace(start.skill, **skill))


def descend(
    residuals: Callable[[NDArray], NDArray], start: NDArray, rounds: int, tell: Callable[[int, float], None]
) -> NDArray[np.float64]:
    """Levenberg–Marquardt on differences taken widely, for simulated residuals are rough at a small scale.

    Measuring slopes costs a run for every constant, so that between two measurements they are kept up by Broyden's rule.
    """
    here, damping = start.astype(np.float64), 1.0
    now = residuals(here)
    for number in range(rounds):
        slope = np.stack([(residuals(here + STRIDE * axis) - now) / STRIDE for axis in np.eye(here.size)], axis=1)
        for _ in range(STEPS):
            tried = []
            for factor in (damping / 3, damping * 3):
                step = np.linalg.solve(slope.T @ slope + factor * np.eye(here.size), -slope.T @ now)
                step = np.clip(step, -0.4, 0.4)
                got = residuals(here + step)
                tried.append((float(got @ got), factor, step, got))
            cost, factor, step, got = min(tried, key=lambda one: one[0])
            if not step.any():  # nothing left to gain
                return here
            slope += np.outer(got - now - slope @ step, step) / float(step @ step)
            if cost < float(now @ now):
                damping, here, now = factor, here + step, got
            else:
                damping *= 8
        tell(number, float(now @ now))
    return here


def polish(
    residuals: Callable[[NDArray], NDArray], start: NDArray, passes: int, tell: Callable[[int, float], None]
) -> NDArray[np.float64]:
    """One constant at a time, up or down by a step that shrinks where it does not help: for the last, rough part."""
    here = start.astype(np.float64)
    now = float(np.sum(residuals(here) ** 2)) if passes else 0.0
    step = np.full(here.size, STRIDE)
    for number in range(passes):
        for axis in range(here.size):
            for way in (1.0, -1.0):
                there = here.copy()
                there[axis] += way * step[axis]
                got = float(np.sum(residuals(there) ** 2))
                if got < now:
                    here, now, step[axis] = there, got, 1.3 * step[axis]
                    break
            else:
                step[axis] *= 0.5
        tell(number, now)
    return here


@dataclass(frozen=True, eq=False)
class PopulationGrid:
    """What ranked populations of several offsets and slopes would reach on each map."""

    offset: NDArray[np.float64]  # [candidate]
    slope: NDArray[np.float64]  # [candidate]
    off: NDArray[np.float64]  # [candidate, map], predicted − real mean accuracy

    def best(self, shared: Constants, without: int | None = None) -> Constants:
        """The candidate of least squares, over all maps or `without` one."""
        kept = np.arange(self.off.shape[1]) != (-1 if without is None else without)
        chosen = int(np.argmin((self.off[:, kept] ** 2).sum(axis=1)))
        skill = replace(shared.skill, ranked_offset=float(self.offset[chosen]), ranked_slope=float(self.slope[chosen]))
        return replace(shared, skill=skill)


def population_grid(maps: Sequence[RankedMap], required: Sequence[float], shared: Constants) -> PopulationGrid:
    """Populations around the present one, turned about the level that the middle map requires."""
    middle = float(np.median(required))
    level = shared.skill.ranked_offset + shared.skill.ranked_slope * middle
    pairs = [(level + up - slope * middle, slope) for slope in POPULATION_SLOPES for up in POPULATION_STEPS]
    off = np.empty((len(pairs), len(maps)))
    for number, (offset, slope) in enumerate(pairs):
        trial = replace(shared, skill=replace(shared.skill, ranked_offset=offset, ranked_slope=slope))
        off[number] = [
            ranked_accuracy(one.chart, r, trial, MANY_RANKED).mean() - one.mean
            for one, r in zip(maps, required, strict=True)
        ]
    offset, slope = np.array(pairs).T
    return PopulationGrid(offset, slope, off)


def spearman(a: Sequence[float] | NDArray, b: Sequence[float] | NDArray) -> float:
    """Spearman's rank correlation of values without ties."""
    first, second = (np.argsort(np.argsort(np.asarray(values))) for values in (a, b))
    return float(np.corrcoef(first, second)[0, 1])


def _play(chart: Chart, players: Population, seed: int, shared: Constants) -> Plays:
    return play_with(chart, players, seed, mods_of(), "stable", 1, False, shared)
