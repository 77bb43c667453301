"""Encodes a whole song: the encoder in overlapping windows, and the slots where something sounds."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chart.grid import SLOTS_PER_CELL, Grid
from mapper.network.interface import EncodedWindow, Floats, Ints, Network
from mapper.tokens.conditioning_vector import Controls
from mapper.tokens.log_mel import BANDS, MS_PER_FRAME
from mapper.tokens.vocabulary import MOTIF_LAGS
from mapper.tokens.window import CELLS, cell_arrays
from runtime.errors import AudioFileError

OVERLAP_CELLS = 80
"""Cells that neighbouring encoder windows share; the half nearer to a window's edge is taken from the other."""
CHARTS_AT_ONCE = 4
"""Charts encoded together: the network's own arrays of seven are 140 MB, and four cost 3 % more time for each."""
SILENCE_LEVEL = 2
"""Steps of the stored log-mel (mapper.tokens.log_mel); a slot whose surroundings are all below is silent."""
SILENCE_FRAMES = 5
"""Frames on both sides of a slot that count as its surroundings: ±50 ms."""


class Mixture(NamedTuple):
    """Charts' places between two encodings that are stored: `low` + `share` · (`high` − `low`)."""

    low: Ints  # [chart], number of a stored encoding
    high: Ints  # [chart]
    share: Floats  # [chart], 0–1

    def of(self, stored: NDArray[np.float32]) -> NDArray[np.float32]:
        """[chart, …] of stored arrays [encoding, …]."""
        share = self.share.reshape(-1, *[1] * (stored.ndim - 1))
        mixed: NDArray[np.float32] = stored[self.low] + share * (stored[self.high] - stored[self.low])
        return mixed


@dataclass(frozen=True)
class SongEncoding(EncodedWindow):
    """Encodings of a song, one a chart of a batch, with the slots where rows may fall; cells and slots are the song's.

    With a `mixture`, `cell` and `slot`, which are large, are of stored encodings, and are mixed where the decoder reads them.
    """

    alike: Floats  # [chart, cell, motif lag] 0–1: how much each cell sounds like the one a lag before
    grid: Grid
    open_slots: NDArray[np.bool_]  # [slot], usable and not silent
    mixture: Mixture | None = None

    def repeated(self, charts: list[int]) -> SongEncoding:
        """The encodings of these chart numbers, in this order; a chart may come more than once."""
        assert self.mixture is None, "stored encodings are repeated before they are mixed"
        return replace(self, **{name: getattr(self, name)[charts] for name in _OF_CHARTS})

    @staticmethod
    def joined(parts: list[SongEncoding]) -> SongEncoding:
        """Several of one song as one batch, in this order."""
        assert all(part.mixture is None for part in parts), "stored encodings are joined before they are mixed"
        joined: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _OF_CHARTS}
        return replace(parts[0], **joined)

    def mixed(self, mixture: Mixture) -> SongEncoding:
        """One encoding for each entry of the mixture of these; approximates those of interpolated controls."""
        small: dict[str, Any] = {name: mixture.of(getattr(self, name)) for name in _OF_CHARTS if name not in _LARGE}
        return replace(self, **small, mixture=mixture)

    def dense(self) -> SongEncoding:
        """The same with an array entry for each chart."""
        if self.mixture is None:
            return self
        large: dict[str, Any] = {name: self.mixture.of(getattr(self, name)) for name in _LARGE}
        return replace(self, **large, mixture=None)

    @cached_property
    def last_slot(self) -> int:
        """The last slot where anything may happen."""
        return int(np.flatnonzero(self.open_slots)[-1])


_OF_CHARTS = (*(field.name for field in fields(EncodedWindow)), "alike")
"""Fields of `SongEncoding` with an entry a chart."""
_LARGE = ("cell", "slot")
"""Of these, those that a mixture leaves as they are stored."""


