"""Learning how dense a section is to be: one normally distributed action an episode, whose mean is `Mapper.lean`.

Where rows fall is sampled sharply, so that versions of a section hardly differ in how many rows they have: from rows alone
there is no density to learn. So each version draws a lean around the mapper's, which adds to the log-odds of every row.
The mean is linear in what is heard of the section, and learnt by natural policy gradient (Kakade 2001), which for a
linear mean is a regression: of (earned above the siblings × drawn above the mean) on what is heard. Plain gradients move
the part that all sections share long before the difference between 2 and 5 stars (docs/LOG.md).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

SPREAD = 0.5
"""Standard deviation of what is drawn, log-odds: about ±15 % of the rows."""
RATE = 0.5
MEMORY = 0.8
"""What a rollout counts after one more."""
RIDGE = 200.0
"""Shrinks what too few sections tell; a rollout of 96 versions brings 3,000 to what all share, 700 to the stars."""
MOST_CHANGE = 0.15
"""Root mean square by which the lean of a rollout's sections may change in one update, log-odds."""


class LeanLearner:
    """Moves `Mapper.lean`; what it has seen is part of a run's state."""

    def __init__(self, lean: nn.Linear) -> None:
        self.lean = lean
        size, device = lean.in_features + 1, lean.weight.device
        self.seen = torch.zeros(size, size, device=device)  # sum of heard · heardᵀ
        self.pull = torch.zeros(size, device=device)  # sum of heard · drawn · earned

    @torch.no_grad()
    def learn(self, heard: Tensor, drawn: Tensor, earned: Tensor) -> float:
        """Learn from a rollout: heard [env, width], drawn above the mean [env], earned above the siblings [env].

        Returns the root mean square of the change of the lean, log-odds.
        """
        heard = torch.cat((heard, torch.ones_like(heard[:, :1])), 1)
        advantage = earned / earned.std().clamp(min=1e-8)
        self.seen.mul_(MEMORY).add_(heard.T @ heard)
        self.pull.mul_(MEMORY).add_(heard.T @ (advantage * drawn))
        ridge = RIDGE * torch.eye(len(self.pull), device=heard.device)
        step = RATE * torch.linalg.solve(self.seen + ridge, self.pull)
        change = float((heard @ step).square().mean().sqrt())
        step = step * min(1.0, MOST_CHANGE / max(change, 1e-8))
        self.lean.weight.add_(step[None, :-1])
        self.lean.bias.add_(step[-1:])
        return min(change, MOST_CHANGE)

    def state(self) -> dict[str, Any]:
        """What must be remembered to go on."""
        return {"seen": self.seen, "pull": self.pull}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.seen, self.pull = saved["seen"].clone(), saved["pull"].clone()
