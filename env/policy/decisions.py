"""Batches of decisions: everything that a network reads to say how likely each was, in one causal pass.

The rows known at a decision are read as the sampler reads them: behind a start token, and when its cache is full, anew from
the last `KEPT_ROWS` on. Each such reading is a *sequence* of its own. Slots are those of a timeline
(`env.policy.chart_sampler`). Shapes use: env, step, offset, sequence, token, slot, lag.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chart.grid import TICKS_PER_BEAT
from env.policy import decision_kernels as kernels
from env.policy.chart_sampler import Request, Timeline, last_event_ms
from env.task.episodes import MAX_ROWS
from env.task.kernels import OFFSETS
from mapper.network.compiled.cached_decoder import time_gap_bins
from mapper.network.model import Encoding, Mapper, RowTokens
from mapper.sampling.advance import CACHE_ROWS, KEPT_ROWS
from mapper.sampling.sampler import LAST_HOLD_BEATS
from mapper.tokens.row_codes import Rows, held_states
from mapper.tokens.vocabulary import MOTIF_LAGS, TIME_GAP_BINS
from mapper.tokens.window import LONG_AGO_TICKS

STEP_ROWS = CACHE_ROWS - KEPT_ROWS
"""Rows by which a sequence begins later than the one before."""
TOKEN_FIELDS = tuple(field.name for field in fields(RowTokens))


@dataclass(frozen=True)
class TimelineTensors:
    """A timeline on the network's device; all environments share it."""

    encoding: Encoding  # [1, cell or slot, …]
    tick: Tensor  # [slot]
    is_open: Tensor  # [slot]
    near: Tensor  # [near], slots that decisions ask for
    near_of: Tensor  # [slot], number among the near ones
    bias: Tensor  # [near], the encoding's onset logit less that of the onset head: `Mapper.lean`, as it was encoded


@dataclass(frozen=True)
class DecisionBatch:
    """Decisions of environments; tensors of whole numbers unless said otherwise."""

    timeline: TimelineTensors
    decision: Tensor  # [env, step, kernels.DECISION]
    hold_bias: Tensor  # [env, step] float, log-odds that the sampler added for each hold of a row
    last_tick: Tensor  # [env, step], of the last row known
    taken: Tensor  # [env, step] bool, false behind an environment's last decision
    left: Tensor  # [env, step] float, fraction of the section left
    end: Tensor  # [env], first slot after the section
    late_tick: Tensor  # [env], tick after which no hold begins
    onset_bias: Tensor  # [env] float, log-odds added to the onset
    stars: Tensor  # [env] float, requested
    code_at: Tensor  # [env, slot], codes of the rows from `first_code` on, 0 elsewhere
    first_code: Tensor  # [env], slot
    tokens: RowTokens  # [sequence, token]
    control: Tensor  # [sequence, 1, width] float
    of_env: Tensor  # [sequence]
    sequence: Tensor  # [env, step], number of the sequence that holds the last row known
    position: Tensor  # [env, step], its place there

    @property
    def wrote(self) -> Tensor:
        """[env, step], whether a row was written: offset `OFFSETS` is none."""
        return self.column(kernels.OFFSET) < OFFSETS

    @property
    def slot(self) -> Tensor:
        """[env, step], the chosen slot; where none was chosen, the first asked."""
        return self.column(kernels.SCAN) + 1 + torch.where(self.wrote, self.column(kernels.OFFSET), 0)

    @property
    def candidates(self) -> Tensor:
        """[env, step, offset], slots among which each decision chooses."""
        last = self.timeline.tick.shape[0] - 1
        offset = torch.arange(OFFSETS, device=self.decision.device)
        return (self.column(kernels.SCAN)[..., None] + 1 + offset).clamp(max=last)

    def column(self, number: int) -> Tensor:
        """[env, step] one number of each decision, by `env.policy.decision_kernels`."""
        return self.decision[..., number]

    def is_open(self) -> Tensor:
        """[env, step, offset], whether a row may fall there."""
        candidates, offset = self.candidates, torch.arange(OFFSETS, device=self.decision.device)
        slots = self.column(kernels.SCAN)[..., None] + 1 + offset
        rested = offset >= self.column(kernels.EARLIEST)[..., None]
        return self.timeline.is_open[candidates] & (slots < self.end[:, None, None]) & rested

    def first_step(self) -> DecisionBatch:
        """The first decision of each environment alone."""
        by_step = ("decision", "hold_bias", "last_tick", "taken", "left", "sequence", "position")
        return replace(self, **{name: getattr(self, name)[:, :1] for name in by_step})

    def picked(self, envs: Tensor) -> DecisionBatch:
        """Those of these environments, in this order, cut to their longest."""
        steps = int(self.taken[envs].sum(1).max().clamp(min=1))
        by_step = ("decision", "hold_bias", "last_tick", "taken", "left", "position")
        parts = {name: getattr(self, name)[envs, :steps] for name in by_step}
        by_env = ("end", "late_tick", "onset_bias", "stars", "code_at", "first_code")
        parts |= {name: getattr(self, name)[envs] for name in by_env}
        sequence = self.sequence[envs, :steps]
        kept, renumbered = torch.unique(sequence, return_inverse=True)
        tokens = RowTokens(**{name: getattr(self.tokens, name)[kept] for name in TOKEN_FIELDS})
        where = torch.full((len(self.taken),), -1, device=envs.device)
        where[envs] = torch.arange(len(envs), device=envs.device)
        return replace(
            self,
            **parts,
            sequence=renumbered,
            tokens=tokens,
            control=self.control[kept],
            of_env=where[self.of_env[kept]],
        )


