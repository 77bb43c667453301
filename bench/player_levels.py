"""Skill level that human charts require of simulated players, relative to their official stars.

    python -m bench.player_levels ../shared/data/songs                 # `train`: source of mapper.search.objective.PLAYTEST_BAND
    python -m bench.player_levels ../shared/data/songs --split val     # the figures of docs/agents.md

Charts made for keys, at 96 % and the chart's own OD. Prints percentiles of level − stars, over all and by stars, and
ends with one line of JSON.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from agents import required_skill
from agents.calibration.calibrate import key_charts
from bench.report import print_json
from chart.analysis.star_rating import stars
from runtime.command import Command, use_utf8
from runtime.progress import progress

SHARES = (5, 25, 50, 75, 95)
"""Percentiles in the table."""
MIN_NOTES = 60


def table_of(rating: NDArray, off: NDArray) -> dict[str, dict[str, float]]:
    """Charts ("all", or of one star to the next) → how many, and percentiles of level − stars."""
    groups = {"all": np.ones(rating.size, bool)}
    groups |= {f"{band}-{band + 1}": rating.astype(int) == band for band in range(int(rating.max()) + 1)}
    table = {}
    for name, inside in groups.items():
        if inside.any():
            percentiles = np.percentile(off[inside], SHARES).round(2).tolist()
            row = dict(zip((f"p{share}" for share in SHARES), percentiles, strict=True))
            table[name] = {"charts": int(inside.sum()), **row}
    return table


def measure(songs: Path, split: str) -> dict[str, dict[str, float]]:
    """The table of a folder's split."""
    charts = [chart for chart in key_charts(songs, split) if len(chart) >= MIN_NOTES]
    rating = np.array([stars(chart) for chart in charts])
    level = np.array([required_skill(chart) for chart in progress(charts, "playing")])
    return table_of(rating, level - rating)


@click.command(cls=Command)
@click.argument("songs", type=click.Path(path_type=Path))
@click.option("--split", default="train", show_default=True, help="Split of songs.json to measure on.")
def main(songs: Path, split: str) -> None:
    """Percentiles of required level − official stars over the human charts in SONGS."""
    use_utf8()
    table = measure(songs, split)
    for name, row in table.items():
        click.echo(f"{name:>5}  {json.dumps(row)}")
    print_json("player_levels", {"split": split, "level_less_stars": table})


if __name__ == "__main__":
    main()
