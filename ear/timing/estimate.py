"""From a song to its timing: tempo, offset, meter, from onsets and, if given, a beat network's activations.

    onset strength → pulse → metrical level and phase → tempo fitted to the whole song → bars    (stable)
    activations → tracked beats → moved to their onsets → smoothed → bars                        (live)

All times are on the audio's clock; `ear.audio.clock` converts them to that of a chart format. `Profile` selects one of
the two; without a network there is only the first.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from chart.model import TimingPoint
from ear.audio.decode import Audio
from ear.audio.onset import FRAME_MS, OnsetStrength, onset_strength
from ear.timing.meter import timbre_chroma
from ear.timing.rubato import OMIT_BAR_LINE, RubatoBeats, rubato_beats, rubato_lines, stable_lines
from ear.timing.segments import Segment, find_segments
from ear.timing.tempo import locally_normalized
from ear.timing.tempo_range import tempo_range
from ear.tracker.dbn import MIN_FRAMES, track_beats
from ear.tracker.peak_picking import ActivationPeaks, activation_peaks, beat_agreement

if TYPE_CHECKING:
    from ear.tracker.interface import BeatActivations

Profile = Literal["auto", "stable", "live"]
PROFILES: tuple[Profile, ...] = ("auto", "stable", "live")
"""`stable`: as few red lines as fit the song; `live`: about one a bar; `auto`: live where few lines do not fit."""

FALLBACK_BPM = 120.0
"""Tempo of audio without any rhythm, given with confidence 0."""

MIN_ONSETS = 8
"""Audio with fewer onsets has no rhythm."""

ONSET_PEAK_SHARE, MIN_ONSET = 0.1, 0.05
"""Least share of the song's strongest onset, and least strength, of an onset: lower ones are rounding noise of silence."""

RUBATO_GAIN = 0.15
"""The live profile is taken where tracked beats agree with the network's peaks by this much more than steady ones."""

MIN_RUBATO_AGREEMENT = 0.5
"""Tracked beats that agree less with the network's peaks are a guess."""

STEADY_CONFIDENCE = 0.6
"""Steady segments of this confidence keep the stable profile."""

MIN_RUBATO_BEATS = 8
"""Fewer tracked beats have no tempo to follow."""

CLEAR_BEAT = 0.4
"""Typical beat activation below which the confidence of tracked beats is scaled down."""

SPOKEN_DOWNBEAT, CLEAR_DOWNBEAT = 0.45, 0.6
"""Typical downbeat activation at which the confidence of tracked beats is 0, and from which it is not reduced: synthetic
speech has .43–.50, nineteen of twenty rubato performances at least .58."""

PLAYED_CHANGE, RANDOM_CHANGE = 0.08, 0.18
"""Mean absolute log ratio of successive intervals up to which beats are played, and from which they are random: 14 rubato
performances have .05–.16 (median .09), random clicks .18–.22, synthetic speech .11–.16."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another metrical level that could be the beat."""

    bpm: float
    chance: float  # 0–1, probability among all levels


@dataclass(frozen=True, slots=True)
class Timing:
    """The red lines of a song, in audio time, sorted.

    Each starts a bar unless its effects omit the bar line; the first also holds before its own time.
    """

    points: tuple[TimingPoint, ...]
    confidence: float  # 0–1; above 0.5 the grid is usually right, below 0.2 it is a guess
    alternatives: tuple[Alternative, ...] = field(default=(), repr=False)
    duration_ms: float = 0.0
    profile: Literal["stable", "live"] = "stable"
    doubt: str = ""  # reason why the tempo cannot be right, for the user, or ""

    @property
    def main(self) -> TimingPoint:
        """The red line in force longest; in the live profile, the one whose tempo is the median over time."""
        ends = [point.time_ms for point in self.points[1:]] + [max(self.duration_ms, self.points[-1].time_ms)]
        spans = np.array([end - point.time_ms for point, end in zip(self.points, ends, strict=True)])
        if self.profile == "stable":
            return self.points[int(np.argmax(spans))]
        order = np.argsort([point.beat_length_ms for point in self.points], kind="stable")
        middle = np.searchsorted(np.cumsum(spans[order]), spans.sum() / 2)
        return self.points[int(order[min(int(middle), len(order) - 1)])]

    @property
    def bpm(self) -> float:
        """Tempo of the main red line."""
        return self.main.bpm

    @property
    def offset_ms(self) -> float:
        """Time of the first downbeat."""
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
        if index and point.effects & OMIT_BAR_LINE:
            number = number + place
            times.append(point.time_ms + (number - place) * point.beat_length_ms)
        else:
            times.append(point.time_ms + number * point.beat_length_ms)
        positions.append(number % point.meter + 1)
        place = int(number[-1]) + 1 if number.size else place
    return Beats(np.concatenate(times), np.concatenate(positions))


def find_timing(audio: Audio, activations: BeatActivations | None = None, profile: Profile = "auto") -> Timing:
    """The timing of a song; any audio gives one, with a confidence near 0 where there is no rhythm.

    `activations` are a beat network's (`ear.tracker.tracker`); without them the onsets alone decide.
    """
    onset = onset_strength(audio.samples, audio.sample_rate, frame_ms=FRAME_MS)
    if count_onsets(onset) < MIN_ONSETS:
        return _fallback(onset, audio.duration_ms)
    strength = locally_normalized(onset)
    timing = _steady_or_rubato(audio, strength, activations, profile)
    within = tempo_range(strength, FRAME_MS)
    return replace(timing, confidence=timing.confidence * within.share, doubt=within.doubt)


