"""Stretches of charts as tensors for training and scoring.

A stretch is `CELLS` consecutive cells of one chart with their audio and rows. Rows beyond `MAX_ROWS` are cut off, and
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
from mapper.corpus import Corpus
from mapper.features import MS_PER_FRAME, as_network_input
from mapper.model import Cells, Controls, RowTokens, elapsed_bucket
from mapper.rows import STARTS_NOTE, Rows, hand_swapped_codes, held_states, mirrored_codes

CELLS = 320
"""Cells of a stretch: 80 beats, half a minute at 160 BPM."""
MAX_ROWS = 256
"""Rows of a stretch, its start token included."""
MARGIN_FRAMES = 16
"""Frames of audio beyond the first and last slot: the reach of the network's convolutions."""
LONG_AGO_TICKS = 10_000
"""Stands for "no row yet" where ticks since the last row are asked for."""


@dataclass(frozen=True)
class Batch:
    """Everything the loss needs. `previous_row`, `target` and `scored` are per slot: hazard supervision."""

    cells: Cells
    controls: Controls
    rows: RowTokens
    row_valid: Tensor  # [batch, row], bool; the start token is valid
    previous_row: Tensor  # [batch, slot], int64, the last row before the slot
    elapsed: Tensor  # [batch, slot], int64, bucket of the ticks since that row
    target: Tensor  # [batch, slot], bool, a row falls here
    scored: Tensor  # [batch, slot], bool
    release_only: Tensor  # [batch, slot], bool, the row here holds no note head

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return _moved(self, device)


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    return type(value)(**{field.name: _moved(getattr(value, field.name), device) for field in fields(value)})


@dataclass(frozen=True)
class PreparedChart:
    """A chart of the corpus with what is derived from its rows."""

    grid: Grid
    rows: Rows
    held: NDArray[np.int64]  # [row], held state after each row


class Stretches:
    """Cuts stretches out of a corpus; keeps the prepared charts it has seen."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.prepared = lru_cache(maxsize=None)(self._prepare)

    def _prepare(self, chart: int) -> PreparedChart:
        rows = self.corpus.chart_rows(chart)
        return PreparedChart(self.corpus.grid(chart), rows, held_states(rows.code))

    def playable_cells(self, chart: int) -> tuple[int, int]:
        """First and last cell that a stretch should cover: from a bar before the first row to a bar after the last."""
        prepared = self.prepared(chart)
        first, last = prepared.rows.slot[[0, -1]] // SLOTS_PER_CELL
        return max(int(first) - 16, 0), min(int(last) + 16, prepared.grid.cells)

    def cover(self, chart: int) -> list[int]:
        """First cells of stretches that together cover the chart."""
        first, last = self.playable_cells(chart)
        return list(range(first, max(last - 8, first + 1), CELLS))

    def stretch(self, chart: int, first_cell: int, augment: np.random.Generator | None = None) -> dict[str, Any]:
        """One stretch as arrays; see `collate`. `augment` mirrors, swaps hands, jitters time, gain and bands."""
        prepared = self.prepared(chart)
        grid, entry = prepared.grid, self.corpus.charts[chart]
        lag_ms = self.corpus.songs[entry.song].lag_ms
        cells = slice(first_cell, min(first_cell + CELLS, grid.cells))
        arrays = cell_arrays(grid, cells, self.corpus.features(chart), lag_ms)
        arrays |= _row_arrays(prepared, cells)
        arrays["controls"] = np.array([entry.stars, entry.notes_per_s, entry.hold_share, entry.style], np.float32)
        return _augmented(arrays, augment) if augment is not None else arrays


def cell_arrays(grid: Grid, cells: slice, features: NDArray[np.uint8], lag_ms: float) -> dict[str, Any]:
    """The stretch's side of `Cells`, unpadded."""
    slots = slice(cells.start * SLOTS_PER_CELL, cells.stop * SLOTS_PER_CELL)
    frame = (grid.slot_ms[slots] + lag_ms) / MS_PER_FRAME
    first = int(np.floor(frame[0])) - MARGIN_FRAMES
    last = int(np.ceil(frame[-1])) + MARGIN_FRAMES
    mel = np.zeros((last - first, features.shape[1]), np.float32)
    inside = slice(max(first, 0), min(last, features.shape[0]))
    if inside.start < inside.stop:
        mel[inside.start - first : inside.stop - first] = as_network_input(features[inside])
    return {
        "mel": mel,
        "slot_frame": (frame - first).astype(np.float32),
        "beat_ms": grid.beat_ms[cells].astype(np.float32),
        "quarter": grid.quarter[cells],
        "beat_in_bar": grid.beat_in_bar[cells],
        "bar": grid.bar[cells],
        "usable": grid.usable[slots],
    }


