"""Writing sections with the policy, several versions of each side by side, and what each version earned.

A *group* are the versions of one section: same song, same rows before it, same target, same players. What a version
earns in a bar is taken against the mean of its siblings' earnings in that bar, which removes how hard the section is.
Shapes use: env (a version), step, bar, group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from env.policy.action_heads import ActionHeads, DecisionBatch, codes_at
from env.policy.actions import Decisions, decisions_of, open_slots_of, resting_columns
from env.policy.sb3_policy import ValueHead
from env.policy.torch_decoder import Decoder, Windows, hear
from env.returns.section_return import TERM_NAMES, Job, Scorer, Valued
from env.task import dynamics as core
from env.task import kernels
from env.task.dynamics import State
from env.task.episodes import PHRASE_BARS, Section
from env.task.songs import SongSet
from mapper.sampling.kernels import next_hold_bias

COMPACT_BELOW = 0.8
"""Share of environments still writing below which the decoder forgets those that are done."""


@dataclass(frozen=True)
class WrittenSections:
    """Sections written by the policy, from their begin to their end."""

    state: State  # at the end
    windows: Windows  # [group]
    group: Tensor  # [env]
    open_slots: NDArray[np.bool_]  # [env, slot of the window]
    decisions: Decisions  # [env, step]; behind an environment's last step its last decision is repeated
    steps: NDArray[np.int64]  # [env], number of steps
    log_prob: NDArray[np.float32]  # [env, step]
    value: NDArray[np.float32]  # [env, step], 0 without a value head
    lean: Tensor  # [env], `Mapper.lean` of its window
    bars_done: NDArray[np.int64]  # [env, step], finished bars after the step
    hold_lean: NDArray[np.float32]  # [env, step], log-odds that the sampler added for each hold to keep their share


@dataclass(frozen=True)
class GoingOn:
    """What sections are told that are parts of whole charts; all are [section]."""

    windows: Windows
    lean: Tensor  # log-odds for rows throughout
    hold_lean: NDArray[np.float32]  # log-odds of a hold by which the charts kept to their share of holds, so far


@torch.no_grad()
def write(
    library: SongSet,
    judge: ActionHeads,
    sections: Sequence[Section],
    versions: int,
    seed: Sequence[int],
    value_head: ValueHead | None = None,
    going_on: GoingOn | None = None,
) -> WrittenSections:
    """Write each section `versions` times; version v of section s is environment `s · versions + v`.

    `going_on` tells of the charts that the sections are parts of; without it windows are heard by themselves, and holds come
    as they come.
    """
    device = next(judge.model.parameters()).device
    random = torch.Generator(device=device).manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
    heard = going_on.windows if going_on else hear(judge.model, library, sections)
    group = torch.arange(len(sections), device=device).repeat_interleave(versions)
    state = core.initial(library, [section for section in sections for _ in range(versions)])
    lean = (going_on.lean if going_on else heard.leans(judge.model))[group]
    hold_lean = going_on.hold_lean.repeat(versions) if going_on else None
    writer = _Writer(library, judge, state, heard, group, lean, random, value_head, hold_lean)
    taken: list[_Taken] = []
    while not state.over.all():
        taken.append(writer.step())
    return _joined(state, heard, group, lean, open_slots_of(library, state), taken)


@dataclass(frozen=True)
class _Taken:
    """One step of those environments that are still writing."""

    envs: NDArray[np.int64]
    decisions: Decisions  # [env]
    log_prob: NDArray[np.float32]  # [env]
    value: NDArray[np.float32]  # [env], 0 without a value head
    bars_done: NDArray[np.int64]  # [env], after the step
    hold_lean: NDArray[np.float32]  # [env]


class _Writer:
    """Steps all environments that are not done; invariant: the decoder holds those numbered `active`."""

    def __init__(
        self,
        library: SongSet,
        judge: ActionHeads,
        state: State,
        heard: Windows,
        group: Tensor,
        lean: Tensor,
        random: torch.Generator,
        value_head: ValueHead | None,
        hold_lean: NDArray[np.float32] | None,
    ) -> None:
        self.library, self.judge, self.state, self.random = library, judge, state, random
        self.value_head, self.keeps_holds = value_head, hold_lean is not None
        self.hold_lean = np.zeros(len(state.sections), np.float32) if hold_lean is None else hold_lean
        self.heard, self.group, self.lean = heard, group, lean
        self.open_slots = torch.from_numpy(open_slots_of(library, state)).to(group.device)
        self.decoder = Decoder(judge.model, heard.picked(group), state.tokens, state.tokens_known)
        self.active = np.arange(len(state.sections))
        self.code_at = codes_at(torch.from_numpy(state.tokens)).to(group.device)

    def step(self) -> _Taken:
        """One action in each environment that is not done."""
        state, count = self.state, len(self.state.sections)
        writing = np.flatnonzero(~state.over[self.active])
        if writing.size < COMPACT_BELOW * self.active.size:
            self.decoder.keep(torch.from_numpy(writing).to(self.group.device))
            self.active, writing = self.active[writing], np.arange(writing.size)
        envs = self.active[writing]
        at = torch.from_numpy(writing).to(self.group.device)
        decisions, log_prob = self._decide(envs, at)
        value, hold_lean = self._value(envs, at), self.hold_lean[envs]
        offset, code = np.full(count, kernels.OFFSETS), np.zeros(count, np.int64)
        offset[envs], code[envs] = decisions.offset, decisions.code
        over_before = state.over.copy()
        result = core.step(self.library, state, offset, code)
        assert (result != kernels.ILLEGAL).all(), "the policy drew an illegal row"
        fresh = (result == kernels.WROTE) & ~over_before
        if fresh.any():
            self._note(np.flatnonzero(fresh))
            newest = state.tokens[self.active, state.tokens_known[self.active] - 1]
            self.decoder.read(newest, fresh[self.active])
        return _Taken(envs, decisions, log_prob, value, state.bars_done[envs].copy(), hold_lean)

    def _note(self, envs: NDArray[np.int64]) -> None:
        """Remember where the newest rows stand, and how many holds they begin."""
        if self.keeps_holds:
            for env in envs.tolist():
                code = int(self.state.tokens[env, self.state.tokens_known[env] - 1, kernels.CODE])
                share = self.state.sections[env].target.hold_share
                self.hold_lean[env] = next_hold_bias(self.hold_lean[env], code, share)
        newest = (
            torch.from_numpy(self.state.tokens[envs, self.state.tokens_known[envs] - 1]).long().to(self.group.device)
        )
        self.code_at[torch.from_numpy(envs).to(self.group.device), newest[:, kernels.SLOT]] = newest[:, kernels.CODE]

    def _value(self, envs: NDArray[np.int64], at: Tensor) -> NDArray[np.float32]:
        if self.value_head is None:
            return np.zeros(len(envs), np.float32)
        left, stars = left_and_stars(self.state)
        told = [torch.from_numpy(array[envs]).float().to(at.device) for array in (left, stars)]
        return self.value_head(self.decoder.state[at], *told).cpu().numpy()

    def _decide(self, envs: NDArray[np.int64], at: Tensor) -> tuple[Decisions, NDArray[np.float32]]:
        """Draw one action in each of the environments `envs`, which are the decoder's `at`."""
        library, state, device = self.library, self.state, at.device
        decisions = decisions_of(library, state, envs)
        hidden, number = self.decoder.state[at][:, None], torch.from_numpy(envs).to(device)
        holds = torch.from_numpy(self.hold_lean[envs])[:, None].to(device)
        place = (
            self.heard,
            self.group[number],
            self.open_slots[number],
            self.code_at[number],
            self.lean[number],
            holds,
        )
        uniform = torch.rand(2, len(envs), generator=self.random, device=device)
        reading = DecisionBatch(_one_step(decisions, device), *place)
        offset, offset_prob = self.judge.draw_offsets(reading, hidden, uniform[0])
        chosen = offset.cpu().numpy()
        decisions = _with(decisions, offset=chosen, rests=resting_columns(library, state, envs, chosen))
        reading = DecisionBatch(_one_step(decisions, device), *place)
        code, code_prob = self.judge.draw_codes(reading, hidden, uniform[1])
        return _with(decisions, code=code.cpu().numpy()), (offset_prob + code_prob).cpu().numpy()


