"""Quantile tables of unit variance: the kernels turn 12 random bits into a deviate by one look-up."""

from __future__ import annotations

from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from agents.hand_kernels import BITS

SIZE = 1 << BITS


@cache
def normal_table() -> NDArray[np.float32]:
    """[4096], quantiles of the normal distribution in the middle of equal shares."""
    normal = NormalDist()
    return _unit(np.array([normal.inv_cdf((n + 0.5) / SIZE) for n in range(SIZE)]))


@cache
def student_table(df: float) -> NDArray[np.float32]:
    """[4096], quantiles of Student's t with `df` > 2 degrees of freedom: as normal in the middle, heavier tails."""
    grid = np.sinh(np.linspace(-6.0, 6.0, 20_001))  # dense in the middle, wide at the ends
    density = (1 + grid * grid / df) ** (-(df + 1) / 2)
    area = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(grid))])
    return _unit(np.interp((np.arange(SIZE) + 0.5) / SIZE, area / area[-1], grid))


def _unit(quantiles: NDArray) -> NDArray[np.float32]:
    centred = quantiles - quantiles.mean()
    table = (centred / centred.std()).astype(np.float32)
    table.flags.writeable = False
    return table
