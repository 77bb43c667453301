"""Places on StepMania's beats for the times of a chart: red lines become BPM changes, notes rows of 1/48 beat.

A red line begins a beat. Where the beats before it do not come out even, the last of them is shorter: its BPM is higher, so that no
time is lost and everything after stands where it should.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chart.formats.stepmania.timeline import TICKS_PER_BEAT, TICKS_PER_MEASURE
from chart.model import TimingPoint

TUNED_MS = 1.0
"""Beats that miss the next red line by at most this are stretched to meet it, so that the list of BPMs stays clean."""

LEAST_BEAT_MS, MOST_BEAT_MS = 20.0, 12_000.0
"""Beats beyond these, of maps that play with the scroll, are doubled or halved: 3,000 to 5 BPM."""

LINE_GAP_MS = 1.0
"""Red lines closer than this are one, the last of them."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Tempo changes of a chart on StepMania's ticks of 1/48 beat; the first is at tick 0."""

    tick: NDArray[np.int64]  # [change], increasing, whole beats
    time_ms: NDArray[np.float64]  # [change], increasing
    tick_ms: NDArray[np.float64]  # [change], length of a tick from there on
    line_tick: NDArray[np.int64]  # [red line], where each red line stands
    meter: NDArray[np.int64]  # [red line], beats a bar

    def tick_at(self, time_ms: NDArray[np.float64]) -> NDArray[np.int64]:
        """[note] the nearest tick to each time, at least 0."""
        change = np.maximum(np.searchsorted(self.time_ms, time_ms, side="right") - 1, 0)
        tick = self.tick[change] + np.rint((time_ms - self.time_ms[change]) / self.tick_ms[change])
        return np.maximum(tick, 0).astype(np.int64)

    def time_at(self, tick: NDArray[np.int64]) -> NDArray[np.float64]:
        """[note] ms of each tick."""
        change = np.searchsorted(self.tick, tick, side="right") - 1
        return self.time_ms[change] + (tick - self.tick[change]) * self.tick_ms[change]


def grid_of(red_lines: Sequence[TimingPoint], first_ms: float) -> Grid:
    """The grid of red lines (at least one); beat 0 is whole measures before the first line where notes, from `first_ms` on, are."""
    lines = _apart(red_lines)
    beat_ms = [_written_beat_ms(line.beat_length_ms) for line in lines]
    measures = max(math.ceil((lines[0].time_ms - first_ms) / (4 * beat_ms[0])), 0)
    tick, changes = measures * TICKS_PER_MEASURE, [(0, lines[0].time_ms - measures * 4 * beat_ms[0], beat_ms[0])]
    line_tick = []
    for line, beat, following in zip(lines, beat_ms, [*lines[1:], None], strict=True):
        line_tick.append(tick)
        if following is None:
            changes.append((tick, line.time_ms, beat))
            break
        for count, length_ms in _beats(following.time_ms - line.time_ms, beat):
            start_ms = line.time_ms if tick == line_tick[-1] else following.time_ms - length_ms
            changes.append((tick, start_ms, length_ms / count))
            tick += count * TICKS_PER_BEAT
    at, time_ms, length = map(np.array, zip(*{change[0]: change for change in changes}.values(), strict=True))
    return Grid(
        at.astype(np.int64),
        time_ms.astype(np.float64),
        length.astype(np.float64) / TICKS_PER_BEAT,
        np.array(line_tick, dtype=np.int64),
        np.array([line.meter for line in lines], dtype=np.int64),
    )


def _beats(span_ms: float, beat_ms: float) -> list[tuple[int, float]]:
    """(beats, ms) of the stretches between two red lines: even beats, and one shorter where they do not come out."""
    whole = round(span_ms / beat_ms)
    if whole and abs(span_ms - whole * beat_ms) <= TUNED_MS:
        return [(whole, span_ms)]
    whole = int(span_ms / beat_ms)
    rest = (1, span_ms - whole * beat_ms)
    return [(whole, whole * beat_ms), rest] if whole else [rest]


def _apart(red_lines: Sequence[TimingPoint]) -> list[TimingPoint]:
    """The red lines without those that another follows at once."""
    kept: list[TimingPoint] = []
    for line in red_lines:
        if kept and line.time_ms - kept[-1].time_ms < LINE_GAP_MS:
            kept.pop()
        kept.append(line)
    return kept


def _written_beat_ms(beat_ms: float) -> float:
    while beat_ms < LEAST_BEAT_MS:
        beat_ms *= 2
    while beat_ms > MOST_BEAT_MS:
        beat_ms /= 2
    return beat_ms
