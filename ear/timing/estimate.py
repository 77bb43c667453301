"""From a song to its timing: tempo, offset, metre, from the sound and, if there is one, a beat network's activations.

    onset strength → pulse → beat level and phase → tempo fitted to the whole song → bars        (stable)
    activations → tracked beats → moved to their onsets → smoothed → bars                        (live)

All times are on the audio's clock, where an onset is when it is heard; `ear.audio.clock` turns them into those of a chart
format. `Profile` says which of the two is written; without a network there is only the first.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from chart.model import TimingPoint
from ear.audio.decode import Audio
from ear.audio.onset import FRAME_MS, OnsetStrength, onset_strength
from ear.timing.meter import texture
from ear.timing.rubato import OMIT_BAR_LINE, LiveBeats, live_beats, live_lines, stable_lines
from ear.timing.segments import Stretch, find_stretches
from ear.timing.tempo import balanced
from ear.timing.tempo_range import tempo_range
from ear.tracker.dbn import MIN_FRAMES, track_beats
from ear.tracker.peak_picking import HeardPeaks, beat_agreement, heard_peaks

if TYPE_CHECKING:
    from ear.tracker.tracker import BeatActivations

Profile = Literal["auto", "stable", "live"]
PROFILES: tuple[Profile, ...] = ("auto", "stable", "live")
"""`stable`: as few red lines as hold the song; `live`: one about every bar; `auto`: live if no few lines hold it."""

FALLBACK_BPM = 120.0
"""Tempo of audio without any rhythm: usable, and its confidence of 0 says what it is worth."""

MIN_ONSETS = 8
"""Fewer onsets than this make no rhythm."""

ONSET_PEAK_SHARE, MIN_ONSET = 0.1, 0.05
"""An onset reaches this share of the song's strongest, and this strength: below, it is rounding of silence."""

LIVE_GAIN = 0.15
"""Tracked beats must agree by this much better with what the network heard than steady ones, for a song to be live."""

MIN_LIVE_AGREEMENT = 0.5
"""Tracked beats that agree less with what was heard than this are no better than a guess."""

STEADY_CONFIDENCE = 0.6
"""Steady stretches this sure are never taken for live music."""

MIN_LIVE_BEATS = 8
"""Fewer beats than this show no tempo to follow."""

CLEAR_BEAT = 0.4
"""Activation from which a network's typical beat is a clear one; below, live beats are worth less."""

SPOKEN_DOWNBEAT, CLEAR_DOWNBEAT = 0.45, 0.6
"""Activation of a network's typical downbeat up to which live beats are worth nothing, and from which they are worth all: made-up
speech has .43–.50, nineteen of twenty rubato performances .58 and more."""

PLAYED_CHANGE, RANDOM_CHANGE = 0.08, 0.18
"""Mean change of the interval from beat to beat (in logarithm) up to which beats are as a player's, and from which they are
no rhythm: 14 rubato performances have .05–.16 (median .09), random clicks .18–.22, made-up speech .11–.16."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another beat that the song could be felt in."""

    bpm: float
    chance: float  # 0–1, among all


@dataclass(frozen=True, slots=True)
class Timing:
    """When the beats of a song are heard.

    Red lines only, in audio time, sorted; each starts a bar unless its effects omit the bar line; the first rules what
    comes before it too.
    """

    points: tuple[TimingPoint, ...]
    confidence: float  # 0–1; above 0.5 the grid is usually right, below 0.2 it is a guess
    alternatives: tuple[Alternative, ...] = field(default=(), repr=False)
    duration_ms: float = 0.0
    profile: Literal["stable", "live"] = "stable"
    doubt: str = ""  # why the tempo cannot be right, for the user; "" if nothing speaks against it

    @property
    def main(self) -> TimingPoint:
        """The red line that rules longest; of live music, the one whose tempo is the median over time."""
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
        if index and point.effects & OMIT_BAR_LINE:
            number = number + place
            times.append(point.time_ms + (number - place) * point.beat_length_ms)
        else:
            times.append(point.time_ms + number * point.beat_length_ms)
        positions.append(number % point.meter + 1)
        place = int(number[-1]) + 1 if number.size else place
    return Beats(np.concatenate(times), np.concatenate(positions))


