"""Count row n-grams of human charts into `reward/ngrams.npz`.

    python -m reward.calibration.count_ngrams ../shared/data

Reads `songs/` (split train) and `patterns/robeats.npz`; only sums of counts are kept, no chart can be read from them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import click
import numpy as np

from chart.formats.osz import read_osz
from chart.model import Chart
from reward.core.batch_view import view_of
from reward.ngrams import SHAPE, TABLE, count_rows
from runtime.atomic_write import replacing
from runtime.command import Command
from runtime.errors import ConfigError
from runtime.progress import progress

MIN_NOTES = 60


def charts_of(folder: Path) -> Iterator[Chart]:
    """Train charts of `folder`/songs and all charts of `folder`/patterns."""
    index = folder / "songs" / "songs.json"
    if not index.is_file():
        raise ConfigError(f"{index} is missing: give the folder that holds songs/ and patterns/")
    for entry in json.loads(index.read_text(encoding="utf-8")):
        if entry["split"] == "train":
            yield from read_osz(folder / "songs" / entry["file"]).charts
    patterns = folder / "patterns" / "robeats.npz"
    if patterns.is_file():
        with np.load(patterns, allow_pickle=False) as data:
            time_ms, column, offset = data["time_ms"], data["column"], data["offset"]
        for first, last in pairwise(offset.tolist()):
            yield Chart.from_notes(time_ms[first:last].astype(np.float64), column[first:last])


@click.command(cls=Command)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=TABLE)
def main(folder: Path, out: Path) -> None:
    """Count the row n-grams of the human charts in FOLDER."""
    counts, number = np.zeros(SHAPE, np.int64), 0
    for chart in progress(list(charts_of(folder)), "counting"):
        if len(chart) >= MIN_NOTES:
            counts += count_rows(view_of([chart]))
            number += 1
    with replacing(out) as file:
        np.savez_compressed(file, counts=np.minimum(counts, np.iinfo(np.uint32).max).astype(np.uint32))
    click.echo(json.dumps({"charts": number, "rows": int(counts.sum()), "table": str(out)}))


if __name__ == "__main__":
    main()
