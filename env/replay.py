"""Sections of charts that are written already, as episodes: the decisions that led to their rows, one by one.

The charts were written by `mapper.sampling`, which draws from the same distribution as the policy; so their sections can be
learnt from as if the policy had written them in the environment. What is heard is what the sampler heard.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chart.grid import SLOTS_PER_CELL
from env import core, kernels
from env.core import State
from env.decisions import decisions_of, open_slots_of, resting_columns
from env.decoding import Windows
from env.kernels import OFFSETS
from env.library import Library
from env.rollout import Taken, Written, joined, with_
from env.sections import Section
from mapper.hearing import Heard
from mapper.model import Encoding
from mapper.rows import Rows
from mapper.sampling_kernels import next_hold_lean
from mapper.stretch import CELLS


def replay(
    library: Library, sections: Sequence[Section], rows: Sequence[Rows], windows: Windows, lean: Tensor
) -> Written:
    """Take the decisions that wrote `rows` [env], a whole chart each, in its section; no log-probabilities are known yet.

    `windows` [env] are what is heard, `lean` [env] the log-odds for rows throughout. The charts kept to their targets'
    shares of holds.
    """
    state = core.initial(library, sections)
    leans = [hold_leans(one.code, section.target.hold_share) for one, section in zip(rows, sections, strict=True)]
    taken: list[Taken] = []
    while not state.over.all():
        taken.append(_step(library, state, rows, leans))
    every = torch.arange(len(sections), device=lean.device)
    return joined(state, windows, every, lean, open_slots_of(library, state), taken)


def hold_leans(code: NDArray[np.int64], share: float) -> NDArray[np.float32]:
    """[row + 1] log-odds of a hold that the sampler had added before each row, and after the last, to keep to the share."""
    leans = np.zeros(code.size + 1, np.float32)
    lean = 0.0
    for number, one in enumerate(code.tolist()):
        lean = next_hold_lean(lean, one, share)
        leans[number + 1] = lean
    return leans


def _step(library: Library, state: State, rows: Sequence[Rows], leans: Sequence[NDArray[np.float32]]) -> Taken:
    """The next decision of each environment that is not over."""
    envs = np.flatnonzero(~state.over)
    chosen = [_next(library, state, env, rows[env]) for env in envs.tolist()]
    offset, code, at = (np.array(one, np.int64) for one in zip(*chosen, strict=True))
    lean = np.array([leans[env][row] for env, row in zip(envs.tolist(), at, strict=True)], np.float32)
    decisions = with_(
        decisions_of(library, state, envs),
        offset=offset,
        code=code,
        rests=resting_columns(library, state, envs, offset),
    )
    actions = np.full((2, len(state.sections)), OFFSETS)
    actions[0, envs], actions[1, envs] = offset, code
    core.step(library, state, actions[0], actions[1])
    nothing = np.zeros(envs.size, np.float32)
    return Taken(envs, decisions, nothing, nothing, state.bars_done[envs].copy(), lean)


def _next(library: Library, state: State, env: int, rows: Rows) -> tuple[int, int, int]:
    """(offset, code, number) of the chart's next row; offset OFFSETS and code 0 where there is none within reach."""
    scan = int(state.numbers[env, kernels.SCAN] - library.slot_base[state.sections[env].piece])
    at = int(np.searchsorted(rows.slot, scan + 1))
    if at == len(rows) or rows.slot[at] >= min(scan + 1 + OFFSETS, state.sections[env].end_slot):
        return OFFSETS, 0, at
    return int(rows.slot[at]) - scan - 1, int(rows.code[at]), at


def windows_of(heard: Heard, sections: Sequence[Section], device: torch.device) -> Windows:
    """What a mapper heard of the song around sections of it; `heard` is of one chart."""
    parts = [_window(heard, section.window_slot // SLOTS_PER_CELL) for section in sections]
    control = torch.from_numpy(heard.decoder_control).to(device)[:, None]
    tensors = [torch.from_numpy(np.stack(one)).to(device) for one in zip(*parts, strict=True)]
    return Windows(Encoding(*tensors), control.expand(len(sections), -1, -1))


def _window(heard: Heard, first: int) -> tuple[NDArray[np.float32], ...]:
    """Cells, slots, log-odds of rows, likeness and mean from this cell on; silence behind the song's end."""
    cells, slots = slice(first, first + CELLS), slice(first * SLOTS_PER_CELL, (first + CELLS) * SLOTS_PER_CELL)
    cell = heard.cell[0, cells]
    whole = cell.mean(0)
    return (
        _padded(cell, CELLS),
        _padded(heard.slot[0, slots], CELLS * SLOTS_PER_CELL),
        _padded(heard.onset_logit[0, slots], CELLS * SLOTS_PER_CELL),
        _padded(heard.alike[0, cells], CELLS),
        whole,
    )


def _padded(array: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    return np.concatenate((array, np.zeros((length - len(array), *array.shape[1:]), np.float32)))
