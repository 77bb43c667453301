"""Accuracy of a classifier (reader) that distinguishes the mapper's charts from people's: `python -m bench.reader DATA --keep charts.npz`.

It reads windows of 8 bars (features of rhythm, patterns, holds and the song) of people's charts and of the
mapper's for the same songs and stars, kept by `bench.rhythm --keep`. It is logistic on features, their squares and random
cosines of them, tested on other songs than it is fitted on: those of `--train`, or without it folds of songs.
It is an auditor and not part of the reward. Also printed: the accuracy of the best single feature, a threshold on
each side fitted likewise. One half is chance. Ends with one line of JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from bench.pairs import Pair, load_pairs
from bench.report import print_json
from chart.analysis.rows import SIZE_OF_MASK, previous
from chart.model import KEYS, Chart
from mapper.data.corpus import open_corpus
from mapper.structure.fit import logistic
from reward.core import rhythm
from reward.core.batch_view import View, view_of
from reward.core.inputs import Inputs
from reward.core.song import Song
from reward.terms import sound
from runtime.command import Command, use_utf8

SECTIONS = 2
"""Sections of a window: 8 bars."""
MIN_ROWS = 12
GAP_EDGES = (7, 10, 13, 17, 20, 25, 37, 49, 97)
COSINES, COSINE_SCALE = 200, 0.15
RIDGE = 30.0
FOLDS = 7


@dataclass(frozen=True)
class Windows:
    """Windows of several charts."""

    features: NDArray[np.float64]  # [window, feature]
    ours: NDArray[np.bool_]  # [window]
    song: NDArray[np.int64]  # [window]
    chart: NDArray[np.int64]  # [window], number of its pair

    def where(self, kept: NDArray[np.bool_]) -> Windows:
        """The windows that `kept` marks."""
        return Windows(self.features[kept], self.ours[kept], self.song[kept], self.chart[kept])


def windows_of(chart: Chart, song: Song, stars: float) -> NDArray[np.float64]:
    """[window, feature] of the windows with enough rows."""
    view = view_of([chart], [song.span_ms])
    inputs = Inputs(np.array([stars]), [song])
    by_section = [term(view, inputs).section for term in (sound.accents, sound.sustain)]
    rows = _row_features(view, song)
    found = []
    for first in range(0, view.n_sections - SECTIONS + 1, SECTIONS):
        inside = (view.row_section >= first) & (view.row_section < first + SECTIONS)
        if inside.sum() < MIN_ROWS:
            continue
        measured = [float(np.nan_to_num(values[first : first + SECTIONS]).mean()) for values in by_section]
        found.append([stars, *measured, *_bar_features(view, first), *_notes(view, inside), *rows[inside].mean(axis=0)])
    return np.array(found).reshape(len(found), -1) if found else np.zeros((0, 0))


def _row_features(view: View, song: Song) -> NDArray[np.float64]:
    """[row, feature], to be averaged over a window."""
    mask, size, gap = view.rows.mask, view.rows.size, rhythm.gap_ticks(view)
    strength = np.interp(
        song.frames(view.row_ms - view.offset_ms[0]), np.arange(song.strength.size), song.near_strength
    )
    shared = SIZE_OF_MASK[mask & previous(mask)]
    columns = [np.digitize(gap, GAP_EDGES) == kind for kind in range(len(GAP_EDGES) + 1)]
    columns += [size == count for count in (1, 2, 3, 4)]
    columns += [shared > 0, mask == previous(mask), (mask == previous(mask, 2)) & (mask != previous(mask))]
    columns += [rhythm.alternates(view), gap == previous(gap), view.rows.held > 0, strength, np.minimum(strength, 1.0)]
    columns += [gap > previous(gap), np.nan_to_num(rhythm.column_share(view))]
    return np.stack([values.astype(np.float64) for values in columns], axis=1)


def _bar_features(view: View, first: int) -> list[float]:
    """Evenness, recurrence and kinds of the bars' rhythms, and the spread of their rows."""
    bars = rhythm.bars_of(view)
    mine = (bars.section >= first) & (bars.section < first + SECTIONS)
    tick_bars = rhythm.row_ticks(view) // rhythm.TICKS_PER_BAR
    counts = np.bincount(tick_bars)[bars.number[mine]]
    kinds = np.unique(bars.key[mine]).size / max(mine.sum(), 1)
    even, recurs = float(bars.even[mine].mean()), float(bars.recurs[mine].mean())
    return [even, recurs, kinds, float(mine.sum()), float(counts.std()), float(np.log(counts.mean()))]


