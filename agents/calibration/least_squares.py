"""The residuals that calibration lowers.

They compare simulated with real plays statistic by statistic, the accuracy of a ranked population with real
means on whole maps, and the level required by charts with their official stars. The last of them pull every constant towards the
published value it started from, so that constants which the data do not determine stay as published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agents.calibration.ranked_population import play_plain, ranked_accuracy, skill_grid
from agents.calibration.real_plays import RankedMap, RealPlay
from agents.calibration.statistics import ChartView, statistics, view_of
from agents.judgement.accuracy import accuracy_320
from agents.motor.constants import Constants, HandConstants
from agents.motor.note_features import demand_of
from agents.motor.population import around
from agents.simulate import Plays
from chart.model import Chart, Difficulty

FITTED_HAND = (
    "linear_load", "steep_load", "chord_load", "chord_ease", "chord_coupling", "jack_load", "jack_late_ms", "jack_early_ms", "slip_share", "finger_share", "finger_memory_ms", "drift_share", "hand_memory_ms", "tail_df", "trill_share",
    "repeat_jitter", "tire_long", "lapse", "lapse_load", "lapse_jack",
    "give_up_ms", "held_load", "held_rate", "release_lag_ms", "release_near_ms", "release_pull", "release_shared",
)  # fmt: skip
FITTED_SKILL = (
    "speed_base", "speed_per_level", "spread_base_ms", "spread_levels", "spread_floor_ms", "repeat_floor_ms",
    "repeat_base_ms", "repeat_levels", "release_base_ms", "release_levels", "release_floor_ms",
    "release_behind", "release_sd", "accuracy_sd", "speed_sd",
)  # fmt: skip
PRIOR_SD = 0.35
"""Deviation, in log, of a constant from its published value that costs 1."""
POOL = 48
"""Simulated players a map, from whom those that match real plays in accuracy are chosen."""
MATCHES = 2
"""Simulated plays set against each real one."""
SOFT = 2.0
"""Residuals beyond this many times 20 % count by their logarithm."""
WEIGHT_LIKENESS = 1.5
WEIGHT_MAP = 0.5
"""Of a statistic on one map: maps shall not be wrong in ways that cancel out."""


@dataclass(frozen=True, eq=False)
class Targets:
    """Reference statistics, prepared once."""

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
            pools[real.map_name] = play_plain(real.chart, players, seed, shared)
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
    """Distance of two values of a statistic, in units of the accepted 20 %."""
    if np.isnan(human) or np.isnan(simulated):
        return 0.0
    if name.startswith(("mean", "release mean")):
        return (simulated - human) / max(0.2 * abs(human), 3.0)
    if name.startswith("misses"):
        return float(np.log((simulated + 0.3) / (human + 0.3))) / 0.4
    if name.startswith(("lag", "excess")):
        return (simulated - human) / max(0.2 * abs(human), 0.05)
    return float(np.log(max(simulated, 0.1) / max(human, 0.1))) / 0.2


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
        got = ranked_accuracy(one.chart, skill_grid(one.chart, shared), shared)
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
