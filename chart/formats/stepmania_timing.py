"""StepMania's clock: BPM changes, stops and delays, in beats, turned into milliseconds and red lines.

Beats are counted in ticks of 1/48, StepMania's own grid. Warps, and negative BPMs and stops that work as warps, are
refused: time would not run forward. Source: StepMania's `TimingData.cpp` and the `.sm` page of its wiki.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chart.formats.parsing import MAX_TIMING_POINTS, failure, finite, shown
from chart.model import TimingPoint
from chart.problems import beat_length_problem

TICKS_PER_BEAT = 48
TICKS_PER_MEASURE = 4 * TICKS_PER_BEAT  # StepMania's measures always have four beats

_OMIT_BAR_LINE = 8  # effect bit of a red line


@dataclass(frozen=True, eq=False)
class Timeline:
    """When each tick sounds, between events (BPM changes, stops, delays) in order of their tick; the first is at 0."""

    tick: NDArray[np.float64]  # [event], increasing
    hit_ms: NDArray[np.float64]  # [event], time of a note on the event's tick
    leave_ms: NDArray[np.float64]  # [event], time from which beats run on: after the stop, if there is one
    ms_per_tick: NDArray[np.float64]  # [event], tempo after the event

    def time_at(self, tick: NDArray[np.float64]) -> NDArray[np.float64]:
        """[note] times in ms of notes on these ticks, each ≥ 0."""
        event = np.searchsorted(self.tick, tick, side="right") - 1
        later = self.leave_ms[event] + (tick - self.tick[event]) * self.ms_per_tick[event]
        return np.where(tick == self.tick[event], self.hit_ms[event], later)

    def red_lines(self) -> tuple[TimingPoint, ...]:
        """One red line an event; those within a measure draw no bar line of their own."""
        return tuple(
            TimingPoint(
                time_ms=float(self.leave_ms[event]),
                beat_length_ms=float(self.ms_per_tick[event] * TICKS_PER_BEAT),
                effects=0 if self.tick[event] % TICKS_PER_MEASURE == 0 else _OMIT_BAR_LINE,
            )
            for event in range(self.tick.size)
        )


def read_timeline(tags: Mapping[str, str], where: str) -> Timeline:
    """The timeline of tags OFFSET, BPMS, STOPS, DELAYS; refuses WARPS."""
    if tags.get("WARPS", "").strip():
        raise failure(where, None, "the chart uses warps, which no .osu file can express", "remove #WARPS")
    beats_ms = _changes(tags.get("BPMS", ""), "BPM", where)
    if not beats_ms:
        raise failure(where, None, "no BPM", "a line like #BPMS:0.000=120.000; is missing")
    lengths = {tick: _beat_length(bpm, where) for tick, bpm in beats_ms.items()}
    # Before the first BPM change StepMania plays at that first BPM.
    lengths[0] = lengths[min(lengths)]
    stops = _pauses(tags.get("STOPS", ""), "stop", where)
    delays = _pauses(tags.get("DELAYS", ""), "delay", where)
    offset = tags.get("OFFSET", "").strip()
    start_ms = -1000.0 * finite(offset, "OFFSET", where, None) if offset else 0.0
    return _walk(start_ms, lengths, stops, delays)


def _walk(
    start_ms: float, lengths: Mapping[int, float], stops: Mapping[int, float], delays: Mapping[int, float]
) -> Timeline:
    """Add up the time from event to event; `lengths` are ms a beat from each tick on, pauses are in ms."""
    ticks = sorted({*lengths, *stops, *delays})
    hit, leave, per_tick = [], [], []
    now, previous, tempo = start_ms, 0, lengths[0] / TICKS_PER_BEAT
    for tick in ticks:
        now += (tick - previous) * tempo + delays.get(tick, 0.0)
        tempo = lengths[tick] / TICKS_PER_BEAT if tick in lengths else tempo
        hit.append(now)
        now += stops.get(tick, 0.0)
        leave.append(now)
        per_tick.append(tempo)
        previous = tick
    return Timeline(np.array(ticks, dtype=np.float64), np.array(hit), np.array(leave), np.array(per_tick))


def _changes(text: str, what: str, where: str) -> dict[int, float]:
    """Values by tick from a list like `0.000=120.000,4.000=60.000`; a later entry for a tick wins."""
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if len(entries) > MAX_TIMING_POINTS:
        raise failure(where, None, f"{len(entries):,} {what} changes, more than {MAX_TIMING_POINTS:,}")
    found = {}
    for entry in entries:
        beat_text, equals, value_text = entry.partition("=")
        beat = finite(beat_text, f"beat of a {what}", where, None)
        if not equals or beat < 0 or beat > 1e7:
            raise failure(where, None, f"{what} “{shown(entry)}” is not beat=value", "beats start at 0")
        found[round(beat * TICKS_PER_BEAT)] = finite(value_text, what, where, None)
    return found


def _beat_length(bpm: float, where: str) -> float:
    """ms a beat of a usable BPM."""
    if bpm <= 0:
        hint = "negative BPMs are warps, which no .osu file can express" if bpm < 0 else "a tempo must be above 0"
        raise failure(where, None, f"BPM is {bpm:g}", hint)
    if problem := beat_length_problem(60_000.0 / max(bpm, 1e-9)):
        raise failure(where, None, f"BPM is {bpm:g}: {problem}")
    return 60_000.0 / bpm


def _pauses(text: str, what: str, where: str) -> dict[int, float]:
    """Pauses in ms by tick."""
    pauses = _changes(text, what, where)
    for seconds in pauses.values():
        if seconds < 0:
            raise failure(
                where, None, f"{what} of {seconds:g} s", "negative stops are warps, which no .osu file can express"
            )
    return {tick: 1000.0 * seconds for tick, seconds in pauses.items() if seconds}