def encode_song(
    model: Network,
    grid: Grid,
    features: NDArray[np.uint8],
    lag_ms: float,
    controls: Controls,
    first_ms: float = -np.inf,
    needed: NDArray[np.bool_] | None = None,
) -> SongEncoding:
    """Encode the whole song for each set of controls, in overlapping windows.

    No row may fall before `first_ms`, on the grid's time. Only windows with a cell that is `needed` [cell] are encoded; the others
    stay 0. Raises AudioFileError when nothing sounds where rows may fall.
    """
    vectors = controls.features()
    charts, slots = len(vectors), grid.cells * SLOTS_PER_CELL
    cell = np.zeros((charts, grid.cells, model.config.width), np.float32)
    slot = np.zeros((charts, slots, model.config.hazard_width), np.float32)
    logit, control = np.zeros((charts, slots), np.float32), np.zeros((charts, model.config.width), np.float32)
    for start in range(0, max(grid.cells - OVERLAP_CELLS, 1), CELLS - OVERLAP_CELLS):
        window = slice(start, min(start + CELLS, grid.cells))
        if needed is not None and not needed[window].any():
            continue
        arrays = cell_arrays(grid, window, features, lag_ms)
        first = start + (OVERLAP_CELLS // 2 if start else 0)  # the earlier window keeps its half of the overlap
        skipped, within = first - start, slice(first * SLOTS_PER_CELL, window.stop * SLOTS_PER_CELL)
        for some in (slice(at, at + CHARTS_AT_ONCE) for at in range(0, charts, CHARTS_AT_ONCE)):
            part = model.encode_window(vectors[some], arrays)
            cell[some, first : window.stop] = part.cell[:, skipped:]
            slot[some, within] = part.slot[:, skipped * SLOTS_PER_CELL :]
            logit[some, within] = part.onset_logit[:, skipped * SLOTS_PER_CELL :]
            control[some] = part.decoder_control
    open_slots = grid.usable & (grid.slot_ms >= first_ms) & ~silent_slots(grid, features, lag_ms)
    if not open_slots.any():
        raise AudioFileError("nothing sounds where notes may be placed; check the song and --audio-start")
    return SongEncoding(cell, slot, logit, control, alike(model.arrays(), cell), grid, open_slots)


def alike(weights: dict[str, Floats], cell: Floats) -> Floats:
    """[chart, cell, motif lag] of cells [chart, cell, width]; as `mapper.network.model.Motif.alike`."""
    key = cell @ weights["motif.key.weight"].T + weights["motif.key.bias"]
    key /= np.maximum(np.linalg.norm(key, axis=-1, keepdims=True), 1e-12)
    found = np.zeros((*cell.shape[:2], len(MOTIF_LAGS)), np.float32)
    for number, lag in enumerate(MOTIF_LAGS):
        back = lag // SLOTS_PER_CELL
        match = np.einsum("nck,nck->nc", key[:, back:], key[:, :-back])
        odds = weights["motif.sharpness"][number] * match + weights["motif.bias"][number]
        found[:, back:, number] = 1 / (1 + np.exp(-odds))
    return found


def silent_slots(grid: Grid, features: NDArray[np.uint8], lag_ms: float) -> NDArray[np.bool_]:
    """[slot], true where nothing sounds within `SILENCE_FRAMES`, and outside the audio."""
    loudest = np.zeros(features.shape[0] + 2 * SILENCE_FRAMES, np.uint8)
    loudest[SILENCE_FRAMES : SILENCE_FRAMES + features.shape[0]] = features[:, :BANDS].max(axis=1)
    around = np.lib.stride_tricks.sliding_window_view(loudest, 2 * SILENCE_FRAMES + 1).max(axis=1)
    frame = np.round((grid.slot_ms + lag_ms) / MS_PER_FRAME).astype(int)
    inside = (frame >= 0) & (frame < around.size)
    return ~inside | (around[np.clip(frame, 0, around.size - 1)] < SILENCE_LEVEL)
