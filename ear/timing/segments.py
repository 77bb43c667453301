"""Segments of constant tempo: one for most songs, several where the tempo changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ear.audio.onset import FRAME_MS
from ear.timing.grid.metrical_level import choose_level
from ear.timing.grid.phase import fold, smooth
from ear.timing.grid.tempo import Tempo, beat_candidates, onset_spectrum, refine_tempo, strongest_pulse_hz
from ear.timing.meter import Bars, TimbreChroma, beat_features, find_bars
from ear.timing.stability import Steadiness, steadiness, window_ms
from ear.tracker.peak_picking import ActivationPeaks

MIN_SEGMENT_MS = 16_000.0
"""Shorter segments have too few beats to distinguish a new tempo from a fill."""

MIN_PART_MS = 8_000.0
"""Shorter parts between cuts are not fitted."""

ONE_TEMPO_SHARE = 0.85
"""Share of a song that agrees with one tempo and phase, from which the song is one segment."""

MIN_STEADY_SHARE = 0.7
"""Share of a further segment that must agree with its own tempo."""

MAX_SEGMENTS = 8
"""More segments are rubato, which constant tempi do not describe."""

SAME_TEMPO, SAME_PHASE_MS = 3e-4, 8.0
"""Neighbours within these differences of tempo and of phase are one segment,"""

SAME_LEVELS, TICKS = (1 / 2, 1.0, 2.0), 4
"""also at half or double tempo, or quarters of a beat apart: such neighbours differ in metrical level alone."""

OCTAVE_PENALTY = 2.0
"""Nats per octave by which a further segment prefers the main segment's metrical level."""

FINE_SHARE = 2e-4
"""Width of the last refinement, at the level of the beat."""

BOUNDARY_SEARCH_MS = 8_000.0
CHANCE_COHERENCE = 1.3
"""Coherence of noise is about this over the square root of the number of windows."""


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Part of a song with constant tempo; times on the audio's clock."""

    start_ms: float
    end_ms: float
    tempo: Tempo
    beats: tuple[tuple[float, float], ...]  # (Hz, chance), likeliest first; the first is `tempo`'s level
    offset_ms: float  # time of some beat
    phase_chance: float  # 0–1
    steady_share: float  # 0–1, share of it that keeps to tempo and phase
    clarity: float  # 0–1, coherence above chance
    agreement: float = float("nan")  # 0–1, of a network's beats with these; nan without a network
    bars: Bars = field(default_factory=lambda: Bars(4, 0, 0.25))
    downbeat_ms: float = 0.0  # time of some downbeat

    def phase_at(self, time_ms: float) -> float:
        """Time in ms since the last beat."""
        return (time_ms - self.offset_ms) % (1000 / self.tempo.hz)


def find_segments(
    strength: NDArray[np.float32],
    song: TimbreChroma,
    peaks: ActivationPeaks | None = None,
    cuts_ms: Sequence[float] = (),
) -> tuple[Segment, ...]:
    """The segments of a song from its locally normalized onset strength [band, frame of 1 ms], in order, at least one.

    They cover the song from 0 to its end; each but the first starts on a beat of its own: the first one after a cut
    (`ear.timing.cuts`), or a downbeat.
    """
    end_ms = strength.shape[1] * FRAME_MS
    if len(parts := _between_cuts(strength, peaks, cuts_ms)) > 1:
        return tuple(_with_bars(part, strength, song, peaks) for part in parts)
    whole, steady = _fit(strength, 0.0, end_ms, peaks)
    if whole.steady_share < ONE_TEMPO_SHARE:
        found = _split(strength, whole, steady, peaks, whole.tempo.hz)
        explained_ms = sum((part.end_ms - part.start_ms) * part.steady_share for part in found)
        if 1 < len(found) <= MAX_SEGMENTS and explained_ms > end_ms * whole.steady_share + MIN_SEGMENT_MS / 2:
            return _joined([_with_bars(part, strength, song, peaks) for part in found], strength)
    return (_with_bars(whole, strength, song, peaks),)


def _fit(
    strength: NDArray[np.float32],
    start_ms: float,
    end_ms: float,
    peaks: ActivationPeaks | None,
    main_hz: float | None = None,
) -> tuple[Segment, Steadiness]:
    """One tempo and phase for a part of the song; a beat level near `main_hz` is preferred if it is given."""
    part = _part(strength, start_ms, end_ms)
    total = part.sum(axis=0)
    spectrum = onset_spectrum(part, FRAME_MS)
    pulse_hz = strongest_pulse_hz(spectrum, total.size * FRAME_MS / 1000)
    beats = beat_candidates(spectrum, refine_tempo(total, FRAME_MS, pulse_hz).hz)
    if main_hz is not None:
        beats = _nearer(beats, main_hz)
    peaks_here = peaks.within(start_ms, end_ms) if peaks else None
    levels = choose_level(part, FRAME_MS, beats, peaks_here).levels
    return _fit_levels(strength, start_ms, end_ms, peaks, levels)


