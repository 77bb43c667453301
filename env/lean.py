"""Learning how dense charts are to be: `Mapper.lean`, which moves the log-odds of rows throughout a stretch.

Density is a decision for a whole chart, and where rows fall is sampled so sharply that versions hardly differ in it. So
half of a chart's versions lean to more rows and half as much to fewer (`env.chart_rollout`), and what the better ones earn
tells the direction. The lean is linear in what is heard of the song and told of the chart; it is learnt by natural policy
gradient (Kakade 2001), which for a linear mean is a regression of (earned × drawn) on what is heard: plain gradients
move what all charts share long before the difference between 2 and 5 stars.

Sections are no measure of it: their reward, which knows nothing of how phrases of a chart differ, is raised by ever more rows,
and whole charts lose (docs/LOG.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

DRAWN = 0.4
"""Log-odds by which the two of a pair lean to more rows and to fewer: about ±12 % of the rows."""
USUAL_SPREAD = 0.06
"""Standard deviation of what charts of one target earn: the unit of the regression."""
RATE = 0.3
MEMORY = 0.85
"""What an update's charts count after one more."""
RIDGE = 400.0
"""Shrinks what too few charts tell: of 80 charts, what all share brings 2,900, their stars 600, a song 40."""
MOST_CHANGE = 0.15
"""Root mean square by which the lean of an update's charts may change, log-odds."""


@dataclass(frozen=True)
class Pairs:
    """Charts whose versions lean both ways."""

    heard: NDArray[np.float32]  # [chart, width], mean of the cells
    drawn: NDArray[np.float32]  # [chart], log-odds above the mapper's lean
    earned: NDArray[np.float32]  # [chart], above the mean of its versions


class LeanLearner:
    """Moves `Mapper.lean`; what it has seen is part of a run's state."""

    def __init__(self, lean: nn.Linear) -> None:
        self.lean = lean
        size, device = lean.in_features + 1, lean.weight.device
        self.seen = torch.zeros(size, size, device=device)  # sum of heard · heardᵀ
        self.pull = torch.zeros(size, device=device)  # sum of heard · drawn · earned

    @torch.no_grad()
    def learn(self, pairs: Pairs) -> float:
        """Learn from charts; returns the root mean square of the change of their lean, log-odds."""
        device = self.lean.weight.device
        heard, drawn, earned = (torch.from_numpy(one).to(device) for one in (pairs.heard, pairs.drawn, pairs.earned))
        heard = torch.cat((heard, torch.ones_like(heard[:, :1])), 1)
        self.seen.mul_(MEMORY).add_(heard.T @ heard)
        self.pull.mul_(MEMORY).add_(heard.T @ (earned / USUAL_SPREAD * drawn))
        ridge = RIDGE * torch.eye(len(self.pull), device=device)
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
