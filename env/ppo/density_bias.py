"""Regression of the density bias: `Mapper.lean`, log-odds added to every row of a window.

Density is a decision for a whole chart; sections hardly measure it, because rows are sampled so sharply that versions rarely
differ in number (docs/LOG.md). A whole chart's distance from its target does: its sign says which way the bias should have
gone, and the effect of a unit of bias is known from pairs of charts. So each draft gives the bias with which it would have met
the target: its own, less its levels off over the levels that a unit brings. The density bias is linear in the song's encoding:
a weighted ridge regression of those biases, of which each update goes a part of the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from env.gym_api.session import Original
from env.policy.chart_sampler import ChartSampler

LEVELS_PER_STAR = 0.2
"""Levels that a unit of bias brings, for each star; on 384 pairs .30 at 1.9 stars, .41 at 3.4, 1.04 at 4.9, 1.25 at 5.6."""
FAR_OFF = 1.5
"""Levels off beyond which a chart counts no more: its difficulty may have other causes than density."""
RATE = 0.15
"""Step size while rows are learned too, from the charts of some thirty updates."""
RATE_AT_ONCE = 0.7
"""Step size for a one-shot fit on all charts; a full step (1.0) overfits song-level noise (docs/LOG.md)."""
MEMORY = 0.97
"""Weight of an update's charts after one more, while rows change."""
RIDGE = 10.0
"""Ridge penalty. Of 400 charts, the common part weighs 20,000, the stars 1,200, directions that separate songs 20 to 400."""
MOST_CHANGE = 0.15
"""Largest root mean square change of the bias of an update's charts, log-odds, for each `RATE` of the way."""


@dataclass(frozen=True)
class DensityBiasSamples:
    """Drafts and how far they were off their targets."""

    encoding: NDArray[np.float32]  # [chart, width], mean of the cells
    bias: NDArray[np.float32]  # [chart], log-odds: the mapper's and the perturbation
    stars: NDArray[np.float32]  # [chart], requested
    off: NDArray[np.float32]  # [chart], levels above the target, signed


def density_samples(sampler: ChartSampler, drafts: Sequence[Original]) -> DensityBiasSamples:
    """The drafts' encodings, biases, stars and levels off; the sampler still remembers their encodings."""
    outlines = [draft.outline for draft in drafts]
    encoding = np.stack([sampler.encode(one.song, one.target).cell[0].mean(0) for one in outlines])
    head = sampler.model.lean
    with torch.no_grad():
        own = head(torch.from_numpy(encoding).to(head.weight)).squeeze(-1).cpu().numpy()
    return DensityBiasSamples(
        encoding=encoding,
        bias=own + np.array([one.onset_bias for one in outlines], np.float32),
        stars=np.array([one.target.stars for one in outlines], np.float32),
        off=np.array([draft.values.off[draft.number] for draft in drafts], np.float32),
    )


class DensityBiasRegression:
    """Moves `Mapper.lean`; its sums are part of a run's state."""

    def __init__(self, head: nn.Linear) -> None:
        self.head = head
        size, device = head.in_features + 1, head.weight.device
        self.seen = torch.zeros(size, size, device=device)  # sum of weight · encoding · encodingᵀ
        self.pull = torch.zeros(size, device=device)  # sum of weight · encoding · bias that would have met the target

    @torch.no_grad()
    def learn(self, charts: DensityBiasSamples, rate: float = RATE, memory: float = MEMORY) -> float:
        """Add charts and go `rate` of the way; returns the root mean square change of their bias, log-odds."""
        device = self.head.weight.device
        encoding, bias, stars, off = (
            torch.from_numpy(one).to(device) for one in (charts.encoding, charts.bias, charts.stars, charts.off)
        )
        encoding = torch.cat((encoding, torch.ones_like(encoding[:, :1])), 1)
        brings = LEVELS_PER_STAR * stars
        wanted = bias - off.clamp(-FAR_OFF, FAR_OFF) / brings
        weighted = encoding.T * brings.square()  # what counts is the error in levels
        self.seen.mul_(memory).add_(weighted @ encoding)
        self.pull.mul_(memory).add_(weighted @ wanted)
        now = torch.cat((self.head.weight[0], self.head.bias))
        ridge = RIDGE * torch.eye(len(now), device=device)
        step = rate * torch.linalg.solve(self.seen + ridge, self.pull - self.seen @ now)
        change, most = float((encoding @ step).square().mean().sqrt()), MOST_CHANGE * rate / RATE
        step = step * min(1.0, most / max(change, 1e-8))
        self.head.weight.add_(step[None, :-1])
        self.head.bias.add_(step[-1:])
        return min(change, most)

    def state(self) -> dict[str, Any]:
        """Sums from which `restore` resumes."""
        return {"seen": self.seen, "pull": self.pull}

    def restore(self, saved: dict[str, Any]) -> None:
        """Resume from the result of `state`."""
        self.seen, self.pull = saved["seen"].clone(), saved["pull"].clone()
