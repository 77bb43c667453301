"""From a song to its timing: tempo, offset, meter, from onsets and, if given, a beat network's activations.

    onset strength → pulse → metrical level and phase → tempo fitted to the whole song → bars    (stable)
    activations → tracked beats → moved to their onsets → smoothed → bars                        (live)

All times are on the audio's clock; `ear.audio.clock` converts them to that of a chart format. `Profile` selects one of
the two; without a network there is only the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chart.model import TimingPoint
from ear.audio.decode import Audio
from ear.audio.onset import FRAME_MS, OnsetStrength
from ear.audio.shared import onset_of
from ear.timing.confidence import Evidence, calibrated
from ear.timing.cuts import find_cuts
from ear.timing.grid.tempo import locally_normalized
from ear.timing.grid.tempo_range import tempo_range
from ear.timing.meter import timbre_of
from ear.timing.model import DOUBTFUL, OMIT_BAR_LINE, Alternative, Profile, Timing, beats_of
from ear.timing.rubato import (
    RubatoBeats,
    measure_beats,
    rubato_beats,
    rubato_lines,
    stable_lines,
)
from ear.timing.segments import Segment, find_segments
from ear.timing.stability import share_off
from ear.tracker.dbn import MIN_FRAMES, TrackedBeats, track_beats
from ear.tracker.peak_picking import ActivationPeaks, activation_peaks, beat_agreement

if TYPE_CHECKING:
    from ear.tracker.interface import BeatActivations

UNCLEAR, DRIFTS, SILENT = "the beat is not clear", "the beats leave a steady tempo", "there is hardly any rhythm"
"""Reasons for doubt."""

MAX_ALTERNATIVES = 3
ROUNDING = 1e-9
"""Probability that is none."""

FALLBACK_BPM = 120.0
"""Tempo of audio without any rhythm, given with confidence 0."""

MIN_ONSETS = 8
"""Audio with fewer onsets has no rhythm."""

ONSET_PEAK_SHARE, MIN_ONSET = 0.1, 0.05
"""Least share of the song's strongest onset, and least strength, of an onset: lower ones are rounding noise of silence."""

RUBATO_GAIN, OTHER_RATE_GAIN = 0.08, 0.15
"""The live profile is taken where tracked beats agree with the network's peaks by this much more than steady ones; the
second where they are of another rate, which is then chosen as well."""

SAME_RATE = 0.05
"""Relative difference of typical intervals up to which two beat sequences are of one rate."""

MIN_RUBATO_AGREEMENT = 0.5
"""Tracked beats that agree less with the network's peaks are a guess."""

CLEAR_PEAK, MAX_OFF = 0.5, 0.1
"""Peaks from this share of the typical one are compared with the steady grid, and beats are tracked where more than the
second share of them is off: twelve of 388 training pieces are timed live by this, of which eleven gain (beat F .37 to
.80 at the mean of the twelve) and one loses."""

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


def find_timing(audio: Audio, activations: BeatActivations | None = None, profile: Profile = "auto") -> Timing:
    """The timing of a song; any audio gives one, with a confidence near 0 where there is no rhythm.

    `activations` are a beat network's (`ear.tracker.tracker`); without them the onsets alone decide.
    """
    onset = onset_of(audio)
    if count_onsets(onset) < MIN_ONSETS:
        return _fallback(onset, audio.duration_ms)
    strength = locally_normalized(onset)
    timing = _steady_or_rubato(audio, strength, activations, profile)
    within = tempo_range(strength, FRAME_MS)
    if within.share == 1.0:
        return timing
    return replace(_doubted(timing, timing.confidence * within.share, UNCLEAR), doubt=within.doubt)


