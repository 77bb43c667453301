"""Beats of a chart turned into ms: tempo changes and stops, added up from one to the next."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chart.formats.parsing import failure
from chart.model import Chart, TimingPoint
from chart.problems import MAX_TIME_MS, MIN_TIME_MS


@dataclass(frozen=True, eq=False)
class TempoMap:
    """When each beat sounds. Before the first event its tempo holds."""

    beat: NDArray[np.float64]  # [event], increasing
    hit_ms: NDArray[np.float64]  # [event], time of a note on the event's beat
    leave_ms: NDArray[np.float64]  # [event], time from which beats run on: after the stop, if there is one
    beat_ms: NDArray[np.float64]  # [event], length of a beat from there on

    @classmethod
    def of(cls, tempos: Mapping[float, float], stops: Mapping[float, float], zero_ms: float) -> TempoMap:
        """The map of beat lengths in ms and of stops in ms, by beat; `zero_ms` is the time of beat 0. `tempos` is not empty."""
        beats = sorted({*tempos, *stops})
        length = tempos[min(tempos)]
        now_ms, previous = zero_ms, 0.0
        hit, leave, lengths = [], [], []
        for beat in beats:
            now_ms += (beat - previous) * length
            length, previous = tempos.get(beat, length), beat
            hit.append(now_ms)
            now_ms += stops.get(beat, 0.0)
            leave.append(now_ms)
            lengths.append(length)
        return cls(np.array(beats), np.array(hit), np.array(leave), np.array(lengths))

    def time_at(self, beat: NDArray[np.float64], where: str) -> NDArray[np.float64]:
        """[note] ms of each beat. Raises `ChartFileError` for times outside the longest song supported."""
        event = np.maximum(np.searchsorted(self.beat, beat, side="right") - 1, 0)
        on_event = (beat == self.beat[event]) | (beat < self.beat[0])
        base = np.where(on_event, self.hit_ms[event], self.leave_ms[event])
        time_ms = base + (beat - self.beat[event]) * self.beat_ms[event]
        if not ((time_ms >= MIN_TIME_MS) & (time_ms <= MAX_TIME_MS)).all():
            raise failure(where, None, "a note lies outside the longest song supported", "is a BPM or a beat mistyped?")
        return np.asarray(time_ms)

    def chart(self, notes: Sequence[tuple[float, int, float]], where: str, **fields: Any) -> Chart:
        """The chart of these notes: beat, column, beat of the end (nan = tap; an end that is not later makes a tap, too).

        `fields` are the chart's others. Raises `ChartFileError` for times outside the longest song supported.
        """
        beat, column, end = zip(*notes, strict=True) if notes else ((), (), ())
        time_ms = self.time_at(np.array(beat, dtype=np.float64), where)
        end_ms = self.time_at(np.where(np.isnan(end), beat, end).astype(np.float64), where)
        end_ms = np.where(end_ms > time_ms, end_ms, math.nan)
        return Chart.from_notes(time_ms, column, end_ms, timing_points=self.red_lines(), **fields)

    def red_lines(self, meters: Mapping[float, int] | None = None) -> tuple[TimingPoint, ...]:
        """A red line an event."""
        return tuple(
            TimingPoint(float(time_ms), float(length), (meters or {}).get(float(beat), 4))
            for beat, time_ms, length in zip(self.beat, self.leave_ms, self.beat_ms, strict=True)
        )
