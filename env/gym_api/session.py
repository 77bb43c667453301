"""Environments side by side with their rewards: the core of the single and the vectorised gymnasium environment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from env.returns.chart_return import ChartValues, chart_reward, value_charts
from env.returns.section_return import TERM_NAMES, Job, Scorer, Valued, chart_from
from env.task import dynamics, kernels
from env.task.dynamics import State
from env.task.episodes import (
    MAX_ROWS,
    PHRASE_BARS,
    Drafter,
    Episode,
    EpisodeConfig,
    Outline,
    draw_outline,
    episode_of,
)
from env.task.songs import SongSet
from mapper.tokens.row_codes import HOLD_START, STARTS_NOTE, SYMBOLS, TAP, Rows
from runtime.errors import ConfigError

MEASURE_NAMES = tuple(f"measure/{name}" for name in TERM_NAMES)
ILLEGAL_PENALTY = 0.01
"""Taken off the reward for an illegal action: small against a phrase's value, large against a row's."""


@dataclass(frozen=True)
class Stepped:
    """Results of one step; arrays are [env]."""

    reward: NDArray[np.float64]
    ended: NDArray[np.bool_]  # the section is written
    infos: list[dict[str, Any]]


@dataclass(frozen=True)
class Original:
    """A chart before its section is written, and its worth."""

    outline: Outline
    rows: Rows
    values: ChartValues
    number: int  # of the chart in the values


class Session:
    """Environments on one song set. Invariant: `potential[e]` is that of environment e after its last whole bar."""

    def __init__(
        self, library: SongSet, scorer: Scorer, config: EpisodeConfig, count: int, drafter: Drafter | None = None
    ) -> None:
        self.library, self.scorer, self.config, self.drafter = library, scorer, config, drafter
        self.state: State | None = None
        self.seeds = np.zeros(count, np.int64)  # [env], of the players
        self.finished = np.zeros(count)  # [env], sum of the values of finished phrases
        self.potential = np.zeros(count)
        self.draft_value = np.zeros(count)  # [env], section value of the rows that the section had
        self.originals: list[Original | None] = [None] * count
        self.steps = np.zeros(count, np.int64)  # [env], of the current episodes
        self.steps_taken = 0
        """Steps of all environments so far; one that is over takes none."""

    def begin(self, envs: Sequence[Sequence[int]], outlines: Sequence[Outline]) -> None:
        """Let the environments `envs[k]` begin the episode of `outlines[k]`; drafts are written in one batch."""
        rows = self._rows_around(outlines)
        episodes = [
            episode_of(self.library, *one) for one in zip(outlines, [self.config] * len(rows), rows, strict=True)
        ]
        originals = self._originals(outlines, rows)
        values = self._draft_values(episodes)
        if self.state is None:
            self.state = dynamics.initial(self.library, [episodes[0]] * len(self.seeds))
        for group, episode, original, value in zip(envs, episodes, originals, values, strict=True):
            for env in group:
                dynamics.put(self.library, self.state, env, episode)
                self.originals[env], self.seeds[env], self.draft_value[env] = original, episode.seed, value
                self.finished[env] = self.potential[env] = 0.0
                self.steps[env] = 0

    def draw(self, random: np.random.Generator, variant: int = 0) -> Outline:
        """An outline of this session's configuration."""
        return draw_outline(self.library, self.config, random, variant)

    def _rows_around(self, outlines: Sequence[Outline]) -> list[Rows | None]:
        if self.config.context == "draft":
            if self.drafter is None:
                raise ConfigError("the context is the mapper's own draft: give the environment a drafter")
            return list(self.drafter(outlines))
        return [outline.human for outline in outlines]

    def _originals(self, outlines: Sequence[Outline], rows: Sequence[Rows | None]) -> list[Original | None]:
        """The charts around the sections with their values; None where nothing follows a section."""
        known = [one for one in rows if one is not None]
        if self.config.context == "open" or not known:
            return [None] * len(rows)
        values = self._values_of(known, outlines)
        return [Original(outline, one, values, k) for k, (outline, one) in enumerate(zip(outlines, known, strict=True))]

    def _values_of(self, rows: Sequence[Rows], outlines: Sequence[Outline | Episode]) -> ChartValues:
        songs, stars = [self.library.songs[one.song] for one in outlines], [one.target.stars for one in outlines]
        charts = [chart_from(*one) for one in zip(rows, songs, stars, strict=True)]
        return value_charts(charts, songs, stars, [one.seed for one in outlines])

    def _draft_values(self, episodes: Sequence[Episode]) -> NDArray[np.float64]:
        """[episode] section value of the rows that the section had; 0 where it had none, or too many to hold."""
        value = np.zeros(len(episodes))
        held = [
            number
            for number, one in enumerate(episodes)
            if one.draft is not None and len(one.context) + len(one.draft) < MAX_ROWS
        ]
        if held:
            state = dynamics.initial(self.library, [episodes[number] for number in held])
            for env, episode in enumerate(state.episodes):
                _add_rows(state, env, episode.draft)
            bars = [
                (env, phrase, state.episodes[env].seed) for env in range(len(held)) for phrase in range(self.phrases)
            ]
            jobs = [Job(env, phrase, PHRASE_BARS, seed) for env, phrase, seed in bars]
            value[held] = self.scorer.value(state, jobs).value.reshape(len(held), -1).mean(1)
        return value

    def drafts(self) -> list[Original]:
        """The drafts of the current episodes, each once; none in other contexts."""
        known = self.originals if self.config.context == "draft" else []
        return list({id(one): one for one in known if one is not None}.values())

    @property
    def phrases(self) -> int:
        """Phrases of a section."""
        return self.config.phrases

    def step(self, actions: NDArray[np.int64]) -> Stepped:
        """`actions` [env, 2]. Environments that are over stay as they are."""
        state = self.state
        assert state is not None, "reset before the first step"
        over, bars = state.over.copy(), state.bars_done.copy()
        self.steps += ~over
        self.steps_taken += int((~over).sum())
        offset, code = np.ascontiguousarray(np.asarray(actions, np.int64).T)
        result = dynamics.step(self.library, state, offset, code)
        illegal = (result == kernels.ILLEGAL) & ~over
        reward = np.where(illegal, -ILLEGAL_PENALTY, 0.0)
        infos: list[dict[str, Any]] = [{} for _ in result]
        for env in np.flatnonzero(illegal):
            infos[env]["illegal"] = True
        self._pay_bars(state, bars, reward, infos)
        ended = state.over & ~over
        if ended.any():
            reward[ended] -= self.draft_value[ended]
            for env in np.flatnonzero(ended):
                infos[env] |= _written(state.rows_of(int(env), since_start=True)) | {"steps": int(self.steps[env])}
            self._pay_charts(state, np.flatnonzero(ended), reward, infos)
        return Stepped(reward, ended, infos)

    def _pay_bars(self, state: State, bars: NDArray[np.int64], reward: NDArray[np.float64], infos: list[dict]) -> None:
        """Add the rise of the potential of environments that finished bars."""
        jobs = _jobs(bars, state.bars_done, self.seeds)
        if not jobs:
            return
        for job, terms in zip(jobs, terms_of(self.scorer.value(state, jobs)), strict=True):
            after = (self.finished[job.env] + job.bars / PHRASE_BARS * terms["value"]) / self.phrases
            reward[job.env] += after - self.potential[job.env]
            self.potential[job.env] = after
            if job.whole:
                self.finished[job.env] += terms["value"]
            infos[job.env] |= terms
            infos[job.env] |= {"potential": after, "bar": job.phrase * PHRASE_BARS + job.bars}
            infos[job.env]["target/stars"] = state.episodes[job.env].target.stars

    def _pay_charts(
        self, state: State, ended: NDArray[np.int64], reward: NDArray[np.float64], infos: list[dict]
    ) -> None:
        """Add the rise of the worth of the charts whose sections are written."""
        envs = [int(env) for env in ended if self.originals[env] is not None]
        if not envs:
            return
        episodes = [state.episodes[env] for env in envs]
        rows = [episode.chart_with(state.rows_of(env, True)) for env, episode in zip(envs, episodes, strict=True)]
        values = self._values_of(rows, episodes)
        for number, (env, episode) in enumerate(zip(envs, episodes, strict=True)):
            original = self.originals[env]
            assert original is not None
            song = self.library.songs[episode.song]
            reward[env] += chart_reward(episode, song, (original.values, original.number), (values, number))
            infos[env] |= {"chart/total": float(values.total[number]), "chart/off": float(values.off[number])}


