"""The distribution of one action: in which slot the next row falls, and which row it is.

    P(offset = k) = h_k · Π_{j<k} (1 − h_j),   h = sigmoid(logit), 0 on closed slots;   P(none) = Π_j (1 − h_j)
    P(code | offset) = softmax over the legal rows

It is what `mapper.sampling.sampler` draws from, but for the last percent of the row head's mass (top_p). Shapes use: …, offset,
code; log-probabilities of what cannot be are −inf.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mapper.tokens.row_codes import HELD_STATES, LEGAL, NOTHING, STARTS_HOLD, SYMBOLS

RESTS = 16
NEVER = -1e30
"""Stands for −inf where it would make nan of a product with 0."""


def legal_table() -> Tensor:
    """[held state, resting columns, late, code] → whether the row may be written; the masks are of four bits."""
    rests = (np.arange(RESTS)[:, None] >> np.arange(4) & 1).astype(bool)
    disturbs = ((SYMBOLS != NOTHING)[None] & rests[:, None]).any(-1)  # [rests, code]
    late = np.array([[False], [True]]) & STARTS_HOLD  # [late, code]
    table = LEGAL[:HELD_STATES, None, None] & ~disturbs[None, :, None] & ~late[None, None]
    return torch.from_numpy(table)


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


def draw(log_probs: Tensor, uniform: Tensor) -> Tensor:
    """[…] index drawn from [… , choice] by one uniform number in 0–1 each; 0 itself does not take what cannot be."""
    total = log_probs.double().exp().cumsum(-1)
    return (total <= (uniform.double() * total[..., -1])[..., None]).sum(-1).clamp(max=log_probs.shape[-1] - 1)


def kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """[…] nats by which p differs from q; both [… , choice]."""
    return (log_p.exp() * (log_p - log_q)).masked_fill(log_p <= NEVER / 2, 0.0).sum(-1)


def entropy(log_p: Tensor) -> Tensor:
    """[…] nats."""
    return -(log_p.exp() * log_p).masked_fill(log_p <= NEVER / 2, 0.0).sum(-1)
