"""Playing a chart with simulated players: `play(chart, players, seed, mods) -> Plays`."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.judgement.judge import (
    ACCURACY_320,
    BREAKS,
    FAIL_MS,
    HEALTH,
    MAX_COMBO,
    MEAN,
    MISS,
    SCORE,
    SD,
    Judge,
    Judged,
    Notes,
    Presses,
    empty_judged,
    in_real_time,
    notes_of,
)
from agents.judgement.mods import Mods, mods_of
from agents.motor import kernels as hand_kernels
from agents.motor.constants import Constants, HandConstants, constants
from agents.motor.note_features import Demand, demand_of
from agents.motor.population import Player, Population, population_of, profiles
from agents.motor.quantiles import hand_table, normal_table
from chart.model import Chart
from runtime.errors import ConfigError
from runtime.limits import threads as usable_threads

MAX_PLAYED = 40_000_000
"""Players × notes of one call: about 0.6 GB of results."""
CHUNK = int(hand_kernels.LANES)
"""Players whose presses are held at a time."""
SPARE_PRESSES = 64
"""Room for stray presses in a column beside one press a note."""


@dataclass(frozen=True, eq=False)
class Plays:
    """Results of simulated plays. Errors are real ms (map ms / rate), + is late, nan = no press or release."""

    population: Population
    grade: NDArray[
        np.int8
    ]  # [player, note], 0 MAX … 4 50, 5 MISS; of a hold's head where heads and tails are judged apart
    tail_grade: NDArray[np.int8]  # [player, note], −1 where a tail has no grade of its own (always, under stable)
    hit_error_ms: NDArray[np.float32]  # [player, note]
    release_error_ms: NDArray[np.float32]  # [player, note], holds only
    counts: NDArray[np.int64]  # [player, 6], MAX … MISS
    accuracy: NDArray[np.float64]  # [player], 0–1 with a MAX worth 320 of 320
    score: NDArray[np.float64]  # [player], up to 1,000,000
    max_combo: NDArray[np.int64]  # [player], judgements in a row without a miss
    mean_error_ms: NDArray[np.float64]  # [player]
    unstable_rate: NDArray[np.float64]  # [player], 10 × SD of the hit errors in ms
    health: NDArray[np.float64]  # [player], 0–1 at the end, had the play gone on
    fail_ms: NDArray[np.float64]  # [player], map time at which health ran out, nan = passed
    hold_breaks: NDArray[np.int64]  # [player], holds let go in their middle
    presses: Presses | None = None  # kept when asked for: what a replay is written from

    @property
    def misses(self) -> NDArray[np.int64]:
        """[player] number of notes missed."""
        return self.counts[:, MISS]

    @property
    def passed(self) -> NDArray[np.bool_]:
        """[player]: health never ran out."""
        return np.isnan(self.fail_ms)


def play(
    chart: Chart,
    players: Population | Player | Iterable[Player],
    seed: int = 0,
    mods: Mods | int | str = "",
    *,
    rules: str = "stable",
    threads: int = 1,
    keep_presses: bool = False,
) -> Plays:
    """Play `chart` once with each player; the same seed gives the same plays on any number of threads (0 = all cores).

    Raises `ChartFileError` for charts that cannot be played and `ConfigError` for options that make no sense.
    """
    return play_with(chart, population_of(players), seed, mods_of(mods), rules, threads, keep_presses, constants())


def play_with(
    chart: Chart,
    population: Population,
    seed: int,
    mods: Mods,
    rules: str,
    threads: int,
    keep_presses: bool,
    shared: Constants,
) -> Plays:
    """`play` with other constants than those shipped, as calibration needs it."""
    hand = shared.hand
    count = len(population)
    if not np.isfinite(population.skills).all():
        raise ConfigError("a player's skill is not a finite number")
    if seed < 0:
        raise ConfigError(f"the seed is {seed}; give 0 or more")
    if count * len(chart) > MAX_PLAYED:
        raise ConfigError(
            f"{count:,} plays of {len(chart):,} notes are more than {MAX_PLAYED:,}: "
            + ("the map is too long" if count == 1 else "play fewer at a time")
        )
    notes = notes_of(chart, mods)
    table = _Table(
        notes, demand_of(chart, mods, hand), Judge(notes, chart, mods, rules), mods.rate, hand,
        profiles(population, shared.skill),
    )  # fmt: skip
    judged = empty_judged(count, len(chart))
    kept = _room(notes, count) if keep_presses else None
    seeds = np.random.SeedSequence(seed).generate_state(max(count, 1), np.uint64).astype(np.uint64)
    spans = [(at, min(at + CHUNK, count)) for at in range(0, count, CHUNK)]
    workers = min(threads or usable_threads(), len(spans))
    if workers > 1:
        with ThreadPoolExecutor(workers) as pool:
            list(
                pool.map(lambda worker: _play_spans(table, judged, seeds, spans[worker::workers], kept), range(workers))
            )
    else:
        _play_spans(table, judged, seeds, spans, kept)
    return _plays(population, judged, kept, mods.rate)


@dataclass(frozen=True, eq=False)
class _Table:
    """Inputs that all chunks of a call share."""

    notes: Notes
    demand: Demand
    judge: Judge
    rate: float  # map ms per real ms
    hand: HandConstants
    profiles: NDArray[np.float32]


def _play_spans(
    table: _Table, judged: Judged, seeds: NDArray[np.uint64], spans: list[tuple[int, int]], kept: Presses | None
) -> None:
    """Play and judge some players; each writes only its own rows."""
    hand = table.hand
    tables = (hand_table(hand.tail_df, hand.slip_share, hand.slip_size), normal_table())
    scratch = _room(table.notes, CHUNK) if kept is None else kept
    for a, b in spans:
        rows = slice(a, b) if kept is not None else slice(0, b - a)
        keys = Presses(scratch.press[rows], scratch.release[rows], scratch.press_at, scratch.count[rows])
        with np.errstate(over="ignore"):  # the generator wraps around, which only the interpreted kernel remarks on
            hand_kernels.play_hands(
                (table.demand.features, table.demand.column),
                table.profiles[a:b],
                hand.for_kernel(),
                tables,
                seeds[a:b],
                (keys.press, keys.release, keys.press_at, keys.count),
                table.rate,
            )
        mine = Judged(
            judged.grade[a:b],
            judged.tail_grade[a:b],
            judged.error_ms[a:b],
            judged.release_error_ms[a:b],
            judged.totals[a:b],
        )
        table.judge.into(mine, keys)


def _room(notes: Notes, players: int) -> Presses:
    """Press arrays with a place for every note and for stray presses."""
    size = np.diff(notes.column_at) + SPARE_PRESSES
    at = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    shape = (players, int(at[-1]))
    return Presses(np.zeros(shape, np.int32), np.zeros(shape, np.int32), at[:4], np.zeros((players, 4), np.int64))


def _plays(population: Population, judged: Judged, kept: Presses | None, rate: float) -> Plays:
    in_real_time(judged, rate)
    totals = judged.totals
    empty = totals[:, :6].sum(axis=1) == 0
    return Plays(
        population=population,
        grade=judged.grade,
        tail_grade=judged.tail_grade,
        hit_error_ms=judged.error_ms,
        release_error_ms=judged.release_error_ms,
        counts=totals[:, :6].astype(np.int64),
        accuracy=np.where(empty, 1.0, totals[:, ACCURACY_320]),
        score=totals[:, SCORE],
        max_combo=totals[:, MAX_COMBO].astype(np.int64),
        mean_error_ms=totals[:, MEAN],
        unstable_rate=10.0 * totals[:, SD],
        health=totals[:, HEALTH],
        fail_ms=totals[:, FAIL_MS],
        hold_breaks=totals[:, BREAKS].astype(np.int64),
        presses=kept,
    )
