"""Beat divisor of each note, from the chart's own red lines.

`.osu` files hold whole milliseconds, so a note is on a snap when it lies within `TOLERANCE_MS` of it. The coarsest
fitting divisor wins: a note on the beat is 1, on the half beat 2, … and 0 means that no divisor fits (unsnapped).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chart.model import Chart, TimingPoint

DIVISORS = (1, 2, 3, 4, 6, 8, 12, 16, 5, 7, 9)
"""Divisors that osu!'s editor offers, in the order in which they are tried: common ones before odd ones."""
TOLERANCE_MS = 2.0
"""Mapset Verifier calls a note unsnapped from 2 ms on; a whole-millisecond file alone costs up to 1 ms."""
DEFAULT_BEAT_MS = 500.0
"""Beat assumed for a chart without red lines (120 BPM), so that every note has some beat."""
FLOAT_SLACK_MS = 1e-6


@dataclass(frozen=True)
class Beats:
    """Positions of times on the beat grid of the red line in effect."""

    beat: NDArray[np.float64]  # [time], beats since the chart's first red line; keeps counting over red lines
    phase: NDArray[np.float64]  # [time], beats since the red line in effect
    beat_ms: NDArray[np.float64]  # [time], length of a beat there
    meter: NDArray[np.int64]  # [time], beats a bar there


@dataclass(frozen=True)
class Snaps:
    """Nearest snap of each time."""

    divisor: NDArray[np.int64]  # [time], coarsest divisor within the tolerance, 0 = unsnapped
    error_ms: NDArray[np.float64]  # [time], time minus the snap taken (unsnapped: the nearest of all divisors)


def beats_at(time_ms: NDArray[np.float64], red_lines: Sequence[TimingPoint]) -> Beats:
    """Beat positions of `time_ms` [time]; the first red line also applies before its own time, as in the game."""
    if not red_lines:
        red_lines = (TimingPoint(0.0, DEFAULT_BEAT_MS),)
    start = np.array([line.time_ms for line in red_lines])  # [line]
    length = np.array([line.beat_length_ms for line in red_lines])
    count = np.concatenate([[0.0], np.cumsum(np.diff(start) / length[:-1])])  # beats before each line
    # A note rounded to the millisecond before a red line belongs to that line, hence the slack.
    line = np.maximum(np.searchsorted(start - 1.0, time_ms, side="right") - 1, 0)
    phase = (time_ms - start[line]) / length[line]
    meter = np.array([max(point.meter, 1) for point in red_lines])
    return Beats(beat=count[line] + phase, phase=phase, beat_ms=length[line], meter=meter[line])


def snap_beats(phase: NDArray[np.float64], beat_ms: NDArray[np.float64], tolerance_ms: float = TOLERANCE_MS) -> Snaps:
    """[time] phases in beats → the coarsest divisor whose grid lies nearer than `tolerance_ms`."""
    divisor = np.zeros(phase.shape, np.int64)
    error = np.full(phase.shape, np.inf)
    for candidate in DIVISORS:
        scaled = phase * candidate
        distance = (scaled - np.round(scaled)) / candidate * beat_ms
        open_ = divisor == 0
        nearer = open_ & (np.abs(distance) < np.abs(error))
        error[nearer] = distance[nearer]
        divisor[open_ & (np.abs(distance) < tolerance_ms - FLOAT_SLACK_MS)] = candidate
    return Snaps(divisor=divisor, error_ms=error)


def snap_chart(chart: Chart, tolerance_ms: float = TOLERANCE_MS) -> Snaps:
    """Snaps of the chart's note heads, [note]."""
    beats = beats_at(chart.time_ms, chart.red_lines)
    return snap_beats(beats.phase, beats.beat_ms, tolerance_ms)