def _row_arrays(prepared: PreparedChart, cells: slice) -> dict[str, Any]:
    """Decoder input and hazard supervision of a stretch."""
    rows, grid = prepared.rows, prepared.grid
    first_slot, end_slot = cells.start * SLOTS_PER_CELL, cells.stop * SLOTS_PER_CELL
    first, last = np.searchsorted(rows.slot, [first_slot, end_slot])
    scored_end = end_slot
    if last - first > MAX_ROWS - 1:
        last = first + MAX_ROWS - 1
        scored_end = rows.slot[last - 1] + 1
    slot = np.concatenate(([first_slot], rows.slot[first:last]))
    tick_before = grid.tick[rows.slot[first - 1]] if first else grid.tick[first_slot] - LONG_AGO_TICKS
    tick = np.concatenate(([tick_before], grid.tick[rows.slot[first:last]]))
    slots = np.arange(first_slot, end_slot)
    previous = np.searchsorted(rows.slot[first:last], slots)
    target = np.isin(slots, slot[1:])
    release_only = np.zeros(slots.size, bool)
    release_only[slot[1:] - first_slot] = ~STARTS_NOTE[rows.code[first:last]]
    return {
        "code": np.concatenate(([0], rows.code[first:last])),
        "held": np.concatenate(([prepared.held[first - 1] if first else 0], prepared.held[first:last])),
        "slot": slot - first_slot,
        "row_elapsed": np.concatenate(([LONG_AGO_TICKS], np.diff(tick))),
        "beat": (np.concatenate(([grid.tick[first_slot]], tick[1:])) - grid.tick[first_slot]) / TICKS_PER_BEAT,
        "previous_row": previous,
        "elapsed": grid.tick[slots] - tick[previous],
        "target": target,
        "scored": grid.usable[slots] & (slots < scored_end),
        "release_only": release_only,
    }


MIRRORED, HAND_SWAPPED = mirrored_codes(), hand_swapped_codes()
_MIRRORED_STATE = np.array([int(f"{state:04b}"[::-1], 2) for state in range(16)])
_SWAPPED_STATE = np.array([(state >> 2) | (state & 3) << 2 for state in range(16)])


def _augmented(arrays: dict[str, Any], random: np.random.Generator) -> dict[str, Any]:
    for codes, states in ((MIRRORED, _MIRRORED_STATE), (HAND_SWAPPED, _SWAPPED_STATE)):
        if random.random() < 0.5:
            arrays["code"], arrays["held"] = codes[arrays["code"]], states[arrays["held"]]
    mel = arrays["mel"] * np.float32(random.uniform(0.85, 1.15))
    low = random.integers(0, mel.shape[1] - 8)
    if random.random() < 0.5:
        mel[:, low : low + random.integers(1, 9)] = 0
    arrays["mel"] = mel
    arrays["slot_frame"] = arrays["slot_frame"] + np.float32(random.normal(0, 0.4))
    drop = random.random(4) < 0.2
    controls = arrays["controls"]
    controls[:3][drop[:3]] = np.nan
    controls[3] = 0 if drop[3] else controls[3]
    return arrays


def collate(stretches: Sequence[dict[str, Any]]) -> Batch:
    """Pad stretches to a common size: [batch, …] tensors of one `Batch`."""
    cells_valid = _pad([np.ones(stretch["quarter"].size, bool) for stretch in stretches])
    padded = {name: _pad([stretch[name] for stretch in stretches]) for name in stretches[0]}
    padded["beat_ms"] = torch.where(cells_valid, padded["beat_ms"], 400.0)
    controls = padded["controls"]
    row_valid = _pad([np.ones(stretch["code"].size, bool) for stretch in stretches])
    return Batch(
        cells=cells_of(padded, cells_valid),
        controls=Controls(controls[:, 0], controls[:, 1], controls[:, 2], controls[:, 3].long()),
        rows=RowTokens(
            code=padded["code"],
            held=padded["held"],
            slot=padded["slot"],
            elapsed=elapsed_bucket(padded["row_elapsed"]),
            beat=padded["beat"].float(),
            index=torch.arange(row_valid.shape[1]).expand(row_valid.shape).float(),
        ),
        row_valid=row_valid,
        previous_row=padded["previous_row"],
        elapsed=elapsed_bucket(padded["elapsed"]),
        target=padded["target"],
        scored=padded["scored"],
        release_only=padded["release_only"],
    )


def cells_of(padded: dict[str, Tensor], valid: Tensor) -> Cells:
    """`Cells` from the padded arrays of `cell_arrays`."""
    names = ("mel", "slot_frame", "beat_ms", "quarter", "beat_in_bar", "bar")
    return Cells(**{name: padded[name] for name in names}, valid=valid)


def _pad(arrays: Sequence[NDArray]) -> Tensor:
    longest = max(array.shape[0] for array in arrays)
    out = np.zeros((len(arrays), longest, *arrays[0].shape[1:]), arrays[0].dtype)
    for row, array in zip(out, arrays, strict=True):
        row[: array.shape[0]] = array
    return torch.from_numpy(out)
