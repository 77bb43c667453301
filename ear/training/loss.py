"""The loss of a beat network, in nats a frame."""

from __future__ import annotations

import torch.nn.functional as functional
from torch import Tensor

from ear.tracker.interface import BORDER_FRAMES
from ear.training.batches import BeatBatch

POSITIVE_WEIGHT = {"beat": 2.0, "downbeat": 4.0}
"""Weight of frames at a beat: they are few."""


def beat_loss(logits: dict[str, Tensor], batch: BeatBatch) -> dict[str, Tensor]:
    """Weighted cross-entropies of beats and downbeats over the labelled frames."""
    inner = slice(BORDER_FRAMES, -BORDER_FRAMES)  # the context of edge frames is cut off
    pairs = {"beat": (batch.beat, batch.beat_known), "downbeat": (batch.downbeat, batch.downbeat_known)}
    losses = {}
    for name, (target, known) in pairs.items():
        loss = functional.binary_cross_entropy_with_logits(
            logits[name], target, pos_weight=target.new_tensor(POSITIVE_WEIGHT[name]), reduction="none"
        )
        weight = known[:, inner]
        losses[name] = (loss[:, inner] * weight).sum() / weight.sum().clamp(min=1)
    return losses
