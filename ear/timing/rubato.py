"""Red lines for music without a steady tempo: about one a bar, smoothed so that they follow the player without jitter.

    activations → tracked beats → each moved to the onset it belongs to → smoothed → bars → red lines

A bar whose inner beats a single tempo would miss by more than `BEND_MS` is halved, and halved again down to the beat.
Lines within a bar draw no bar line of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from chart.model import TimingPoint
from ear.audio.onset import FRAME_MS, parabola_offset
from ear.timing.kalman import smooth_beats
from ear.timing.model import OMIT_BAR_LINE
from ear.tracker.dbn import TrackedBeats

ONSET_REACH_MS = 25.0
"""An onset further than this from the network's beat is another note."""

NETWORK_NOISE_MS = 8.0
"""Standard deviation of the network's beats about the notes: they come in frames of 20 ms."""

ONSET_NOISE_MS = 3.0
"""Standard deviation of onsets about the beat they mark: hands and chords are not exact."""

FILLED_NOISE_MS = np.inf
"""Beats without a peak are filled in and not measured."""

CLEAR_ONSET = 2.0
"""An onset counts from this many times the local mean of the onset strength."""

ONSET_SMOOTH_MS = 2.0

BEND_MS = 10.0
"""A line is split where it would miss a beat by more than this."""

STEADY_MS = 2.0
"""The stable profile draws a new line where one line would miss a beat by more than this."""


@dataclass(frozen=True, slots=True, eq=False)
class RubatoBeats:
    """Beats of an expressive performance."""

    time_ms: NDArray[np.float64]  # [beat], strictly increasing
    position: NDArray[np.int64]  # [beat], 1 = downbeat
    bar_length: NDArray[np.int64] = field(repr=False)  # [beat], beats in its bar
    deviation_ms: NDArray[np.float64] = field(repr=False)  # [beat], uncertainty


def rubato_beats(tracked: TrackedBeats, strength: NDArray[np.float32]) -> RubatoBeats:
    """Tracked beats made exact by the onsets, from locally normalized onset strength [band, frame of 1 ms]."""
    measured, noise = measure_beats(tracked, strength.sum(axis=0))
    smooth = smooth_beats(measured, noise)
    return RubatoBeats(smooth.time_ms, tracked.position, tracked.bar_length, smooth.deviation_ms)


def measure_beats(tracked: TrackedBeats, total: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Time and standard deviation [beat] of each beat from the onsets near it in `total` [frame of 1 ms]."""
    line = _smoothed(total)
    clear = CLEAR_ONSET * float(line.mean())
    reach = round(ONSET_REACH_MS / FRAME_MS)
    shift = np.arange(-reach, reach + 1)
    likely = -0.5 * (shift * FRAME_MS / NETWORK_NOISE_MS) ** 2
    time, noise = tracked.time_ms.copy(), np.where(tracked.support > 0, NETWORK_NOISE_MS, FILLED_NOISE_MS)
    for beat, around in enumerate(np.rint(tracked.time_ms / FRAME_MS).astype(np.int64)):
        if tracked.support[beat] <= 0 or around < reach or around + reach >= line.size:
            continue
        here = line[around - reach : around + reach + 1]
        inner = (here[1:-1] >= here[:-2]) & (here[1:-1] > here[2:]) & (here[1:-1] >= clear)
        tops = np.flatnonzero(inner) + 1
        if tops.size:
            best = int(tops[(np.log(here[tops]) + likely[tops]).argmax()])
            time[beat] = (around - reach + best + parabola_offset(here, best)) * FRAME_MS
            noise[beat] = ONSET_NOISE_MS
    return time, noise


def _smoothed(total: NDArray[np.float32]) -> NDArray[np.float64]:
    reach = int(4 * ONSET_SMOOTH_MS / FRAME_MS)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * FRAME_MS / ONSET_SMOOTH_MS) ** 2)
    return np.convolve(total, kernel / kernel.sum(), mode="same").astype(np.float64)


def rubato_lines(beats: RubatoBeats) -> tuple[TimingPoint, ...]:
    """A red line a bar, more where the tempo bends within it; the last keeps the last interval."""
    starts = bar_starts(beats)
    points: list[TimingPoint] = []
    for start, end in zip(starts, [*starts[1:], beats.time_ms.size - 1], strict=True):
        for first, last in _split(beats.time_ms, start, max(end, start + 1)):
            points.append(_line(beats, first, last, omit=first != start))
    return tuple(points)


def bar_starts(beats: RubatoBeats) -> list[int]:
    """Beats that begin a bar, the first beat among them if it is in the middle of one."""
    downbeats = np.flatnonzero(beats.position[:-1] == 1).tolist()
    return downbeats if downbeats and downbeats[0] == 0 else [0, *downbeats]


def _split(time_ms: NDArray[np.float64], first: int, last: int) -> list[tuple[int, int]]:
    """(first, last) beats of lines that stay within `BEND_MS` of the beats from `first` to `last`."""
    count = last - first
    straight = time_ms[first] + (time_ms[last] - time_ms[first]) * np.arange(count + 1) / count
    if count == 1 or np.abs(straight - time_ms[first : last + 1]).max() <= BEND_MS:
        return [(first, last)]
    middle = first + (count + 1) // 2
    return _split(time_ms, first, middle) + _split(time_ms, middle, last)


def stable_lines(beats: RubatoBeats, tolerance_ms: float = STEADY_MS) -> tuple[TimingPoint, ...]:
    """The fewest red lines that stay within `tolerance_ms` of the beats, each on a downbeat; at most one a bar."""
    starts = [*bar_starts(beats), beats.time_ms.size - 1]
    points, bar = [], 0
    while bar < len(starts) - 1:
        end = bar + 1
        while end + 1 < len(starts) and _fit_error(beats.time_ms, starts[bar], starts[end + 1]) <= tolerance_ms:
            end += 1
        points.append(_line(beats, starts[bar], starts[end], omit=False))
        bar = end
    return tuple(points)


def _fit_error(time_ms: NDArray[np.float64], first: int, last: int) -> float:
    """Largest distance of the beats from `first` to `last` from their line of least squares."""
    beat = np.arange(last - first + 1, dtype=np.float64)
    slope, start = np.polyfit(beat, time_ms[first : last + 1], 1)
    return float(np.abs(start + slope * beat - time_ms[first : last + 1]).max())


def _line(beats: RubatoBeats, first: int, last: int, *, omit: bool) -> TimingPoint:
    """The red line at beat `first` that meets beat `last`."""
    beat_ms = float(beats.time_ms[last] - beats.time_ms[first]) / (last - first)
    meter = int(beats.bar_length[first])
    if first == 0:  # the audio may begin within a bar
        meter = max(meter - int(beats.position[0]) + 1, 1)
    return TimingPoint(float(beats.time_ms[first]), beat_ms, meter, effects=OMIT_BAR_LINE if omit else 0)
