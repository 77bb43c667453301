"""Piano-roll pictures of charts, for TensorBoard and for comparing two charts at a glance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chart.model import KEYS, Chart

COLUMN_COLOURS = np.array([[86, 156, 214], [220, 220, 220], [220, 220, 220], [86, 156, 214]], np.uint8)
HOLD_SHADE = 0.55
BACKGROUND, BAR_LINE = 24, 70
LANE_PIXELS, GAP_PIXELS = 8, 10


def piano_roll(chart: Chart, start_ms: float, end_ms: float, ms_per_pixel: float = 20.0) -> NDArray[np.uint8]:
    """[height, width, 3]: time runs to the right, column 0 is on top; bars are grey lines."""
    width = int((end_ms - start_ms) / ms_per_pixel) + 1
    image = np.full((KEYS * LANE_PIXELS, width, 3), BACKGROUND, np.uint8)
    for line in chart.red_lines:
        bar_ms = line.beat_length_ms * line.meter
        bars = line.time_ms + bar_ms * np.arange((start_ms - line.time_ms) // bar_ms, (end_ms - line.time_ms) / bar_ms)
        x = ((bars[(bars >= start_ms) & (bars < end_ms)] - start_ms) / ms_per_pixel).astype(int)
        image[:, x] = BAR_LINE
    for time, column, end in zip(chart.time_ms, chart.column, chart.end_ms, strict=True):
        last_ms = time if np.isnan(end) else end
        if last_ms < start_ms or time >= end_ms:
            continue
        lane = slice(column * LANE_PIXELS + 1, (column + 1) * LANE_PIXELS)
        left = int((time - start_ms) / ms_per_pixel)
        image[lane, max(left, 0) : int((last_ms - start_ms) / ms_per_pixel)] = COLUMN_COLOURS[column] * HOLD_SHADE
        image[lane, max(left, 0) : max(left + 2, 0)] = COLUMN_COLOURS[column]
    return image


def stacked(rolls: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Rolls one below another, with a gap."""
    gap = np.zeros((GAP_PIXELS, rolls[0].shape[1], 3), np.uint8)
    return np.concatenate([part for roll in rolls for part in (roll, gap)][:-1])
