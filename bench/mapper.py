"""Onset F1 of generated charts against human ones: `python -m bench.mapper DATA --songs FOLDER`.

For every chart of the `val` split, the mapper writes a chart with the same stars and style, as dense as the human's
(the nearest of two rounds of rate biases), once on the map's own timing and once on the Ear's. Onset F1
counts rows with note heads, any column, at ±20 and ±50 ms, beside the best constant grid chosen in hindsight. The
constant lag between a map's notes and its sound is taken out on both sides. `bench.onset_baselines` has baselines.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from bench.onset_baselines import NAMES, heads, nearest_other, no_sound, other_chart, shuffled, wrong_song
from bench.onsets import f1, grid_f1
from bench.report import print_json
from chart.formats.osz import read_osz
from chart.grid import Grid, make_grid
from ear.audio.decode import load_audio
from ear.song_timing import time_song
from mapper.data.corpus import Corpus, open_corpus
from mapper.network.checkpoint import load_mapper
from mapper.network.model import Mapper
from mapper.sampling.encode_song import SongEncoding, encode_song
from mapper.sampling.sampler import Sampling, write_rows
from mapper.tokens.conditioning_vector import Controls
from mapper.tokens.row_codes import Rows
from mapper.tokens.vocabulary import STYLES
from runtime.command import Command, use_utf8
from runtime.progress import progress

TOLERANCES_MS = (20.0, 50.0)
BIASES = (np.array([-3.2, -1.6, -0.8, -0.4, 0.0, 0.4, 0.8]), np.array([-0.1, 0.0, 0.1]))
"""Log-odds of the first round of charts, and around the best estimate of the second: the human's density is met within 1 %."""
STAR_BANDS = (0.0, 2.0, 2.7, 4.0, 5.3, 6.5, 99.0)
STAR_REACHES = {"below 1.8": (0.0, 1.8), "1.8 to 2.5": (1.8, 2.5), "from 2.5": (2.5, 99.0)}
"""Stars below which charts follow one voice, and from which people's charts agree with one another."""
BAND_NAMES = ("Easy", "Normal", "Hard", "Insane", "Expert", "Expert+")


@dataclass(frozen=True)
class Score:
    """One human chart and the chart that the mapper wrote for it."""

    style: str
    band: str
    stars: float
    density_ratio: float  # rows written / rows of the human
    mapper: tuple[float, ...]  # F1 at each tolerance
    grid: tuple[float, ...]  # the best constant grid's


@dataclass(frozen=True)
class Timing:
    """A grid, and the lags of the human's notes and of the sound after it."""

    grid: Grid
    notes_after_ms: float
    sound_after_ms: float


def score_song(
    model: Mapper, corpus: Corpus, charts: list[int], timing: Timing, features: NDArray[np.uint8], seed: int
) -> list[Score]:
    """Write all charts of a song with these `features` side by side and score them."""
    entries = [corpus.charts[chart] for chart in charts]
    controls = Controls(
        [entry.stars for entry in entries],
        [entry.notes_per_s for entry in entries],
        np.full(len(entries), np.nan),
        [entry.style for entry in entries],
    )
    encoding = encode_song(model, timing.grid, features, timing.sound_after_ms, controls)
    humans = [heads_ms(corpus.chart_rows(chart), corpus.grid(chart)) - timing.notes_after_ms for chart in charts]
    nearest = at_density(model, encoding, [len(human_ms) for human_ms in humans], seed)
    return [
        score(heads_ms(rows, timing.grid), human_ms, timing.grid, entry.stars, STYLES[entry.style])
        for rows, human_ms, entry in zip(nearest, humans, entries, strict=True)
    ]


def at_density(model: Mapper, encoding: SongEncoding, wanted: list[int], seed: int) -> list[Rows]:
    """One chart for each encoding, with as nearly `wanted` rows with note heads as two rounds of biases give."""
    tried = _try_biases(model, encoding, np.zeros(len(wanted)), BIASES[0], seed)
    second = _try_biases(model, encoding, _biases_for(tried, wanted), BIASES[1], seed + 1)
    return [
        min((rows for _, rows in one + other), key=lambda rows: abs(_heads(rows) - count))
        for one, other, count in zip(tried, second, wanted, strict=True)
    ]


