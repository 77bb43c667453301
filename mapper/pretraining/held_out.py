"""Log-odds of rows on training songs by networks that were trained without them: `python -m mapper.pretraining.held_out`.

The bundled network knows the charts of its training songs by heart, so what is fitted on its log-odds there is wrong for the
next song. `mapper.train --leave-out FOLD` trains a network without a part of the songs; this writes what it says of that part.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from chart.grid import SLOTS_PER_CELL
from mapper.data.batches import WindowSampler, collate
from mapper.data.corpus import open_corpus
from mapper.data.entries import SongEntry
from mapper.network.checkpoint import load_mapper
from mapper.network.model import Mapper
from mapper.tokens.window import CELLS
from runtime.atomic_write import save_bytes
from runtime.command import Command, use_utf8
from runtime.errors import ConfigError
from runtime.progress import progress

FOLDS = 3
"""Parts of the songs; a network is trained without one of them."""
WINDOWS_AT_ONCE = 8
HOP = CELLS // 2
"""Cells between the first ones of windows; the middle of each is taken."""


def fold_of(song: SongEntry) -> int:
    """The part, 0 to `FOLDS` - 1, that a song belongs to; songs of one title are in one part."""
    return zlib.crc32(song.title.casefold().encode()) % FOLDS


def held_out_logits(sampler: WindowSampler, networks: Mapping[int, Mapper]) -> dict[int, NDArray[np.float32]]:
    """By number of each 4K training chart whose fold has a network, trained without that fold, the log-odds [slot]."""
    corpus, logits = sampler.corpus, {}
    for chart in progress(corpus.split("train"), "charts"):
        network = networks.get(fold_of(corpus.songs[corpus.charts[chart].song]))
        if network is not None:
            logits[chart] = onset_logits(network, sampler, chart)
    return logits


def read_logits(path: Path) -> dict[int, NDArray[np.float32]]:
    """What `main` wrote: by number of the chart, the log-odds [slot]; raises ConfigError for another file."""
    try:
        return {int(chart): values.astype(np.float32) for chart, values in load_file(path).items()}
    except (OSError, SafetensorError, ValueError) as error:
        raise ConfigError(
            f"{path}: no log-odds can be read there ({error}); write them with `python -m mapper.pretraining.held_out`"
        ) from error


@torch.no_grad()
def onset_logits(model: Mapper, sampler: WindowSampler, chart: int) -> NDArray[np.float32]:
    """[slot] the encoder's log-odds of a row over a whole chart, for its own controls; the middles of overlapping windows."""
    cells = sampler.prepared(chart).grid.cells
    starts = sorted({max(min(start, cells - CELLS), 0) for start in range(0, cells, HOP)})
    found = np.zeros(cells * SLOTS_PER_CELL, np.float32)
    for first in range(0, len(starts), WINDOWS_AT_ONCE):
        part = starts[first : first + WINDOWS_AT_ONCE]
        batch = collate([sampler.stretch(chart, start) for start in part])
        encoding = model.encode(batch.cells, model.control_vectors(batch.controls)[0], batch.window)
        for start, logit in zip(part, encoding.onset_logit.float().numpy(), strict=True):
            begin = (CELLS - HOP) // 2 if start else 0  # the cells before lie in the middle of the window before
            count = min(CELLS, cells - start)
            where = slice((start + begin) * SLOTS_PER_CELL, (start + count) * SLOTS_PER_CELL)
            found[where] = logit[begin * SLOTS_PER_CELL : count * SLOTS_PER_CELL]
    return found


@click.command(
    cls=Command, help="Write the log-odds of rows on the parts of the dataset DATA that NETWORKS were not trained on."
)
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("networks", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path, dir_okay=False))
def main(data: Path, networks: tuple[Path, ...], out: Path) -> None:
    """The first of NETWORKS was trained with `--leave-out 0`, the second with `--leave-out 1`, and so on."""
    use_utf8()
    loaded = {fold: load_mapper(path).eval() for fold, path in enumerate(networks)}
    logits = held_out_logits(WindowSampler(open_corpus(data)), loaded)
    save_bytes(out, save({str(chart): values.astype(np.float16) for chart, values in logits.items()}))
    click.echo(f"wrote {out}: {len(logits)} charts")


if __name__ == "__main__":
    main()
