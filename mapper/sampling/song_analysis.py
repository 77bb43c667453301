"""A song as the mapper, the report and the page need it: analysed once, then handed from one to the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chart.grid import SLOTS_PER_CELL, Grid, make_grid
from chart.model import Chart, TimingPoint
from ear.audio.decode import Audio
from ear.audio.shared import once_a_song
from ear.audio.spectrogram import log_mel
from mapper.tokens.log_mel import FRAMES_PER_SECOND
from mapper.tokens.row_codes import Rows, notes_of
from mapper.tokens.song_features import song_features
from reward.core.song import Song, song_of_mel

if TYPE_CHECKING:
    from mapper.data.corpus import Corpus


@dataclass(frozen=True)
class SongAnalysis:
    """A song with its timing. Grid and timing points are on one clock, that of the charts; sound comes `lag_ms` later."""

    grid: Grid
    timing_points: tuple[TimingPoint, ...]
    features: NDArray[np.uint8]  # [frame, channel], `mapper.tokens.song_features`
    lag_ms: float = 0.0
    first_ms: float = -np.inf  # no note before this
    confidence: float = 1.0  # of the timing, 0–1; 1 where it was given
    audio: Audio | None = None
    sound: Song | None = None  # onset strength and loudness, for the review

    @staticmethod
    def of(
        audio: Audio, points: tuple[TimingPoint, ...], lag_ms: float, start_ms: float = 0.0, confidence: float = 1.0
    ) -> SongAnalysis:
        """Analyse decoded audio whose sound comes `lag_ms` after the timing points; no note before `start_ms` of audio."""
        features, sound = measured(audio)
        return SongAnalysis(
            grid=make_grid(points, -lag_ms, audio.duration_ms - lag_ms),
            timing_points=points,
            features=features,
            lag_ms=lag_ms,
            first_ms=start_ms - lag_ms if start_ms else -np.inf,
            confidence=confidence,
            audio=audio,
            sound=sound,
        )

    @staticmethod
    def of_chart(corpus: Corpus, chart: int) -> SongAnalysis:
        """The song of a chart of a dataset, by number, on the chart's own timing."""
        entry = corpus.charts[chart]
        points = entry.timing_points
        features = np.asarray(corpus.features(chart))
        return SongAnalysis(corpus.grid(chart), points, features, corpus.songs[entry.song].lag_ms)

    @cached_property
    def bpm(self) -> float:
        """Felt tempo of the timing point that lasts longest, in beats a minute."""
        lengths, counts = np.unique(self.grid.beat_ms, return_counts=True)
        return float(60_000 / lengths[np.argmax(counts * lengths)])

    @cached_property
    def downbeats_ms(self) -> NDArray[np.float64]:
        """[bar], time of each bar's first slot."""
        first_slots = self.grid.slot_ms[::SLOTS_PER_CELL]
        return first_slots[(self.grid.beat_in_bar == 0) & (self.grid.quarter == 0)]

    def chart_of(self, rows: Rows) -> Chart:
        """The chart as the game will read it: times in whole ms, timing points exact."""
        chart = Chart.from_notes(*notes_of(rows, self.grid), timing_points=self.timing_points)
        return replace(chart, time_ms=np.round(chart.time_ms), end_ms=np.round(chart.end_ms))


@once_a_song
def measured(audio: Audio) -> tuple[NDArray[np.uint8], Song]:
    """Features and sound of a song, which no timing changes: once while its `Audio` lives, however many charts it gets.

    A thread may measure them beside the timing: a second caller waits for the first.
    """
    mel = log_mel(audio.samples, audio.sample_rate)
    features = song_features(audio, mel)
    features.flags.writeable = False
    return features, song_of_mel(mel, FRAMES_PER_SECOND)
