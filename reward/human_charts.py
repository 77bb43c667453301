"""Human charts with their songs, as calibration and benchmarks read them from a folder of `.osz`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from chart.analysis.star_rating import stars
from chart.formats.osz import read_osz
from chart.model import Chart
from reward.core.bands import Measured, Term
from reward.core.batch_view import view_of
from reward.core.inputs import Inputs
from reward.core.song import Song, estimate_lag_ms, song_of_mel
from reward.terms.criteria import counts_of
from reward.terms.fairness import lost_of, playtest
from runtime.errors import ConfigError


@dataclass(frozen=True)
class HumanChart:
    """A chart, its own official stars as the target, and its song with this chart's lag."""

    file: str
    style: str
    chart: Chart
    stars: float
    song: Song


def read_song(source: bytes | Path, name: str) -> Song:
    """Decode a song and compute its features for the reward."""
    from ear.audio.decode import load_audio
    from ear.audio.spectrogram import FRAMES_PER_SECOND, log_mel

    audio = load_audio(source, name=name)
    return song_of_mel(log_mel(audio.samples, audio.sample_rate), FRAMES_PER_SECOND)


def human_charts(folder: Path, split: str, min_notes: int = 0) -> Iterator[HumanChart]:
    """Charts of the folder's `split` (as its `songs.json` says) with at least `min_notes` notes."""
    for entry in songs_of(folder, split):
        yield from charts_of_song(folder, entry, min_notes)


def songs_of(folder: Path, split: str) -> list[dict[str, str]]:
    """The entries of the folder's `songs.json` that are of `split`; each names its `file` and `style`."""
    index = folder / "songs.json"
    if not index.is_file():
        raise ConfigError(f"{index} is missing: give a folder of .osz with a songs.json that names their splits")
    return [entry for entry in json.loads(index.read_text(encoding="utf-8")) if entry["split"] == split]


def charts_of_song(folder: Path, entry: dict[str, str], min_notes: int) -> list[HumanChart]:
    """The charts of one entry with at least `min_notes` notes; its song is decoded once, and not at all without charts."""
    beatmapset = read_osz(folder / entry["file"])
    charts = [chart for chart in beatmapset.charts if len(chart) >= min_notes]
    if not charts:
        return []
    song = read_song(beatmapset.read_audio(), entry["file"])
    return [
        HumanChart(
            entry["file"],
            entry["style"],
            chart,
            stars(chart),
            replace(song, lag_ms=estimate_lag_ms(chart, song)),
        )
        for chart in charts
    ]


def measure_all(item: HumanChart, terms: Sequence[Term], seed: int = 0) -> dict[str, Measured]:
    """The terms' measures of a human chart with its own stars as the target; it is played only if a term needs plays."""
    view = view_of([item.chart], [item.song.span_ms])
    aim = np.array([item.stars])
    inputs = Inputs(aim, [item.song], counts=counts_of(view, aim))
    if any(term.needs == "plays" for term in terms):
        plays = [playtest(item.chart, item.stars, seed)]
        inputs = replace(inputs, plays=plays, lost=lost_of(view, aim, plays))
    return {term.name: term.measure(view, inputs) for term in terms}
