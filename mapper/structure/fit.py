"""Fit where charts begin and end, their density curve, holds and rows: `python -m mapper.structure.fit DATA`.

Reads people's `train` charts, for rows also those without audio, and writes `settings.json`; bar rhythms' settings are kept as they are there
(`mapper.pretraining.fit_rhythm` fits them). A minute of processor time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from chart.analysis.pattern_mix import family_rows
from chart.model import Chart
from mapper.data.corpus import Corpus, open_corpus
from mapper.sampling.kernels import NOTES_BEGUN
from mapper.sampling.row_penalties import PRESSED
from mapper.structure.bars import BarGrid, BarSound
from mapper.structure.dynamics import bar_features
from mapper.structure.edges import edge_features
from mapper.structure.holds import song_profile
from mapper.structure.row_shares import SIZES
from mapper.structure.settings import TABLE, Settings, settings
from mapper.tokens.row_codes import STARTS_NOTE, notes_of
from runtime.atomic_write import save_bytes
from runtime.command import Command
from runtime.progress import progress

QUANTILES = 21
HOLD_RIDGE, EDGE_RIDGE = 40.0, 1.0
NEWTON_STEPS = 30
ROW_STARS, ROW_STARS_WIDTH = np.arange(1.0, 8.0), 0.5
"""Stars at which rows are averaged, and the deviation of the weights around them."""
LEAST_ROWS = 50


@dataclass(frozen=True)
class Example:
    """One person's chart."""

    song: int
    stars: float
    hold_share: float
    sound: BarSound
    bar_rows: NDArray[np.float64]  # [bar] rows with note heads
    profile: NDArray[np.float64]  # [song feature]


def examples(corpus: Corpus, split: str) -> Iterator[Example]:
    """People's charts of the split; consecutive charts of one song share its measures."""
    known: tuple | None = None
    for chart in corpus.split(split):
        entry = corpus.charts[chart]
        if known is None or known[0] != (entry.song, entry.red_lines):
            features, grid = np.asarray(corpus.features(chart)), corpus.grid(chart)
            bars = BarGrid(grid)
            sound = BarSound.of(bars, features, corpus.songs[entry.song].lag_ms)
            known = (entry.song, entry.red_lines), bars, sound, song_profile(features, grid)
        _, bars, sound, profile = known
        rows = corpus.chart_rows(chart)
        bar = bars.bar_of_slot[rows.slot[STARTS_NOTE[rows.code]]]
        counts = np.bincount(bar, minlength=bars.count).astype(np.float64)
        yield Example(entry.song, entry.stars, entry.hold_share, sound, counts, profile)


def fit_edge(people: list[Example], backwards: bool) -> NDArray[np.float64]:
    """[edge feature] weights of the hazard that a chart begins, or ends, in a bar."""
    features, happened = [], []
    for one in people:
        bars = np.flatnonzero(one.bar_rows)
        event = one.bar_rows.size - 1 - bars[-1] if backwards else bars[0]
        features.append(edge_features(one.sound, one.stars, backwards)[: event + 1])
        happened.append(np.arange(event + 1) == event)
    return logistic(np.concatenate(features), np.concatenate(happened).astype(np.float64), EDGE_RIDGE)


def logistic(features: NDArray[np.float64], happened: NDArray[np.float64], ridge: float) -> NDArray[np.float64]:
    """[feature] weights by Newton's method; the first feature is the constant. The ridge is on scaled features."""
    scale = features.std(axis=0)
    scale[scale < 1e-9] = 1.0
    scaled, weights = features / scale, np.zeros(features.shape[1])
    penalty = ridge * np.eye(weights.size)
    penalty[0, 0] = 1e-6
    for _ in range(NEWTON_STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(scaled @ weights, -30, 30)))
        slope = scaled.T @ (happened - chance) - penalty @ weights
        curve = (scaled * (chance * (1 - chance))[:, None]).T @ scaled + penalty
        weights = weights + np.linalg.solve(curve, slope)
    return weights / scale


