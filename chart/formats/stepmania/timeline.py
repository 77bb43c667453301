"""StepMania's clock: BPM changes, stops, delays and warps, in beats, turned into milliseconds and red lines.

Beats are counted in ticks of 1/48, StepMania's own grid. A warp skips beats in no time. Negative BPMs and stops move time
back, which StepMania plays as a warp up to the beat at which the lost time is made up; unplayably fast tempos are warps, too.
Source: StepMania's `TimingData.cpp`, `NotesLoaderSM.cpp` and the `.sm` page of its wiki.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from chart.formats.parsing import MAX_TIMING_POINTS, LeftOut, failure, finite, shown
from chart.model import TimingPoint
from chart.problems import MAX_BEAT_MS, MAX_TIME_MS, MIN_BEAT_MS
from runtime.errors import ChartFileError

TICKS_PER_BEAT = 48
TICKS_PER_MEASURE = 4 * TICKS_PER_BEAT  # StepMania's measures always have four beats
WARP_BPM = 9_999_999.0
"""Faster tempos are warps."""
MAX_BEAT = 1e7

_OMIT_BAR_LINE = 8  # effect bit of a red line


@dataclass(frozen=True, eq=False)
class Timeline:
    """Time of each tick, between events (BPM changes, pauses, ends of warps) in order of their tick; the first is at 0."""

    tick: NDArray[np.float64]  # [event], increasing
    hit_ms: NDArray[np.float64]  # [event], time of a note on the event's tick
    leave_ms: NDArray[np.float64]  # [event], time from which beats run on: after the stop, if there is one
    ms_per_tick: NDArray[np.float64]  # [event], tempo after the event, 0 in a warp
    hittable: NDArray[np.bool_]  # [event], whether a note on the event's own tick can be hit

    def time_at(self, tick: NDArray[np.float64]) -> NDArray[np.float64]:
        """[note] times in ms of notes on these ticks, each ≥ 0."""
        event = np.searchsorted(self.tick, tick, side="right") - 1
        later = self.leave_ms[event] + (tick - self.tick[event]) * self.ms_per_tick[event]
        return np.where(tick == self.tick[event], self.hit_ms[event], later)

    def is_hittable(self, tick: NDArray[np.float64]) -> NDArray[np.bool_]:
        """[note] false where a note is warped over."""
        event = np.searchsorted(self.tick, tick, side="right") - 1
        return np.where(tick == self.tick[event], self.hittable[event], self.ms_per_tick[event] > 0)

    def red_lines(self) -> tuple[TimingPoint, ...]:
        """One red line an event outside of warps; those within a measure draw no bar line of their own."""
        return tuple(
            TimingPoint(
                time_ms=float(self.leave_ms[event]),
                beat_length_ms=float(np.clip(self.ms_per_tick[event] * TICKS_PER_BEAT, MIN_BEAT_MS, MAX_BEAT_MS)),
                effects=0 if self.tick[event] % TICKS_PER_MEASURE == 0 else _OMIT_BAR_LINE,
            )
            for event in np.flatnonzero(self.ms_per_tick > 0).tolist()
        )


def read_timeline(tags: Mapping[str, str], where: str) -> Timeline:
    """The timeline of the tags OFFSET, BPMS, STOPS (or FREEZES), DELAYS and WARPS. Raises ChartFileError without a BPM."""
    bpms = {tick: bpm for tick, bpm in _changes(tags.get("BPMS", ""), "BPM", where).items() if bpm}
    if not any(bpm > 0 for bpm in bpms.values()):
        raise failure(where, None, "no BPM above 0", "a line like #BPMS:0.000=120.000; is missing")
    # Before the first BPM change StepMania plays at that first BPM.
    bpms.setdefault(0, bpms[min(bpms)])
    stops = _changes(tags.get("STOPS", "").strip() or tags.get("FREEZES", ""), "stop", where)
    delays = _changes(tags.get("DELAYS", ""), "delay", where)
    walk = _Walk(
        now_ms=-1000.0 * _offset(tags, where),
        per_tick={tick: 0.0 if bpm > WARP_BPM else 60_000.0 / bpm / TICKS_PER_BEAT for tick, bpm in bpms.items()},
        stops={tick: 1000.0 * seconds for tick, seconds in stops.items()},
        delays={tick: 1000.0 * seconds for tick, seconds in delays.items()},
        warps=read_regions(tags.get("WARPS", ""), "warp", where),
    )
    return walk.timeline(where)


def _offset(tags: Mapping[str, str], where: str) -> float:
    text = tags.get("OFFSET", "").strip()
    return finite(text, "OFFSET", where, None) if text else 0.0


@dataclass
class _Walk:
    """Adds up the time from event to event. Negative tempos and pauses go to `debt_ms`, which later time makes up for."""

    now_ms: float
    per_tick: Mapping[int, float]  # tick → ms a tick from there on; below 0: time runs back; 0: a warp
    stops: Mapping[int, float]  # tick → ms, after the note
    delays: Mapping[int, float]  # tick → ms, before the note
    warps: Mapping[int, float]  # tick → ticks
    debt_ms: float = 0.0
    events: list[tuple[float, float, float, float, bool]] = field(default_factory=list)  # the fields of `Timeline`

    def timeline(self, where: str) -> Timeline:
        """The events in order. Raises ChartFileError where time runs beyond the longest song."""
        ends = {start + length for start, length in self.warps.items()}
        ticks = sorted({*self.per_tick, *self.stops, *self.delays, *self.warps, *ends})
        tempo, warp_until = self.per_tick[0], 0.0
        for tick, following in zip(ticks, [*ticks[1:], np.inf], strict=True):
            tempo = self.per_tick.get(int(tick), tempo) if tick == int(tick) else tempo
            warp_until = max(warp_until, tick + self.warps.get(int(tick), 0.0) if tick == int(tick) else 0.0)
            self._pause_at(tick, tempo if tick >= warp_until else 0.0)
            self._run(tick, following, tempo if tick >= warp_until else 0.0)
            if abs(self.now_ms) > 2 * MAX_TIME_MS:
                raise failure(where, None, "its stops lead outside the longest song supported")
        tick_of, hit_ms, leave_ms, per_tick, hittable = map(np.array, zip(*self.events, strict=True))
        return Timeline(tick_of.astype(np.float64), hit_ms, leave_ms, per_tick.astype(np.float64), hittable)

    def _pause_at(self, tick: float, tempo: float) -> None:
        """Delay, note, stop. A pause within a warp lets its beat be hit."""
        delay, stop = self.delays.get(int(tick), 0.0), self.stops.get(int(tick), 0.0)
        if tick != int(tick):
            delay = stop = 0.0
        is_behind = self._spend(delay)
        hit_ms = self.now_ms
        runs_on = tempo > 0 and not self.debt_ms and stop >= 0
        self._spend(stop)
        self.events.append(
            (tick, hit_ms, self.now_ms, max(tempo, 0.0), bool(runs_on or is_behind or self.now_ms > hit_ms))
        )

    def _spend(self, pause_ms: float) -> bool:
        """Pay the debt with a pause (a negative one adds to it) and let the rest pass; returns whether any rest was left."""
        paid = min(max(pause_ms, 0.0), self.debt_ms)
        self.debt_ms += max(-pause_ms, 0.0) - paid
        self.now_ms += max(pause_ms, 0.0) - paid
        return pause_ms > paid

    def _run(self, tick: float, following: float, tempo: float) -> None:
        """Advance to the next event; beats that make up for lost time form a warp that ends on its own."""
        ticks = following - tick
        if tempo <= 0 or self.debt_ms:
            self._set_tempo(0.0)
        if tempo < 0:
            self.debt_ms += -tempo * (ticks if np.isfinite(ticks) else 0.0)
        elif tempo > 0:
            needed = self.debt_ms / tempo
            if needed >= ticks:
                self.debt_ms -= tempo * ticks
                return
            if needed > 0:
                self.debt_ms = 0.0
                self.events.append((tick + needed, self.now_ms, self.now_ms, tempo, True))
            self.now_ms += (ticks - needed) * tempo if np.isfinite(ticks) else 0.0

    def _set_tempo(self, tempo: float) -> None:
        *others, _, hittable = self.events[-1]
        self.events[-1] = (*others, tempo, hittable)  # type: ignore[assignment]


def read_regions(text: str, what: str, where: str) -> dict[int, float]:
    """Read a list such as `8.000=1.000` (beat=beats); returns first tick → length in ticks."""
    return {
        tick: length * TICKS_PER_BEAT for tick, length in _changes(text, what, where).items() if 0 < length <= MAX_BEAT
    }


def _changes(text: str, what: str, where: str) -> dict[int, float]:
    """Values by tick from a list like `0.000=120.000,4.000=60.000`; a later entry for a tick wins, odd ones are left out."""
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if len(entries) > MAX_TIMING_POINTS:
        raise failure(where, None, f"{len(entries):,} {what} changes, more than {MAX_TIMING_POINTS:,}")
    found, left_out = {}, LeftOut(where)
    for entry in entries:
        beat_text, equals, value_text = entry.partition("=")
        try:
            beat = finite(beat_text, f"beat of a {what}", where, None)
            if not equals or not 0 <= beat <= MAX_BEAT:
                raise failure(where, None, f"{what} “{shown(entry)}” is not beat=value", "beats start at 0")
            found[round(beat * TICKS_PER_BEAT)] = finite(value_text, what, where, None)
        except ChartFileError as error:
            left_out.add(error)
    if left_out.first is not None and not found:
        raise left_out.first
    left_out.report("entries")
    return found
