"""Windows of charts as tensors for training and scoring.

A window is `CELLS` consecutive cells of one chart with their audio and rows. Rows beyond `MAX_ROWS` are cut off, and
with them the slots after the last row kept: they are not scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chart.grid import SLOTS_PER_CELL, TICKS_PER_BEAT, Grid
from mapper.data.augment import NOISY_HISTORY_CHANCE, augmented_window, noisy_history
from mapper.data.corpus import Corpus, SongEntry
from mapper.data.rhythm_collection import BEGINS, FADE_MS, NOT_SCORED
from mapper.network.model import Cells, RowTokens, cells_of, time_gap_bin
from mapper.tokens.conditioning_vector import Controls
from mapper.tokens.row_codes import STARTS_NOTE, Rows, held_states
from mapper.tokens.vocabulary import EDGE_SECONDS
from mapper.tokens.window import CELLS, LONG_AGO_TICKS, MAX_ROWS, cell_arrays

BEATS_BEFORE, BEATS_AFTER = 16, 8
"""Beats before the first and after the last note of a chart without columns that are scored: the chart's author left the rest unwritten."""
OF_WINDOW = ("mel", "slot_frame", "beat_ms", "quarter", "beat_in_bar", "bar", "song_edges", "usable")
"""Arrays that charts of one window share (mapper.tokens.window.cell_arrays)."""


@dataclass(frozen=True)
class Targets:
    """The human's rows of a window, each predicted from the state after the last row read before it."""

    state: Tensor  # [batch, target], int64, index of that row in `RowTokens`
    slot: Tensor  # [batch, target], int64
    code: Tensor  # [batch, target], int64, 0 for padding
    held: Tensor  # [batch, target], int64, held state before the row
    elapsed: Tensor  # [batch, target], int64, bucket of the ticks since the row that was read

    @property
    def valid(self) -> Tensor:
        """[batch, target], bool, false for padding."""
        return self.code > 0


@dataclass(frozen=True)
class Batch:
    """A training batch. `previous_row`, `target` and `scored` are per slot: hazard supervision."""

    cells: Cells  # of every window
    window: Tensor  # [batch], int64, index of the chart's window
    weight: Tensor  # [batch], weight of its rows
    controls: Tensor  # [batch, CONTROL_FEATURES], `mapper.tokens.conditioning_vector.Controls.features`
    rows: RowTokens
    targets: Targets
    previous_row: Tensor  # [batch, slot], int64, the last row read before the slot
    elapsed: Tensor  # [batch, slot], int64, bucket of the ticks since that row
    target: Tensor  # [batch, slot], bool, a row of the human falls here
    scored: Tensor  # [batch, slot], bool
    release_only: Tensor  # [batch, slot], bool, the row here holds no note head

    @property
    def weighted_rows(self) -> Tensor:
        """Number of target rows, weighted."""
        return (self.targets.valid * self.weight[:, None]).sum()

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return _moved(self, device)


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    return type(value)(**{field.name: _moved(getattr(value, field.name), device) for field in fields(value)})


@dataclass(frozen=True)
class PreparedChart:
    """A chart of the corpus with arrays derived from its rows."""

    grid: Grid
    rows: Rows
    held: NDArray[np.int64]  # [row], held state after each row
    scored: NDArray[np.bool_]  # [slot]


