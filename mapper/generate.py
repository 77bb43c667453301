"""From a song to an `.osz`: `python -m mapper.generate song.ogg --stars 2 3.5 5 -o song.osz`.

Hears the timing, writes one difficulty for each star rating asked, and packs them with the song. Everything is worked
out before the file is written, in one piece; a failure leaves nothing behind. The same song, options, seed and
machine give the same charts (and the same file, unless the song had to be encoded anew: see mapper.packing).
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from chart.command import Command, NumbersOption, stages, use_utf8
from chart.errors import ConfigError
from chart.grid import SLOTS_PER_CELL, Grid, make_grid
from chart.model import Chart
from chart.osz import write_osz
from chart.saving import check_writable
from chart.stars import stars
from ear.audio import load_audio, read_tags
from ear.clock import OSU_CLOCK_MS
from ear.timing import find_timing
from mapper.aim import AimConfig, Song, write_charts
from mapper.checkpoint import load_mapper
from mapper.features import song_features
from mapper.finishing import finish, metadata_of, preview_point_ms
from mapper.packing import playable_audio

MIN_MAPPED_MS = 1000.0
"""At least this much of the song must remain behind --audio-start."""
MIN_STARS, MAX_STARS = 0.5, 10.0
MAX_DIFFICULTIES = 16
DEFAULT_STARS = (2.0, 3.5, 5.0)
DOUBTFUL_TIMING = 0.3
"""Timing confidence below which the user is told to look."""
MISSED_STARS = 0.25
"""Star error above which the user is told."""


@dataclass(frozen=True)
class GenerateConfig:
    """What to generate; the field names are the options of the command."""

    song: Path
    out: Path
    stars: tuple[float, ...] = DEFAULT_STARS
    seed: int = 0
    title: str = ""  # empty: the song's tag, else its file name
    artist: str = ""  # empty: the song's tag, else "Unknown Artist"
    creator: str = "mania4k"
    audio_start: float = 0.0  # seconds before which no note falls
    style: str = "keyboard"
    checkpoint: Path | None = None  # None: the bundled mapper

    def __post_init__(self) -> None:
        if not self.stars or len(self.stars) > MAX_DIFFICULTIES:
            raise ConfigError(f"--stars takes 1 to {MAX_DIFFICULTIES} star ratings, not {len(self.stars)}")
        for value in self.stars:
            if not (math.isfinite(value) and MIN_STARS <= value <= MAX_STARS):
                raise ConfigError(f"--stars {value:g}: ask for {MIN_STARS:g} to {MAX_STARS:g} stars")
        if not (math.isfinite(self.audio_start) and self.audio_start >= 0):
            raise ConfigError(f"--audio-start {self.audio_start:g}: must be 0 or more seconds")
        if self.seed < 0:
            raise ConfigError(f"--seed {self.seed}: must be 0 or more")
        if self.out.suffix.lower() != ".osz":
            raise ConfigError(f"--out {self.out}: the name must end in .osz")


@dataclass(frozen=True)
class Generated:
    """A set that was written, easiest difficulty first."""

    path: Path
    charts: tuple[Chart, ...]
    asked: tuple[float, ...]  # [chart], stars
    stars: tuple[float, ...]  # [chart], official rating of the chart as written
    bpm: float
    confidence: float  # of the timing, 0–1


def generate(config: GenerateConfig, report: Callable[[str, float], None] = lambda stage, share: None) -> Generated:
    """Write the set; `report` is told the stage ("hear", "write", "pack") and the share of it that is done.

    Raises AudioFileError, CheckpointError, ConfigError or OutputError, each before anything is written.
    """
    report("hear", 0.0)
    check_writable(config.out)
    model = load_mapper(config.checkpoint)
    audio = load_audio(config.song)
    if config.audio_start * 1000 > audio.duration_ms - MIN_MAPPED_MS:
        raise ConfigError(
            f"--audio-start {config.audio_start:g}: the song is only {audio.duration_ms / 1000:.1f} s long"
        )
    features = song_features(audio)
    report("hear", 0.3)
    timing = find_timing(audio)
    song = Song(
        grid=make_grid(timing.points, 0.0, audio.duration_ms),
        timing_points=timing.points,
        features=features,
        first_ms=config.audio_start * 1000,
    )
    report("hear", 1.0)
    aim = AimConfig(seed=config.seed, style=config.style)
    written = write_charts(model, song, config.stars, aim, lambda share: report("write", share))
    report("pack", 0.0)
    charts = [whole_ms(candidate.chart.shifted(OSU_CLOCK_MS)) for candidate in written]
    ratings = [stars(chart) for chart in charts]
    preview_ms = preview_point_ms(features, downbeats_ms(song.grid)) + round(OSU_CLOCK_MS)
    charts = finish(charts, ratings, metadata_of(*names_of(config)), preview_ms)
    with tempfile.TemporaryDirectory() as folder:
        write_osz(charts, playable_audio(config.song, Path(folder)), config.out)
    report("pack", 1.0)
    asked = tuple(candidate.target for candidate in written)
    return Generated(config.out, tuple(charts), asked, tuple(ratings), timing.bpm, timing.confidence)


def whole_ms(chart: Chart) -> Chart:
    """The chart as the game will read it: times rounded as the writer does, timing points kept exact."""
    return replace(chart, time_ms=np.round(chart.time_ms), end_ms=np.round(chart.end_ms))


def downbeats_ms(grid: Grid) -> NDArray[np.float64]:
    """[bar], the time of each bar's first slot."""
    first_slots = grid.slot_ms[::SLOTS_PER_CELL]
    return first_slots[(grid.beat_in_bar == 0) & (grid.quarter == 0)]


