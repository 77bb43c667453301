"""Learning how dense charts are to be: `Mapper.lean`, which moves the log-odds of rows throughout a stretch.

Density is a decision for a whole chart, and where rows fall is sampled so sharply that versions hardly differ in it; sections
are no measure of it (docs/LOG.md). How far a whole chart is off its target, on the other hand, says by its sign which way the
lean should have gone; how much a lean brings is known from charts of one song that lean both ways. So every chart that is
written tells the lean at which it would have been on target: its own, less its levels off over what a unit of lean brings.
The lean is linear in what is heard of the song and told of the chart: a weighted ridge regression of those leans on
that, of which each update goes a part of the way. Half of what charts are off is the song's, not chance (docs/LOG.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

DENSITY_PERTURBATION = 0.4
"""Log-odds by which the two charts of a pair lean to more rows and to fewer: about ±6 % of the notes."""
LEVELS_PER_STAR = 0.2
"""Levels that a unit of lean brings, for each star: measured on 384 pairs .30 at 1.9 stars, .41 at 3.4, 1.04 at 4.9, 1.25 at 5.6."""
FAR_OFF = 1.5
"""Levels beyond which a chart tells no more: its pace may have nothing to do with its density."""
RATE = 0.15
"""Part of the way that an update goes while rows are learnt, from the charts of some thirty updates."""
RATE_AT_ONCE = 0.7
"""The same when hundreds of charts have been gathered: the whole way costs fit where songs differ by chance (docs/LOG.md)."""
MEMORY = 0.97
"""What an update's charts count after one more, while rows change."""
RIDGE = 10.0
"""What it takes to be believed: of 400 charts, what all share weighs 20,000, their stars 1,200, what sets songs apart 20 to 400."""
MOST_CHANGE = 0.15
"""Root mean square by which the lean of an update's charts may change, log-odds, for each `RATE` of the way."""


@dataclass(frozen=True)
class DensityBiasSamples:
    """Whole charts that were written, and what came of it."""

    heard: NDArray[np.float32]  # [chart, width], mean of the cells
    lean: NDArray[np.float32]  # [chart], log-odds: the mapper's and what was drawn
    stars: NDArray[np.float32]  # [chart], asked for
    off: NDArray[np.float32]  # [chart], levels above the target, signed


class DensityBiasRegression:
    """Moves `Mapper.lean`; what it has seen is part of a run's state."""

    def __init__(self, lean: nn.Linear) -> None:
        self.lean = lean
        size, device = lean.in_features + 1, lean.weight.device
        self.seen = torch.zeros(size, size, device=device)  # sum of weight · heard · heardᵀ
        self.pull = torch.zeros(size, device=device)  # sum of weight · heard · lean it would have taken

    @torch.no_grad()
    def learn(self, charts: DensityBiasSamples, rate: float = RATE, memory: float = MEMORY) -> float:
        """Learn from charts and go `rate` of the way; returns the root mean square of the change of their lean, log-odds."""
        device = self.lean.weight.device
        heard, lean, stars, off = (
            torch.from_numpy(one).to(device) for one in (charts.heard, charts.lean, charts.stars, charts.off)
        )
        heard = torch.cat((heard, torch.ones_like(heard[:, :1])), 1)
        brings = LEVELS_PER_STAR * stars
        wanted = lean - off.clamp(-FAR_OFF, FAR_OFF) / brings
        weighted = heard.T * brings.square()  # what counts is the error in levels
        self.seen.mul_(memory).add_(weighted @ heard)
        self.pull.mul_(memory).add_(weighted @ wanted)
        now = torch.cat((self.lean.weight[0], self.lean.bias))
        ridge = RIDGE * torch.eye(len(now), device=device)
        step = rate * torch.linalg.solve(self.seen + ridge, self.pull - self.seen @ now)
        change, most = float((heard @ step).square().mean().sqrt()), MOST_CHANGE * rate / RATE
        step = step * min(1.0, most / max(change, 1e-8))
        self.lean.weight.add_(step[None, :-1])
        self.lean.bias.add_(step[-1:])
        return min(change, most)

    def state(self) -> dict[str, Any]:
        """What must be remembered to go on."""
        return {"seen": self.seen, "pull": self.pull}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.seen, self.pull = saved["seen"].clone(), saved["pull"].clone()