def find_timing(audio: Audio, activations: BeatActivations | None = None, profile: Profile = "auto") -> Timing:
    """The timing of a song; never raises for what is on it: without a rhythm the confidence is near 0.

    `activations` are what a beat network heard in it (`ear.tracker.tracker`); without, onsets alone decide.
    """
    onset = onset_strength(audio.samples, audio.sample_rate, frame_ms=FRAME_MS)
    if count_onsets(onset) < MIN_ONSETS:
        return _fallback(onset, audio.duration_ms)
    strength = balanced(onset)
    timing = _steady_or_live(audio, strength, activations, profile)
    within = tempo_range(strength, FRAME_MS)
    return replace(timing, confidence=timing.confidence * within.share, doubt=within.doubt)


def _steady_or_live(
    audio: Audio, strength: NDArray[np.float32], activations: BeatActivations | None, profile: Profile
) -> Timing:
    """The timing from balanced onset strength [band, frame] and what a network heard."""
    heard = heard_peaks(activations) if activations is not None else None
    steady = _steady_timing(audio, strength, heard)
    if (
        activations is None
        or heard is None
        or len(activations.beat) < MIN_FRAMES
        or heard.beat.time_ms.size < MIN_ONSETS
    ):
        return steady
    if profile != "live" and steady.confidence >= STEADY_CONFIDENCE:
        return steady
    tracked = track_beats(activations)
    if tracked.time_ms.size < MIN_LIVE_BEATS:
        return steady
    beats = live_beats(tracked, strength)
    steady_agrees, live_agrees = (beat_agreement(heard.beat, ms) for ms in (beats_of(steady).time_ms, beats.time_ms))
    if profile != "live" and live_agrees < max(steady_agrees + LIVE_GAIN, MIN_LIVE_AGREEMENT):
        return steady
    confidence = live_agrees * _clearness(heard) * _regularity(tracked.time_ms)
    return _live_timing(beats, steady, confidence, fewest=profile == "stable")


def _steady_timing(audio: Audio, strength: NDArray[np.float32], heard: HeardPeaks | None) -> Timing:
    """The timing as one or a few stretches of constant tempo."""
    stretches = find_stretches(strength, texture(audio.samples, audio.sample_rate), heard)
    points = tuple(_red_line(stretch, first=index == 0) for index, stretch in enumerate(stretches))
    main = max(stretches, key=lambda stretch: stretch.end_ms - stretch.start_ms)
    others = tuple(Alternative(60 * hz, chance) for hz, chance in main.beats[:4] if abs(hz / main.tempo.hz - 1) > 0.01)
    return Timing(points, _confidence(stretches, audio.duration_ms), others[:3], audio.duration_ms)


def _clearness(heard: HeardPeaks) -> float:
    """0–1: how sure a network is of its typical beat and downbeat."""
    downbeat = (heard.downbeat.typical - SPOKEN_DOWNBEAT) / (CLEAR_DOWNBEAT - SPOKEN_DOWNBEAT)
    return min(1.0, heard.beat.typical / CLEAR_BEAT) * float(np.clip(downbeat, 0.0, 1.0))


def _regularity(beat_ms: NDArray[np.float64]) -> float:
    """0–1: how much beats [beat ≥ 3] that were tracked are like a player's rather than random."""
    change = float(np.abs(np.diff(np.log(np.diff(beat_ms)))).mean())
    return float(np.clip((RANDOM_CHANGE - change) / (RANDOM_CHANGE - PLAYED_CHANGE), 0.0, 1.0))


def _live_timing(beats: LiveBeats, steady: Timing, confidence: float, *, fewest: bool) -> Timing:
    """The timing with a line about every bar, or with the fewest that hold it."""
    if fewest:
        return replace(steady, points=stable_lines(beats), confidence=confidence, alternatives=())
    return replace(steady, points=live_lines(beats), confidence=confidence, alternatives=(), profile="live")


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
