"""What must not be sold for reward: whether a row begins a hold stays as likely as the pretrained mapper has it.

Holds raise what a phrase asks of the players without adding notes, so a policy whose phrases are too easy writes holds
instead of notes (from .09 to .33 of the notes within ten updates). A price on holds swung; holding their mean share was
evaded, by beginning streaks of holds more often and ending them more often too (docs/LOG.md). So the chance is held at
every single decision, by a term of the loss: known without sampling from the row head's probabilities.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from env.task import kernels
from env.task.dynamics import State
from mapper.tokens.row_codes import HOLD_START, STARTS_HOLD, SYMBOLS, TAP

BEGINS_HOLD = torch.from_numpy(STARTS_HOLD)  # [code]
SURE = 1e-6
"""Chances are kept this far from 0 and 1 before their logarithm."""


def hold_rate(codes: Tensor) -> Tensor:
    """[row] chance that a row begins a hold, from [row, code] log-probabilities."""
    return codes.exp()[:, BEGINS_HOLD.to(codes.device)].sum(1).clamp(SURE, 1 - SURE)


def hold_rate_kl(codes: Tensor, pretrained: Tensor) -> Tensor:
    """Mean nats by which the chance of a hold differs, from [row, code] log-probabilities; .02 for .1 instead of .05."""
    mine, usual = hold_rate(codes), hold_rate(pretrained)
    begins = mine * (mine / usual).log()
    return (begins + (1 - mine) * ((1 - mine) / (1 - usual)).log()).mean()


def written_codes(state: State) -> list[NDArray[np.int64]]:
    """[env] row codes that were written in the episode, [row]."""
    first, known = state.numbers[:, kernels.FIRST_COUNT], state.numbers[:, kernels.COUNT]
    return [
        tokens[begin:end, kernels.CODE].astype(np.int64)
        for tokens, begin, end in zip(state.tokens, first, known, strict=True)
    ]


def holds_and_notes(state: State) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """([env] holds, [env] notes) that were written."""
    symbols = [SYMBOLS[code] for code in written_codes(state)]
    holds = np.array([(symbol == HOLD_START).sum() for symbol in symbols])
    return holds, holds + np.array([(symbol == TAP).sum() for symbol in symbols])
