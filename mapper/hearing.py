"""Hears a whole song: the encoder in overlapping windows, and the slots where something sounds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chart.errors import AudioFileError
from chart.grid import SLOTS_PER_CELL, Grid
from mapper.batches import CELLS, cell_arrays, cells_of
from mapper.features import MS_PER_FRAME
from mapper.model import Controls, Encoding, Mapper

OVERLAP_CELLS = 80
"""Cells that neighbouring encoder windows share; the half nearer to a window's edge is taken from the other."""
SILENCE_LEVEL = 2
"""Steps of the stored log-mel (mapper.features); a slot whose surroundings are all below is silent."""
SILENCE_FRAMES = 5
"""Frames on both sides of a slot that count as its surroundings: ±50 ms."""


@dataclass(frozen=True)
class Heard:
    """A song as the encoder hears it for each chart of a batch, with where rows may fall."""

    encoding: Encoding  # [chart, cell or slot of the whole song, …]
    decoder_control: Tensor  # [chart, 1, width]
    grid: Grid
    open_slots: NDArray[np.bool_]  # [slot], usable and not silent

    def repeated(self, charts: list[int]) -> Heard:
        """What is heard for each chart number, in this order; a chart may come more than once."""
        encoding = self.encoding
        picked = Encoding(*(tensor[charts] for tensor in _tensors(encoding)))
        return replace(self, encoding=picked, decoder_control=self.decoder_control[charts])

    @staticmethod
    def joined(parts: list[Heard]) -> Heard:
        """Several of one song as one batch, in this order."""
        encodings = [_tensors(part.encoding) for part in parts]
        encoding = Encoding(*(torch.cat(tensors) for tensors in zip(*encodings, strict=True)))
        return replace(parts[0], encoding=encoding, decoder_control=torch.cat([part.decoder_control for part in parts]))

    @cached_property
    def last_slot(self) -> int:
        """The last slot where anything may happen."""
        return int(np.flatnonzero(self.open_slots)[-1])


@torch.inference_mode()
def hear(
    model: Mapper,
    grid: Grid,
    features: NDArray[np.uint8],
    lag_ms: float,
    controls: Controls,
    first_ms: float = -np.inf,
) -> Heard:
    """Encode the whole song for each set of controls, in overlapping windows.

    No row may fall before `first_ms`, on the grid's time. Raises AudioFileError when nothing sounds there.
    """
    encoder_control, decoder_control = model.control_vectors(controls)
    charts = encoder_control.shape[0]
    cell = torch.zeros(charts, grid.cells, model.config.width)
    slot = torch.zeros(charts, grid.cells * SLOTS_PER_CELL, model.config.hazard_width)
    logit = torch.zeros(charts, grid.cells * SLOTS_PER_CELL)
    step = CELLS - OVERLAP_CELLS
    for start in range(0, max(grid.cells - OVERLAP_CELLS, 1), step):
        window = slice(start, min(start + CELLS, grid.cells))
        arrays = {
            name: torch.from_numpy(array)[None] for name, array in cell_arrays(grid, window, features, lag_ms).items()
        }
        valid = torch.ones(1, window.stop - window.start, dtype=torch.bool)
        heard = model.encode(cells_of(arrays, valid), encoder_control)  # one sound, as many controls as charts
        first = start + (OVERLAP_CELLS // 2 if start else 0)  # the earlier window keeps its half of the overlap
        skipped, slots = first - start, slice(first * SLOTS_PER_CELL, window.stop * SLOTS_PER_CELL)
        cell[:, first : window.stop] = heard.cell[:, skipped:]
        slot[:, slots] = heard.slot[:, skipped * SLOTS_PER_CELL :]
        logit[:, slots] = heard.onset_logit[:, skipped * SLOTS_PER_CELL :]
    open_slots = grid.usable & (grid.slot_ms >= first_ms) & ~silent_slots(grid, features, lag_ms)
    if not open_slots.any():
        raise AudioFileError("nothing sounds where notes may be placed; check the song and --audio-start")
    return Heard(Encoding(cell, slot, logit, model.motif.alike(cell)), decoder_control, grid, open_slots)


def _tensors(encoding: Encoding) -> list[Tensor]:
    assert encoding.alike is not None
    return [encoding.cell, encoding.slot, encoding.onset_logit, encoding.alike]


def silent_slots(grid: Grid, features: NDArray[np.uint8], lag_ms: float) -> NDArray[np.bool_]:
    """[slot], true where nothing sounds within `SILENCE_FRAMES`, and outside the audio."""
    loudest = np.zeros(features.shape[0] + 2 * SILENCE_FRAMES, np.uint8)
    loudest[SILENCE_FRAMES : SILENCE_FRAMES + features.shape[0]] = features.max(axis=1)
    around = np.lib.stride_tricks.sliding_window_view(loudest, 2 * SILENCE_FRAMES + 1).max(axis=1)
    frame = np.round((grid.slot_ms + lag_ms) / MS_PER_FRAME).astype(int)
    inside = (frame >= 0) & (frame < around.size)
    return ~inside | (around[np.clip(frame, 0, around.size - 1)] < SILENCE_LEVEL)
