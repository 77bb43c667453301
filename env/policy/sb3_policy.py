"""A stable-baselines3 policy that is the mapper: its heads are the distribution, a small value head stands beside it.

What hears the song is frozen; `MapperPolicy.mapper` is the network that `mapper.generate` loads. An observation holds
everything needed, so `predict` works on any observation; rollouts and training (`env.ppo.ppo`) read whole sections
at once instead, through `env.policy.action_heads`, which gives the same numbers.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn

from env.policy.action_heads import ActionHeads, DecisionBatch, PolicySampling, codes_at, states_of
from env.policy.actions import WINDOW_SLOTS, DecisionTensors
from env.policy.torch_decoder import Windows, hear
from env.task import kernels
from env.task.dynamics import AHEAD
from env.task.episodes import MAX_TOKENS, Section, Target
from env.task.kernels import OFFSETS
from env.task.songs import SongSet
from mapper.network.model import Mapper
from mapper.tokens.row_codes import MIN_COLUMN_GAP_MS, Rows

REMEMBERED_WINDOWS = 64
"""Encoded windows that a policy keeps for single observations."""


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
        """[env, step] from states [env, step, width], share of the section left and stars asked [env, step].

        The states are taken as they are: what the value learns does not move the mapper.
        """
        told = torch.stack((left, stars / 4), -1)
        return self.layers(torch.cat((state.detach(), told), -1)).squeeze(-1)


class MapperPolicy(ActorCriticPolicy):
    """The mapper as a policy of `Mania4KChart-v1`; see the module's docstring."""

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        lr_schedule: Schedule,
        mapper: Mapper,
        library: SongSet,
        sampling: PolicySampling | None = None,
        tune: str = "writing",
        **options: Any,
    ) -> None:
        self._given = (mapper, library, sampling or PolicySampling(), tune)
        super().__init__(observation_space, action_space, lr_schedule, **options)

    def _build(self, lr_schedule: Schedule) -> None:
        self.mapper, self.library, sampling, tune = self._given
        del self._given
        if tune == "writing":
            self.mapper.train_only("writing")
            self.mapper.onset.requires_grad_(True)  # what is heard stays; whether a row falls there is learnt
        self.mapper.lean.requires_grad_(False)  # learnt by `env.ppo.density_bias`
        self.value_head = ValueHead(self.mapper.config.width)
        self.judge = ActionHeads(self.mapper, sampling)
        self._windows: OrderedDict[tuple, Windows] = OrderedDict()
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(trained, lr=lr_schedule(1), eps=1e-5)

    def set_training_mode(self, mode: bool) -> None:
        """The mapper always runs as it generates, without dropout: a rollout's log-probabilities are training's."""
        self.training = mode
        self.mapper.eval()

    def forward(self, obs: PyTorchObs, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """([env, 2] actions, [env] values, [env] log-probabilities) for a batch of observations."""
        reading, state = self._read(obs, None)
        shape, device = (len(state), 2), state.device
        uniform = torch.full(shape, 0.5, device=device) if deterministic else torch.rand(shape, device=device)
        offset, offset_prob = self.judge.draw_offsets(reading, state, uniform[:, 0])
        reading, state = self._read(obs, torch.stack((offset, torch.zeros_like(offset)), 1))
        code, code_prob = self.judge.draw_codes(reading, state, uniform[:, 1])
        return torch.stack((offset, code), 1), self._values(obs, state), offset_prob + code_prob

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        return self.forward(observation, deterministic)[0]

    def predict_values(self, obs: PyTorchObs) -> Tensor:
        """[env, 1] values of a batch of observations."""
        return self._values(obs, self._read(obs, None)[1])[:, None]

    def evaluate_actions(self, obs: PyTorchObs, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """([env] values, [env] log-probabilities, [env] entropies) of [env, 2] actions that were legal."""
        reading, state = self._read(obs, actions.long())
        judged = self.judge.judge(reading, state)
        return self._values(obs, state), judged.log_prob[:, 0], judged.entropy()[:, 0]

    def _values(self, obs: PyTorchObs, state: Tensor) -> Tensor:
        assert isinstance(obs, dict)
        return self.value_head(state, 1 - obs["progress"].float(), obs["target"][:, :1].float())[:, 0]

    def _read(self, obs: PyTorchObs, actions: Tensor | None) -> tuple[DecisionBatch, Tensor]:
        """The observations as sections of one decision each, with the decoder's state before it [env, 1, width]."""
        assert isinstance(obs, dict)
        place, known = obs["place"].long(), obs["known"].long()
        tokens = obs["rows"].long().unflatten(1, (MAX_TOKENS, kernels.TOKEN))[:, : int(known.max())]
        offset = actions[:, :1] if actions is not None else torch.full_like(known, OFFSETS)
        at = (torch.where(offset < OFFSETS, offset, 0)).clamp(max=OFFSETS - 1)
        seconds = obs["ahead"].float()[:, ::AHEAD].gather(1, at)  # scan to the chosen slot
        rests = ((obs["idle"].float() + seconds) * 1000.0 < MIN_COLUMN_GAP_MS - 1e-2).long()
        late_tick = place[:, 5:6]
        open_slots = torch.zeros(len(known), WINDOW_SLOTS, dtype=torch.bool, device=known.device)
        asked = place[:, 2:3] + 1 + torch.arange(OFFSETS, device=known.device)
        open_slots.scatter_(1, asked.clamp(max=WINDOW_SLOTS - 1), obs["mask"][:, :OFFSETS] > 0)
        decisions = DecisionTensors(
            token=known - 1,
            scan=place[:, 2:3],
            last_tick=place[:, 4:5],
            earliest=torch.zeros_like(known),
            end=place[:, 3:4],
            late_tick=late_tick,
            held=(obs["held"].long() << torch.arange(4, device=known.device)).sum(1, keepdim=True),
            offset=offset,
            code=actions[:, 1:] if actions is not None else torch.zeros_like(known),
            rests=(rests << torch.arange(4, device=known.device)).sum(1, keepdim=True),
        )
        windows = self._hear(place, obs["target"])
        reading = DecisionBatch(
            decisions,
            windows,
            torch.arange(len(known), device=known.device),
            open_slots,
            codes_at(tokens),
            windows.leans(self.mapper),
        )
        return reading, states_of(self.mapper, windows, tokens, decisions.token)

    def _hear(self, place: Tensor, target: Tensor) -> Windows:
        """The encoded windows of the observations, remembered by song, place and target."""
        parts = []
        for where, asked in zip(place.tolist(), target.tolist(), strict=True):
            key = (where[0], where[1], *asked)
            if key not in self._windows:
                self._windows[key] = hear(self.mapper, self.library, [_section_to_hear(where, asked)])
                if len(self._windows) > REMEMBERED_WINDOWS:
                    self._windows.popitem(last=False)
            self._windows.move_to_end(key)
            parts.append(self._windows[key])
        return Windows.joined(parts)


def _section_to_hear(place: list[int], target: list[float]) -> Section:
    nothing = Rows(np.empty(0, np.int64), np.empty(0, np.int64))
    asked = Target(target[0], target[1], target[2], int(target[3]))
    return Section(place[0], asked, place[1], place[1], place[1] + 1, np.zeros(1), nothing, 0, 0)
