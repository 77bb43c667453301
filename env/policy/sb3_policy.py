"""A stable-baselines3 policy that is the mapper: its heads are the action distribution, a small value head stands beside it.

The environment is deterministic, so the policy samples the rest of a section at once, with the mapper's own sampler, when
it first sees an observation of it (a *plan*), and then returns one action after another for as long as the observations
follow the plan. Log-probabilities and values come from one teacher-forced pass over all plans. The encoder is frozen;
`MapperPolicy.mapper` is the network that `mapper.generate` loads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn

from env.policy import decision_kernels as kernels
from env.policy.action_heads import ActionHeads
from env.policy.chart_sampler import ChartSampler, PolicySampling, Request
from env.policy.decisions import DecisionBatch, decisions_of, states_of
from env.task.episodes import NO_ROWS, Target
from env.task.kernels import OFFSETS
from env.task.songs import SongSet
from mapper.network.model import Mapper
from mapper.tokens.row_codes import Rows

ENVS_AT_ONCE = 24
"""Environments in one teacher-forced pass without gradients: more would only need more memory."""


class ValueHead(nn.Module):
    """The value of a state: rewards still to come, against those of the section's other versions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width + 2, 64), nn.Tanh(), nn.Linear(64, 1))
        last = self.layers[2]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, state: Tensor, left: Tensor, stars: Tensor) -> Tensor:
        """[env, step] from states [env, step, width], fraction of the section left and requested stars [env, step].

        No gradient flows into the states: learning the value does not move the mapper.
        """
        requested = torch.stack((left, stars / 4), -1)
        return self.layers(torch.cat((state.detach(), requested), -1)).squeeze(-1)


@dataclass
class Plan:
    """The decisions of one environment; arrays are [step]."""

    song: int
    decision: NDArray[np.int64]  # [step, kernels.DECISION], slots of the song
    log_prob: NDArray[np.float32]
    value: NDArray[np.float32]
    last_code: NDArray[np.int64]  # of the last row known at each step, 0: none
    at: int = 0  # the next step

    @staticmethod
    def none() -> Plan:
        """A plan without decisions."""
        nothing = np.zeros(0, np.float32)
        return Plan(-1, np.zeros((0, kernels.DECISION), np.int64), nothing, nothing, np.zeros(0, np.int64))

    def follows(self, song: int, scan: int, known: int, last_code: int) -> bool:
        """Whether the next step of the plan is for an observation of this song, scan slot and rows known."""
        if self.at >= len(self.decision) or song != self.song:
            return False
        here = self.decision[self.at]
        return here[kernels.SCAN] == scan and here[kernels.TOKEN] == known - 1 and self.last_code[self.at] == last_code


