"""Environments side by side with their rewards: what the single and the vectorised gymnasium environment share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from env.returns.section_return import TERM_NAMES, Job, Scorer, Valued
from env.task import dynamics as core
from env.task import kernels
from env.task.episodes import PHRASE_BARS, Rows, Section, SectionConfig, draw_section
from env.task.songs import SongSet

MEASURE_NAMES = tuple(f"measure/{name}" for name in TERM_NAMES)
ILLEGAL_PENALTY = 0.01
"""Taken off the reward for an action that the mask forbids: small against a phrase's value, large against a row's."""


@dataclass(frozen=True)
class Stepped:
    """What one step gave; arrays are [env]."""

    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]  # the section is written and the song ends with it
    truncated: NDArray[np.bool_]  # the section is written and the song goes on
    infos: list[dict[str, Any]]


class Session:
    """Some environments on one library. Invariant: `potential[e]` is that of environment e after its last whole bar."""

    def __init__(self, library: SongSet, scorer: Scorer, config: SectionConfig, count: int) -> None:
        self.library, self.scorer, self.config = library, scorer, config
        self.random = [np.random.default_rng(env) for env in range(count)]
        self.state: core.State | None = None
        self.seeds = np.zeros(count, np.int64)
        self.finished = np.zeros(count)  # [env] sum of the values of finished phrases
        self.potential = np.zeros(count)
        self.offset = np.zeros(count)  # [env] value of the draft, which an edit must beat

    def reset(self, env: int) -> None:
        """Let an environment begin a section drawn from its own generator."""
        section = draw_section(self.library, self.config, self.random[env])
        if self.state is None:
            self.state = core.initial(self.library, [section] * len(self.random))
        core.put(self.library, self.state, env, section)
        self.seeds[env] = self.random[env].integers(2**31)
        self.finished[env] = 0.0
        self.potential[env] = 0.0
        self.offset[env] = self._draft_value(section, int(self.seeds[env]))

    def _draft_value(self, section: Section, seed: int) -> float:
        """Value of the section as the draft has it; 0 where there is no draft."""
        if section.draft is None:
            return 0.0
        rows = Rows(
            np.concatenate((section.before.slot, section.draft.slot)),
            np.concatenate((section.before.code, section.draft.code)),
        )
        if len(rows) >= core.MAX_TOKENS:
            return 0.0
        as_it_was = core.initial(self.library, [replace(section, before=rows)])
        phrases = section.bars // PHRASE_BARS
        jobs = [Job(0, phrase, PHRASE_BARS, seed) for phrase in range(phrases)]
        return float(self.scorer.value(as_it_was, jobs).value.mean())

    def step(self, actions: NDArray[np.int64]) -> Stepped:
        """`actions` [env, 2]. Environments that are over stay as they are."""
        state = self.state
        assert state is not None, "reset before the first step"
        over, bars = state.over.copy(), state.bars_done.copy()
        result = core.step(self.library, state, actions[:, 0].astype(np.int64), actions[:, 1].astype(np.int64))
        reward = np.where((result == kernels.ILLEGAL) & ~over, -ILLEGAL_PENALTY, 0.0)
        infos: list[dict[str, Any]] = [{} for _ in result]
        for env in np.flatnonzero(result == kernels.ILLEGAL):
            infos[env]["illegal"] = True
        self._pay(state, bars, reward, infos)
        ended = state.over & ~over
        reward[ended] -= self.offset[ended]
        ends = core.ends_song(state)
        return Stepped(reward, ended & ends, ended & ~ends, infos)

    def _pay(self, state: core.State, bars: NDArray[np.int64], reward: NDArray[np.float64], infos: list[dict]) -> None:
        """Add the rise of the potential of environments that finished bars."""
        phrases = state.sections[0].bars // PHRASE_BARS
        jobs = _jobs(bars, state.bars_done, self.seeds)
        if not jobs:
            return
        valued = self.scorer.value(state, jobs)
        for job, terms in zip(jobs, terms_of(valued), strict=True):
            after = (self.finished[job.env] + job.bars / PHRASE_BARS * terms["value"]) / phrases
            reward[job.env] += after - self.potential[job.env]
            self.potential[job.env] = after
            if job.whole:
                self.finished[job.env] += terms["value"]
            infos[job.env] |= terms
            infos[job.env] |= {"potential": after, "bar": job.phrase * PHRASE_BARS + job.bars}


def _jobs(before: NDArray[np.int64], after: NDArray[np.int64], seeds: NDArray[np.int64]) -> list[Job]:
    """What to value: of each environment every phrase it finished, and the last bar it finished."""
    return [
        Job(int(env), bar // PHRASE_BARS, bar % PHRASE_BARS + 1, int(seeds[env]))
        for env in np.flatnonzero(after > before)
        for bar in range(int(before[env]), int(after[env]))
        if bar % PHRASE_BARS == PHRASE_BARS - 1 or bar == after[env] - 1
    ]


def terms_of(valued: Valued) -> Iterator[dict[str, float]]:
    """Of each job its value, every term and its measure, those with nothing to measure left out."""
    for value, terms, measures in zip(
        valued.value.tolist(), valued.terms.T.tolist(), valued.measures.T.tolist(), strict=True
    ):
        found = {"value": value}
        for name, measure_name, term, measure in zip(TERM_NAMES, MEASURE_NAMES, terms, measures, strict=True):
            if term == term:  # not nan
                found[name], found[measure_name] = term, measure
        yield found


def seeded(session: Session, seeds: Sequence[int]) -> None:
    """Give each environment its own generator."""
    session.random = [np.random.default_rng(seed) for seed in seeds]
