"""Compiled loop of the splicing search: official stars that a chart would have with some of its sections exchanged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chart.analysis.strain import PEAK_WEIGHT, STARS_PER_STRAIN
from runtime.loops import njit

LEAST_WEIGHT = 1e-5
"""Peaks that count less than this are left out."""


@njit()
def exchanged_stars(
    peak: NDArray[np.float64],  # [section], of the chart as it is
    order: NDArray[np.int64],  # [section], its sections from the highest peak down
    takes: NDArray[np.float64],  # [candidate, section], peaks of the candidates
    take: NDArray[np.int64],  # [move], candidate of the new sections
    first: NDArray[np.int64],  # [move], first section exchanged
    last: NDArray[np.int64],  # [move], one past the last
    stars: NDArray[np.float64],  # [move], result
) -> None:
    """Merge the kept sections, already in order, with the few new ones, sorted here."""
    for move in range(take.size):
        begin, end = first[move], last[move]
        fresh = np.sort(takes[take[move], begin:end])
        left, at, weight, total = fresh.size - 1, 0, 1.0, 0.0
        while weight > LEAST_WEIGHT:
            while at < order.size and begin <= order[at] < end:
                at += 1
            if at < order.size and (left < 0 or peak[order[at]] >= fresh[left]):
                value = peak[order[at]]
                at += 1
            elif left >= 0:
                value = fresh[left]
                left -= 1
            else:
                break
            total += weight * value
            weight *= PEAK_WEIGHT
        stars[move] = total * STARS_PER_STRAIN
