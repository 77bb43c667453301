"""A chart's song for the page: its file, its analysis for the review, and the lag of its sound after the notes."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from chart.formats.osz import read_osz_audio
from chart.formats.parsing import read_bytes
from chart.formats.read import audio_beside
from chart.model import Chart
from ear.audio.clock import MIN_CONFIDENCE
from ear.audio.decode import Audio, load_audio
from ear.audio.onset import estimate_lag_ms
from ear.audio.shared import onset_of
from ear.audio.spectrogram import FRAMES_PER_SECOND, log_mel
from eye.rendering.sound_marks import sound_marks
from reward.core import song as reward_song
from reward.core.song import Song, song_of_mel
from runtime.errors import AudioFileError, ChartFileError

logger = logging.getLogger(__name__)

MAX_AUDIO_BYTES = 64_000_000
"""Largest song that is embedded: browsers hold it several times while they read the page."""


@dataclass(frozen=True, slots=True)
class SongFile:
    """A song as it lies in its file."""

    name: str  # a file name; its suffix tells the format
    data: bytes


@dataclass(frozen=True)
class PageSong:
    """Analysis of a song for the review and the page."""

    song: Song | None  # for the review; None where it cannot be decoded
    lag_ms: float  # how much later than a note its sound comes
    marks: tuple[dict[str, Any], ...] = ()  # of eye.rendering.sound_marks
    duration_ms: float = np.inf
    doubt: str = ""  # why the timing should be checked and how, shown above the chart


def song_of(path: Path, chart: Chart, audio: Path | None = None) -> SongFile | None:
    """The song of a chart file: `audio` if given, else the set's own or the one beside; None (and a word) without."""
    try:
        if audio is not None:
            return SongFile(audio.name, read_bytes(audio, MAX_AUDIO_BYTES))
        if path.suffix.lower() == ".osz":
            return SongFile(chart.audio_filename, read_osz_audio(path, chart.audio_filename))
        beside = audio_beside(path, chart)
        return SongFile(beside.name, read_bytes(beside, MAX_AUDIO_BYTES))
    except ChartFileError as error:
        if audio is not None:
            raise
        logger.warning("the page will be silent: %s", error)
        return None


def analyse_song(file: SongFile | None, chart: Chart, usual_ms: float) -> PageSong:
    """Decode a song and measure its lag against the notes of `chart`; `usual_ms` is the lag where none can be measured."""
    if file is None:
        return PageSong(None, usual_ms)
    try:
        audio = load_audio(file.data, name=file.name)
    except AudioFileError as error:
        logger.warning("reviewed without the song: %s", error)
        return PageSong(None, usual_ms)
    song = song_of_mel(log_mel(audio.samples, audio.sample_rate), FRAMES_PER_SECOND)
    lag = estimate_lag_ms(onset_of(audio), np.unique(chart.time_ms))
    return page_song_of(audio, song, chart, lag.lag_ms if lag.confidence >= MIN_CONFIDENCE else usual_ms)


def page_song_of(audio: Audio, song: Song, chart: Chart, lag_ms: float) -> PageSong:
    """Analysis of decoded audio whose sound comes `lag_ms` after the notes of `chart`.

    `song` is its onset strength, which rises some ms after the sound because its windows are long: its lag is its own.
    """
    song = replace(song, lag_ms=reward_song.estimate_lag_ms(chart, song))
    return PageSong(song, lag_ms, tuple(sound_marks(audio)), audio.duration_ms)
