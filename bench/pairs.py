"""Pairs of a human chart and the mapper's for the same song and stars; compared by `bench.rhythm` and `bench.reader`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from chart.model import Chart
from mapper.data.corpus import Corpus
from mapper.network.interface import Network
from mapper.request.options import MAX_STARS, MIN_STARS
from mapper.sampling.conditioning import ChartTarget
from mapper.sampling.song_analysis import SongAnalysis
from mapper.search.closed_loop import SearchConfig, write_charts
from mapper.tokens.log_mel import FRAMES_PER_SECOND, log_mel_of
from mapper.tokens.vocabulary import STYLES
from reward.core.song import Song, song_of_mel
from runtime.atomic_write import replacing
from runtime.progress import progress


@dataclass(frozen=True)
class Pair:
    """One chart of a person and the mapper's for the same song and stars."""

    number: int  # of the chart in the corpus
    name: str  # of the song
    stars: float
    song: Song
    person: Chart
    ours: Chart


def charts_by_song(corpus: Corpus, split: str, every: int = 1, most: int = 0) -> list[list[int]]:
    """Charts of every n-th song of the split with one timing, at most `most` of a song evenly spread (0: all)."""
    together: dict[tuple, list[int]] = defaultdict(list)
    for chart in corpus.split(split):
        together[corpus.charts[chart].song, corpus.charts[chart].red_lines].append(chart)
    groups = [sorted(group, key=lambda chart: corpus.charts[chart].stars) for group in together.values()][::every]
    if most:
        groups = [[group[at] for at in sorted({*np.linspace(0, len(group) - 1, most).astype(int)})] for group in groups]
    return groups


def reward_song(corpus: Corpus, chart: int) -> Song:
    """The reward's features of a chart's song, from the corpus's spectrogram."""
    mel = log_mel_of(np.asarray(corpus.features(chart)))
    return song_of_mel(mel, FRAMES_PER_SECOND, corpus.songs[corpus.charts[chart].song].lag_ms)


def write_pairs(
    model: Network, corpus: Corpus, groups: Sequence[Sequence[int]], config: SearchConfig, own_style: bool = False
) -> list[Pair]:
    """Write a chart for each person's chart of these groups, all of a song as one set, as `mania4k generate` does."""
    pairs = []
    for number, group in enumerate(progress(list(groups), "writing")):
        song, features = SongAnalysis.of_chart(corpus, group[0]), reward_song(corpus, group[0])
        styles = [STYLES[corpus.charts[chart].style] if own_style else STYLES[1] for chart in group]
        stars = np.clip([corpus.charts[chart].stars for chart in group], MIN_STARS, MAX_STARS).tolist()
        targets = [ChartTarget(one, style) for one, style in zip(stars, styles, strict=True)]
        settings = replace(config, seed=config.seed + number)
        for chart, result in zip(group, write_charts(model, song, targets, settings), strict=True):
            person = song.chart_of(corpus.chart_rows(chart))
            entry = corpus.charts[chart]
            pairs.append(Pair(chart, corpus.songs[entry.song].name, entry.stars, features, person, result.chart))
    return pairs


def save_pairs(path: Path, pairs: Sequence[Pair]) -> None:
    """Save the mapper's charts, to be measured again."""
    charts = [pair.ours for pair in pairs]
    with replacing(path) as file:
        np.savez_compressed(
            file,
            number=np.array([pair.number for pair in pairs]),
            offset=np.cumsum([0, *map(len, charts)]),
            time_ms=np.concatenate([chart.time_ms for chart in charts]),
            column=np.concatenate([chart.column for chart in charts]),
            end_ms=np.concatenate([chart.end_ms for chart in charts]),
        )


def load_pairs(path: Path, corpus: Corpus) -> list[Pair]:
    """The pairs of a file of `save_pairs`, with the corpus's charts."""
    kept = np.load(path, allow_pickle=False)
    reward_songs: dict[int, Song] = {}
    pairs = []
    for number, first, last in zip(kept["number"].tolist(), kept["offset"], kept["offset"][1:], strict=False):
        entry, song = corpus.charts[number], SongAnalysis.of_chart(corpus, number)
        person, notes = song.chart_of(corpus.chart_rows(number)), slice(int(first), int(last))
        made = Chart.from_notes(kept["time_ms"][notes], kept["column"][notes], kept["end_ms"][notes])
        ours = replace(person, time_ms=made.time_ms, column=made.column, end_ms=made.end_ms)
        reward_songs.setdefault(entry.song, reward_song(corpus, number))
        pairs.append(Pair(number, corpus.songs[entry.song].name, entry.stars, reward_songs[entry.song], person, ours))
    return pairs
