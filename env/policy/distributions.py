"""The distribution of one action: in which slot the next row falls, and which row it is.

    P(offset = k) = h_k · Π_{j<k} (1 − h_j),   h = sigmoid(logit), 0 on closed slots;   P(none) = Π_j (1 − h_j)
    P(code | offset) = softmax over the legal rows

`mapper.sampling.sampler` samples from it, with `top_p` 1. Shapes use: …, offset, code; log-probabilities of what is
impossible are `NEVER`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

NEVER = -1e30
"""Stands for −inf, whose product with 0 would be nan."""


def offset_log_probs(logit: Tensor, is_open: Tensor) -> Tensor:
    """[…, offset] hazard logits and open slots → [… , offset + 1], the last for "none of them"."""
    logit = torch.where(is_open, logit, NEVER)
    survives = -functional.softplus(logit)  # log(1 − h)
    before = torch.cumsum(survives, -1) - survives
    fires = torch.where(is_open, logit + survives + before, NEVER)
    return torch.cat((fires, survives.sum(-1, keepdim=True)), -1)


def code_log_probs(logits: Tensor, legal: Tensor) -> Tensor:
    """[…, code] logits → log-probabilities among the legal rows."""
    return logits.masked_fill(~legal, NEVER).log_softmax(-1)


def kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """[…] Kullback–Leibler divergence of q from p, nats; both [… , choice]."""
    return (log_p.exp() * (log_p - log_q)).masked_fill(log_p <= NEVER / 2, 0.0).sum(-1)


def entropy(log_p: Tensor) -> Tensor:
    """[…] entropy, nats, of the distributions `log_p` [… , choice]."""
    return -(log_p.exp() * log_p).masked_fill(log_p <= NEVER / 2, 0.0).sum(-1)
