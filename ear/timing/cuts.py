"""Cuts: places where a song jumps within the beat, as an edit of the audio makes them.

The beats before and after a place are each fitted by a line. Where both lines are good, of one tempo, and apart by more
than `MIN_JUMP_MS` modulo a beat, either the song was cut or the tracker moved to another phase of the same beat. The onsets
tell which: folded on the beat, they shift by the jump at a cut and stay where they were otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ear.audio.onset import FRAME_MS
from ear.timing.grid.phase import fold, smooth
from ear.timing.grid.tempo import refine_tempo

SPAN_BEATS = 24
"""Beats fitted on each side of a place."""

GAPS = (0, 1, 2, 3)
"""Beats that are left out at a place: the tracker fills a jump with beats of its own."""

MAX_RESIDUAL_MS, JUMP_RESIDUALS = 3.0, 8.0
"""Median distance of the beats from their line up to which the tempo is constant, and the least jump in such distances:
the lines of a player's beats are apart by a few."""

SAME_TEMPO = 0.01
"""Largest difference of the two tempi; the lines are too short to compare them more closely."""

MIN_JUMP_MS = 20.0

PROFILE_MS = 24_000.0
"""Onsets of at most this much audio are folded on each side."""

TEMPO_SEARCH = 2e-3
"""Share of the tempo that is searched when it is refined on the onsets."""

PROFILE_SMOOTH_MS, SHIFT_REACH_MS = 4.0, 10.0
"""Smoothing of the folded onsets, and the reach of a shift."""

CUT_GAIN = 1.2
"""The onsets on both sides must correlate better by this factor at the jump than at no shift."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A place between two beats where the beats jump."""

    beat: int  # the first after it
    jump_ms: float
    interval_ms: float
    residual_ms: float


def find_cuts(beat_ms: NDArray[np.float64], strength: NDArray[np.float32]) -> list[float]:
    """Times in ms of the first beat after each cut, from measured beats [beat] and onset strength [band, frame of 1 ms]."""
    total = strength.sum(axis=0)
    return [
        float(beat_ms[place.beat]) for place in _places(beat_ms) if _shifts(total, float(beat_ms[place.beat]), place)
    ]


def _places(beat_ms: NDArray[np.float64]) -> list[_Place]:
    """Places where good lines on both sides are apart, at least `SPAN_BEATS` from each other, in order."""
    if beat_ms.size < 2 * SPAN_BEATS + GAPS[-1]:
        return []
    number = np.arange(SPAN_BEATS) - (SPAN_BEATS - 1) / 2
    window = np.lib.stride_tricks.sliding_window_view(beat_ms, SPAN_BEATS)  # [start, beat]
    slope, middle = window @ number / (number @ number), window.mean(axis=1)
    residual = np.median(np.abs(window - middle[:, None] - slope[:, None] * number), axis=1)
    candidates: list[_Place] = []
    for gap in GAPS:
        before = np.arange(len(window) - SPAN_BEATS - gap)
        after = before + SPAN_BEATS + gap
        interval = (slope[before] + slope[after]) / 2
        jump = middle[after] - middle[before] - (SPAN_BEATS + gap) * interval
        worse = np.maximum(residual[before], residual[after])
        apart = np.abs((jump + interval / 2) % interval - interval / 2)
        good = (worse <= MAX_RESIDUAL_MS) & (np.abs(slope[after] / slope[before] - 1) <= SAME_TEMPO)
        good &= apart > np.maximum(MIN_JUMP_MS, JUMP_RESIDUALS * worse)
        rows = zip(after[good], jump[good], interval[good], worse[good], strict=True)
        candidates += [_Place(int(beat), float(by), float(every), float(off)) for beat, by, every, off in rows]
    found: list[_Place] = []
    for place in sorted(candidates, key=lambda one: one.residual_ms):
        if all(abs(place.beat - other.beat) >= SPAN_BEATS for other in found):
            found.append(replace(place, beat=_first_after(beat_ms, place)))
    return sorted(found, key=lambda place: place.beat)


def _first_after(beat_ms: NDArray[np.float64], place: _Place) -> int:
    """The first beat on the later grid: where the beats go over from one grid to the other with the least distances."""
    low, high = place.beat - SPAN_BEATS // 2, place.beat + SPAN_BEATS // 2
    around, every = beat_ms[low:high], place.interval_ms
    earlier, later = (
        np.abs((around - end + every / 2) % every - every / 2) for end in (beat_ms[low - 1], beat_ms[high])
    )
    cost = np.concatenate([[0.0], np.cumsum(earlier)]) + np.concatenate([np.cumsum(later[::-1])[::-1], [0.0]])
    return low + int(cost.argmin())


def _shifts(total: NDArray[np.float32], time_ms: float, place: _Place) -> bool:
    """Whether the onsets after a place are those before it, shifted by the jump."""
    at = round((time_ms - place.interval_ms / 2) / FRAME_MS)
    reach = round(PROFILE_MS / FRAME_MS)
    before, after = total[max(0, at - reach) : at], total[at : at + reach]
    period_ms = 1000 / refine_tempo(before, FRAME_MS, 1000 / place.interval_ms, TEMPO_SEARCH).hz
    first = (at - before.size) * FRAME_MS
    profiles = []
    for part, start_ms in ((before, first), (after, at * FRAME_MS)):
        folded = smooth(fold(part[None], FRAME_MS, period_ms)[0], PROFILE_SMOOTH_MS / FRAME_MS)
        turned = np.roll(folded, round(start_ms % period_ms / FRAME_MS))
        profiles.append(turned - turned.mean())
    match = np.fft.irfft(np.fft.rfft(profiles[1]) * np.conj(np.fft.rfft(profiles[0])), profiles[0].size)
    near = np.arange(-round(SHIFT_REACH_MS / FRAME_MS), round(SHIFT_REACH_MS / FRAME_MS) + 1)
    at_jump = match[(round(place.jump_ms / FRAME_MS) + near) % match.size].max()
    return bool(at_jump > CUT_GAIN * max(float(match[near % match.size].max()), 0.0))
