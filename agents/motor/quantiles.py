"""Quantile tables of unit variance: the kernels turn 12 random bits into a deviate by one look-up."""

from __future__ import annotations

from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from agents.motor.kernels import BITS

SIZE = 1 << BITS


@cache
def normal_table() -> NDArray[np.float32]:
    """[4096], quantiles of the normal distribution in the middle of equal shares."""
    normal = NormalDist()
    return _unit(np.array([normal.inv_cdf((n + 0.5) / SIZE) for n in range(SIZE)]))


@cache
def hand_table(df: float, slip_share: float, slip_size: float) -> NDArray[np.float32]:
    """[4096], quantiles of a hand's errors: Student's t with `df` > 2, and a few slips that are much larger."""
    grid = np.sinh(np.linspace(-6.0, 6.0, 20_001))  # dense in the middle, wide at the ends
    density = (1 + grid * grid / df) ** (-(df + 1) / 2)
    slips = np.exp(-((grid / slip_size) ** 2) / 2)
    density = (1 - slip_share) * density / _area(density, grid) + slip_share * slips / _area(slips, grid)
    area = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(grid))])
    return _unit(np.interp((np.arange(SIZE) + 0.5) / SIZE, area / area[-1], grid))


def _area(density: NDArray, grid: NDArray) -> float:
    return float(((density[1:] + density[:-1]) / 2 * np.diff(grid)).sum())


def _unit(quantiles: NDArray) -> NDArray[np.float32]:
    centred = quantiles - quantiles.mean()
    table = (centred / centred.std()).astype(np.float32)
    table.flags.writeable = False
    return table
