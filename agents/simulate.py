"""Playing a chart with simulated players: `play(chart, players, seed, mods) -> Plays`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

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
from agents.motor.constants import Constants, constants
from agents.motor.note_features import demand_of
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
    _check(population, seed, len(chart))
    return Simulator(chart, mods, rules, shared).play(population, seed, threads, keep_presses)


class Simulator:
    """Plays one chart under the same modifiers and rules as often as asked; what no player changes is prepared once."""

    def __init__(self, chart: Chart, mods: Mods, rules: str, shared: Constants | None = None) -> None:
        """Raises `ChartFileError` for charts that cannot be played, `ConfigError` for unknown rules."""
        shared = shared or constants()
        self.chart = chart
        self._hand, self._skill, self._rate = shared.hand, shared.skill, mods.rate
        self._notes = notes_of(chart, mods)
        self._demand = demand_of(chart, mods, self._hand)
        self._judge = Judge(self._notes, chart, mods, rules)

    def play(self, population: Population, seed: int, threads: int = 1, keep_presses: bool = False) -> Plays:
        """Every player's play; as `agents.simulate.play`."""
        _check(population, seed, len(self.chart))
        count = len(population)
        judged = empty_judged(count, len(self.chart))
        kept = _room(self._notes, count) if keep_presses else None

        def judge(span: slice, keys: Presses) -> None:
            self._judge.into(judged.of(span), keys)

        self._each_span(population, _seeds(seed, np.arange(count)), threads, kept, judge)
        in_real_time(judged, self._rate)
        return _plays(population, judged, kept)

    def accuracies(
        self, population: Population, seed: int, threads: int = 1, numbers: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """[player] the accuracies of `play`, without what else is known of plays, in a fraction of the memory.

        `numbers` [player] says which player of a larger population each one is, by the default all of them in turn: the
        same number and seed give the same random numbers.
        """
        _check(population, seed, len(self.chart))
        accuracy = np.empty(len(population))

        def judge(span: slice, keys: Presses) -> None:
            accuracy[span] = self._judge.accuracies(keys, span.stop - span.start)

        seeds = _seeds(seed, np.arange(len(population)) if numbers is None else numbers)
        self._each_span(population, seeds, threads, None, judge)
        return accuracy

    def _each_span(
        self,
        population: Population,
        seeds: NDArray[np.uint64],
        threads: int,
        kept: Presses | None,
        judge: Callable[[slice, Presses], None],
    ) -> None:
        """Let some players at a time play, by as many threads as asked, and have their presses judged."""
        spans = [slice(at, min(at + CHUNK, len(population))) for at in range(0, len(population), CHUNK)]
        workers = min(threads or usable_threads(), len(spans))
        players, ended = profiles(population, self._skill), Event()

        def work(worker: int) -> None:
            scratch = _room(self._notes, CHUNK) if kept is None else kept
            for span in spans[worker::workers]:
                if ended.is_set():
                    return
                keys = scratch.of(span if kept is not None else slice(0, span.stop - span.start))
                self._press(players[span], seeds[span], keys)
                judge(span, keys)

        if workers > 1:
            with ThreadPoolExecutor(workers) as pool:
                try:
                    list(pool.map(work, range(workers)))
                finally:
                    ended.set()  # after Ctrl-C no thread begins anew
        elif spans:
            work(0)

    def _press(self, players: NDArray[np.float32], seeds: NDArray[np.uint64], keys: Presses) -> None:
        """Write the presses of up to `CHUNK` players."""
        hand = self._hand
        tables = (hand_table(hand.tail_df, hand.slip_share, hand.slip_size), normal_table())
        with np.errstate(over="ignore"):  # the generator wraps around, which only the interpreted kernel remarks on
            hand_kernels.play_hands(
                (self._demand.features, self._demand.column),
                players,
                hand.for_kernel(),
                tables,
                seeds,
                (keys.press, keys.release, keys.press_at, keys.count),
                self._rate,
            )


def _check(population: Population, seed: int, notes: int) -> None:
    count = len(population)
    if not np.isfinite(population.skills).all():
        raise ConfigError("a player's skill is not a finite number")
    if seed < 0:
        raise ConfigError(f"the seed is {seed}; give 0 or more")
    if count * notes > MAX_PLAYED:
        raise ConfigError(
            f"{count:,} plays of {notes:,} notes are more than {MAX_PLAYED:,}: "
            + ("the map is too long" if count == 1 else "play fewer at a time")
        )


def _seeds(seed: int, numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """[player] the seed of each player's random numbers; it depends on the number alone, not on how many play."""
    count = int(numbers.max(initial=0)) + 1
    return np.random.SeedSequence(seed).generate_state(count, np.uint64).astype(np.uint64)[numbers]


def _room(notes: Notes, players: int) -> Presses:
    """Press arrays with a place for every note and for stray presses."""
    size = np.diff(notes.column_at) + SPARE_PRESSES
    at = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    shape = (players, int(at[-1]))
    return Presses(np.zeros(shape, np.int32), np.zeros(shape, np.int32), at[:4], np.zeros((players, 4), np.int64))


def _plays(population: Population, judged: Judged, kept: Presses | None) -> Plays:
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
