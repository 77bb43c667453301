"""Motif noise: rows of some bars are drawn with the Gumbel seeds of an earlier bar with similar music.

Where music comes again, people write some bars with the rows they had before, and the others with new ones.
Sampling alone would hardly ever do so: the likeliest row of some tens has a chance of a third.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chart.grid import SLOTS_PER_CELL
from mapper.network.interface import Floats
from mapper.tokens.vocabulary import MOTIF_LAGS

BAR_CELLS = 16
"""Cells that repeat together: four beats."""
NEAREST_BARS = 4
"""A bar repeats one at least this far back: a phrase comes again, rather than a bar at once."""
ALIKE = 0.5
"""Mean likeness over a bar (`mapper.sampling.encode_song.SongEncoding.alike`) from which it sounds like the earlier one."""
REPEATED_SHARE = 0.2
"""Of the bars that sound like an earlier one, those that take its chance; found on `train` charts (docs/LOG.md)."""


def gumbel_seeds(
    alike: Floats, seeds: Sequence[Sequence[int]], repeated_ratio: float = REPEATED_SHARE
) -> NDArray[np.uint64]:
    """Seeds of the Gumbel noise used to sample each slot's row; uint64 [chart, slot], without repeated bars [chart, 1].

    `alike` [chart, cell, motif lag] is the similarity to earlier cells, `seeds` [chart] seed one generator each,
    `repeated_ratio` of the bars that resemble an earlier one share its noise.
    """
    if not repeated_ratio:
        return np.array([[np.random.default_rng(seed).integers(1 << 64, dtype=np.uint64)] for seed in seeds])
    return np.stack(
        [
            _of_chart(similarity, np.random.default_rng(seed), repeated_ratio)
            for similarity, seed in zip(alike, seeds, strict=True)
        ]
    )


def _of_chart(alike: Floats, random: np.random.Generator, repeated_ratio: float) -> NDArray[np.uint64]:
    drawn = random.integers(0, 1 << 64, (len(alike), SLOTS_PER_CELL), np.uint64)  # [cell, slot]
    earlier = earlier_bars(alike)
    taken = (earlier != np.arange(earlier.size)) & (random.random(earlier.size) < repeated_ratio)
    for bar in np.flatnonzero(taken):
        first, source = bar * BAR_CELLS, earlier[bar] * BAR_CELLS
        drawn[first : first + BAR_CELLS] = drawn[source : source + BAR_CELLS]
    return drawn.ravel()


def earlier_bars(alike: Floats) -> NDArray[np.int64]:
    """[bar] the earlier bar that it sounds most like, itself where it sounds like none; `alike` is [cell, motif lag]."""
    bars = len(alike) // BAR_CELLS
    likeness = alike[: bars * BAR_CELLS].reshape(bars, BAR_CELLS, -1).mean(1)  # [bar, lag]
    source, best = np.arange(bars), np.full(bars, ALIKE)
    for number, lag in enumerate(MOTIF_LAGS):
        back = lag // (BAR_CELLS * SLOTS_PER_CELL)
        if back >= NEAREST_BARS:
            better = (likeness[:, number] > best) & (np.arange(bars) >= back)
            source[better], best[better] = np.flatnonzero(better) - back, likeness[better, number]
    return source