def biases_at_density(model: Mapper, encoding: SongEncoding, wanted: list[int], seed: int) -> NDArray[np.float64]:
    """[chart] rate biases at which charts have about `wanted` rows with note heads."""
    return _biases_for(_try_biases(model, encoding, np.zeros(len(wanted)), BIASES[0], seed), wanted)


def _try_biases(
    model: Mapper, encoding: SongEncoding, middle: NDArray, offsets: NDArray, seed: int
) -> list[list[tuple[float, Rows]]]:
    """Charts sampled at each of the biases around the chart's `middle`."""
    chart = np.repeat(np.arange(middle.size), offsets.size)
    bias = middle[chart] + np.tile(offsets, middle.size)
    written = write_rows(model, encoding.repeated(chart.tolist()), Sampling(seed, bias))
    tried = list(zip(bias.tolist(), written, strict=True))
    return [tried[first : first + offsets.size] for first in range(0, len(tried), offsets.size)]


def _heads(rows: Rows) -> int:
    return heads(rows).size


def _biases_for(tried: list[list[tuple[float, Rows]]], wanted: list[int]) -> NDArray[np.float64]:
    """[chart] the bias at which a line through the chart's tries gives the wanted number of rows."""
    found = np.zeros(len(wanted))
    for chart, (tries, number) in enumerate(zip(tried, wanted, strict=True)):
        bias, count = np.array([one for one, _ in tries]), np.array([_heads(rows) for _, rows in tries])
        order = np.argsort(count)
        found[chart] = np.interp(number, count[order], bias[order]) if np.ptp(count) else 0.0
    return found


def score(found_ms: NDArray, human_ms: NDArray, grid: Grid, stars: float, style: str) -> Score:
    return Score(
        style=style,
        band=BAND_NAMES[int(np.searchsorted(STAR_BANDS, stars, side="right")) - 1],
        stars=stars,
        density_ratio=len(found_ms) / len(human_ms),
        mapper=tuple(f1(found_ms, human_ms, tolerance) for tolerance in TOLERANCES_MS),
        grid=tuple(grid_f1(grid, human_ms, tolerance) for tolerance in TOLERANCES_MS),
    )


def heads_ms(rows: Rows, grid: Grid) -> NDArray[np.float64]:
    """Times of the rows with note heads."""
    return grid.slot_ms[heads(rows)]


def song_timing(corpus: Corpus, chart: int, songs: Path | None) -> Timing:
    """The map's own timing, or with `songs` the Ear's from the audio there."""
    song = corpus.songs[corpus.charts[chart].song]
    if songs is None:
        return Timing(corpus.grid(chart), 0.0, song.lag_ms)
    audio = load_audio(read_osz(songs / song.name).read_audio(), name=song.name)
    return Timing(make_grid(time_song(audio).timing.points, 0.0, audio.duration_ms), -song.lag_ms, 0.0)


def measure(model: Mapper, corpus: Corpus, songs: Path | None, seed: int, what: str) -> list[Score]:
    """Scores of all `val` charts; charts of a song with the same timing are written together."""
    together: dict[tuple, list[int]] = defaultdict(list)
    for chart in corpus.split("val"):
        entry = corpus.charts[chart]
        together[entry.song, entry.red_lines if songs is None else ()].append(chart)
    scores = []
    for charts in progress(list(together.values()), what):
        timing = song_timing(corpus, charts[0], songs)
        scores += score_song(model, corpus, charts, timing, corpus.features(charts[0]), seed)
    return scores