class WindowSampler:
    """Cuts windows out of a corpus; caches prepared charts."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.prepared = lru_cache(maxsize=None)(self._prepare)

    def _prepare(self, chart: int) -> PreparedChart:
        entry, rows, grid = self.corpus.charts[chart], self.corpus.chart_rows(chart), self.corpus.grid(chart)
        if entry.has_columns:
            return PreparedChart(grid, rows, held_states(rows.code), grid.usable)
        scored = scored_slots(rows, grid, self.corpus.songs[entry.song])
        begins = rows.code == BEGINS
        return PreparedChart(grid, Rows(rows.slot[begins], rows.code[begins]), np.zeros(begins.sum(), np.int64), scored)

    def playable_cells(self, chart: int) -> tuple[int, int]:
        """First and last cell that windows should cover.

        With audio: the whole song, so that empty intros are learnt. Of an excerpt, and without audio: from one bar before
        the first row to one after the last.
        """
        prepared = self.prepared(chart)
        song = self.corpus.songs[self.corpus.charts[chart].song]
        if song.has_audio and not song.excerpt:
            return 0, prepared.grid.cells
        first, last = prepared.rows.slot[[0, -1]] // SLOTS_PER_CELL
        return max(int(first) - 16, 0), min(int(last) + 16, prepared.grid.cells)

    def cover(self, chart: int) -> list[int]:
        """First cells of windows that together cover the chart."""
        first, last = self.playable_cells(chart)
        return list(range(first, max(last - 8, first + 1), CELLS))

    def stretch(self, chart: int, first_cell: int, augment: np.random.Generator | None = None) -> dict[str, Any]:
        """One window as arrays; see `collate`. With `augment` changed by `mapper.data.augment`."""
        return self.window([chart], first_cell, augment)[0]

    def window(
        self, charts: Sequence[int], first_cell: int, augment: np.random.Generator | None = None
    ) -> list[dict[str, Any]]:
        """The window of each of these charts, which share a song and red lines, hence cells and audio."""
        grid, song = self.prepared(charts[0]).grid, self.corpus.songs[self.corpus.charts[charts[0]].song]
        cells = slice(first_cell, min(first_cell + CELLS, grid.cells))
        shared = cell_arrays(grid, cells, self.corpus.features(charts[0]) if song.has_audio else None, song.lag_ms)
        if song.excerpt:
            shared["song_edges"][:, len(EDGE_SECONDS) :] = 0.0  # the song goes on
        window = [shared | self._chart_arrays(chart, cells, augment) for chart in charts]
        return augmented_window(window, augment) if augment is not None else window

    def _chart_arrays(self, chart: int, cells: slice, augment: np.random.Generator | None) -> dict[str, Any]:
        entry = self.corpus.charts[chart]
        noise = augment if augment is not None and augment.random() < NOISY_HISTORY_CHANCE else None
        arrays = _row_arrays(self.prepared(chart), cells, noise)
        controls = [entry.stars, entry.notes_per_s, entry.hold_share, entry.style, *entry.patterns]
        arrays["controls"] = np.array(controls, np.float32)
        arrays["mirrored"] = np.zeros(2, np.float32)
        arrays["weight"] = np.float32(entry.weight)
        return arrays

    def sharing(self, charts: Sequence[int]) -> list[list[int]]:
        """The charts in groups of one song and one set of red lines."""
        groups: dict[tuple, list[int]] = {}
        for chart in charts:
            entry = self.corpus.charts[chart]
            groups.setdefault((entry.song, entry.red_lines), []).append(chart)
        return list(groups.values())


def scored_slots(rows: Rows, grid: Grid, song: SongEntry) -> NDArray[np.bool_]:
    """[slot]: true where a chart without columns is evidence for or against a row: near its notes."""
    scored = grid.usable.copy()
    scored[rows.slot[rows.code == NOT_SCORED]] = False
    first_ms, last_ms = grid.slot_ms[rows.slot[rows.code == BEGINS][[0, -1]]]
    beat_ms = float(np.median(grid.beat_ms))
    end_ms = min(last_ms + BEATS_AFTER * beat_ms, song.duration_ms - song.lag_ms - FADE_MS)
    return scored & (grid.slot_ms > first_ms - BEATS_BEFORE * beat_ms) & (grid.slot_ms < end_ms)


def _row_arrays(prepared: PreparedChart, cells: slice, noise: np.random.Generator | None) -> dict[str, Any]:
    """Decoder input, row targets and hazard supervision of a window; with `noise` the rows read are not the human's."""
    grid, rows = prepared.grid, prepared.rows
    first_slot, end_slot = cells.start * SLOTS_PER_CELL, cells.stop * SLOTS_PER_CELL
    first, last = np.searchsorted(rows.slot, [first_slot, end_slot])
    slot, code = rows.slot[first:last], rows.code[first:last]
    held = np.concatenate(([prepared.held[first - 1] if first else 0], prepared.held[first:last]))
    read_slot, read_code = slot, code
    if noise is not None and slot.size:
        free = np.setdiff1d(np.arange(first_slot, end_slot, SLOTS_PER_CELL), slot)
        read_slot, read_code = noisy_history(slot, code, held[1:], free[grid.usable[free]], noise)
    if read_slot.size > MAX_ROWS - 1:
        read_slot, read_code = read_slot[: MAX_ROWS - 1], read_code[: MAX_ROWS - 1]
        end_slot = int(read_slot[-1]) + 1
        slot, code = slot[slot < end_slot], code[slot < end_slot]
    tick_before = grid.tick[rows.slot[first - 1]] if first else grid.tick[first_slot] - LONG_AGO_TICKS
    tick = np.concatenate(([tick_before], grid.tick[read_slot]))
    slots = np.arange(first_slot, cells.stop * SLOTS_PER_CELL)
    previous, previous_of_target = np.searchsorted(read_slot, slots), np.searchsorted(read_slot, slot)
    release_only = np.zeros(slots.size, bool)
    release_only[slot - first_slot] = ~STARTS_NOTE[code]
    return {
        "code": np.concatenate(([0], read_code)),
        "held": np.concatenate((held[:1], held[np.searchsorted(slot, read_slot, side="right")])),
        "slot": np.concatenate(([0], read_slot - first_slot)),
        "row_elapsed": np.concatenate(([LONG_AGO_TICKS], np.diff(tick))),
        "beat": (np.concatenate(([grid.tick[first_slot]], tick[1:])) - grid.tick[first_slot]) / TICKS_PER_BEAT,
        "next_state": previous_of_target,
        "next_slot": slot - first_slot,
        "next_code": code,
        "next_held": held[: slot.size],
        "next_elapsed": grid.tick[slot] - tick[previous_of_target],
        "previous_row": previous,
        "elapsed": grid.tick[slots] - tick[previous],
        "target": np.isin(slots, slot),
        "scored": prepared.scored[slots] & (slots < end_slot),
        "release_only": release_only,
    }


