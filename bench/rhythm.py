"""Rhythm, dynamics and holds of the mapper's charts against people's: `python -m bench.rhythm DATA`.

For every chart of the split the mapper writes one for the same song and stars, on the map's timing, with nothing else
requested (`mapper.search.closed_loop`, as `mania4k generate`). Every measure is printed by star band for people, with
the 90 % interval of a bootstrap over songs, and for the mapper. Ends with one line of JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from bench.onsets import f1
from bench.pairs import Pair, charts_by_song, load_pairs, save_pairs, write_pairs
from bench.report import print_json
from chart.analysis.rows import row_starts
from chart.analysis.star_rating import stars as stars_of
from chart.model import Chart
from mapper.data.corpus import open_corpus
from mapper.network.checkpoint import load_mapper
from mapper.search.closed_loop import SearchConfig
from reward.core import rhythm
from reward.core.batch_view import View, view_of
from reward.core.inputs import Inputs
from reward.core.song import Song
from reward.terms import sound
from runtime.command import Command, use_utf8

BANDS = (0.0, 1.5, 2.5, 4.0, 99.0)
BAND_NAMES = ("0-1.5", "1.5-2.5", "2.5-4", "4+")
BOOTSTRAP, INTERVAL = 400, (5, 95)
ACCENT_RANK = 0.25
"""Local rank of the onset strength (−½–½) from which a row is on an accent, and below whose negative it is off."""
ONSET_MS = 20.0

Reduce = Callable[[NDArray[np.float64]], float]


@dataclass(frozen=True)
class Column:
    """One row of the printed table."""

    name: str
    reduce: Reduce  # over charts of a band
    digits: int = 3


def _mean(values: NDArray[np.float64]) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _median(values: NDArray[np.float64]) -> float:
    return float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")


def _highest(values: NDArray[np.float64]) -> float:
    return float(np.nanmax(values)) if np.isfinite(values).any() else float("nan")


TABLE = (
    Column("even bars", _mean),
    Column("recurring bars", _mean),
    Column("bar bits", _mean, 2),
    Column("gap bits", _mean, 2),
    Column("longest even run", _median, 0),
    Column("first note s", _median, 2),
    Column("density variation", _median),
    Column("alternating rows", _mean, 4),
    Column("longest alternation", _highest, 0),
    Column("hold share", _mean),
    Column("dominance p95", _median),
    Column("accent correlation", _mean),
    Column("notes on / off accents", _mean),
    Column("hold start sustain", _mean),
    Column("hold release rank", _mean),
)


def measures_of(chart: Chart, song: Song) -> dict[str, float]:
    """Every measure of one chart; nan where there is nothing to measure."""
    view = view_of([chart], [song.span_ms])
    inputs = Inputs(np.zeros(1), [song])
    bars, gap, runs = rhythm.bars_of(view), rhythm.gap_ticks(view), rhythm.alternation_runs(view)
    gap = gap[gap > 0]
    share = rhythm.column_share(view)
    return {
        "even bars": float(bars.even.mean()),
        "recurring bars": float(bars.recurs.mean()),
        "bar bits": float(rhythm.entropy_bits(bars.chart, bars.key, 1)[0]),
        "gap bits": float(rhythm.entropy_bits(np.zeros(gap.size, np.int64), gap, 1)[0]),
        "longest even run": float(rhythm.longest_even_run(view)[0]),
        "first note s": float(chart.time_ms[0] + song.lag_ms) / 1000.0,
        "density variation": float(rhythm.density_variation(view)[0]),
        "alternating rows": float(rhythm.alternates(view).mean()),
        "longest alternation": float(runs.length.max(initial=0)),
        "hold share": float(chart.is_hold.mean()),
        "dominance p95": float(np.nanpercentile(share, 95)) if np.isfinite(share).any() else float("nan"),
        "accent correlation": float(sound.accents(view, inputs).chart[0]),
        "notes on / off accents": _accent_ratio(view, song),
        "hold start sustain": float(sound.sustain(view, inputs).chart[0]),
        "hold release rank": sound.release_rank(view, 0, song),
    }


def _accent_ratio(view: View, song: Song) -> float:
    """Mean notes of rows stronger than most of their neighbours, over that of weaker ones."""
    frames = song.frames(view.row_ms - view.offset_ms[0])
    rank = sound.local_rank(np.interp(frames, np.arange(song.strength.size), song.near_strength, 0.0, 0.0))
    on, off = rank > ACCENT_RANK, rank < -ACCENT_RANK
    return float(view.rows.size[on].mean() / view.rows.size[off].mean()) if on.any() and off.any() else float("nan")


def onset_f1(pair: Pair) -> float:
    """F1 of our rows against the person's, ±20 ms."""
    ours, person = (one.time_ms[row_starts(one.time_ms)] for one in (pair.ours, pair.person))
    return f1(ours, person, ONSET_MS)