def _steady_or_rubato(
    audio: Audio, strength: NDArray[np.float32], activations: BeatActivations | None, profile: Profile
) -> Timing:
    """The timing from locally normalized onset strength [band, frame] and a network's activations."""
    if activations is None:
        return _steady_timing(find_segments(strength, timbre_of(audio)), audio.duration_ms)
    peaks = activation_peaks(activations)
    steady, evidence, tracked = _steady_and_tracked(audio, strength, activations, peaks, always=profile == "live")
    if evidence is None:
        return steady
    if tracked is None or (profile != "live" and not _is_rubato(evidence, tracked.time_ms, beats_of(steady).time_ms)):
        return _doubted(steady, calibrated(evidence), DRIFTS if evidence.off > MAX_OFF else UNCLEAR)
    confidence = evidence.tracked_agreement * _clearness(peaks) * _regularity(tracked.time_ms)
    return _rubato_timing(rubato_beats(tracked, strength), steady, confidence, fewest=profile == "stable")


def steady_evidence(audio: Audio, activations: BeatActivations) -> tuple[Timing, Evidence | None]:
    """The steady timing of a song and the evidence for it (`ear.fitting.fit_confidence`); None without peaks."""
    strength = locally_normalized(onset_of(audio))
    return _steady_and_tracked(audio, strength, activations, activation_peaks(activations), always=False)[:2]


def _steady_and_tracked(
    audio: Audio,
    strength: NDArray[np.float32],
    activations: BeatActivations,
    peaks: ActivationPeaks,
    *,
    always: bool,
) -> tuple[Timing, Evidence | None, TrackedBeats | None]:
    """The steady timing, the evidence for it, and the tracked beats: `always`, or where the network's peaks leave it."""
    song = timbre_of(audio)
    segments = find_segments(strength, song, peaks)
    steady = _steady_timing(segments, audio.duration_ms)
    if len(activations.beat) < MIN_FRAMES or peaks.beat.time_ms.size < MIN_ONSETS:
        return steady, None, None
    clear, grid_ms = peaks.beat.above(CLEAR_PEAK * peaks.beat.typical), beats_of(steady).time_ms
    off = share_off(clear.time_ms, clear.strength, grid_ms)
    tracked = track_beats(activations) if always or off > MAX_OFF else None
    if tracked is None or tracked.time_ms.size < MIN_RUBATO_BEATS:
        agreement = beat_agreement(peaks.beat, grid_ms)
        return steady, _evidence(steady, segments, off, agreement, agreement), None
    measured_ms, _ = measure_beats(tracked, strength.sum(axis=0))
    if cuts_ms := find_cuts(measured_ms, strength):
        segments = find_segments(strength, song, peaks, cuts_ms)
        steady = _steady_timing(segments, audio.duration_ms)
        grid_ms = beats_of(steady).time_ms
    off = share_off(measured_ms, tracked.support, grid_ms)
    agreements = (beat_agreement(peaks.beat, beat_ms) for beat_ms in (grid_ms, measured_ms))
    return steady, _evidence(steady, segments, off, *agreements), tracked


def _evidence(
    steady: Timing, segments: tuple[Segment, ...], off: float, agreement: float, tracked_agreement: float
) -> Evidence:
    """The evidence for a steady timing; the probabilities are those of its longest segment."""
    main = _longest(segments)
    return Evidence(steady.confidence, main.beats[0][1], main.phase_chance, off, agreement, tracked_agreement)


def _is_rubato(evidence: Evidence, tracked_ms: NDArray[np.float64], grid_ms: NDArray[np.float64]) -> bool:
    """Whether the tracked beats [beat] are better than the steady grid, which leaves too many of them off."""
    gain = RUBATO_GAIN if _same_rate(tracked_ms, grid_ms) else OTHER_RATE_GAIN
    needed = max(evidence.agreement + gain, MIN_RUBATO_AGREEMENT)
    return evidence.off > MAX_OFF and evidence.tracked_agreement >= needed


def _longest(segments: tuple[Segment, ...]) -> Segment:
    return max(segments, key=lambda segment: segment.end_ms - segment.start_ms)