def collate(stretches: Sequence[dict[str, Any]]) -> Batch:
    """Pad windows of one chart each to a common size: [batch, …] tensors of one `Batch`."""
    return collate_windows([[stretch] for stretch in stretches])


def collate_windows(windows: Sequence[Sequence[dict[str, Any]]]) -> Batch:
    """As `collate`, of windows of several charts (`WindowSampler.window`), whose cells and audio are stored once."""
    stretches = [stretch for window in windows for stretch in window]
    firsts = [window[0] for window in windows]
    cells_valid = stacked([np.ones(first["quarter"].size, bool) for first in firsts])
    own = {name: stacked([stretch[name] for stretch in stretches]) for name in stretches[0] if name not in OF_WINDOW}
    padded = own | {name: stacked([first[name] for first in firsts]) for name in OF_WINDOW}
    padded["beat_ms"] = torch.where(cells_valid, padded["beat_ms"], 400.0)
    values = padded["controls"].numpy()  # [batch, control], in the order of `Controls`
    controls = Controls(
        values[:, 0], values[:, 1], values[:, 2], values[:, 3], values[:, 4:], padded["mirrored"].numpy()
    )
    return Batch(
        cells=cells_of(padded, cells_valid),
        window=torch.from_numpy(np.repeat(np.arange(len(windows)), [len(window) for window in windows])),
        weight=padded["weight"],
        controls=torch.from_numpy(controls.features()),
        rows=RowTokens(
            code=padded["code"],
            held=padded["held"],
            slot=padded["slot"],
            elapsed=time_gap_bin(padded["row_elapsed"]),
            beat=padded["beat"].float(),
            index=torch.arange(padded["code"].shape[1]).expand(padded["code"].shape).float(),
        ),
        targets=Targets(
            state=padded["next_state"],
            slot=padded["next_slot"],
            code=padded["next_code"],
            held=padded["next_held"],
            elapsed=time_gap_bin(padded["next_elapsed"]),
        ),
        previous_row=padded["previous_row"],
        elapsed=time_gap_bin(padded["elapsed"]),
        target=padded["target"],
        scored=padded["scored"],
        release_only=padded["release_only"],
    )


def stacked(arrays: Sequence[NDArray], length: int | None = None) -> Tensor:
    """[array, length, …] with zeros behind the end of each; by default as long as the longest. Numbers: [array]."""
    if not arrays[0].ndim:
        return torch.from_numpy(np.array(arrays))
    length = length or max(array.shape[0] for array in arrays)
    out = np.zeros((len(arrays), length, *arrays[0].shape[1:]), arrays[0].dtype)
    for row, array in zip(out, arrays, strict=True):
        row[: array.shape[0]] = array
    return torch.from_numpy(out)