def names_of(config: GenerateConfig) -> tuple[str, str, str]:
    """(title, artist, creator): as asked, else the song's tags, else its file name."""
    tags = read_tags(config.song)
    return (
        config.title or tags.title or config.song.stem,
        config.artist or tags.artist or "Unknown Artist",
        config.creator,
    )


def print_summary(result: Generated) -> None:
    """A table of the difficulties on stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{result.bpm:.2f} BPM, timing confidence {result.confidence:.0%}")
    for heading in ("difficulty", "stars asked", "stars", "notes", "holds", "notes/s", "peak notes/s"):
        table.add_column(heading, justify="left" if heading == "difficulty" else "right")
    for chart, asked, got in zip(result.charts, result.asked, result.stars, strict=True):
        span_s = max(chart.last_ms - chart.time_ms[0], 1000) / 1000
        table.add_row(
            chart.metadata.version,
            f"{asked:.2f}",
            f"{got:.2f}",
            f"{len(chart)}",
            f"{chart.is_hold.mean():.0%}",
            f"{len(chart) / span_s:.1f}",
            f"{peak_density(chart):.0f}",
        )
    Console().print(table)
    if result.confidence < DOUBTFUL_TIMING:
        click.echo("warning: the beat was hard to find; check the timing in osu!'s editor before playing", err=True)
    for asked, got in zip(result.asked, result.stars, strict=True):
        if abs(got - asked) > MISSED_STARS:
            click.echo(f"warning: {asked:g} stars were asked, {got:.2f} is what the song allowed", err=True)
    click.echo(result.path)


def peak_density(chart: Chart, window_ms: float = 2000.0) -> float:
    """Notes a second in the densest two seconds."""
    until = np.searchsorted(chart.time_ms, chart.time_ms + window_ms)
    return float((until - np.arange(len(chart))).max() / (window_ms / 1000))


@click.command(cls=Command, help="Write an .osz with 4K difficulties for SONG (mp3, ogg, opus, flac or wav).")
@click.argument("song", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The .osz to write; default: the song's name.")
@click.option("--stars", cls=NumbersOption, default=DEFAULT_STARS, help="One difficulty each: --stars 2 3.5 5")
@click.option("--seed", default=0, show_default=True, help="Another seed writes other charts.")
@click.option("--title", default="", help="Default: the song's tag, else its file name.")
@click.option("--artist", default="", help="Default: the song's tag.")
@click.option("--creator", default="mania4k", show_default=True, help="Name of the mapper shown in the game.")
@click.option("--audio-start", default=0.0, show_default=True, help="No note before this second of the song.")
@click.option("--style", type=click.Choice(["keyboard", "pad"]), default="keyboard", show_default=True)
@click.option(
    "--checkpoint", type=click.Path(path_type=Path), help="A mapper trained by you; default: the bundled one."
)
def main(song: Path, out: Path | None, **options: Any) -> None:
    use_utf8()
    config = GenerateConfig(song=song, out=out or Path(song.name).with_suffix(".osz"), **options)
    with stages({"hear": "Hearing the song", "write": "Writing charts", "pack": "Packing"}) as report:
        result = generate(config, report)
    print_summary(result)


if __name__ == "__main__":
    main()