def _same_rate(one_ms: NDArray[np.float64], other_ms: NDArray[np.float64]) -> bool:
    """Whether two beat sequences [beat ≥ 2] have about the same typical interval."""
    return bool(abs(np.median(np.diff(one_ms)) / np.median(np.diff(other_ms)) - 1) <= SAME_RATE)


def _doubted(timing: Timing, confidence: float, reason: str) -> Timing:
    """The timing with another confidence, which limits the alternatives' chances, and below `DOUBTFUL` with the reason."""
    others = [(other.bpm, other.chance) for other in timing.alternatives if other.is_tempo]
    return replace(
        timing,
        confidence=confidence,
        alternatives=_alternatives(others, confidence),
        doubt=reason if confidence < DOUBTFUL else "",
    )


def _steady_timing(segments: tuple[Segment, ...], duration_ms: float) -> Timing:
    """The timing of one or a few segments of constant tempo."""
    points = [point for index, segment in enumerate(segments) for point in _red_lines(segment, first=index == 0)]
    main = _longest(segments)
    confidence = _confidence(segments, duration_ms)
    others = [(60 * hz, chance) for hz, chance in main.beats if abs(hz / main.tempo.hz - 1) > 0.01]
    found = sorted(others, key=lambda level: -level[1])[:MAX_ALTERNATIVES]
    timing = Timing(tuple(points), confidence, tuple(Alternative(*level) for level in found), duration_ms)
    return _doubted(timing, confidence, UNCLEAR)


def _alternatives(levels: Sequence[tuple[float, float]], confidence: float) -> tuple[Alternative, ...]:
    """Other levels (BPM, probability) and, where those and the confidence leave a rest, that none of them is right.

    A timing can be doubtful although its level is sure, as where the sound leaps: other levels gain nothing by that.
    """
    if not levels:
        return ()
    total = sum(chance for _, chance in levels)
    scale = min(1.0, (1 - confidence) / total) if total else 0.0
    rest = 1 - confidence - scale * total
    none = (Alternative(float("nan"), rest),) if rest > ROUNDING else ()
    return (*(Alternative(bpm, scale * chance) for bpm, chance in levels), *none)


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
    found = replace(steady, points=rubato_lines(beats), alternatives=(), profile="live")
    if fewest:
        found = replace(steady, points=stable_lines(beats), alternatives=())
    return _doubted(found, confidence, UNCLEAR)


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
    return Timing((TimingPoint(at_ms % (4 * beat_ms), beat_ms),), 0.0, (), duration_ms, doubt=SILENT)


def _red_lines(segment: Segment, *, first: bool) -> list[TimingPoint]:
    """The red line of a segment on its first downbeat; one more, without bar line, where it starts before that."""
    beat_ms, meter = 1000 / segment.tempo.hz, segment.bars.meter
    bar_ms = meter * beat_ms
    if first:  # of the audio; its line also holds before its time
        return [TimingPoint(segment.downbeat_ms % bar_ms, beat_ms, meter)]
    until_downbeat_ms = round((segment.downbeat_ms - segment.start_ms) / beat_ms) % meter * beat_ms
    points = [TimingPoint(segment.start_ms + until_downbeat_ms, beat_ms, meter)]
    if until_downbeat_ms:
        points.insert(0, TimingPoint(segment.start_ms, beat_ms, meter, effects=OMIT_BAR_LINE))
    return points


def _confidence(segments: tuple[Segment, ...], duration_ms: float) -> float:
    """Share of the song that keeps to its segments' beats, less the doubts about level and phase."""
    total = 0.0
    for segment in segments:
        sure = (0.5 + 0.5 * segment.beats[0][1]) * (0.5 + 0.5 * segment.phase_chance) * segment.clarity
        total += (segment.end_ms - segment.start_ms) * segment.steady_share * sure
    return float(np.clip(total / max(duration_ms, 1.0), 0.0, 1.0))
