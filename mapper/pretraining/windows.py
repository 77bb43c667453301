"""Random windows of a training run: step k has the same windows on any number of processes, resumed or not."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mapper.data.batches import CELLS, Batch, WindowSampler, collate_windows
from mapper.data.entries import SongEntry
from runtime.training.distributed import ProcessGroup

FOLDS = 3
"""Parts of the songs; a network can be trained without one of them, to be fitted on or measured there."""


@dataclass(frozen=True)
class WindowDraw:
    """Draw of windows: `windows` a step, each of up to `charts` charts that share a song and its red lines."""

    windows: int
    charts: int
    seed: int


def random_batches(
    sampler: WindowSampler, charts: list[int], draw: WindowDraw, steps: range, team: ProcessGroup
) -> Iterator[Batch | None]:
    """This process's share of each step's windows, drawn in proportion to length and number of charts; None: no windows."""
    groups = sampler.sharing(charts)
    spans = [sampler.playable_cells(group[0]) for group in groups]
    weight = np.array([last - first for first, last in spans], float)
    weight *= np.sqrt([min(len(group), draw.charts) for group in groups])
    for step in steps:
        cut = []
        for number in team.share(range(draw.windows if charts else 0)):
            random = np.random.default_rng([draw.seed, step, number])
            index = int(random.choice(len(groups), p=weight / weight.sum()))
            first, last = spans[index]
            start = int(random.integers(first - CELLS // 2, max(last - CELLS // 2, first + 1)))
            count = min(len(groups[index]), draw.charts)
            chosen = [groups[index][one] for one in random.choice(len(groups[index]), count, replace=False)]
            cut.append(sampler.window(chosen, max(start, first), random))
        yield collate_windows(cut) if cut else None


def fold_of(song: SongEntry) -> int:
    """The part of the songs, 0 to `FOLDS` - 1, that this one belongs to; songs of one title are in one part."""
    return zlib.crc32(song.title.casefold().encode()) % FOLDS
