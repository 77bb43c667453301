"""Bars of a song as its structure is planned: four beats each on the grid, with the sound in each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chart.grid import CELLS_PER_BEAT, SLOTS_PER_CELL, Grid
from mapper.tokens.log_mel import MS_PER_FRAME, log_mel_of

BEATS_PER_BAR = 4
CELLS_PER_BAR = BEATS_PER_BAR * CELLS_PER_BEAT
SLOTS_PER_BAR = CELLS_PER_BAR * SLOTS_PER_CELL
FLUX_FRAMES = 2
"""Frames over which the rise of a band is taken: 20 ms."""


@dataclass(frozen=True)
class BarGrid:
    """Cuts a grid's slots into bars of four beats that begin with the first red line's first downbeat."""

    grid: Grid

    @cached_property
    def lead_cells(self) -> int:
        """Cells that the first bar lacks at its begin."""
        downbeat = (self.grid.bar == 0) & (self.grid.beat_in_bar == 0) & (self.grid.quarter == 0)
        first = int(np.flatnonzero(downbeat)[0]) if downbeat.any() else 0
        return -first % CELLS_PER_BAR

    @property
    def count(self) -> int:
        """Number of bars; the first and last may be cut."""
        return -(-(self.lead_cells + self.grid.cells) // CELLS_PER_BAR)

    def slots(self, values: NDArray, empty: float) -> NDArray:
        """[bar, slot of the bar] from `values` [slot]; `empty` where the grid has none."""
        return self._cut(values, self.lead_cells * SLOTS_PER_CELL, SLOTS_PER_BAR, empty)

    def cells(self, values: NDArray, empty: float) -> NDArray:
        """[bar, cell of the bar, …] from `values` [cell, …]."""
        return self._cut(values, self.lead_cells, CELLS_PER_BAR, empty)

    def _cut(self, values: NDArray, lead: int, length: int, empty: float) -> NDArray:
        padded = np.full((self.count * length, *values.shape[1:]), empty, values.dtype)
        padded[lead : lead + len(values)] = values
        return padded.reshape(self.count, length, *values.shape[1:])

    def back(self, values: NDArray) -> NDArray:
        """[slot] from [bar, slot of the bar]."""
        lead = self.lead_cells * SLOTS_PER_CELL
        return values.ravel()[lead : lead + self.grid.slot_ms.size]

    @cached_property
    def bar_of_slot(self) -> NDArray[np.int64]:
        """[slot] number of the bar that each slot lies in."""
        return (np.arange(self.grid.slot_ms.size) + self.lead_cells * SLOTS_PER_CELL) // SLOTS_PER_BAR

    @cached_property
    def start_ms(self) -> NDArray[np.float64]:
        """[bar], chart time; that of the grid's first slot where the bar is cut."""
        first = np.maximum(np.arange(self.count) * SLOTS_PER_BAR - self.lead_cells * SLOTS_PER_CELL, 0)
        return self.grid.slot_ms[first]


@dataclass(frozen=True)
class BarSound:
    """Features of the song in each bar; all arrays are [bar]."""

    loudness: NDArray[np.float64]  # mean log-mel over the song's median bar
    flux: NDArray[np.float64]  # mean rise of the log-mel, over the song's median bar
    start_s: NDArray[np.float64]  # seconds from the audio's begin
    rest_s: NDArray[np.float64]  # seconds from the bar's end to the audio's end

    @staticmethod
    def of(bars: BarGrid, features: NDArray[np.uint8], lag_ms: float) -> BarSound:
        """Measure each bar's sound on the features [frame, channel]; it comes `lag_ms` after the grid's times."""
        edge_ms = np.append(bars.start_ms, bars.grid.slot_ms[-1]) + lag_ms
        edge = np.clip(np.round(edge_ms / MS_PER_FRAME), 0, len(features)).astype(np.int64)
        mel = log_mel_of(features)
        rise = np.zeros(len(mel))
        rise[FLUX_FRAMES:] = np.maximum(mel[FLUX_FRAMES:] - mel[:-FLUX_FRAMES], 0).mean(axis=1)
        loudness, flux = (_mean_between(values, edge) for values in (mel.mean(axis=1), rise))
        return BarSound(
            _over_median(loudness),
            _over_median(flux),
            edge[:-1] * MS_PER_FRAME / 1000,
            (len(features) - edge[1:]) * MS_PER_FRAME / 1000,
        )


def _mean_between(values: NDArray, edge: NDArray[np.int64]) -> NDArray[np.float64]:
    total = np.append(0.0, np.cumsum(values, dtype=np.float64))
    return (total[edge[1:]] - total[edge[:-1]]) / np.maximum(np.diff(edge), 1)


def _over_median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    sounding = values[values > 0]
    return values / max(float(np.median(sounding)) if sounding.size else 1.0, 1e-6)