def _steady_or_rubato(
    audio: Audio, strength: NDArray[np.float32], activations: BeatActivations | None, profile: Profile
) -> Timing:
    """The timing from locally normalized onset strength [band, frame] and a network's activations."""
    peaks = activation_peaks(activations) if activations is not None else None
    steady = _steady_timing(audio, strength, peaks)
    if (
        activations is None
        or peaks is None
        or len(activations.beat) < MIN_FRAMES
        or peaks.beat.time_ms.size < MIN_ONSETS
    ):
        return steady
    if profile != "live" and steady.confidence >= STEADY_CONFIDENCE:
        return steady
    tracked = track_beats(activations)
    if tracked.time_ms.size < MIN_RUBATO_BEATS:
        return steady
    beats = rubato_beats(tracked, strength)
    steady_agrees, rubato_agrees = (beat_agreement(peaks.beat, ms) for ms in (beats_of(steady).time_ms, beats.time_ms))
    if profile != "live" and rubato_agrees < max(steady_agrees + RUBATO_GAIN, MIN_RUBATO_AGREEMENT):
        return steady
    confidence = rubato_agrees * _clearness(peaks) * _regularity(tracked.time_ms)
    return _rubato_timing(beats, steady, confidence, fewest=profile == "stable")


def _steady_timing(audio: Audio, strength: NDArray[np.float32], peaks: ActivationPeaks | None) -> Timing:
    """The timing as one or a few segments of constant tempo."""
    segments = find_segments(strength, timbre_chroma(audio.samples, audio.sample_rate), peaks)
    points = tuple(_red_line(segment, first=index == 0) for index, segment in enumerate(segments))
    main = max(segments, key=lambda segment: segment.end_ms - segment.start_ms)
    others = tuple(Alternative(60 * hz, chance) for hz, chance in main.beats[:4] if abs(hz / main.tempo.hz - 1) > 0.01)
    return Timing(points, _confidence(segments, audio.duration_ms), others[:3], audio.duration_ms)


def _clearness(peaks: ActivationPeaks) -> float:
    """0–1: clearness of a network's typical beat and downbeat."""
    downbeat = (peaks.downbeat.typical - SPOKEN_DOWNBEAT) / (CLEAR_DOWNBEAT - SPOKEN_DOWNBEAT)
    return min(1.0, peaks.beat.typical / CLEAR_BEAT) * float(np.clip(downbeat, 0.0, 1.0))


def _regularity(beat_ms: NDArray[np.float64]) -> float:
    """0–1: regularity of tracked beats [beat ≥ 3], 1 for a player's and 0 for random ones."""
    change = float(np.abs(np.diff(np.log(np.diff(beat_ms)))).mean())
    return float(np.clip((RANDOM_CHANGE - change) / (RANDOM_CHANGE - PLAYED_CHANGE), 0.0, 1.0))


def _rubato_timing(beats: RubatoBeats, steady: Timing, confidence: float, *, fewest: bool) -> Timing:
    """The timing with about one line a bar, or with the fewest that fit the beats."""
    if fewest:
        return replace(steady, points=stable_lines(beats), confidence=confidence, alternatives=())
    return replace(steady, points=rubato_lines(beats), confidence=confidence, alternatives=(), profile="live")


def count_onsets(onset: OnsetStrength) -> int:
    """Number of 50 ms blocks with a rise that reaches a share of the strongest."""
    total = onset.total
    block = max(1, round(50.0 / onset.frame_ms))
    peaks = total[: total.size // block * block].reshape(-1, block).max(axis=1)
    return int((peaks > max(ONSET_PEAK_SHARE * float(peaks.max(initial=0.0)), MIN_ONSET)).sum())


def _fallback(onset: OnsetStrength, duration_ms: float) -> Timing:
    """120 BPM from the strongest onset, with no confidence."""
    beat_ms = 60_000 / FALLBACK_BPM
    at_ms = float(onset.total.argmax()) * onset.frame_ms
    return Timing((TimingPoint(at_ms % (4 * beat_ms), beat_ms),), 0.0, (), duration_ms)


def _red_line(segment: Segment, *, first: bool) -> TimingPoint:
    """The red line of a segment, on its first downbeat (of the audio, for the first segment)."""
    beat_ms = 1000 / segment.tempo.hz
    bar_ms = segment.bars.meter * beat_ms
    time_ms = segment.downbeat_ms % bar_ms if first else segment.start_ms
    return TimingPoint(time_ms, beat_ms, segment.bars.meter)


def _confidence(segments: tuple[Segment, ...], duration_ms: float) -> float:
    """Share of the song that keeps to its segments' beats, less the doubts about level and phase."""
    total = 0.0
    for segment in segments:
        sure = (0.5 + 0.5 * segment.beats[0][1]) * (0.5 + 0.5 * segment.phase_chance) * segment.clarity
        total += (segment.end_ms - segment.start_ms) * segment.steady_share * sure
    return float(np.clip(total / max(duration_ms, 1.0), 0.0, 1.0))
