"""Windows: consecutive cells of the beat grid with their audio, as input arrays of the network."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chart.grid import SLOTS_PER_CELL, Grid
from mapper.tokens.log_mel import BANDS, MS_PER_FRAME
from mapper.tokens.song_features import as_network_input
from mapper.tokens.vocabulary import EDGE_SECONDS, SIDE_CHANNELS

CELLS = 320
"""Cells of a window: 80 beats, half a minute at 160 BPM."""
MAX_ROWS = 256
"""Rows of a window, its start token included."""
MARGIN_FRAMES = 16
"""Frames of audio beyond the first and last slot: the reach of the network's convolutions."""
LONG_AGO_TICKS = 10_000
"""Ticks since the last row where there is none yet."""


def cell_arrays(grid: Grid, cells: slice, features: NDArray[np.uint8] | None, lag_ms: float) -> dict[str, Any]:
    """The fields of `mapper.network.model.Cells`, unpadded; without `features` there are no frames, hence no audio."""
    slots = slice(cells.start * SLOTS_PER_CELL, cells.stop * SLOTS_PER_CELL)
    frame = (grid.slot_ms[slots] + lag_ms) / MS_PER_FRAME
    first = int(np.floor(frame[0])) - MARGIN_FRAMES
    last = int(np.ceil(frame[-1])) + MARGIN_FRAMES
    return {
        "mel": np.zeros((0, BANDS + SIDE_CHANNELS), np.float32) if features is None else _frames(features, first, last),
        "slot_frame": (frame - first).astype(np.float32),
        "beat_ms": grid.beat_ms[cells].astype(np.float32),
        "quarter": grid.quarter[cells],
        "beat_in_bar": grid.beat_in_bar[cells],
        "bar": grid.bar[cells],
        "song_edges": _song_edges(frame[::SLOTS_PER_CELL], features),
        "usable": grid.usable[slots],
    }


def _song_edges(frame: NDArray[np.float64], features: NDArray[np.uint8] | None) -> NDArray[np.float32]:
    """[cell, edge feature] 1 at the song's beginning (in the second half: end), decaying with distance; 0: far, or no song.

    Human charts leave beginnings and ends empty even where they sound like other parts.
    """
    if features is None:
        return np.zeros((frame.size, 2 * len(EDGE_SECONDS)), np.float32)
    away_s = np.stack((frame, features.shape[0] - frame)).clip(min=0) * (MS_PER_FRAME / 1000)
    return np.exp(-away_s[..., None] / EDGE_SECONDS).transpose(1, 0, 2).reshape(frame.size, -1).astype(np.float32)


def _frames(features: NDArray[np.uint8], first: int, last: int) -> NDArray[np.float32]:
    """[last - first, channel], zero outside the audio."""
    mel = np.zeros((last - first, features.shape[1]), np.float32)
    inside = slice(max(first, 0), min(last, features.shape[0]))
    if inside.start < inside.stop:
        mel[inside.start - first : inside.stop - first] = as_network_input(features[inside])
    return mel
