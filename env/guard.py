"""What must not be sold for reward: the share of holds stays what the pretrained mapper writes on the same songs.

Holds raise what a phrase asks of the players without adding notes, so that a policy whose phrases are too easy writes
holds instead of notes (from .09 to .33 of the notes within ten updates; docs/LOG.md). A price on holds is moved until
the mean is back where it was: single sections may have as many or as few as they like.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from env import kernels
from env.core import State
from mapper.rows import HOLD_START, SYMBOLS, TAP

PROPORTIONAL, INTEGRAL = 1.5, 0.4
"""Price for each unit by which the recent share is off, and its growth an update; a tenth of that growth let the share
swing up to .3 (docs/LOG.md)."""
FIRST_PRICE = 0.2
"""About what a hold is worth to the reward: a quarter more holds raise a phrase's level by .6, its value by .05."""
MEMORY = 0.7
"""Weight of the past in the recent share: about three updates."""
MAX_PRICE = 1.0


@dataclass
class HoldGuard:
    """A price on holds, moved by a proportional-integral controller. Shares are holds / notes, 0–1."""

    wanted: float
    recent: float | None = None
    saved_up: float = FIRST_PRICE  # the integral part

    @property
    def price(self) -> float:
        """Reward taken off for each hold above the wanted share, per note of an average section."""
        off = 0.0 if self.recent is None else self.recent - self.wanted
        return float(np.clip(PROPORTIONAL * off + self.saved_up, -MAX_PRICE, MAX_PRICE))

    def adapt(self, holds: float, notes: float) -> None:
        """Take a rollout into account."""
        share = holds / max(notes, 1.0)
        self.recent = share if self.recent is None else MEMORY * self.recent + (1 - MEMORY) * share
        self.saved_up = float(np.clip(self.saved_up + INTEGRAL * (share - self.wanted), -MAX_PRICE, MAX_PRICE))

    def payment(self, holds: NDArray[np.int64], notes: NDArray[np.int64]) -> NDArray[np.float64]:
        """[env, bar] what is added to the rewards for [env, bar] holds and notes."""
        excess = (holds - self.wanted * notes) / max(float(notes.sum(1).mean()), 1.0)
        return -self.price * excess


def holds_and_notes(state: State) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """([env, bar] holds, [env, bar] notes) that were written in each bar."""
    bars = state.bar_slots.shape[1] - 1
    found = np.zeros((2, len(state.sections), bars), np.int64)
    for env in range(len(state.sections)):
        numbers = state.numbers[env]
        rows = state.tokens[env, numbers[kernels.FIRST_COUNT] : numbers[kernels.COUNT]]
        slot = rows[:, kernels.SLOT] + numbers[kernels.WINDOW_SLOT]
        bar = np.clip(np.searchsorted(state.bar_slots[env], slot, side="right") - 1, 0, bars - 1)
        symbols = SYMBOLS[rows[:, kernels.CODE]]
        holds, taps = (symbols == HOLD_START).sum(1), (symbols == TAP).sum(1)
        found[0, env] = np.bincount(bar, holds, minlength=bars)
        found[1, env] = np.bincount(bar, holds + taps, minlength=bars)
    return found[0], found[1]
