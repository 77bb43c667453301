"""Decisions as numbers: what the network must know to say how likely an action was, apart from rows and audio.

Slots and ticks count from the window's first. Shapes use: env, step, offset, slot.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chart.grid import SLOTS_PER_CELL
from env.task import kernels
from env.task.dynamics import State
from env.task.kernels import OFFSETS
from env.task.songs import SongSet
from mapper.data.batches import CELLS
from mapper.tokens.row_codes import MIN_COLUMN_GAP_MS

WINDOW_SLOTS = CELLS * SLOTS_PER_CELL


@dataclass(frozen=True)
class Decisions:
    """One entry a decision; every array has the same shape, [env] in a rollout and [env, step] in training."""

    token: NDArray[np.int64]  # number of the last row known
    scan: NDArray[np.int64]  # slot after which the next row is looked for
    last_tick: NDArray[np.int64]  # tick of the last row
    earliest: NDArray[np.int64]  # first offset at which some column has rested
    end: NDArray[np.int64]  # first slot after the section
    late_tick: NDArray[np.int64]  # tick from which no hold begins
    held: NDArray[np.int64]  # held state
    offset: NDArray[np.int64]  # the action
    code: NDArray[np.int64]
    rests: NDArray[np.int64]  # columns that rest at the chosen slot, bit mask

    def tensors(self, device: torch.device | str = "cpu") -> DecisionTensors:
        """The same as tensors."""
        return DecisionTensors(
            **{one.name: torch.as_tensor(getattr(self, one.name), device=device) for one in fields(self)}
        )


@dataclass(frozen=True)
class DecisionTensors:
    """`Decisions` as int64 tensors."""

    token: Tensor
    scan: Tensor
    last_tick: Tensor
    earliest: Tensor
    end: Tensor
    late_tick: Tensor
    held: Tensor
    offset: Tensor
    code: Tensor
    rests: Tensor

    @property
    def slots(self) -> Tensor:
        """[…, offset] the slots asked."""
        return self.scan[..., None] + 1 + torch.arange(OFFSETS, device=self.scan.device)

    def open(self, open_slots: Tensor) -> Tensor:
        """[env, …, offset] whether a row may fall there; `open_slots` [env, slot]."""
        slots = self.slots
        flat = slots.clamp(max=open_slots.shape[1] - 1).flatten(1)
        is_open = open_slots.gather(1, flat).view(slots.shape)
        asked = torch.arange(OFFSETS, device=slots.device)
        return is_open & (slots < self.end[..., None]) & (asked >= self.earliest[..., None])

    @property
    def wrote(self) -> Tensor:
        """Whether a row was written: offset `OFFSETS` is none."""
        return self.offset < OFFSETS

    @property
    def slot(self) -> Tensor:
        """The chosen slot; where none was chosen, the first asked."""
        return self.scan + 1 + torch.where(self.wrote, self.offset, 0)


def decisions_of(library: SongSet, state: State, envs: NDArray[np.int64]) -> Decisions:
    """Decisions of these environments before they are made: offset none, no code, no column resting."""
    numbers = state.numbers[envs]
    window = numbers[:, kernels.WINDOW_SLOT]
    first_tick = library.tick[window]
    scan = numbers[:, kernels.SCAN]
    free_ms = state.event_ms[envs].min(1) + MIN_COLUMN_GAP_MS
    last = library.slot_ms.size - 1
    ahead = np.minimum(scan[:, None] + np.arange(1, OFFSETS + 1), last)
    earliest = (library.slot_ms[ahead] < free_ms[:, None]).sum(1)
    nothing = np.zeros(len(envs), np.int64)
    return Decisions(
        token=numbers[:, kernels.COUNT] - 1,
        scan=scan - window,
        last_tick=numbers[:, kernels.LAST_TICK] - first_tick,
        earliest=earliest,
        end=numbers[:, kernels.END_SLOT] - window,
        late_tick=numbers[:, kernels.LATE_TICK] - first_tick,
        held=numbers[:, kernels.HELD],
        offset=np.full(len(envs), OFFSETS),
        code=nothing,
        rests=nothing,
    )


def resting_columns(
    library: SongSet, state: State, envs: NDArray[np.int64], offset: NDArray[np.int64]
) -> NDArray[np.int64]:
    """[env] bit mask of the columns that still rest at the chosen offsets."""
    slot = np.minimum(state.numbers[envs, kernels.SCAN] + 1 + offset, library.slot_ms.size - 1)
    rests = library.slot_ms[slot][:, None] - state.event_ms[envs] < MIN_COLUMN_GAP_MS
    return (rests * (1 << np.arange(4))).sum(1)


def open_slots_of(library: SongSet, state: State) -> NDArray[np.bool_]:
    """[env, slot of the window] whether a row may fall there at all."""
    slots = state.numbers[:, kernels.WINDOW_SLOT][:, None] + np.arange(WINDOW_SLOTS)
    return library.open_slots[np.minimum(slots, library.open_slots.size - 1)]