def _part(strength: NDArray[np.float32], start_ms: float, end_ms: float) -> NDArray[np.float32]:
    """Onset strength [band, frame] from start to end."""
    return strength[:, round(start_ms / FRAME_MS) : round(end_ms / FRAME_MS)]


def _fit_levels(
    strength: NDArray[np.float32],
    start_ms: float,
    end_ms: float,
    peaks: ActivationPeaks | None,
    levels: tuple[tuple[float, float], ...],
) -> tuple[Segment, Steadiness]:
    """As `_fit`, with the metrical levels (Hz, probability) given, the chosen one first."""
    part = _part(strength, start_ms, end_ms)
    total = part.sum(axis=0)
    peaks_here = peaks.within(start_ms, end_ms) if peaks else None
    tempo = refine_tempo(total, FRAME_MS, levels[0][0], FINE_SHARE)
    steady = steadiness(total, FRAME_MS, tempo.hz)
    choice = choose_level(part, FRAME_MS, [(tempo.hz, 1.0)], peaks_here)
    by_chance = CHANCE_COHERENCE / np.sqrt(steady.rhythmic.size)
    clarity = float(np.clip((tempo.coherence - by_chance) / max(0.5 - by_chance, 0.1), 0.0, 1.0))
    fitted = Segment(
        start_ms,
        end_ms,
        tempo,
        levels,
        start_ms + choice.phase.offset_ms,
        choice.phase.chance,
        steady.share,
        clarity,
        choice.agreement,
    )
    return fitted, steady


def _between_cuts(
    strength: NDArray[np.float32], peaks: ActivationPeaks | None, cuts_ms: Sequence[float]
) -> list[Segment]:
    """The parts between cuts at the tempo of the longest; empty where a part does not keep it."""
    ends = [0.0, *cuts_ms, strength.shape[1] * FRAME_MS]
    spans = [span for span in pairwise(ends) if span[1] - span[0] >= MIN_PART_MS]
    if len(spans) != len(ends) - 1 or len(spans) < 2:
        return []
    longest = max(spans, key=lambda span: span[1] - span[0])
    levels = _fit(strength, *longest, peaks)[0].beats
    parts = []
    for start_ms, end_ms in spans:
        part, _ = _fit_levels(strength, start_ms, end_ms, peaks, levels)
        if part.steady_share < MIN_STEADY_SHARE:
            return []
        quarter_ms = 250 / part.tempo.hz
        early_ms = (part.offset_ms - start_ms + quarter_ms) % (4 * quarter_ms) - quarter_ms
        parts.append(replace(part, start_ms=start_ms + early_ms if start_ms else 0.0))
    for index, later in enumerate(parts[1:]):
        parts[index] = replace(parts[index], end_ms=later.start_ms)
    return parts


def _nearer(beats: list[tuple[float, float]], main_hz: float) -> list[tuple[float, float]]:
    """Candidates weighed by how near their level is to the main segment's, likeliest first."""
    weighed = [(hz, chance * np.exp(-OCTAVE_PENALTY * abs(np.log2(hz / main_hz)))) for hz, chance in beats]
    total = sum(chance for _, chance in weighed)
    return sorted(((hz, float(chance / total)) for hz, chance in weighed), key=lambda beat: -beat[1])


def _split(
    strength: NDArray[np.float32], fitted: Segment, steady: Steadiness, peaks: ActivationPeaks | None, main_hz: float
) -> list[Segment]:
    """Cut out the longest run that keeps to the tempo fitted, fit it anew, and do the same on either side of it."""
    first, last = steady.longest_run()
    cut = (fitted.start_ms + window_ms(first), min(fitted.start_ms + window_ms(last), fitted.end_ms))
    if cut[1] - cut[0] < MIN_SEGMENT_MS or cut[1] - cut[0] >= fitted.end_ms - fitted.start_ms:
        return [fitted] if fitted.steady_share >= MIN_STEADY_SHARE else []
    parts = []
    for start_ms, end_ms in ((fitted.start_ms, cut[0]), cut, (cut[1], fitted.end_ms)):
        if end_ms - start_ms < MIN_SEGMENT_MS:
            continue
        part, part_steady = _fit(strength, start_ms, end_ms, peaks, main_hz)
        if part.steady_share >= ONE_TEMPO_SHARE or (start_ms, end_ms) == cut:
            parts += [part] if part.steady_share >= MIN_STEADY_SHARE else []
        else:
            parts += _split(strength, part, part_steady, peaks, main_hz)
    return parts


