"""Fit the weights of metrical level, beat phase and downbeat to charts, and write them to `ear/weights/timing.json`.

    python -m ear.fitting.fit_timing ../shared/data/songs --timed RENDERED

Three multinomial logistic regressions, each over the candidates that the Ear itself finds: the multiple of the pulse
that is the beat (`ear.timing.grid.tempo`), the peak of the folded beat that is the beat's phase (`ear.timing.grid.phase`), and the rotation
of the bar that starts on the downbeat (`ear.timing.meter`). The answers are the charts' own red lines, after the lag between
notes and sound. Each song counts three times: whole, its first 60 % and its last 60 %. Songs of the `val` split in
`songs.json` are left out. `--timed` adds a folder of other music to the first two questions, whose tempi and off-beats maps do
not cover: audio files and a `timing.json`, a list of {file, beats_s}; pieces that keep no steady tempo are left out.
Prints the share of songs right when tenths of the songs are held out in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from chart.formats.osz import read_osz
from chart.model import Chart, TimingPoint
from ear.audio.decode import SAMPLE_RATE, Audio, load_audio
from ear.audio.onset import OnsetStrength, estimate_lag_ms, onset_strength
from ear.fitting.annotated_audio import Material
from ear.fitting.softmax import Example, fit_softmax, held_out_share
from ear.timing.grid.phase import phase_features
from ear.timing.grid.tempo import (
    candidate_features,
    locally_normalized,
    onset_spectrum,
    refine_tempo,
    strongest_pulse_hz,
)
from ear.timing.grid.weights import BUNDLED, update_weights
from ear.timing.meter import COMMON_METER, beat_features, rotations, timbre_chroma
from runtime.command import Command, use_utf8
from runtime.errors import ConfigError, Mania4KError
from runtime.progress import progress

PARTS = ((0.0, 1.0), (0.0, 0.6), (0.4, 1.0))
"""(start, end) of the parts of a song that are fitted on, as shares of its length."""

MIN_STEADY_SHARE = 0.9
"""Songs are used where one tempo holds for this share of the chart."""

MIN_LAG_CONFIDENCE = 0.7
MAX_PHASE_ERROR_MS = 10.0
MAX_TEMPO_ERROR = 1e-2
"""A candidate is the chart's answer when it is this near to it; songs without one are not used."""

MIN_TIMED_BEATS = 20
STEADY_INTERVAL = 3e-3
"""Nine tenths of a steady piece's intervals are within this share of its median one."""

CHART_COPIES = 2
"""Weight of a chart relative to other pieces: with one, `train` charts lose as much as the pieces gain."""

PENALTY = {"beat_level": 0.01, "beat_phase": 0.001, "downbeat": 0.3}
"""Weight of the squared weights, chosen by the held-out share."""


@dataclass(frozen=True, slots=True)
class Truth:
    """The steadiest stretch of a chart, in audio time."""

    beat_hz: float
    beat_ms: float  # time of one downbeat, as it sounds


def main_red_line(chart: Chart) -> tuple[TimingPoint, float, float]:
    """The red line whose tempo rules longest, the end of its longest stretch in ms, and its tempo's share of time."""
    lines = chart.red_lines
    ends = [line.time_ms for line in lines[1:]] + [max(chart.last_ms, lines[-1].time_ms + 1)]
    spans: dict[float, float] = {}
    for line, end in zip(lines, ends, strict=True):
        key = round(line.beat_length_ms, 3)
        spans[key] = spans.get(key, 0.0) + max(0.0, end - line.time_ms)
    main = max(spans, key=lambda key: spans[key])
    stretches = [pair for pair in zip(lines, ends, strict=True) if round(pair[0].beat_length_ms, 3) == main]
    line, end = max(stretches, key=lambda pair: pair[1] - pair[0].time_ms)
    return line, end, spans[main] / max(sum(spans.values()), 1e-9)


@dataclass(frozen=True, slots=True, eq=False)
class SteadySong:
    """A song whose chart keeps one tempo."""

    audio: Audio
    onset: OnsetStrength = field(repr=False)
    beat_ms: NDArray[np.float64] = field(repr=False)  # [beat ≥ 2], in audio time