def _notes(view: View, inside: NDArray[np.bool_]) -> list[float]:
    """Share of holds, their length in beats, and imbalance of columns and hands."""
    mine = inside[view.note_row]
    held = ~np.isnan(view.end_ms[mine])
    beats = (view.end_ms[mine] - view.note_ms[mine])[held] / view.note_beats.beat_ms[mine][held]
    share = np.bincount(view.column[mine], minlength=KEYS) / max(mine.sum(), 1)
    lengths = [float(beats.mean()), float(beats.std()), float((beats < 0.6).mean())] if beats.size else [0.0] * 3
    return [float(held.mean()), *lengths, float(share.max()), float(share.min()), abs(float(share[:2].sum()) - 0.5)]


def read(pairs: Sequence[Pair]) -> Windows:
    """Windows of both charts of every pair."""
    names = sorted({pair.name for pair in pairs})
    features, ours, song, number = [], [], [], []
    for index, pair in enumerate(pairs):
        for chart, is_ours in ((pair.person, False), (pair.ours, True)):
            found = windows_of(chart, pair.song, pair.stars)
            if len(found):
                features.append(found)
                ours += [is_ours] * len(found)
                song += [names.index(pair.name)] * len(found)
                number += [index] * len(found)
    return Windows(np.concatenate(features), np.array(ours), np.array(song), np.array(number))


def log_odds(train: Windows, tested: Windows, seed: int = 0) -> NDArray[np.float64]:
    """[window] log-odds that the tested windows are ours, by a classifier of the train windows."""
    mean, deviation = train.features.mean(axis=0), train.features.std(axis=0) + 1e-9
    random = np.random.default_rng(seed)
    weights = random.normal(0, COSINE_SCALE, (train.features.shape[1], COSINES))
    phase = random.uniform(0, 2 * np.pi, COSINES)

    def expanded(windows: Windows) -> NDArray[np.float64]:
        scaled = np.clip((windows.features - mean) / deviation, -4, 4)
        return np.column_stack((np.ones(len(scaled)), scaled, scaled**2, np.cos(scaled @ weights + phase)))

    return expanded(tested) @ logistic(expanded(train), train.ours.astype(np.float64), RIDGE)


def best_feature(train: Windows, tested: Windows) -> NDArray[np.bool_]:
    """[window] prediction by the train windows' best threshold on a single feature."""
    best, guess = 0.0, np.zeros(len(tested.ours), np.bool_)
    for feature in range(train.features.shape[1]):
        for threshold in np.quantile(train.features[:, feature], np.linspace(0.05, 0.95, 19)):
            above = train.features[:, feature] > threshold
            right = float((above == train.ours).mean())
            if max(right, 1 - right) > best:
                best = max(right, 1 - right)
                guess = (tested.features[:, feature] > threshold) == (right >= 0.5)
    return guess


def report(windows: Windows, train: Windows | None) -> dict[str, object]:
    """Accuracy over windows and charts, of the reader and of the best single feature; both kinds weigh alike."""
    odds, single = np.zeros(len(windows.ours)), np.zeros(len(windows.ours), np.bool_)
    for fold in range(FOLDS if train is None else 1):
        tested = windows.song % FOLDS == fold if train is None else np.ones(len(odds), np.bool_)
        known = windows.where(~tested) if train is None else train
        if tested.any():
            odds[tested] = log_odds(known, windows.where(tested))
            single[tested] = best_feature(known, windows.where(tested))
    keys = windows.chart * 2 + windows.ours
    charts = np.unique(keys)
    mean = np.array([odds[keys == key].mean() for key in charts])
    return {
        "windows": len(odds),
        "accuracy": round(_balanced(odds > 0, windows.ours), 4),
        "best_feature": round(_balanced(single, windows.ours), 4),
        "accuracy_of_charts": round(_balanced(mean > 0, charts % 2 == 1), 4),
    }


def _balanced(guess: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return float((guess[truth].mean() + (~guess[~truth]).mean()) / 2)


@click.command(cls=Command, help="Accuracy of a reader that tells the mapper's charts from people's.")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--keep", type=click.Path(path_type=Path), required=True, help="Charts kept by `bench.rhythm --keep`.")
@click.option("--train", type=click.Path(path_type=Path), help="Charts of other songs, kept likewise, to learn from.")
def main(data: Path, keep: Path, train: Path | None) -> None:
    use_utf8()
    corpus = open_corpus(data)
    known = None if train is None else read(load_pairs(train, corpus))
    figures = report(read(load_pairs(keep, corpus)), known)
    for name, value in figures.items():
        click.echo(f"{name:20}{value:>8}")
    print_json("reader", {"folds": 0 if train else FOLDS, **figures})


if __name__ == "__main__":
    main()