def interval(values: NDArray, songs: NDArray, reduce: Reduce, seed: int = 0) -> tuple[float, float]:
    """90 % interval of a reduced figure, bootstrapped over songs."""
    random, names = np.random.default_rng(seed), np.unique(songs)
    by_song = [values[songs == name] for name in names]
    drawn = [
        reduce(np.concatenate([by_song[k] for k in random.integers(0, names.size, names.size)]))
        for _ in range(BOOTSTRAP)
    ]
    low, high = np.nanpercentile(drawn, INTERVAL)
    return float(low), float(high)


def hold_figures(people: NDArray[np.float64], ours: NDArray[np.float64]) -> dict[str, object]:
    """Percentiles of the share of holds, and its correlation with people's."""
    return {
        "people_percentiles": np.round(np.percentile(people, [10, 50, 90]), 3).tolist(),
        "our_percentiles": np.round(np.percentile(ours, [10, 50, 90]), 3).tolist(),
        "correlation": round(float(np.corrcoef(people, ours)[0, 1]), 3),
    }


def report(pairs: Sequence[Pair]) -> dict[str, object]:
    """Print the table; returns the figures as plain data."""
    people = [measures_of(pair.person, pair.song) for pair in pairs]
    ours = [measures_of(pair.ours, pair.song) for pair in pairs]
    stars, songs = np.array([pair.stars for pair in pairs]), np.array([pair.name for pair in pairs])
    band = np.digitize(stars, BANDS) - 1
    figures: dict[str, object] = {"charts": np.bincount(band, minlength=len(BAND_NAMES)).tolist()}
    click.echo(f"{'':24}" + "".join(f"{name:>30}" for name in BAND_NAMES))
    for column in TABLE:
        theirs, mine = (np.array([one[column.name] for one in group]) for group in (people, ours))
        cells, plain = [], {}
        for number, name in enumerate(BAND_NAMES):
            inside = band == number
            if not inside.any():
                continue
            low, high = interval(theirs[inside], songs[inside], column.reduce)
            values = [column.reduce(theirs[inside]), low, high, column.reduce(mine[inside])]
            plain[name] = [round(value, 4) for value in values]
            a, b, c, d = (f"{value:.{column.digits}f}" for value in values)
            cells.append(f"{f'{a} ({b}-{c}) {d}':>30}")
        click.echo(f"{column.name:24}" + "".join(cells))
        figures[column.name] = plain
    shares = [np.array([one["hold share"] for one in group]) for group in (people, ours)]
    figures["holds"] = hold_figures(*shares)
    figures["onset_f1"] = round(float(np.mean([onset_f1(pair) for pair in pairs])), 4)
    figures["stars_off"] = round(float(np.mean([abs(stars_of(pair.ours) - pair.stars) for pair in pairs])), 4)
    click.echo(f"holds {figures['holds']}\nonset F1 {figures['onset_f1']}   stars off {figures['stars_off']}")
    return figures


@click.command(
    cls=Command, help="Rhythm, dynamics, patterns and holds beside people's, on a split of the dataset DATA."
)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--split", default="val", show_default=True)
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Default: the bundled mapper.")
@click.option("--every", default=1, show_default=True, help="Take every n-th song only.")
@click.option("--most", default=0, show_default=True, help="Charts of a song at most (0 = all).")
@click.option("--own-style", is_flag=True, help="Request the style (keyboard, pad) of each person's chart.")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep the written charts in this .npz, or read them.")
@click.option("--seed", default=0, show_default=True)
def main(
    data: Path,
    split: str,
    checkpoint: Path | None,
    every: int,
    most: int,
    own_style: bool,
    keep: Path | None,
    seed: int,
) -> None:
    use_utf8()
    corpus = open_corpus(data)
    if keep is not None and keep.is_file():
        pairs = load_pairs(keep, corpus)
    else:
        groups = charts_by_song(corpus, split, every, most)
        pairs = write_pairs(load_mapper(checkpoint), corpus, groups, SearchConfig(seed), own_style)
        if keep is not None:
            save_pairs(keep, pairs)
    print_json("rhythm", {"split": split, "seed": seed, "own_style": own_style, **report(pairs)})


if __name__ == "__main__":
    main()