def steady_song(path: Path) -> SteadySong | None:
    """The song of a beatmap set; None where its chart keeps no tempo or its lag is not sure."""
    beatmapset = read_osz(path)
    if not beatmapset.charts or not beatmapset.charts[0].red_lines:
        return None
    line, end_ms, share = main_red_line(beatmapset.charts[0])
    if share < MIN_STEADY_SHARE:
        return None
    audio = load_audio(beatmapset.read_audio(), name=path.name)
    onset = onset_strength(audio.samples, audio.sample_rate)
    lag = estimate_lag_ms(onset, np.unique(np.concatenate([chart.time_ms for chart in beatmapset.charts])))
    beat_ms = np.arange(max(line.time_ms, 0.0), end_ms, line.beat_length_ms) + lag.lag_ms
    return SteadySong(audio, onset, beat_ms) if lag.confidence >= MIN_LAG_CONFIDENCE and beat_ms.size > 1 else None


def examples_of(song: int, audio: Audio, charts: tuple[Chart, ...]) -> Iterator[tuple[str, Example]]:
    """(weights' name, example) of each question that the song can answer."""
    line, end_ms, share = main_red_line(charts[0])
    if share < MIN_STEADY_SHARE:
        return
    onset = onset_strength(audio.samples, audio.sample_rate)
    strength = locally_normalized(onset)
    note_ms = np.unique(np.concatenate([chart.time_ms for chart in charts]))
    note_ms = note_ms[(note_ms >= line.time_ms - 1) & (note_ms < end_ms)]
    lag = estimate_lag_ms(onset, note_ms)
    yield from level_examples(song, strength, 1000 / line.beat_length_ms)
    if lag.confidence < MIN_LAG_CONFIDENCE:
        return
    truth = Truth(1000 / line.beat_length_ms, _middle_downbeat_ms(line, note_ms) + lag.lag_ms)
    for part in _parts(strength, truth):
        yield from _beat_examples(song, part, audio.samples)


def _middle_downbeat_ms(line: TimingPoint, note_ms: NDArray[np.float64]) -> float:
    """A downbeat amid the notes, where a small error of the tempo shifts it least."""
    bar_ms = line.beat_length_ms * COMMON_METER
    return line.time_ms + round((float(np.median(note_ms)) - line.time_ms) / bar_ms) * bar_ms


def level_examples(song: int, strength: NDArray[np.float32], beat_hz: float) -> Iterator[tuple[str, Example]]:
    """(weights' name, example) of the beat level, from locally normalized onset strength [band, frame of 1 ms]."""
    for start, end in PARTS:
        part = strength[:, int(start * strength.shape[1]) : int(end * strength.shape[1])]
        spectrum = onset_spectrum(part, 1.0)
        pulse_hz = refine_tempo(part.sum(axis=0), 1.0, strongest_pulse_hz(spectrum, part.shape[1] / 1000)).hz
        hz, features = candidate_features(spectrum, pulse_hz)
        error = np.abs(np.log(hz / beat_hz))
        if error.min() < MAX_TEMPO_ERROR:
            yield "beat_level", Example(song, (start, end) == (0.0, 1.0), features, int(error.argmin()))


