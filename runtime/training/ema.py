"""Exponential moving average of the weights: less noisy than the last step's, and stored in checkpoints."""

from __future__ import annotations

import torch
from torch import Tensor


def init_ema(network: torch.nn.Module) -> dict[str, Tensor]:
    """A copy of the network's weights by name, the average's first value."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


@torch.no_grad()
def update_ema(average: dict[str, Tensor], network: torch.nn.Module, decay: float, step: int) -> None:
    """Move the average towards the network's weights after step `step`; in the first steps faster than `decay` (0–1)."""
    decay = min(decay, (1 + step) / (10 + step))
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            average[name].lerp_(tensor, 1 - decay)
        else:
            average[name].copy_(tensor)