def states_of(model: Mapper, batch: DecisionBatch) -> Tensor:
    """[env, step, width] the decoder's state before each decision, in one causal pass over every sequence."""
    encoding, count = batch.timeline.encoding, len(batch.control)
    shared = Encoding(
        encoding.cell.expand(count, -1, -1), encoding.slot.expand(count, -1, -1), encoding.onset_logit.expand(count, -1)
    )
    state = model.decode(batch.tokens, shared, batch.control)
    return state.flatten(0, 1)[batch.sequence * state.shape[1] + batch.position]


@torch.no_grad()
def decisions_of(
    model: Mapper, requests: Sequence[Request], written: Sequence[Rows], timeline: Timeline
) -> DecisionBatch:
    """The decisions that lead from each request to the rows `written` for it; slots count from the songs' first."""
    device = next(model.parameters()).device
    tick, shift = timeline.encoding.grid.tick, timeline.shift
    known = [Rows(one.rows.slot + by, one.rows.code) for one, by in zip(requests, shift, strict=True)]
    new = [Rows(one.slot + by, one.code) for one, by in zip(written, shift, strict=True)]
    whole = [Rows(np.append(a.slot, b.slot), np.append(a.code, b.code)) for a, b in zip(known, new, strict=True)]
    first, end = ([getattr(one, name) for one in requests] + shift for name in ("first_slot", "end_slot"))
    decision, hold_bias, steps = _replayed(requests, known, new, first, end, timeline)
    token, scan = decision[..., kernels.TOKEN], decision[..., kernels.SCAN]
    tokens, of_env, sequence, position = _sequences(whole, known, shift, token, tick)
    last_row = [
        np.append(rows.slot, by) for rows, by in zip(whole, shift, strict=True)
    ]  # number −1: the song's first slot
    last_slot = np.stack([slots[numbers] for slots, numbers in zip(last_row, token, strict=True)])
    code_at, first_code = _codes(whole, first, end)
    arrays = {
        "decision": decision,
        "hold_bias": hold_bias,
        "last_tick": tick[last_slot] - LONG_AGO_TICKS * (token < 0),
        "taken": np.arange(token.shape[1]) < (steps * (first < end))[:, None],
        "left": ((end[:, None] - scan - 1) / np.maximum(end - first, 1)[:, None]).astype(np.float32),
        "end": end,
        "late_tick": tick[end - 1] - LAST_HOLD_BEATS * TICKS_PER_BEAT,
        "onset_bias": np.array([one.onset_bias for one in requests], np.float32),
        "stars": np.array([one.target.stars for one in requests], np.float32),
        "code_at": code_at,
        "first_code": first_code,
        "control": timeline.encoding.decoder_control[of_env][:, None],
        "of_env": of_env,
        "sequence": sequence,
        "position": position,
    }
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)).to(device) for name, array in arrays.items()}
    rows = RowTokens(**{name: torch.from_numpy(tokens[name]).to(device) for name in TOKEN_FIELDS})
    return DecisionBatch(timeline=_tensors(model, timeline, first, end), tokens=rows, **tensors)


