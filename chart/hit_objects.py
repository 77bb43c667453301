"""Notes as lines under [HitObjects] of an `.osu` file: the only place of the project that rounds them to whole ms."""

from __future__ import annotations

import numpy as np

from chart.model import KEYS, Chart

PLAYFIELD_WIDTH = 512
"""Width of the playfield in osu! pixels; a column is a quarter of it."""

NOTE, HOLD = 1, 128  # bits of a hit object's type


def format_notes(chart: Chart) -> list[str]:
    """The lines under [HitObjects]: notes at whole ms, holds at least 1 ms long."""
    start = np.rint(chart.time_ms).astype(np.int64)
    end = np.where(chart.is_hold, np.maximum(np.rint(chart.end_ms), start + 1), 0).astype(np.int64)
    x = (chart.column.astype(np.int64) * 2 + 1) * PLAYFIELD_WIDTH // (2 * KEYS)
    return [
        f"{left},192,{begin},{HOLD},0,{until}:0:0:0:0:" if held else f"{left},192,{begin},{NOTE},0,0:0:0:0:"
        for left, begin, until, held in zip(
            x.tolist(), start.tolist(), end.tolist(), chart.is_hold.tolist(), strict=True
        )
    ]