def _with_bars(
    segment: Segment, strength: NDArray[np.float32], song: TimbreChroma, peaks: ActivationPeaks | None
) -> Segment:
    """The segment with its meter and a downbeat."""
    beat_ms = 1000 / segment.tempo.hz
    first_ms = segment.start_ms + (segment.offset_ms - segment.start_ms) % beat_ms
    beats = np.arange(first_ms, segment.end_ms - beat_ms, beat_ms)
    if beats.size < 2:
        return replace(segment, downbeat_ms=segment.offset_ms)
    downbeats = peaks.downbeat.within(first_ms, segment.end_ms) if peaks else None
    bars = find_bars(beat_features(strength, FRAME_MS, song, beats), downbeats, beat_ms)
    return replace(segment, bars=bars, downbeat_ms=first_ms + bars.downbeat * beat_ms)


def _joined(parts: list[Segment], strength: NDArray[np.float32]) -> tuple[Segment, ...]:
    """Merge neighbouring segments of one beat; cut the others where the onsets change from one grid to the other."""
    done = [replace(parts[0], start_ms=0.0)]
    for part in parts[1:]:
        last = done[-1]
        if _same_beat(last, part):
            longer = max(last, part, key=lambda one: one.end_ms - one.start_ms)
            done[-1] = replace(longer, start_ms=last.start_ms, end_ms=part.end_ms)
            continue
        boundary_ms = _boundary(last, part, strength)
        done[-1] = replace(last, end_ms=boundary_ms)
        done.append(replace(part, start_ms=boundary_ms))
    done[-1] = replace(done[-1], end_ms=strength.shape[1] * FRAME_MS)
    return tuple(done)


def _same_beat(one: Segment, other: Segment) -> bool:
    """Whether two segments keep one pulse and differ, if at all, in which of its ticks they call the beat."""
    ratio = other.tempo.hz / one.tempo.hz
    if min(abs(ratio / level - 1) for level in SAME_LEVELS) > SAME_TEMPO:
        return False
    tick_ms = 1000 / max(one.tempo.hz, other.tempo.hz) / TICKS
    apart_ms = one.phase_at(other.start_ms) - other.phase_at(other.start_ms)
    return abs((apart_ms + tick_ms / 2) % tick_ms - tick_ms / 2) < SAME_PHASE_MS


def _boundary(before: Segment, after: Segment, strength: NDArray[np.float32]) -> float:
    """The downbeat of the later segment from which the onsets keep to its grid rather than to the earlier one's."""
    low_ms = max(before.start_ms, before.end_ms - BOUNDARY_SEARCH_MS)
    high_ms = min(after.end_ms, after.start_ms + BOUNDARY_SEARCH_MS)
    frame = np.arange(round(low_ms / FRAME_MS), round(high_ms / FRAME_MS))
    gain = _on_grid(after, strength, frame) - _on_grid(before, strength, frame)
    later_gain = np.cumsum(gain[::-1])[::-1]  # [frame], what choosing this frame as the boundary gains
    bar_ms = after.bars.meter * 1000 / after.tempo.hz
    downbeats = np.arange(after.downbeat_ms - np.floor((after.downbeat_ms - low_ms) / bar_ms) * bar_ms, high_ms, bar_ms)
    if not downbeats.size:
        return after.start_ms
    at = np.clip(np.rint((downbeats - low_ms) / FRAME_MS).astype(np.int64), 0, frame.size - 1)
    return float(downbeats[later_gain[at].argmax()])


def _on_grid(segment: Segment, strength: NDArray[np.float32], frame: NDArray[np.int64]) -> NDArray[np.float64]:
    """Agreement of the onsets at these frames [frame] with the segment's own beat."""
    own = strength[:, round(segment.start_ms / FRAME_MS) : round(segment.end_ms / FRAME_MS)].sum(axis=0)
    beat_ms = 1000 / segment.tempo.hz
    profile = smooth(fold(own[None], FRAME_MS, beat_ms)[0], 4.0 / FRAME_MS)
    profile = (profile - profile.mean()) / (profile.std() + 1e-9)
    phase = ((frame * FRAME_MS - segment.start_ms) / beat_ms) % 1.0 * profile.size
    return profile[phase.astype(np.int64) % profile.size] * strength[:, frame].sum(axis=0)