def fit_dynamics(people: list[Example]) -> NDArray[np.float64]:
    """[bar feature] least squares of the root of a bar's rows over the chart's mean, doubled: about its log."""
    features, density = [], []
    for one in people:
        bars = np.flatnonzero(one.bar_rows)
        inside = slice(bars[0], bars[-1] + 1)
        root, found = np.sqrt(one.bar_rows[inside]), bar_features(one.sound)[inside]
        features.append(found - found.mean(axis=0))
        density.append(2.0 * (root / max(root.mean(), 1e-6) - 1.0))
    x, y = np.concatenate(features), np.concatenate(density)
    return np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ y)


def fit_holds(people: list[Example], fitted: Settings) -> Settings:
    """Ridge regression of the root of the share, songs counting alike, and the map from ranks to people's shares."""
    profile, share = np.array([one.profile for one in people]), np.array([one.hold_share for one in people])
    song = np.array([one.song for one in people])
    weight = 1.0 / np.bincount(song)[song]
    mean, deviation = profile.mean(axis=0), profile.std(axis=0) + 1e-9
    design = np.column_stack((np.ones(len(profile)), (profile - mean) / deviation))
    penalty = HOLD_RIDGE * np.eye(design.shape[1])
    penalty[0, 0] = 0.0
    weighted = (design * weight[:, None]).T
    weights = np.linalg.solve(weighted @ design + penalty, weighted @ np.sqrt(share))
    ranks = np.linspace(0, 1, QUANTILES)
    return replace(
        fitted,
        hold_weights=weights,
        hold_mean=mean,
        hold_deviation=deviation,
        hold_predicted=np.quantile(design @ weights, ranks),
        hold_people=np.quantile(share, ranks),
    )


def fit_rows(corpus: Corpus, fitted: Settings) -> Settings:
    """Shares of chords and repeated columns, by stars, over the `train` charts with columns."""
    stars, found = [], []
    for chart, entry in enumerate(corpus.charts):
        if corpus.songs[entry.song].split != "train" or not entry.has_columns:
            continue
        rows = corpus.chart_rows(chart)
        code = rows.code[STARTS_NOTE[rows.code]]
        if code.size >= LEAST_ROWS:
            notes = notes_of(rows, corpus.grid(chart))
            member = family_rows(Chart.from_notes(*notes, timing_points=entry.timing_points))
            if member.shape[1] == code.size:  # else rows lie so near that they are played as one
                stars.append(entry.stars)
                found.append(shares_by_family(code, member))
    near = np.exp(-0.5 * ((np.array(stars) - ROW_STARS[:, None]) / ROW_STARS_WIDTH) ** 2)  # [knot, chart]
    sums = np.tensordot(near, np.array(found), axes=1)
    return replace(fitted, row_stars=ROW_STARS, row_shares=sums[..., 1:] / sums[..., :1])


def shares_by_family(code: NDArray[np.int64], member: NDArray[np.bool_]) -> NDArray[np.float64]:
    """[2, family, 5]: share of a chart's rows `code` [row] in the family, or not, as `member` [family, row] says; of all
    rows, those in it, or not, with chords of 2, 3 and 4 notes, or with a repeated column."""
    pressed, notes = PRESSED[code], NOTES_BEGUN[code]
    again = np.append(False, (pressed[1:] & pressed[:-1]) > 0)
    kind = np.array([np.ones(code.size), *(notes == size for size in SIZES), again], np.float64)
    return np.array([member @ kind.T, ~member @ kind.T]) / code.size


@click.command(cls=Command)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), default=TABLE, help="Where to write the table.")
def main(data: Path, output: Path) -> None:
    """Fit the structure of charts to people's charts of the dataset DATA."""
    corpus = open_corpus(data)
    people = list(progress(examples(corpus, "train"), "measuring"))
    fitted = replace(
        settings(),
        begin=fit_edge(people, backwards=False),
        end=fit_edge(people, backwards=True),
        dynamics=fit_dynamics(people),
    )
    fitted = fit_rows(corpus, fit_holds(people, fitted))
    save_bytes(output, fitted.as_json().encode())
    click.echo(f"wrote {output}")


if __name__ == "__main__":
    main()
