"""The loss of a beat network, in nats a frame."""

from __future__ import annotations

import torch.nn.functional as functional
from torch import Tensor

from ear.training.batches import BeatBatch

EDGE_FRAMES = 6
"""Frames at both ends that do not count: their music is cut off (`ear.tracker.tracker.BORDER_FRAMES`)."""

POSITIVE_WEIGHT = {"beat": 2.0, "downbeat": 4.0}
"""A beat's frames count more than others, being fewer."""


def beat_loss(logits: dict[str, Tensor], batch: BeatBatch) -> dict[str, Tensor]:
    """Losses of beats and downbeats, weighted cross-entropies over the frames that are known."""
    inner = slice(EDGE_FRAMES, -EDGE_FRAMES)
    pairs = {"beat": (batch.beat, batch.beat_known), "downbeat": (batch.downbeat, batch.downbeat_known)}
    losses = {}
    for name, (target, known) in pairs.items():
        loss = functional.binary_cross_entropy_with_logits(
            logits[name], target, pos_weight=target.new_tensor(POSITIVE_WEIGHT[name]), reduction="none"
        )
        weight = known[:, inner]
        losses[name] = (loss[:, inner] * weight).sum() / weight.sum().clamp(min=1)
    return losses
