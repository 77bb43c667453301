"""Validation of a `Chart`: the list of its broken invariants.

Two kinds of trouble: those in `REFUSED_KINDS` make a chart meaningless, so no reader returns it and no writer writes
it; the others (a doubled note, a hold running into the next note …) occur in real maps that the game plays, so they are
read and written as they are, and listed here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from chart.model import KEYS, Chart, TimingPoint
from runtime.errors import ChartFileError

MIN_TIME_MS = -600_000.0
"""Ten minutes before the audio; the game scrolls in from the first object, however early."""

MAX_TIME_MS = 6 * 3_600_000.0
"""Six hours: far beyond any song, near enough that time grids stay affordable."""

MIN_BEAT_MS = 0.01
"""Shortest beat of a red line. Real gimmick maps reach 0.5 ms (120,000 BPM)."""

MAX_BEAT_MS = 3_600_000.0
"""Longest beat of a red line; gimmick maps stop the scroll with beats of many seconds."""

MAX_METER = 10_000
"""Most beats in a bar; maps hide bar lines with metres of hundreds."""

REFUSED_KINDS = frozenset(
    {
        "not_finite",
        "time_range",
        "unsorted",
        "column",
        "hold_order",
        "timing_unsorted",
        "beat_length",
        "meter",
        "no_red_line",
        "text",
    }
)
"""Problems with which a chart is neither read nor written."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken invariant; `time_ms` and `column` say where, when the place is known."""

    kind: str
    message: str
    time_ms: float | None = None
    column: int | None = None


def find_problems(chart: Chart) -> list[Problem]:
    """Every broken invariant of the chart, notes first; empty for a valid chart.

    Kinds: not_finite, time_range, column, unsorted, hold_order, duplicate, overlap (notes); no_red_line, not_finite,
    time_range, timing_unsorted, beat_length, meter, scroll_speed (timing); break; difficulty; no_audio, text,
    untidy_text (names).
    """
    return [*_notes(chart), *_timing(chart), *_breaks(chart), *_difficulty(chart), *_names(chart)]


def _notes(chart: Chart) -> Iterator[Problem]:
    time, column, end = chart.time_ms, chart.column, chart.end_ms

    def at(mask: NDArray[np.bool_], kind: str, message: str) -> Iterator[Problem]:
        for note in np.flatnonzero(mask):
            where = float(time[note])
            yield Problem(
                kind, message.format(time=where, end=end[note], column=column[note]), where, int(column[note])
            )

    yield from at(~np.isfinite(time), "not_finite", "note at {time} ms")
    yield from at(np.isinf(end), "not_finite", "hold at {time} ms ends at {end} ms")
    far = (time < MIN_TIME_MS) | (time > MAX_TIME_MS) | (np.isfinite(end) & (end > MAX_TIME_MS))
    yield from at(np.isfinite(time) & far, "time_range", "note at {time:g} ms lies outside the longest song supported")
    yield from at((column < 0) | (column >= KEYS), "column", "note at {time:g} ms is in column {column}, not 0–3")
    yield from at(end <= time, "hold_order", "hold ends at {end:g} ms, not after its start at {time:g} ms")
    before = np.zeros(len(chart), bool)
    before[1:] = (time[1:] < time[:-1]) | ((time[1:] == time[:-1]) & (column[1:] < column[:-1]))
    yield from at(before, "unsorted", "note at {time:g} ms in column {column} comes after a later one")
    if not before.any():
        duplicate, overlap = _clashes(chart)
        yield from at(duplicate, "duplicate", "second note at {time:g} ms in column {column}")
        yield from at(overlap, "overlap", "note at {time:g} ms in column {column} starts before a hold there has ended")


def _clashes(chart: Chart) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """[note] at the time of the note before it in its column; [note] within or at the end of an earlier hold there."""
    duplicate = np.zeros(len(chart), bool)
    overlap = np.zeros(len(chart), bool)
    for key in np.unique(chart.column):
        notes = np.flatnonzero(chart.column == key)
        time = chart.time_ms[notes]
        busy_until = np.fmax.accumulate(chart.end_ms[notes])
        duplicate[notes[1:]] = time[1:] == time[:-1]
        overlap[notes[1:]] = (time[1:] <= busy_until[:-1]) & (time[1:] != time[:-1])
    return duplicate, overlap