def measure_baselines(model: Mapper, corpus: Corpus, seed: int) -> dict[str, float]:
    """F1@20 ms by name of `bench.onset_baselines`, mean over the `val` charts, on the map's timing."""
    charts = corpus.split("val")
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    for chart in progress(charts, "baselines"):
        entry, grid, slots = corpus.charts[chart], corpus.grid(chart), heads(corpus.chart_rows(chart))
        features, other = np.asarray(corpus.features(chart)), nearest_other(corpus, charts, entry)
        timing, human_ms = song_timing(corpus, chart, None), grid.slot_ms[slots]
        for name, sound in (
            ("no sound", no_sound(features)),
            ("wrong song", wrong_song(features, np.asarray(corpus.features(other)))),
        ):
            found[name].append(score_song(model, corpus, [chart], timing, sound, seed)[0].mapper[0])
        mixed = shuffled(slots, grid, np.random.default_rng([seed, chart]))
        theirs = other_chart(slots, grid, heads(corpus.chart_rows(other)), corpus.grid(other))
        found["shuffled"].append(f1(grid.slot_ms[mixed], human_ms, TOLERANCES_MS[0]))
        found["other chart"].append(f1(grid.slot_ms[theirs], human_ms, TOLERANCES_MS[0]))
    return {name: round(float(np.mean(values)), 4) for name, values in found.items()}


def summary(scores: list[Score]) -> dict[str, dict[str, float]]:
    """Means over charts: all, by style, by difficulty."""
    groups: dict[str, list[Score]] = defaultdict(list)
    for one in scores:
        reaches = [name for name, (low, high) in STAR_REACHES.items() if low <= one.stars < high]
        for name in ("all", one.style, one.band, *reaches):
            groups[name].append(one)
    order = ["all", *STYLES, *STAR_REACHES, *BAND_NAMES]
    return {name: _means(groups[name]) for name in order if name in groups}


def _means(scores: list[Score]) -> dict[str, float]:
    means: dict[str, float] = {"charts": len(scores)}
    for index, tolerance in enumerate(TOLERANCES_MS):
        means[f"f1_{tolerance:.0f}"] = round(float(np.mean([one.mapper[index] for one in scores])), 4)
        means[f"grid_{tolerance:.0f}"] = round(float(np.mean([one.grid[index] for one in scores])), 4)
    means["density_ratio"] = round(float(np.mean([one.density_ratio for one in scores])), 3)
    return means


def print_table(title: str, figures: dict[str, dict[str, float]]) -> None:
    print(f"\n{title}\n{'':12}{'charts':>8}{'F1@20':>8}{'grid':>8}{'F1@50':>8}{'grid':>8}{'density':>9}")
    for name, row in figures.items():
        values = f"{row['f1_20']:8.3f}{row['grid_20']:8.3f}{row['f1_50']:8.3f}{row['grid_50']:8.3f}"
        print(f"{name:12}{row['charts']:8.0f}{values}{row['density_ratio']:9.2f}")


@click.command(cls=Command, help="Onset F1 on the val split of the dataset DATA.")
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--songs", type=click.Path(path_type=Path), help="Folder of the .osz files, to measure on our own timing too."
)
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Default: the bundled mapper.")
@click.option(
    "--baselines/--no-baselines", default=True, show_default=True, help="Also baselines that must score much worse."
)
@click.option("--seed", default=0, show_default=True)
def main(data: Path, songs: Path | None, checkpoint: Path | None, baselines: bool, seed: int) -> None:
    use_utf8()
    model, corpus = load_mapper(checkpoint), open_corpus(data)
    worse = measure_baselines(model, corpus, seed) if baselines else {}
    figures = {"given_timing": summary(measure(model, corpus, None, seed, "given timing"))}
    if songs:
        figures["own_timing"] = summary(measure(model, corpus, songs, seed, "own timing"))
    for title, table in figures.items():
        print_table(title.replace("_", " "), table)
    for name, value in worse.items():
        print(f"{name:18}{value:8.3f}")
    print_json("mapper", {"seed": seed, "baselines": worse, **figures})


if __name__ == "__main__":
    main()