def _written(rows: Rows) -> dict[str, float]:
    """Numbers of notes, holds and rows with a note head."""
    symbols = SYMBOLS[rows.code]
    holds = int((symbols == HOLD_START).sum())
    heads = int(STARTS_NOTE[rows.code].sum())
    return {"written/notes": holds + int((symbols == TAP).sum()), "written/holds": holds, "written/rows": heads}


def _add_rows(state: State, env: int, rows: Rows | None) -> None:
    """Write rows into an environment's arrays as if they had been chosen."""
    assert rows is not None
    here = state.numbers[env]
    first, end = int(here[kernels.COUNT]), int(here[kernels.COUNT]) + len(rows)
    state.arrays.rows[env, first:end, kernels.CODE] = rows.code
    state.arrays.rows[env, first:end, kernels.SLOT] = rows.slot
    here[kernels.COUNT] = end


def _jobs(before: NDArray[np.int64], after: NDArray[np.int64], seeds: NDArray[np.int64]) -> list[Job]:
    """Jobs to value: of each environment every phrase it finished, and the last bar it finished."""
    return [
        Job(int(env), bar // PHRASE_BARS, bar % PHRASE_BARS + 1, int(seeds[env]))
        for env in np.flatnonzero(after > before)
        for bar in range(int(before[env]), int(after[env]))
        if bar % PHRASE_BARS == PHRASE_BARS - 1 or bar == after[env] - 1
    ]


def terms_of(valued: Valued) -> Iterator[dict[str, float]]:
    """Of each job its value, every term and its measure; terms with nothing to measure are left out."""
    for value, terms, measures in zip(
        valued.value.tolist(), valued.terms.T.tolist(), valued.measures.T.tolist(), strict=True
    ):
        found = {"value": value}
        for name, measure_name, term, measure in zip(TERM_NAMES, MEASURE_NAMES, terms, measures, strict=True):
            if term == term:  # not nan
                found[name], found[measure_name] = term, measure
        yield found
