"""What must not be sold for reward: the share of holds among the notes stays what the pretrained mapper would write.

Holds raise what a phrase asks of the players without adding notes, so a policy whose phrases are too easy writes holds
instead of notes (from .09 to .33 of the notes within ten updates; a price on holds swung between .03 and .38;
docs/LOG.md). The share is known without sampling, from the probabilities of all rows at each decision, so it is held by
a term of the loss: mean over a minibatch, refined against pretrained on the same rows before. Single decisions are free.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from env import kernels
from env.core import State
from mapper.rows import HOLD_START, SYMBOLS, TAP

HOLDS = torch.from_numpy((SYMBOLS == HOLD_START).sum(1)).float()  # [code]
NOTES = HOLDS + torch.from_numpy((SYMBOLS == TAP).sum(1)).float()  # [code]
LEAST_SHARE = 0.01
"""Added to shares before their logarithm: a hundredth more or less is nothing."""


def expected_hold_share(codes: Tensor) -> Tensor:
    """Holds / notes that are to be expected from [row, code] log-probabilities, 0–1."""
    probability = codes.exp().mean(0)
    holds, notes = HOLDS.to(codes.device), NOTES.to(codes.device)
    return (probability @ holds) / (probability @ notes).clamp(min=1e-6)


def hold_drift(codes: Tensor, pretrained: Tensor) -> Tensor:
    """Squared log ratio of the expected hold shares of [row, code] log-probabilities; 0.48 for twice as many."""
    mine, usual = expected_hold_share(codes), expected_hold_share(pretrained)
    return ((mine + LEAST_SHARE).log() - (usual + LEAST_SHARE).log()).square()


def holds_and_notes(state: State) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """([env] holds, [env] notes) that were written."""
    found = np.zeros((2, len(state.sections)), np.int64)
    for env in range(len(state.sections)):
        numbers = state.numbers[env]
        rows = state.tokens[env, numbers[kernels.FIRST_COUNT] : numbers[kernels.COUNT]]
        symbols = SYMBOLS[rows[:, kernels.CODE]]
        found[:, env] = (symbols == HOLD_START).sum(), ((symbols == HOLD_START) | (symbols == TAP)).sum()
    return found[0], found[1]
