"""Baselines of onset F1: the same mapper on silence or on another song, and charts made for another song.

- `no sound`: every frame in which the song sounds is its mean spectrum, so that only the beat grid is informative;
- `wrong song`: another song's sound on this song's grid;
- `shuffled`: the human's own chart with its intervals in another order;
- `other chart`: a human's chart of another song with the nearest stars, begun at this chart's first note.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chart.grid import Grid
from mapper.data.corpus import ChartEntry, Corpus
from mapper.sampling.encode_song import SILENCE_LEVEL
from mapper.tokens.log_mel import BANDS
from mapper.tokens.row_codes import STARTS_NOTE, Rows

NAMES = ("no sound", "wrong song", "shuffled", "other chart")


def no_sound(features: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[frame, channel] with the mean of each channel wherever anything sounds; silence stays."""
    sounding = features[:, :BANDS].max(1) >= SILENCE_LEVEL
    steady = features.copy()
    steady[sounding] = np.round(features[sounding].mean(0)).astype(np.uint8)
    return steady


def wrong_song(features: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[frame, channel] of another song, looped to the length of this one."""
    return other[np.arange(len(features)) % len(other)]


def shuffled(slots: NDArray[np.int64], grid: Grid, random: np.random.Generator) -> NDArray[np.int64]:
    """[row] slots between the same first and last row, with the intervals between them in another order."""
    tick = grid.tick[slots[0]] + np.concatenate(([0], np.cumsum(random.permutation(np.diff(grid.tick[slots])))))
    return np.unique(np.searchsorted(grid.tick, tick).clip(max=grid.tick.size - 1))


def other_chart(slots: NDArray[np.int64], grid: Grid, theirs: NDArray[np.int64], their_grid: Grid) -> NDArray[np.int64]:
    """[row] slots of another song's rows, from this chart's first row to its last; they begin anew where they end."""
    tick = their_grid.tick[theirs] - their_grid.tick[theirs[0]]
    first, last = grid.tick[slots[[0, -1]]]
    every = tick[-1] + 48
    again = (np.arange((last - first) // every + 1)[:, None] * every + tick).ravel() + first
    return np.unique(np.searchsorted(grid.tick, again[again <= last]).clip(max=grid.tick.size - 1))


def heads(rows: Rows) -> NDArray[np.int64]:
    """[row] slots of the rows with note heads."""
    return rows.slot[STARTS_NOTE[rows.code]]


def nearest_other(corpus: Corpus, charts: Sequence[int], entry: ChartEntry) -> int:
    """Of `charts`, the one of another song with the nearest stars."""
    others = [chart for chart in charts if corpus.charts[chart].song != entry.song]
    return min(others, key=lambda chart: abs(corpus.charts[chart].stars - entry.stars))