class MapperPolicy(ActorCriticPolicy):
    """The mapper as a policy of `Mania4KChart-v2`; see the module's docstring."""

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        lr_schedule: Schedule,
        mapper: Mapper,
        library: SongSet,
        sampling: PolicySampling | None = None,
        **options: Any,
    ) -> None:
        self._given = (mapper, library, sampling or PolicySampling())
        super().__init__(observation_space, action_space, lr_schedule, **options)

    def _build(self, lr_schedule: Schedule) -> None:
        self.mapper, self.library, sampling = self._given
        del self._given
        self.mapper.train_only("writing")
        self.mapper.onset.requires_grad_(True)  # the encoder stays; whether a row falls on a slot is learned
        self.mapper.lean.requires_grad_(False)  # learned by `env.ppo.density_bias`
        self.value_head = ValueHead(self.mapper.config.width)
        self.heads = ActionHeads(self.mapper, sampling)
        self.sampler = ChartSampler(self.mapper, self.library, sampling)
        self.reseed(0)
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(trained, lr=lr_schedule(1), eps=1e-5)

    def on(self, library: SongSet) -> MapperPolicy:
        """A policy of the same mapper on another song set; for evaluation."""
        spaces_of = (self.observation_space, self.action_space)
        return MapperPolicy(*spaces_of, lambda _: 0.0, self.mapper, library, self.heads.sampling)

    def set_training_mode(self, mode: bool) -> None:
        """The mapper always runs as it generates, without dropout: training's log-probabilities are those of rollouts."""
        self.training = mode
        self.mapper.eval()

    def reseed(self, *seed: int) -> None:
        """Seed the sampler's noise; forget all plans, and encodings, which depend on the weights."""
        self.random = np.random.default_rng(seed)
        self.sampler.forget()
        self.plans: list[Plan] = []
        self.batch: DecisionBatch | None = None  # of the last plans that were made for all environments

    @property
    def longest(self) -> int:
        """Steps of the longest plan."""
        return max(len(plan.decision) for plan in self.plans)

    def plan(self, obs: PyTorchObs, envs: NDArray[np.int64] | None = None, deterministic: bool = False) -> None:
        """Sample the rest of the sections in the environments `envs`; by default in all."""
        requests = requests_of(obs)
        envs = np.arange(len(requests)) if envs is None else envs
        seeds = envs if deterministic else self.random.integers(2**62, size=envs.size)
        chosen = [requests[env] for env in envs]
        written, timeline = self.sampler.sections(chosen, seeds)
        batch = decisions_of(self.mapper, chosen, written, timeline)
        log_prob, value = self._evaluated(batch)
        steps, codes = (
            batch.taken.sum(1).tolist(),
            [np.append(one.rows.code, rows.code) for one, rows in zip(chosen, written, strict=True)],
        )
        if len(self.plans) != len(requests):
            self.plans = [Plan.none() for _ in requests]
        for number, (env, shift) in enumerate(zip(envs, timeline.shift, strict=True)):
            own = batch.decision[number, : steps[number]].cpu().numpy().copy()
            own[:, kernels.SCAN] -= shift
            known = np.append(codes[number], 0)[own[:, kernels.TOKEN]]  # number −1: none
            self.plans[env] = Plan(chosen[number].song, own, log_prob[number], value[number], known)
        if envs.size == len(requests):
            self.batch = batch

    @torch.no_grad()
    def _evaluated(self, batch: DecisionBatch) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """([env, step] log-probabilities, [env, step] values)."""
        log_prob = np.zeros(tuple(batch.taken.shape), np.float32)
        value = np.zeros_like(log_prob)
        for first in range(0, len(log_prob), ENVS_AT_ONCE):
            part = batch.picked(torch.arange(first, min(first + ENVS_AT_ONCE, len(log_prob)), device=batch.end.device))
            state, own = states_of(self.mapper, part), np.s_[first : first + ENVS_AT_ONCE, : part.taken.shape[1]]
            log_prob[own] = self.heads.evaluate(part, state).log_prob.cpu().numpy()
            value[own] = self.values_of(part, state).cpu().numpy()
        return log_prob, value

    def values_of(self, batch: DecisionBatch, state: Tensor) -> Tensor:
        """[env, step] values of the decisions; `state` is `env.policy.decisions.states_of`."""
        return self.value_head(state, batch.left, batch.stars[:, None].expand_as(batch.left))

    def forward(self, obs: PyTorchObs, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """([env, 2] actions, [env] values, [env] log-probabilities); zeros in environments that are over."""
        assert isinstance(obs, dict)
        place, known = obs["place"].cpu().numpy(), obs["known"].cpu().numpy()[:, 0]
        rows = obs["rows"].cpu().numpy()
        shown = rows.shape[1] // 2  # an environment that is over may know one row more, in which holds are released
        last_code = np.where(known > 0, rows[np.arange(len(rows)), 2 * np.clip(known, 1, shown) - 2], 0)
        writing = (place[:, 1] + 1 < place[:, 3]) & (known < shown)
        seen = list(zip(place[:, 0], place[:, 1], known, last_code, strict=True))
        current = len(self.plans) == len(seen)
        stale = [env for env in np.flatnonzero(writing) if not current or not self.plans[env].follows(*seen[env])]
        if stale:
            self.plan(obs, np.array(stale) if current else None, deterministic)
        actions, values, log_prob = np.zeros((len(seen), 2), np.int64), np.zeros(len(seen)), np.zeros(len(seen))
        actions[:, 0] = OFFSETS
        for env in np.flatnonzero(writing):
            plan = self.plans[env]
            actions[env] = plan.decision[plan.at, [kernels.OFFSET, kernels.CODE]]
            values[env], log_prob[env] = plan.value[plan.at], plan.log_prob[plan.at]
            plan.at += 1
        device = obs["place"].device
        value, log = (torch.as_tensor(one, dtype=torch.float32, device=device) for one in (values, log_prob))
        return torch.as_tensor(actions, device=device), value, log

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        return self.forward(observation, deterministic)[0]

    def predict_values(self, obs: PyTorchObs) -> Tensor:
        """[env, 1] values of a batch of observations; 0 where the section is written."""
        assert isinstance(obs, dict)
        value = torch.zeros_like(obs["progress"])
        writing = np.flatnonzero(obs["progress"].cpu().numpy()[:, 0] < 1)
        if writing.size:
            value[writing] = self._once(obs, writing, None)[1][:, :1]
        return value

    def evaluate_actions(self, obs: PyTorchObs, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """([env] values, [env] log-probabilities, [env] entropies) of [env, 2] actions that were legal."""
        batch, value, state = self._once(obs, np.arange(len(actions)), actions.cpu().numpy())
        found = self.heads.evaluate(batch, state)
        return value[:, 0], found.log_prob[:, 0], found.entropy()[:, 0]

    def _once(
        self, obs: PyTorchObs, envs: NDArray[np.int64], actions: NDArray[np.int64] | None
    ) -> tuple[DecisionBatch, Tensor, Tensor]:
        """The next decision of these environments as a batch, with its values [env, 1] and states [env, 1, width]."""
        every = requests_of(obs)
        requests = [every[env] for env in envs]
        chosen = (
            [NO_ROWS] * len(requests)
            if actions is None
            else [_row_of(*one) for one in zip(requests, actions, strict=True)]
        )
        batch = decisions_of(self.mapper, requests, chosen, self.sampler.timeline(requests))
        batch = batch.picked(torch.arange(len(requests), device=batch.end.device)).first_step()
        state = states_of(self.mapper, batch)
        return batch, self.values_of(batch, state), state


def _row_of(request: Request, action: NDArray[np.int64]) -> Rows:
    if action[0] >= OFFSETS:
        return NO_ROWS
    return Rows(np.array([request.first_slot + action[0]]), np.array([action[1]], np.int64))


def requests_of(obs: PyTorchObs) -> list[Request]:
    """[env] the rest of each observation's section, as the sampler takes it."""
    assert isinstance(obs, dict)
    parts = [obs[name].cpu().numpy() for name in ("place", "target", "bias", "known", "rows")]
    requests = []
    for place, target, bias, known, rows in zip(*parts, strict=True):
        own = rows.reshape(-1, 2)[: known[0]].astype(np.int64)
        requests.append(
            Request(
                song=int(place[0]),
                target=Target(float(target[0]), float(target[1]), float(target[2]), int(target[3])),
                first_slot=int(place[1]) + 1,
                end_slot=int(place[3]),
                rows=Rows(own[:, 1].copy(), own[:, 0].copy()),
                onset_bias=float(bias[0]),
                hold_bias=float(bias[1]),
            )
        )
    return requests
