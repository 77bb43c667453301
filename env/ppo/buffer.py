"""The rollout buffer of whole episodes: a minibatch is some sections from begin to end, read in one causal pass.

stable-baselines3's own buffer shuffles single steps, and each would make the decoder read its whole context anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.buffers import RolloutBuffer
from torch import Tensor

from env.policy.action_heads import DecisionBatch, codes_at
from env.policy.actions import Decisions
from env.ppo.rollout import WrittenSections, left_and_stars, per_step

LENGTH_JITTER = 0.15
"""Spread of the factor by which lengths are off when episodes of about one length are put together."""


@dataclass(frozen=True)
class Episodes:
    """A minibatch; tensors are [env, step] unless said otherwise."""

    numbers: Tensor  # [env], of the buffer's environments
    tokens: Tensor  # [env, token, kernels.TOKEN]
    reading: DecisionBatch  # its windows are those of these environments
    taken: Tensor  # bool, false behind an episode's last step
    log_prob: Tensor  # when the action was drawn
    advantage: Tensor
    returns: Tensor
    left: Tensor  # share of the section left
    stars: Tensor  # asked


class EpisodeBuffer(RolloutBuffer):
    """Holds the episodes of one rollout."""

    written: WrittenSections | None = None

    def reset(self) -> None:
        """Forget everything; nothing is allocated ahead."""
        self.written, self.full, self.pos = None, False, 0

    def fill(self, written: WrittenSections, reward: NDArray[np.float64]) -> None:
        """Take the episodes of a rollout with their rewards against siblings [env, bar]; advantages are also against values."""
        self.written, self.full = written, True
        by_step = per_step(reward, written.bars_done, written.steps)
        self.advantage = generalised_advantage(by_step, written.value, written.steps, self.gae_lambda)
        self.returns_to_come = self.advantage + written.value

    def minibatches(self, count: int, random: np.random.Generator, device: torch.device) -> Iterator[Episodes]:
        """All episodes once, in `count` minibatches of about equal length."""
        assert self.written is not None, "fill the buffer first"
        steps = self.written.steps
        order = np.argsort(steps * np.exp(random.normal(0.0, LENGTH_JITTER, steps.size)))
        parts = np.array_split(order, count)
        for part in random.permutation(len(parts)):
            yield self._episodes(parts[part], device)

    def _episodes(self, numbers: NDArray[np.int64], device: torch.device) -> Episodes:
        written = self.written
        assert written is not None
        longest = int(written.steps[numbers].max())
        known = int(written.state.tokens_known[numbers].max())
        decisions = Decisions(
            **{one.name: getattr(written.decisions, one.name)[numbers, :longest] for one in fields(Decisions)}
        )
        at = torch.from_numpy(numbers).to(device)
        windows = written.windows.picked(written.group[at])
        tokens = torch.from_numpy(written.state.tokens[numbers, :known]).to(device)
        open_slots = torch.from_numpy(written.open_slots[numbers]).to(device)
        left = decisions.end - decisions.scan - 1  # slots; the first step has the whole section before it
        _, stars = left_and_stars(written.state)

        def cut(array: NDArray) -> Tensor:
            return torch.from_numpy(array[numbers, :longest]).float().to(device)

        return Episodes(
            numbers=at,
            tokens=tokens,
            reading=DecisionBatch(
                decisions.tensors(device),
                windows,
                torch.arange(len(numbers), device=device),
                open_slots,
                codes_at(tokens),
                written.lean[at],
                cut(written.hold_lean),
            ),
            taken=torch.from_numpy(np.arange(longest) < written.steps[numbers, None]).to(device),
            log_prob=cut(written.log_prob),
            advantage=cut(self.advantage),
            returns=cut(self.returns_to_come),
            left=torch.from_numpy(left / np.maximum(left[:, :1], 1)).float().to(device),
            stars=torch.from_numpy(np.repeat(stars[numbers, None], longest, axis=1)).float().to(device),
        )

    def add(self, *args: Any, **kwargs: Any) -> None:
        """Single steps are not taken; see `fill`."""
        raise TypeError("an EpisodeBuffer takes whole rollouts: use fill()")


def generalised_advantage(
    reward: NDArray[np.float64], value: NDArray[np.float32], steps: NDArray[np.int64], decay: float
) -> NDArray[np.float64]:
    """[env, step] advantages without discount; nothing is to be earned behind an episode's last step."""
    advantage = np.zeros_like(reward)
    later, running = np.zeros(len(reward)), np.zeros(len(reward))
    for step in reversed(range(reward.shape[1])):
        inside = step < steps
        running = np.where(inside, reward[:, step] + later - value[:, step] + decay * running, 0.0)
        later = np.where(inside, value[:, step], 0.0)
        advantage[:, step] = running
    return advantage
