"""Notes of an `.osu` file read all at once, where every line under [HitObjects] is an ordinary tap or hold.

Nearly every chart's notes are: reading them line by line takes ten times as long. One line that is not ordinary, and the file is
read line by line (`chart.formats.osu_read`), with the same result.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chart.hit_objects import HOLD, NOTE, PLAYFIELD_WIDTH
from chart.model import KEYS
from chart.problems import MAX_TIME_MS

HEADER = "\n[HitObjects]\n"
LONGEST_X, LONGEST_TIME, LONGEST_KIND = 4, 8, 3
"""Digits of numbers that are read here: times of up to a day."""
_NEW_LINE, _COMMA, _SLASH, _COLON, _ZERO = b"\n,/:0"


@dataclass(frozen=True, eq=False)
class Notes:
    """Notes in the order of the file, ms."""

    time_ms: NDArray[np.float64]  # [note]
    column: NDArray[np.int64]  # [note], 0–3
    end_ms: NDArray[np.float64]  # [note], nan = tap


def split_plain_notes(text: str, most: int) -> tuple[str, Notes | None]:
    """(the text up to its notes, those notes), or the whole text and None where a line is not plain or there are more than `most`."""
    head, header, body = text.partition(HEADER)
    body = body.rstrip("\n")
    if not body or not body.isascii() or body.count("\n") >= most:
        return text, None
    notes = _plain_notes(np.frombuffer(body.encode("ascii") + b"\n", np.uint8))
    return (text, None) if notes is None else (head + header, notes)


def _plain_notes(code: NDArray[np.uint8]) -> Notes | None:
    """Notes of lines that end with LF; None where one has a sign, a comment, or too few fields, or is neither tap nor hold."""
    line_end = np.flatnonzero(code == _NEW_LINE)
    begin = np.concatenate([[0], line_end[:-1] + 1])
    comma = np.append(np.flatnonzero(code == _COMMA), [code.size] * 5)
    first = np.searchsorted(comma, begin)
    field_end = [np.minimum(comma[first + number], line_end) for number in range(4)]
    if (code == _SLASH).any() or (field_end[2] == line_end).any():
        return None
    x = _numbers(code, begin, field_end[0], LONGEST_X)
    time_ms = _numbers(code, field_end[1] + 1, field_end[2], LONGEST_TIME)
    kind = _numbers(code, field_end[2] + 1, field_end[3], LONGEST_KIND)
    if x is None or time_ms is None or kind is None or (time_ms > MAX_TIME_MS).any():
        return None
    held = np.flatnonzero(kind & HOLD)
    stop = np.flatnonzero((code == _COLON) | (code == _COMMA) | (code == _NEW_LINE))
    hold_begin = comma[first[held] + 4] + 1  # behind the fifth comma
    if not (kind & (HOLD | NOTE)).all() or (hold_begin > line_end[held]).any():
        return None
    hold_end = _numbers(code, hold_begin, stop[np.searchsorted(stop, hold_begin)], LONGEST_TIME)
    if hold_end is None:
        return None
    end_ms = np.full(x.size, np.nan)
    end_ms[held] = hold_end
    column = np.minimum(x, PLAYFIELD_WIDTH - 1) * KEYS // PLAYFIELD_WIDTH
    return Notes(time_ms.astype(np.float64), column, end_ms)


def _numbers(code: NDArray[np.uint8], begin: NDArray, end: NDArray, longest: int) -> NDArray[np.int64] | None:
    """The numbers written in code[begin:end]; None where one is empty, too long, or more than digits."""
    length = end - begin
    if length.size and not (length.min() > 0 and length.max() <= longest):
        return None
    number = np.zeros(length.size, np.int64)
    for place in range(length.max(initial=0)):
        there = length > place
        digit = code[np.where(there, begin + place, begin)].astype(np.int64) - _ZERO
        if (digit[there] < 0).any() or (digit[there] > 9).any():
            return None
        number = np.where(there, number * 10 + digit, number)
    return number


def within_the_song(notes: Notes, offset_ms: float) -> Notes:
    """The notes `offset_ms` later; holds without an end within the longest song end with the last note, those without a length are taps."""
    time_ms, end_ms = notes.time_ms, notes.end_ms
    last_ms = max(time_ms.max(initial=0.0), end_ms[end_ms <= MAX_TIME_MS].max(initial=0.0))
    end_ms = np.where(end_ms > MAX_TIME_MS, np.minimum(end_ms, np.maximum(last_ms, time_ms + 1.0)), end_ms)
    return Notes(time_ms + offset_ms, notes.column, np.where(end_ms > time_ms, end_ms + offset_ms, np.nan))