def _timing(chart: Chart) -> Iterator[Problem]:
    if not chart.red_lines:
        yield Problem("no_red_line", "no red line: the tempo is unknown")
    previous = -math.inf
    for point in chart.timing_points:
        if not (math.isfinite(point.time_ms) and math.isfinite(point.beat_length_ms)):
            yield Problem("not_finite", f"timing point at {point.time_ms} ms has beat length {point.beat_length_ms}")
            continue
        yield from _timing_point(point)
        if point.time_ms < previous:
            message = f"timing point at {point.time_ms:g} ms comes after one at {previous:g} ms"
            yield Problem("timing_unsorted", message, point.time_ms)
        previous = point.time_ms


def _timing_point(point: TimingPoint) -> Iterator[Problem]:
    """Problems of one point whose numbers are finite."""
    time = point.time_ms
    if not MIN_TIME_MS <= time <= MAX_TIME_MS:
        yield Problem("time_range", f"timing point at {time:g} ms lies outside the longest song supported", time)
    if point.uninherited:
        if problem := beat_length_problem(point.beat_length_ms):
            yield Problem("beat_length", f"red line at {time:g} ms: {problem}", time)
        if not 1 <= point.meter <= MAX_METER:
            yield Problem("meter", f"red line at {time:g} ms has {point.meter} beats a bar, not 1–{MAX_METER}", time)
    elif point.beat_length_ms >= 0:
        message = f"green line at {time:g} ms has beat length {point.beat_length_ms:g}, not below 0"
        yield Problem("scroll_speed", message, time)


def beat_length_problem(beat_length_ms: float) -> str | None:
    """Message about an invalid beat length of a red line; None for a valid one."""
    if MIN_BEAT_MS <= beat_length_ms <= MAX_BEAT_MS:
        return None
    return f"beat length {beat_length_ms:g} ms gives no usable BPM; it must be {MIN_BEAT_MS:g}–{MAX_BEAT_MS:g} ms"


def _breaks(chart: Chart) -> Iterator[Problem]:
    for start, end in chart.breaks:
        if not (math.isfinite(start) and math.isfinite(end)):
            yield Problem("not_finite", f"break from {start} to {end} ms")
        elif not (MIN_TIME_MS <= start <= MAX_TIME_MS and MIN_TIME_MS <= end <= MAX_TIME_MS):
            yield Problem("time_range", f"break from {start:g} to {end:g} ms lies outside the longest song", start)
        elif end <= start:
            yield Problem("break", f"break ends at {end:g} ms, not after its start at {start:g} ms", start)


def _difficulty(chart: Chart) -> Iterator[Problem]:
    for name, value in (("HP", chart.difficulty.hp), ("OD", chart.difficulty.od)):
        if not math.isfinite(value):
            yield Problem("not_finite", f"{name} is {value}")
        elif not 0 <= value <= 10:
            yield Problem("difficulty", f"{name} is {value:g}, not 0–10")


def _names(chart: Chart) -> Iterator[Problem]:
    names = {"audio_filename": chart.audio_filename, "background": chart.background}
    texts = {item.name: getattr(chart.metadata, item.name) for item in fields(chart.metadata)}
    names |= {name: text for name, text in texts.items() if isinstance(text, str)}
    if not chart.audio_filename:
        yield Problem("no_audio", "no audio file is named")
    for name, text in [*names.items(), *(("tags", tag) for tag in chart.metadata.tags)]:
        if "\n" in text or "\r" in text or any("\ud800" <= character <= "\udfff" for character in text):
            yield Problem("text", f"{name} contains a line break or a lone surrogate, which no .osu file can hold")
        elif text != text.strip():
            yield Problem("untidy_text", f"{name} has white space around it, which is lost in an .osu file")
    if '"' in chart.background:
        yield Problem("text", "background contains a quote, which no .osu file can hold")
    if any(" " in tag or not tag for tag in chart.metadata.tags):
        yield Problem("untidy_text", "a tag is empty or contains a space, which splits it in an .osu file")


def require_valid(chart: Chart, where: str) -> None:
    """Raise `ChartFileError` if the chart has a problem of `REFUSED_KINDS`; `where` names it."""
    broken = [problem for problem in find_problems(chart) if problem.kind in REFUSED_KINDS]
    if broken:
        more = f" (and {len(broken) - 1} more problems)" if len(broken) > 1 else ""
        raise ChartFileError(f"{where}: not a valid chart: {broken[0].message}{more}")