def _replayed(
    requests: Sequence[Request],
    known: Sequence[Rows],
    new: Sequence[Rows],
    first: NDArray[np.int64],
    end: NDArray[np.int64],
    timeline: Timeline,
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """([env, step, kernels.DECISION], hold bias [env, step], number of steps [env]); the last decision is repeated."""
    slot_ms, count = timeline.encoding.grid.slot_ms, len(requests)
    decision = np.zeros((count, MAX_ROWS + 16, kernels.DECISION), np.int64)
    hold_bias, steps = np.zeros(decision.shape[:2], np.float32), np.zeros(count, np.int64)
    for env, (one, before, rows) in enumerate(zip(requests, known, new, strict=True)):
        held = held_states(before.code)[-1] if len(before) else 0
        events = last_event_ms(before, slot_ms)
        steps[env] = kernels.replay(
            *(rows.slot, rows.code, len(before), first[env], end[env], events, held),
            *(one.hold_bias, one.target.hold_ratio, slot_ms, decision[env], hold_bias[env]),
        )
        decision[env, steps[env] :] = decision[env, steps[env] - 1]
    longest = int(steps.max())
    return decision[:, :longest], hold_bias[:, :longest], steps


def _sequences(
    whole: Sequence[Rows],
    known: Sequence[Rows],
    shift: NDArray[np.int64],
    token: NDArray[np.int64],
    tick: NDArray[np.int64],
) -> tuple[dict[str, NDArray], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(tokens by field [sequence, token], environment [sequence], sequence and place of each row `token` [env, step])."""
    parts: list[dict[str, NDArray]] = []
    of_env, sequence, position = [], np.zeros_like(token), np.zeros_like(token)
    for env, (rows, before) in enumerate(zip(whole, known, strict=True)):
        begin = max(len(before) - KEPT_ROWS, 0)
        number = np.maximum((token[env] - begin - CACHE_ROWS + 1) // STEP_ROWS + 1, 0)
        sequence[env], position[env] = len(parts) + number, token[env] - begin - STEP_ROWS * number + 1
        held = np.append(held_states(rows.code) if len(rows) else np.zeros(0, np.int64), 0)
        for one in range(int(number.max()) + 1):
            start = begin + one * STEP_ROWS
            parts.append(_tokens(rows, held, start, int(shift[env]), tick, read_at_once=one > 0 or len(before) > 0))
            of_env.append(env)
    longest = int(position.max()) + 1
    padded = {name: np.zeros((len(parts), longest), parts[0][name].dtype) for name in TOKEN_FIELDS}
    for number, part in enumerate(parts):
        for name in TOKEN_FIELDS:
            padded[name][number, : min(part[name].size, longest)] = part[name][:longest]
    return padded, np.array(of_env), sequence, position


def _tokens(
    rows: Rows, held: NDArray[np.int64], start: int, song_slot: int, tick: NDArray[np.int64], read_at_once: bool
) -> dict[str, NDArray]:
    """Fields of `RowTokens` for the start token, which stands for the row before `start`, and up to CACHE_ROWS − 1 rows.

    `held` is [row + 1] with 0 at its end. The first row of a chart that was not `read_at_once` has its gap to nothing.
    """
    own = slice(start, start + CACHE_ROWS - 1)
    slot = np.append(rows.slot[start - 1] if start else song_slot, rows.slot[own])
    elapsed = time_gap_bins(np.diff(tick[slot]))
    if not start and not read_at_once:
        elapsed[:1] = TIME_GAP_BINS - 1
    return {
        "code": np.append(0, rows.code[own]),
        "held": np.append(held[start - 1], held[:-1][own]),
        "slot": slot,
        "elapsed": np.append(TIME_GAP_BINS - 1, elapsed),
        "beat": (tick[slot] / TICKS_PER_BEAT).astype(np.float32),
        "index": np.arange(slot.size, dtype=np.float32),
    }


def _codes(
    whole: Sequence[Rows], first: NDArray[np.int64], end: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """([env, slot] codes from the longest motif lag before each section on, [env] the slot where that is)."""
    first_code = first - MOTIF_LAGS[-1]
    code_at = np.zeros((len(whole), int((end - first_code).max())), np.int64)
    for env, rows in enumerate(whole):
        at = rows.slot - first_code[env]
        inside = (at >= 0) & (at < code_at.shape[1])
        code_at[env, at[inside]] = rows.code[inside]
    return code_at, first_code


def _tensors(model: Mapper, timeline: Timeline, first: NDArray[np.int64], end: NDArray[np.int64]) -> TimelineTensors:
    device, encoding = next(model.parameters()).device, timeline.encoding
    is_near = np.zeros(encoding.open_slots.size, np.bool_)
    for begin, stop in set(zip(first.tolist(), end.tolist(), strict=True)):
        is_near[begin : stop + OFFSETS] = True
    near = torch.from_numpy(np.flatnonzero(is_near)).to(device)
    cell, slot, logit, alike = (
        torch.from_numpy(one).to(device) for one in (encoding.cell, encoding.slot, encoding.onset_logit, encoding.alike)
    )
    return TimelineTensors(
        encoding=Encoding(cell, slot, logit, alike),
        tick=torch.from_numpy(encoding.grid.tick).to(device),
        is_open=torch.from_numpy(encoding.open_slots).to(device),
        near=near,
        near_of=torch.from_numpy(np.maximum(np.cumsum(is_near) - 1, 0)).to(device),
        bias=logit[0, near] - model.onset(slot[0, near]).squeeze(-1),
    )