def _one_step(decisions: Decisions, device: torch.device):  # type: ignore[no-untyped-def]
    return Decisions(**{one.name: getattr(decisions, one.name)[:, None] for one in fields(Decisions)}).tensors(device)


def _with(decisions: Decisions, **changes: NDArray[np.int64]) -> Decisions:
    return Decisions(**{one.name: changes.get(one.name, getattr(decisions, one.name)) for one in fields(Decisions)})


def _joined(
    state: State,
    heard: Windows,
    group: Tensor,
    lean: Tensor,
    open_slots: NDArray[np.bool_],
    taken: list[_Taken],
) -> WrittenSections:
    """Steps of all environments as [env, step] arrays."""
    count = len(state.sections)
    decisions = {one.name: np.zeros((count, len(taken)), np.int64) for one in fields(Decisions)}
    log_prob, bars = np.zeros((count, len(taken)), np.float32), np.zeros((count, len(taken)), np.int64)
    value, hold_lean, steps = np.zeros_like(log_prob), np.zeros_like(log_prob), np.zeros(count, np.int64)
    for step, one in enumerate(taken):  # an environment never pauses: its k-th step is the k-th of all
        for name, array in decisions.items():
            array[one.envs, step:] = getattr(one.decisions, name)[:, None]
        log_prob[one.envs, step], bars[one.envs, step:] = one.log_prob, one.bars_done[:, None]
        value[one.envs, step], hold_lean[one.envs, step] = one.value, one.hold_lean
        steps[one.envs] += 1
    return WrittenSections(
        state, heard, group, open_slots, Decisions(**decisions), steps, log_prob, value, lean, bars, hold_lean
    )


