"""From a song to its timing: tempo, offset, metre, from the sound alone.

    onset strength → pulse → beat level → tempo fitted to the whole song → phase of the beat → bars

All times are on the audio's clock, where an onset is when it is heard; `ear.clock` turns them into those of a chart
format. The tempo is taken as constant, or as a few constant stretches; music that keeps no steady tempo gets the
best single one, with a low confidence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chart.model import TimingPoint
from ear.audio import Audio
from ear.metre import texture
from ear.onset import FRAME_MS, OnsetStrength, onset_strength
from ear.peaks import heard_peaks
from ear.stretches import Stretch, find_stretches
from ear.tempo import balanced

if TYPE_CHECKING:
    from ear.beat_network import BeatActivations

FALLBACK_BPM = 120.0
"""Tempo of audio without any rhythm: usable, and its confidence of 0 says what it is worth."""

OMIT_BAR_LINE = 8
"""Effect bit of a red line within a bar."""

MIN_ONSETS = 8
"""Fewer onsets than this make no rhythm."""

ONSET_PEAK_SHARE, MIN_ONSET = 0.1, 0.05
"""An onset reaches this share of the song's strongest, and this strength: below, it is rounding of silence."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another beat that the song could be felt in."""

    bpm: float
    chance: float  # 0–1, among all


@dataclass(frozen=True, slots=True)
class Timing:
    """When the beats of a song are heard.

    Red lines only, in audio time, sorted, each on a downbeat; the first is the first downbeat of the audio and rules
    what comes before it too.
    """

    points: tuple[TimingPoint, ...]
    confidence: float  # 0–1; above 0.5 the grid is usually right, below 0.2 it is a guess
    alternatives: tuple[Alternative, ...] = field(default=(), repr=False)
    duration_ms: float = 0.0

    @property
    def main(self) -> TimingPoint:
        """The red line that rules longest."""
        ends = [point.time_ms for point in self.points[1:]] + [max(self.duration_ms, self.points[-1].time_ms)]
        spans = [end - point.time_ms for point, end in zip(self.points, ends, strict=True)]
        return self.points[int(np.argmax(spans))]

    @property
    def bpm(self) -> float:
        """Tempo of the main red line."""
        return self.main.bpm

    @property
    def offset_ms(self) -> float:
        """Time of the first downbeat as it is heard."""
        return self.points[0].time_ms

    @property
    def meter(self) -> int:
        """Beats a bar of the main red line."""
        return self.main.meter


@dataclass(frozen=True, slots=True, eq=False)
class Beats:
    """The beats of a timing within the audio."""

    time_ms: NDArray[np.float64]  # [beat], increasing
    position: NDArray[np.int64]  # [beat], 1 = downbeat


def beats_of(timing: Timing) -> Beats:
    """Every beat from the start of the audio to its end; each red line starts a bar unless it omits its bar line."""
    times, positions = [], []
    place = 0  # in the bar, of the next beat
    for index, point in enumerate(timing.points):
        last = index + 1 == len(timing.points)
        end_ms = timing.duration_ms if last else timing.points[index + 1].time_ms - point.beat_length_ms / 2
        first = 0 if index else -int(point.time_ms // point.beat_length_ms)
        number = np.arange(first, max(first, int(np.ceil((end_ms - point.time_ms) / point.beat_length_ms))))
        start = place if index and point.effects & OMIT_BAR_LINE else 0
        times.append(point.time_ms + number * point.beat_length_ms)
        positions.append((number + start) % point.meter + 1)
        place = start + number.size if index else int(number[-1]) + 1 if number.size else 0
    return Beats(np.concatenate(times), np.concatenate(positions))


def find_timing(audio: Audio, activations: BeatActivations | None = None) -> Timing:
    """The timing of a song; never raises for what is on it: without a rhythm the confidence is near 0.

    `activations` are what a beat network heard in it (`ear.beat_network`); without, onsets alone decide.
    """
    onset = onset_strength(audio.samples, audio.sample_rate, frame_ms=FRAME_MS)
    if count_onsets(onset) < MIN_ONSETS:
        return _fallback(onset, audio.duration_ms)
    strength = balanced(onset)
    heard = heard_peaks(activations) if activations is not None else None
    stretches = find_stretches(strength, texture(audio.samples, audio.sample_rate), heard)
    points = tuple(_red_line(stretch, first=index == 0) for index, stretch in enumerate(stretches))
    main = max(stretches, key=lambda stretch: stretch.end_ms - stretch.start_ms)
    others = tuple(Alternative(60 * hz, chance) for hz, chance in main.beats[:4] if abs(hz / main.tempo.hz - 1) > 0.01)
    return Timing(points, _confidence(stretches, audio.duration_ms), others[:3], audio.duration_ms)


def count_onsets(onset: OnsetStrength) -> int:
    """Stretches of 50 ms with a rise that reaches a share of the strongest; noise is full of them, a click has one."""
    total = onset.total
    block = max(1, round(50.0 / onset.frame_ms))
    peaks = total[: total.size // block * block].reshape(-1, block).max(axis=1)
    return int((peaks > max(ONSET_PEAK_SHARE * float(peaks.max(initial=0.0)), MIN_ONSET)).sum())


def _fallback(onset: OnsetStrength, duration_ms: float) -> Timing:
    """120 BPM from the strongest onset, with no confidence."""
    beat_ms = 60_000 / FALLBACK_BPM
    at_ms = float(onset.total.argmax()) * onset.frame_ms
    return Timing((TimingPoint(at_ms % (4 * beat_ms), beat_ms),), 0.0, (), duration_ms)


def _red_line(stretch: Stretch, *, first: bool) -> TimingPoint:
    """The red line of a stretch, on its first downbeat (of the audio, for the first stretch)."""
    beat_ms = 1000 / stretch.tempo.hz
    bar_ms = stretch.bars.meter * beat_ms
    time_ms = stretch.downbeat_ms % bar_ms if first else stretch.start_ms
    return TimingPoint(time_ms, beat_ms, stretch.bars.meter)


def _confidence(stretches: tuple[Stretch, ...], duration_ms: float) -> float:
    """Share of the song that keeps to its stretches' beats, less the doubts about level and phase."""
    total = 0.0
    for stretch in stretches:
        sure = (0.5 + 0.5 * stretch.beats[0][1]) * (0.5 + 0.5 * stretch.phase_chance) * stretch.clarity
        total += (stretch.end_ms - stretch.start_ms) * stretch.steady_share * sure
    return float(np.clip(total / max(duration_ms, 1.0), 0.0, 1.0))
