"""Candidate charts of one song, cut at bar lines so that bars of several can be joined into one chart.

Nothing within a bar is changed, so patterns stay whole. A join is allowed only where both candidates hold the same columns,
every column rests long enough across it, and it makes no jack that neither candidate has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chart.grid import SLOTS_PER_CELL, Grid
from chart.model import KEYS
from mapper.tokens.row_codes import HOLD_END, MIN_COLUMN_GAP_MS, NOTHING, SYMBOLS, Rows, held_states

JACK_BEATS = 0.5
"""Rows this close across a join must not share a column: joins make no jacks."""
HEAD_MASK = (((SYMBOLS != NOTHING) & (SYMBOLS != HOLD_END)) << np.arange(KEYS)).sum(-1)
"""[code] → bit c set where a note begins in column c."""


def bar_starts(grid: Grid) -> NDArray[np.int64]:
    """[bar], first slot of each bar; the cells before the first downbeat belong to the first bar."""
    downbeats = np.flatnonzero((grid.beat_in_bar == 0) & (grid.quarter == 0)) * SLOTS_PER_CELL
    return downbeats if downbeats.size and downbeats[0] == 0 else np.append(0, downbeats)


@dataclass(frozen=True)
class Edge:
    """The events nearest to every cut of every candidate, on one side of it."""

    event_ms: NDArray[np.float64]  # [candidate, cut, column], nearest event of the column
    head_ms: NDArray[np.float64]  # [candidate, cut], nearest row with note heads
    head_mask: NDArray[np.int64]  # [candidate, cut], columns of that row


class CandidateSet:
    """Candidates of one song on one grid, with the bar lines at which they may be joined."""

    def __init__(self, grid: Grid, rows: Sequence[Rows]) -> None:
        self.grid = grid
        self.rows = list(rows)
        self.bars = bar_starts(grid)  # [bar]
        self.first_row = np.array([np.searchsorted(one.slot, self.bars) for one in rows])  # [candidate, bar]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def joins(self) -> NDArray[np.bool_]:
        """[bar, from candidate, to candidate]: whether the second may follow the first from this bar on."""
        before, after = self._edges(False), self._edges(True)
        held = np.array([np.append(0, held_states(one.code))[first] for one, first in self._with_rows()])
        same = held[:, None] == held[None]  # [from, to, bar]
        rests = after.event_ms[None] - before.event_ms[:, None] >= MIN_COLUMN_GAP_MS
        cell = np.minimum(self.bars // SLOTS_PER_CELL, self.grid.cells - 1)
        near = after.head_ms[None] - before.head_ms[:, None] <= JACK_BEATS * self.grid.beat_ms[cell] + 1
        jack = near & (after.head_mask[None] & before.head_mask[:, None] > 0)
        legal = same & rests.all(-1) & ~jack
        legal[np.arange(len(self)), np.arange(len(self))] = True
        return legal.transpose(2, 0, 1)

    def joined(self, choice: NDArray[np.int64]) -> Rows:
        """The rows of candidate `choice[bar]` in each bar; the choice must respect `joins`."""
        slots, codes = [], []
        starts = np.flatnonzero(np.diff(choice, prepend=-1))
        for number, bar in enumerate(starts):
            take = int(choice[bar])
            one, first = self.rows[take], self.first_row[take]
            end = first[starts[number + 1]] if number + 1 < starts.size else len(one)
            slots.append(one.slot[first[bar] : end])
            codes.append(one.code[first[bar] : end])
        return Rows(np.concatenate(slots), np.concatenate(codes))

    def _with_rows(self) -> list[tuple[Rows, NDArray[np.int64]]]:
        return list(zip(self.rows, self.first_row, strict=True))

    def _edges(self, after: bool) -> Edge:
        """The nearest events before each bar line, or from it on."""
        shape = (len(self), self.bars.size)
        far = np.inf if after else -np.inf
        edge = Edge(np.full((*shape, KEYS), far), np.full(shape, far), np.zeros(shape, np.int64))
        for take, (one, first) in enumerate(self._with_rows()):
            ms = self.grid.slot_ms[one.slot]
            symbols = SYMBOLS[one.code]
            for column in range(KEYS):
                at = np.flatnonzero(symbols[:, column] != NOTHING)
                _, edge.event_ms[take, :, column] = _nearest(at, first, ms, after, far)
            heads = np.flatnonzero(HEAD_MASK[one.code])
            row, edge.head_ms[take] = _nearest(heads, first, ms, after, far)
            edge.head_mask[take] = np.where(row >= 0, HEAD_MASK[one.code[row]] if len(one) else 0, 0)
        return edge


def _nearest(
    at: NDArray[np.int64], first: NDArray[np.int64], ms: NDArray[np.float64], after: bool, far: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The nearest row among `at` before row `first`, or from it on, and its time; -1 and `far` where there is none."""
    index = np.searchsorted(at, first) - (0 if after else 1)
    there = (index >= 0) & (index < at.size)
    row = np.where(there, at[np.clip(index, 0, max(at.size - 1, 0))] if at.size else -1, -1)
    return row, np.where(there, ms[row] if ms.size else far, far)