def left_and_stars(state: State) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """([env] share of the section that is left, [env] stars asked): what the value head is told."""
    numbers, first = state.numbers, state.bar_slots[:, 0]
    written = (numbers[:, kernels.SCAN] + 1 - first) / np.maximum(numbers[:, kernels.END_SLOT] - first, 1)
    return 1.0 - np.clip(written, 0.0, 1.0), np.array([section.target.stars for section in state.sections])


@dataclass(frozen=True)
class Returns:
    """What versions earned."""

    reward: NDArray[np.float64]  # [env, bar], rise of the potential
    terms: dict[str, NDArray[np.float64]]  # name → [env, phrase], 0–1, nan = nothing to measure
    measures: dict[str, NDArray[np.float64]]  # name → [env, phrase]

    @property
    def total(self) -> NDArray[np.float64]:
        """[env] value of the section, 0–1."""
        return self.reward.sum(1)


def section_returns(scorer: Scorer, state: State, player_seeds: NDArray[np.int64]) -> Returns:
    """Value every bar of every version; `player_seeds` [env] are equal within a group."""
    count, bars = len(state.sections), state.sections[0].bars
    jobs = [
        Job(env, bar // PHRASE_BARS, bar % PHRASE_BARS + 1, int(player_seeds[env]))
        for bar in range(bars)
        for env in range(count)
    ]
    valued = [scorer.value(state, jobs[bar * count : (bar + 1) * count]) for bar in range(bars)]
    reward = np.diff(potential(np.stack([one.value for one in valued], axis=1)), axis=1)
    ends = [valued[bar] for bar in range(PHRASE_BARS - 1, bars, PHRASE_BARS)]
    return Returns(reward, _by_name(ends, "terms"), _by_name(ends, "measures"))


def _by_name(valued: list[Valued], which: str) -> dict[str, NDArray[np.float64]]:
    joined = np.stack([getattr(one, which) for one in valued], axis=2)  # [term, env, phrase]
    return dict(zip(TERM_NAMES, joined, strict=True))


def potential(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """[env, bar] value of each bar's phrase so far → [env, bar + 1] potential before the first bar and after each."""
    phrases = value.shape[1] // PHRASE_BARS
    share = (np.arange(value.shape[1]) % PHRASE_BARS + 1) / PHRASE_BARS
    finished = np.cumsum(value[:, PHRASE_BARS - 1 :: PHRASE_BARS], axis=1)
    before = np.concatenate((np.zeros((len(value), 1)), finished[:, :-1]), axis=1).repeat(PHRASE_BARS, axis=1)
    return np.concatenate((np.zeros((len(value), 1)), (before + share * value) / phrases), axis=1)


def leave_one_out_advantage(reward: NDArray[np.float64], versions: int) -> NDArray[np.float64]:
    """[env, bar] rewards less the mean of the siblings' rewards in the same bar."""
    grouped = reward.reshape(-1, versions, reward.shape[1])
    others = (grouped.sum(1, keepdims=True) - grouped) / max(versions - 1, 1)
    return (grouped - others).reshape(reward.shape)


def per_step(
    reward: NDArray[np.float64], bars_done: NDArray[np.int64], steps: NDArray[np.int64]
) -> NDArray[np.float64]:
    """[env, bar] → [env, step]: a bar's reward comes with the step that finishes it."""
    running = np.concatenate((np.zeros((len(reward), 1)), np.cumsum(reward, axis=1)), axis=1)
    after = np.take_along_axis(running, bars_done, axis=1)
    result = np.diff(after, axis=1, prepend=0.0)
    result[np.arange(bars_done.shape[1]) >= steps[:, None]] = 0.0
    return result