def timed_examples(song: int, audio: Audio, beat_ms: NDArray[np.float64]) -> Iterator[tuple[str, Example]]:
    """(weights' name, example) from music with known beats [beat]; none where it keeps no steady tempo."""
    interval = np.diff(beat_ms)
    if interval.size < MIN_TIMED_BEATS:
        return
    typical = float(np.median(interval))
    if np.percentile(np.abs(interval / typical - 1), 90) <= STEADY_INTERVAL:
        strength = locally_normalized(onset_strength(audio.samples, audio.sample_rate))
        yield from level_examples(song, strength, 1000 / typical)
        for part in _parts(strength, Truth(1000 / typical, float(beat_ms[beat_ms.size // 2]))):
            if found := phase_example(song, part):
                yield "beat_phase", found.example


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A stretch of a steady piece; times count from its start."""

    start: float  # as shares of the piece's length
    end: float
    strength: NDArray[np.float32] = field(repr=False)  # locally_normalized, [band, frame of 1 ms]
    truth: Truth


def _parts(strength: NDArray[np.float32], truth: Truth) -> Iterator[Part]:
    """The `PARTS` of a piece with locally normalized onset strength [band, frame of 1 ms], each with its own finest tempo."""
    for start, end in PARTS:
        first, last = int(start * strength.shape[1]), int(end * strength.shape[1])
        part = strength[:, first:last]
        beat_hz = refine_tempo(part.sum(axis=0), 1.0, truth.beat_hz, 1.5e-4).hz
        yield Part(start, end, part, Truth(beat_hz, truth.beat_ms - first))


@dataclass(frozen=True, slots=True)
class FoundPhase:
    """The peak of the fold that is the beat, and the example that it makes."""

    peak_ms: float
    example: Example


def phase_example(song: int, part: Part) -> FoundPhase | None:
    """Example of the folded beat's peak that is nearest to the true beat; None where none is near enough."""
    beat_ms = 1000 / part.truth.beat_hz
    peaks, features = phase_features(part.strength, 1.0, beat_ms)
    error = (peaks - part.truth.beat_ms + beat_ms / 2) % beat_ms - beat_ms / 2
    best = int(np.abs(error).argmin())
    if abs(error[best]) > MAX_PHASE_ERROR_MS:
        return None
    return FoundPhase(float(peaks[best]), Example(song, (part.start, part.end) == (0.0, 1.0), features, best))


def _beat_examples(song: int, part: Part, samples: NDArray[np.float32]) -> Iterator[tuple[str, Example]]:
    """(weights' name, example) of the beat's phase and of the downbeat, with the whole piece's `samples` [sample]."""
    found = phase_example(song, part)
    if found is None:
        return
    yield "beat_phase", found.example
    beat_ms = 1000 / part.truth.beat_hz
    beats = np.arange(found.peak_ms, part.strength.shape[1] - beat_ms, beat_ms)
    downbeat = round((part.truth.beat_ms - found.peak_ms) / beat_ms) % COMMON_METER
    cut = slice(int(part.start * samples.size), int(part.end * samples.size))
    bars = beat_features(part.strength, 1.0, timbre_chroma(samples[cut], SAMPLE_RATE), beats)
    yield "downbeat", Example(song, found.example.whole, rotations(bars, COMMON_METER), downbeat)


def examples_in(material: Material) -> dict[str, list[Example]]:
    """Examples from beatmap sets and other music, by the name of the weights that are fitted on them."""
    examples: dict[str, list[Example]] = {name: [] for name in PENALTY}
    pieces = material.pieces()
    for song, piece in enumerate(progress(pieces, "reading pieces") if pieces else []):
        try:
            for name, example in timed_examples(song, load_audio(piece.path), piece.beat_ms):
                examples[name].append(example)
        except Mania4KError as error:
            click.echo(f"skipped: {error}", err=True)
    for song, path in enumerate(progress(material.sets(), "reading songs"), start=len(pieces)):
        try:
            beatmapset = read_osz(path)
            audio = load_audio(beatmapset.read_audio(), name=path.name)
        except Mania4KError as error:
            click.echo(f"skipped: {error}", err=True)
            continue
        if beatmapset.charts and beatmapset.charts[0].red_lines:
            for name, example in examples_of(song, audio, beatmapset.charts):
                examples[name] += [example] * (CHART_COPIES if pieces else 1)
    if not all(examples.values()):
        raise ConfigError(f"{material.folder}: no song with one steady tempo to learn from; give more songs")
    return examples


def fit(examples: dict[str, list[Example]]) -> tuple[dict[str, NDArray[np.float64]], dict[str, str]]:
    """(weights, held-out shares as text), each by name of the weights."""
    weights, report = {}, {}
    for name, found in examples.items():
        weights[name] = fit_softmax(found, PENALTY[name])
        share = held_out_share(found, lambda part, name=name: fit_softmax(part, PENALTY[name]))  # type: ignore[misc]
        report[name] = f"held-out share right {share:.3f}"
    return weights, report


def sources_and_output(command: Callable[..., None]) -> Callable[..., None]:
    """The argument and options of a command that fits weights to songs and writes them."""
    there, file = click.Path(exists=True, file_okay=False, path_type=Path), click.Path(dir_okay=False, path_type=Path)
    for option in (
        click.argument("folder", type=there),
        click.option(
            "-o",
            "--output",
            type=file,
            default=BUNDLED,
            show_default="ear/weights/timing.json",
            help="Weights file; arrays that are not fitted stay.",
        ),
        click.option("--timed", type=there, multiple=True, help="More music, with a timing.json or rhythm.json."),
        click.option("--not-in", type=there, help="A training set: leave its pieces out."),
    ):
        command = option(command)
    return command


@click.command(cls=Command)
@sources_and_output
def main(output: Path, **material: Any) -> None:
    """Fit metrical level, phase and downbeat to the beatmap sets in FOLDER."""
    use_utf8()
    weights, report = fit(examples_in(Material(**material)))
    update_weights(output, weights, report)
    click.echo("\n".join(f"{name}: {line}" for name, line in report.items()))


if __name__ == "__main__":
    main()
