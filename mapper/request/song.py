"""The input of generation: a song with its timing and names, from an audio file or from an existing map."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from chart.formats.osz import read_osz
from chart.formats.read import audio_beside, read_charts, read_timing_charts
from chart.model import MACHINE_MADE_TAGS, Chart, Metadata, TimingPoint
from ear.audio.clock import OSU_CLOCK_MS, from_osu_clock, to_osu_clock
from ear.audio.decode import Audio, read_tags
from ear.audio.onset import estimate_lag_ms
from ear.audio.shared import audio_of, onset_of
from ear.given_timing import GivenTiming, doubt_of
from ear.song_timing import time_song
from mapper.request.names import metadata_of, title_and_artist
from mapper.request.options import GenerateConfig
from mapper.request.timing_file import read_timing
from mapper.sampling.song_analysis import SongAnalysis, measured
from runtime.errors import ConfigError

MIN_MAPPED_MS = 1000.0
"""Length of the song that must remain after --audio-start."""
SURE_LAG = 0.5
"""Confidence below which osu!'s lag is used instead of the map's measured one."""


@dataclass(frozen=True)
class GenerationInput:
    """A song ready to be mapped; its grid, and so every chart, is on the clock of the charts' format."""

    song: SongAnalysis
    audio_path: Path
    metadata: Metadata
    map_path: Path | None = None
    map_charts: tuple[Chart, ...] = ()  # of `map_path`; without notes where it has no 4K charts
    doubt: str = ""  # why the timing should be checked, for the user


@contextmanager
def open_input(
    config: GenerateConfig, report: Callable[[float], None] = lambda share: None
) -> Iterator[GenerationInput]:
    """Decode the song (or that of the map) and find or read its timing; its files are there until the block ends."""
    if config.from_map is None:
        assert config.song is not None, "checked by GenerateConfig"
        yield _of_audio(config.song, config, report)
        return
    charts = tuple(read_timing_charts(config.from_map))
    if config.section is not None and not len(charts[0]):
        read_charts(config.from_map)  # raises the reason why it has no 4K chart
    if config.song is not None:
        yield _of_map(charts, config.song, config, report)
    elif config.from_map.suffix.lower() == ".osz":
        with read_osz(config.from_map).audio_file() as path:
            yield _of_map(charts, path, config, report)
    else:
        yield _of_map(charts, audio_beside(config.from_map, charts[0]), config, report)


def _of_audio(path: Path, config: GenerateConfig, report: Callable[[float], None]) -> GenerationInput:
    audio = _load(path, config, report)
    with ThreadPoolExecutor(1) as pool:  # the sound is measured beside its timing
        beside = pool.submit(measured, audio)
        points, confidence, doubt = _timing_of(audio, config)
        beside.result()
    title, artist = title_and_artist(read_tags(path), path)
    names = metadata_of(
        config.title or title,
        config.artist or artist,
        config.creator or "mania4k",
        config.title_romanised,
        config.artist_romanised,
    )
    report(0.7)
    song = SongAnalysis.of(audio, points, -OSU_CLOCK_MS, config.audio_start * 1000, confidence)
    return GenerationInput(song, path, names, doubt=doubt)


def _timing_of(audio: Audio, config: GenerateConfig) -> tuple[tuple[TimingPoint, ...], float, str]:
    """(timing points on osu!'s clock, confidence, doubt), read where a file is given, else estimated."""
    if config.timing is not None:
        return read_timing(config.timing), 1.0, ""
    offset_ms = None if config.offset is None else from_osu_clock(config.offset)
    timing = GivenTiming(config.bpm, offset_ms, config.tempo).apply(time_song(audio).timing, audio)
    points = tuple(replace(point, time_ms=to_osu_clock(point.time_ms)) for point in timing.points)
    return points, timing.confidence, doubt_of(timing)


def _of_map(
    charts: tuple[Chart, ...], path: Path, config: GenerateConfig, report: Callable[[float], None]
) -> GenerationInput:
    audio = _load(path, config, report)
    first = charts[0]
    lag_ms = -OSU_CLOCK_MS
    if len(first):
        lag = estimate_lag_ms(onset_of(audio), first.time_ms)
        lag_ms = lag.lag_ms if lag.confidence >= SURE_LAG else lag_ms
    names = metadata_of(
        config.title or first.metadata.title_unicode or first.metadata.title,
        config.artist or first.metadata.artist_unicode or first.metadata.artist,
        config.creator or first.metadata.creator,
        config.title_romanised or ("" if config.title else first.metadata.title),
        config.artist_romanised or ("" if config.artist else first.metadata.artist),
    )
    tags = dict.fromkeys((*first.metadata.tags, *MACHINE_MADE_TAGS))  # in order, each once
    names = replace(names, source=first.metadata.source, tags=tuple(tags))
    report(0.7)
    song = SongAnalysis.of(audio, first.red_lines, lag_ms, config.audio_start * 1000)
    return GenerationInput(song, path, names, config.from_map, charts)


def _load(path: Path, config: GenerateConfig, report: Callable[[float], None]) -> Audio:
    audio = audio_of(path)
    if config.audio_start * 1000 > audio.duration_ms - MIN_MAPPED_MS:
        raise ConfigError(
            f"--audio-start {config.audio_start:g}: the song is only {audio.duration_ms / 1000:.1f} s long"
        )
    report(0.3)
    return audio
