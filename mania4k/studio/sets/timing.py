"""Corrections of a timing: red lines in, red lines out. A line is [time_ms, beat_ms, metre, effects], on osu!'s clock."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from runtime.errors import ConfigError

Lines = list[list[float]]

MAX_LINES = 2_000
BEAT_MS = (60.0, 4_000.0)
"""Shortest and longest beat: 1000 and 15 BPM."""
MAX_METRE = 16
MAX_TIME_MS = 24 * 3_600_000.0
NEAR_MS = 1.0
"""Two lines nearer than this are one."""


def edit(lines: Sequence[Sequence[float]], what: str, values: dict[str, Any]) -> Lines:
    """The lines after one correction; `what` is a name of `EDITS`, `values` its numbers. Raises ConfigError."""
    if what not in EDITS:
        raise ConfigError(f"timing: no correction “{what[:30]}”")
    return checked(EDITS[what]([[*line] for line in lines], values))


def checked(lines: Lines) -> Lines:
    """The lines in order of time; raises ConfigError for what no chart can have."""
    if not 1 <= len(lines) <= MAX_LINES:
        raise ConfigError(f"timing: {len(lines)} red lines, not 1 to {MAX_LINES}")
    for line in lines:
        if len(line) != 4 or not all(isinstance(value, int | float) and math.isfinite(value) for value in line):
            raise ConfigError("timing: a red line needs a time, a beat length, a metre and effects")
        time_ms, beat_ms, metre, effects = line
        if not BEAT_MS[0] <= beat_ms <= BEAT_MS[1]:
            raise ConfigError(f"timing: {60_000 / max(beat_ms, 1e-9):.1f} BPM is outside 15 to 1000")
        if not (1 <= metre <= MAX_METRE and metre == int(metre)):
            raise ConfigError(f"timing: {metre:g} beats a bar is outside 1 to {MAX_METRE}")
        if abs(time_ms) > MAX_TIME_MS or not 0 <= effects < 256:
            raise ConfigError("timing: a red line lies a day away from the song")
    ordered = sorted([float(time), float(beat), int(metre), int(effects)] for time, beat, metre, effects in lines)
    kept = ordered[:1]
    for line in ordered[1:]:
        if line[0] - kept[-1][0] >= NEAR_MS:
            kept.append(line)
    return kept


def _number(values: dict[str, Any], name: str) -> float:
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"timing: {name} must be a number")
    return float(value)


def _at(lines: Lines, values: dict[str, Any]) -> int:
    index = int(_number(values, "index"))
    if not 0 <= index < len(lines):
        raise ConfigError(f"timing: there is no red line {index}")
    return index


def _tempo(lines: Lines, ratio: float) -> Lines:
    """`ratio` times as many beats, on the same first beat of each line."""
    return [[time, beat / ratio, *rest] for time, beat, *rest in lines]


def _scale(lines: Lines, values: dict[str, Any]) -> Lines:
    ratio = _number(values, "ratio")
    if ratio <= 0:
        raise ConfigError("timing: ratio must be more than 0")
    return _tempo(lines, ratio)


def _shift_beats(lines: Lines, values: dict[str, Any]) -> Lines:
    """Bars begin so many beats later, a half included."""
    beats = _number(values, "beats")
    return [[time + beats * beat, beat, *rest] for time, beat, *rest in lines]


def _offset(lines: Lines, values: dict[str, Any]) -> Lines:
    by = _number(values, "ms")
    return [[time + by, *rest] for time, *rest in lines]


def _metre(lines: Lines, values: dict[str, Any]) -> Lines:
    metre = _number(values, "metre")
    return [[time, beat, metre, effects] for time, beat, _, effects in lines]


def _bpm(lines: Lines, values: dict[str, Any]) -> Lines:
    """The tempo of one line, or of a song with one line."""
    at = _at(lines, {"index": 0, **values})
    bpm = _number(values, "bpm")
    if bpm <= 0:
        raise ConfigError("timing: bpm must be more than 0")
    lines[at][1] = 60_000 / bpm
    return lines


def _add(lines: Lines, values: dict[str, Any]) -> Lines:
    """A red line at a time, with tempo and metre of the line before it."""
    time_ms = _number(values, "time_ms")
    if not lines:
        raise ConfigError("timing: the song's beat is not known yet; wait for the analysis, or tap the beat")
    before = [line for line in lines if line[0] <= time_ms] or lines[:1]
    return [*lines, [time_ms, before[-1][1], before[-1][2], 0]]


def _move(lines: Lines, values: dict[str, Any]) -> Lines:
    lines[_at(lines, values)][0] = _number(values, "time_ms")
    return lines


def _remove(lines: Lines, values: dict[str, Any]) -> Lines:
    at = _at(lines, values)
    if len(lines) == 1:
        raise ConfigError("timing: a song needs one red line")
    return lines[:at] + lines[at + 1 :]


def _tap(lines: Lines, values: dict[str, Any]) -> Lines:
    """One line from taps on the beat: tempo by least squares, first beat where the taps agree, metre kept."""
    taps = values.get("times_ms")
    if not isinstance(taps, list) or not 4 <= len(taps) <= 1_000:
        raise ConfigError("timing: tap at least 4 beats")
    times = sorted(_number({"tap": tap}, "tap") for tap in taps)
    gaps = sorted(later - earlier for earlier, later in itertools.pairwise(times))
    beat = gaps[len(gaps) // 2]
    if beat <= 0:
        raise ConfigError("timing: the taps are all at one time")
    numbers = [round((time - times[0]) / beat) for time in times]
    mean_n, mean_t = sum(numbers) / len(numbers), sum(times) / len(times)
    spread = sum((n - mean_n) ** 2 for n in numbers)
    slope = sum((n - mean_n) * (t - mean_t) for n, t in zip(numbers, times, strict=True)) / spread if spread else beat
    return [[mean_t - mean_n * slope, slope, lines[0][2] if lines else 4, 0]]


def _set(_: Lines, values: dict[str, Any]) -> Lines:
    """Other lines altogether: a candidate, or a chart's."""
    lines = values.get("lines")
    if not isinstance(lines, list) or not all(isinstance(line, list) for line in lines):
        raise ConfigError("timing: no red lines")
    return lines


EDITS: dict[str, Callable[[Lines, dict[str, Any]], Lines]] = {
    "scale": _scale,
    "shift": _shift_beats,
    "offset": _offset,
    "metre": _metre,
    "bpm": _bpm,
    "add": _add,
    "move": _move,
    "remove": _remove,
    "tap": _tap,
    "set": _set,
}
"""Every correction the page offers."""
