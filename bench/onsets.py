"""Onset F1 between two lists of times, and constant grids as a baseline."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chart.grid import TICKS_PER_BEAT, Grid

GRID_DIVISORS = (1, 2, 4)
"""Notes a beat of the constant grids: 1/4, 1/8 and 1/16 notes."""


def matches(found_ms: NDArray[np.float64], true_ms: NDArray[np.float64], tolerance_ms: float) -> int:
    """Size of the greatest one-to-one matching of two sorted lists within ± the tolerance."""
    count = found = true = 0
    while found < len(found_ms) and true < len(true_ms):
        gap = found_ms[found] - true_ms[true]
        if abs(gap) <= tolerance_ms:
            count, found, true = count + 1, found + 1, true + 1
        elif gap < 0:
            found += 1
        else:
            true += 1
    return count


def f1(found_ms: NDArray[np.float64], true_ms: NDArray[np.float64], tolerance_ms: float) -> float:
    """Harmonic mean of precision and recall, 0–1; 0 when either list is empty."""
    if not len(found_ms) or not len(true_ms):
        return 0.0
    return 2 * matches(found_ms, true_ms, tolerance_ms) / (len(found_ms) + len(true_ms))


def grid_f1(grid: Grid, true_ms: NDArray[np.float64], tolerance_ms: float) -> float:
    """The best of the constant grids, chosen in hindsight, between the first and the last true onset.

    `true_ms` is in the grid's time.
    """
    inside = grid.usable & (grid.slot_ms >= true_ms[0] - tolerance_ms) & (grid.slot_ms <= true_ms[-1] + tolerance_ms)
    on_snap = [inside & (grid.beat_tick % (TICKS_PER_BEAT // divisor) == 0) for divisor in GRID_DIVISORS]
    return max(f1(grid.slot_ms[slots], true_ms, tolerance_ms) for slots in on_snap)
