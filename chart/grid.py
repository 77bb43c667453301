"""The beat grid that the mapper writes on: quarter-beat cells of six slots each.

A beat has 48 ticks; a cell is a quarter of a beat (12 ticks) and holds the slots at ticks 0, 3, 4, 6, 8 and 9,
so a beat offers the snaps 1/1, 1/2, 1/3, 1/4, 1/6, 1/8, 1/12 and 1/16 and nothing else. Slot `s` belongs to cell
`s // 6`. Each red line starts a new run of cells; the slots of a last, cut-off cell that lie beyond the next red
line are marked unusable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chart.model import TimingPoint
from runtime.errors import ChartFileError

TICKS_PER_BEAT = 48
TICKS_PER_CELL = 12
CELLS_PER_BEAT = TICKS_PER_BEAT // TICKS_PER_CELL
SLOT_TICKS = np.array([0, 3, 4, 6, 8, 9])
"""Ticks of the six slots within a cell."""
SLOTS_PER_CELL = len(SLOT_TICKS)

MIN_BEAT_MS, MAX_BEAT_MS = 60_000 / 320, 60_000 / 40
"""Beats outside this range are halved or doubled into it: a chart timed at 1,000 BPM is felt at 250."""
MAX_CELLS = 100_000
"""Bound on a grid's size, about two hours at 200 BPM: timing points come from strangers."""
SAME_TIME_MS = 0.5
"""A slot this close before the next red line is that red line's own first slot."""


@dataclass(frozen=True)
class Grid:
    """Slots of a whole song in order of time; every array is read-only by convention."""

    slot_ms: NDArray[np.float64]  # [slot], slot = 6 · cell + sub, chart time
    usable: NDArray[np.bool_]  # [slot], false beyond the next red line
    tick: NDArray[np.int64]  # [slot], 48 a beat, strictly increasing over the song
    beat_ms: NDArray[np.float64]  # [cell], beat length
    quarter: NDArray[np.int64]  # [cell], 0–3: which quarter of its beat
    beat_in_bar: NDArray[np.int64]  # [cell], 0 = downbeat
    bar: NDArray[np.int64]  # [cell], bars since the red line that rules the cell, may be negative before the first

    @property
    def cells(self) -> int:
        """Number of cells of the grid."""
        return int(self.beat_ms.size)

    @property
    def beat_tick(self) -> NDArray[np.int64]:
        """[slot], ticks since the slot's own beat, 0–47."""
        return (self.quarter[:, None] * TICKS_PER_CELL + SLOT_TICKS).ravel()

    def nearest_slot(self, time_ms: NDArray[np.float64]) -> NDArray[np.int64]:
        """[time] → index of the nearest usable slot."""
        candidates = np.flatnonzero(self.usable)
        at = self.slot_ms[candidates]
        right = np.clip(np.searchsorted(at, time_ms), 1, at.size - 1)
        nearer_left = time_ms - at[right - 1] <= at[right] - time_ms
        return candidates[np.where(nearer_left, right - 1, right)]


def felt_beat_ms(beat_ms: float) -> float:
    """The beat length halved or doubled into `MIN_BEAT_MS`–`MAX_BEAT_MS`."""
    while beat_ms < MIN_BEAT_MS:
        beat_ms *= 2
    while beat_ms > MAX_BEAT_MS:
        beat_ms /= 2
    return beat_ms


def make_grid(red_lines: Sequence[TimingPoint], start_ms: float, end_ms: float) -> Grid:
    """The grid that covers `start_ms`–`end_ms`; the first red line's beat is continued backwards.

    Raises ChartFileError when there is no red line or the grid would be unreasonably large.
    """
    lines = [line for line in red_lines if line.time_ms < end_ms] or list(red_lines[:1])
    if not lines:
        raise ChartFileError("the chart has no red line (uninherited timing point), so it has no beat to write on")
    runs = []
    for index, line in enumerate(lines):
        run_end_ms = lines[index + 1].time_ms if index + 1 < len(lines) else end_ms
        runs.append(_run(line, min(start_ms, line.time_ms) if index == 0 else line.time_ms, run_end_ms))
        _check_size(sum(run["beat_ms"].size for run in runs))
    return _join(runs)


def _check_size(cells: int) -> None:
    if cells > MAX_CELLS:
        raise ChartFileError(f"the timing points ask for more than {MAX_CELLS} quarter beats; is a BPM wrong?")


def _run(line: TimingPoint, start_ms: float, end_ms: float) -> dict[str, NDArray]:
    """Cells of one red line from `start_ms` (rounded out to a whole cell) to `end_ms`."""
    beat_ms = felt_beat_ms(line.beat_length_ms)
    cell_ms = beat_ms / CELLS_PER_BEAT
    first = int(np.floor((start_ms - line.time_ms) / cell_ms + 1e-6))
    last = int(np.ceil((end_ms - line.time_ms - SAME_TIME_MS) / cell_ms))
    _check_size(last - first)
    cell = np.arange(first, max(last, first), dtype=np.int64)
    beat = cell // CELLS_PER_BEAT
    slot_ms = line.time_ms + (cell[:, None] + SLOT_TICKS / TICKS_PER_CELL) * cell_ms
    meter = max(line.meter, 1)
    return {
        "slot_ms": slot_ms,
        "usable": slot_ms < end_ms - SAME_TIME_MS,
        "beat_ms": np.full(cell.size, beat_ms),
        "quarter": cell % CELLS_PER_BEAT,
        "beat_in_bar": beat % meter,
        "bar": beat // meter,
    }


def _join(runs: list[dict[str, NDArray]]) -> Grid:
    joined = {name: np.concatenate([run[name] for run in runs]) for name in runs[0]}
    cells = joined["beat_ms"].size
    tick = np.arange(cells)[:, None] * TICKS_PER_CELL + SLOT_TICKS
    return Grid(
        slot_ms=joined["slot_ms"].ravel(),
        usable=joined["usable"].ravel(),
        tick=tick.ravel(),
        beat_ms=joined["beat_ms"],
        quarter=joined["quarter"],
        beat_in_bar=joined["beat_in_bar"],
        bar=joined["bar"],
    )
