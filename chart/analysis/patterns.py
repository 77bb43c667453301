"""Recognisers of the named patterns of osu!mania.

A chart is read as *rows* (notes at one time). A recogniser turns rows into `Runs`: spans of consecutive rows. Names and
meanings follow the osu! wiki (ranking criteria for osu!mania, Patterns) and the mapping guide.

    jump, hand, quad              2, 3, 4 notes at once
    stream, jumpstream, handstream  equal intervals of at most 1/2, a beat or longer, no column twice in a row
    roll, split roll              1234 or 4321; 1324 or 4231
    trill, jumptrill, split-jumptrill  two rows in turn, three rows or more
    minijack, jack, longjack, chordjack  one column 2, 3+, 5+ rows running; chords that share columns
    anchor                        a column on every second row of a stream, 3 times or more
    grace                         rows at 1/6 or finer, at most four, alone
    shield, reverse shield        a note just before a hold in its column; just after
    inverse                       holds that fill the columns and leave only short gaps
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chart.analysis.rows import (
    LEFT,
    RIGHT,
    ROUNDING_MS,
    ROW_TOLERANCE_MS,
    SIZE_OF_MASK,
    Rows,
    Runs,
    beats_of,
    previous,
    row_starts,
    rows_of,
    runs_where,
    steady_runs,
    within,
)
from chart.analysis.snap import beats_at
from chart.model import KEYS, Chart

FAST_BEATS = 0.5
"""Interval of the slowest stream, trill or jack."""
ONE_BEAT_SLACK = 0.02
"""Beats by which rounding may shorten a stream of one beat."""


def _chords(size: int) -> Callable[[Rows], Runs]:
    def find(rows: Rows) -> Runs:
        at = np.flatnonzero(rows.size == size)
        return Runs(at, at)

    return find


def streams(rows: Rows) -> Runs:
    """Equal intervals of at most 1/2, a beat and four rows long or more, no column twice in a row."""
    found = steady_runs(rows, within(rows, FAST_BEATS) & (rows.mask & previous(rows.mask) == 0))
    return found.where((found.length >= 4) & (beats_of(rows, found) >= 1 - ONE_BEAT_SLACK))


def _stream_of(largest: int) -> Callable[[Rows], Runs]:
    def find(rows: Rows) -> Runs:
        found = streams(rows)
        bounds = np.stack([found.first, found.last + 1], axis=1).ravel()
        top = np.maximum.reduceat(np.append(rows.size, 0), bounds)[::2] if bounds.size else bounds
        return found.where(top == largest)

    return find


def _roll(orders: tuple[tuple[int, ...], ...]) -> Callable[[Rows], Runs]:
    """Runs in which every row follows its predecessor as in one of the cyclic column orders."""

    def find(rows: Rows) -> Runs:
        firsts, lasts = [], []
        for order in orders:
            follows = np.zeros(1 << KEYS, np.int64)
            for at, key in enumerate(order[:-1]):
                follows[1 << key] = 1 << order[at + 1]
            follows[1 << order[-1]] = 1 << order[0]
            steps = within(rows, FAST_BEATS) & (rows.mask == follows[previous(rows.mask)]) & (rows.mask > 0)
            found = steady_runs(rows, steps)
            found = found.where(found.length >= KEYS)
            firsts.append(found.first)
            lasts.append(found.last)
        first, last = np.concatenate(firsts), np.concatenate(lasts)
        order_of_time = np.argsort(first, kind="stable")
        return Runs(first[order_of_time], last[order_of_time])

    return find


def alternations(rows: Rows, limit_beats: float = FAST_BEATS) -> Runs:
    """Two different rows in turn at one interval, three rows or more."""
    fast = within(rows, limit_beats)
    differs = fast & (rows.mask & previous(rows.mask) == 0)
    returns = differs & (rows.mask == previous(rows.mask, 2)) & previous(differs)
    found = runs_where(returns & (np.abs(_finite(rows.gap_ms) - previous(_finite(rows.gap_ms))) <= ROW_TOLERANCE_MS))
    return Runs(found.first - 1, found.last)


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(values), values, -1e9)


def _alternating(fits: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.bool_]]) -> Callable[[Rows], Runs]:
    def find(rows: Rows) -> Runs:
        found = alternations(rows)
        return found.where(fits(rows.mask[found.first], rows.mask[np.minimum(found.first + 1, rows.mask.size - 1)]))

    return find


def _is_trill(one: NDArray[np.int64], two: NDArray[np.int64]) -> NDArray[np.bool_]:
    return (SIZE_OF_MASK[one] == 1) & (SIZE_OF_MASK[two] == 1)


def _is_jumptrill(one: NDArray[np.int64], two: NDArray[np.int64]) -> NDArray[np.bool_]:
    return (one | two == LEFT | RIGHT) & ((one == LEFT) | (one == RIGHT))


def _is_split_jumptrill(one: NDArray[np.int64], two: NDArray[np.int64]) -> NDArray[np.bool_]:
    two_hands = (SIZE_OF_MASK[one & LEFT] == 1) & (SIZE_OF_MASK[one & RIGHT] == 1)
    return two_hands & (one | two == LEFT | RIGHT)


def column_repeats(rows: Rows, limit_beats: float = FAST_BEATS) -> Runs:
    """Spans in which some one column is pressed in every row; spans of different columns may overlap."""
    fast = within(rows, limit_beats)
    parts = []
    for key in range(KEYS):
        pressed = (rows.mask >> key & 1).astype(bool)
        again = fast & pressed
        again[1:] &= pressed[:-1]
        again[:1] = False
        parts.append(runs_where(again))
    return _merged(parts)


def _merged(parts: list[Runs]) -> Runs:
    first = np.concatenate([part.first for part in parts])
    last = np.concatenate([part.last for part in parts])
    order = np.lexsort((last, first))
    return Runs(first[order], last[order])


def _jacks(shortest: int, longest: int) -> Callable[[Rows], Runs]:
    def find(rows: Rows) -> Runs:
        found = column_repeats(rows)
        return found.where((found.length >= shortest) & (found.length <= longest))

    return find


def _chordjack(rows: Rows) -> Runs:
    chord = rows.size >= 2
    shares = within(rows, FAST_BEATS) & chord & previous(chord) & (rows.mask & previous(rows.mask) > 0)
    found = runs_where(shares)
    return found.where(found.length >= 3)


def anchors(rows: Rows, limit_beats: float = 0.25) -> Runs:
    """Spans in which some column is pressed on every second row of a run at `limit_beats` or finer, 3 times or more."""
    fast = within(rows, limit_beats)
    parts = []
    for key in range(KEYS):
        pressed = (rows.mask >> key & 1).astype(bool)
        again = fast & previous(fast) & pressed & previous(pressed, 2) & ~previous(pressed)
        for parity in (0, 1):  # each half of the rows is a chain of its own
            found = runs_where(again[parity::2])
            found = found.where(found.length >= 3)
            parts.append(Runs(found.first * 2 + parity, found.last * 2 + parity))
    return _merged(parts)


def _grace(rows: Rows) -> Runs:
    found = runs_where(within(rows, 1 / 6))
    return found.where(found.length <= 4)


RECOGNISERS: dict[str, Callable[[Rows], Runs]] = {
    "jump": _chords(2),
    "hand": _chords(3),
    "quad": _chords(4),
    "stream": _stream_of(1),
    "jumpstream": _stream_of(2),
    "handstream": _stream_of(3),
    "roll": _roll(((0, 1, 2, 3), (3, 2, 1, 0))),
    "split roll": _roll(((0, 2, 1, 3), (3, 1, 2, 0))),
    "trill": _alternating(_is_trill),
    "jumptrill": _alternating(_is_jumptrill),
    "split-jumptrill": _alternating(_is_split_jumptrill),
    "minijack": _jacks(2, 2),
    "jack": _jacks(3, 4),
    "longjack": _jacks(5, 10**9),
    "chordjack": _chordjack,
    "anchor": anchors,
    "grace": _grace,
}
"""Pattern name → recogniser over rows. Patterns of holds are found on notes, see `hold_patterns`."""


@dataclass(frozen=True)
class Pattern:
    """One named pattern in a chart."""

    name: str
    start_ms: float
    end_ms: float  # time of its last row
    columns: int  # bit c set = column c takes part


def hold_patterns(chart: Chart, near_beats: float = 0.25) -> list[Pattern]:
    """Shields (a note just before a hold in its column), reverse shields (just after) and inverse spans."""
    beats = beats_at(chart.time_ms, chart.red_lines)
    found: list[Pattern] = []
    filled: list[float] = []
    for key in range(KEYS):
        mine = np.flatnonzero(chart.column == key)
        if mine.size < 2:
            continue
        start, end, hold = chart.time_ms[mine], chart.end_ms[mine], chart.is_hold[mine]
        free_from = np.where(hold, end, start)[:-1]
        near = start[1:] - free_from <= near_beats * beats.beat_ms[mine][1:] + ROUNDING_MS
        for name, here in (("shield", near & hold[1:] & ~hold[:-1]), ("reverse shield", near & hold[:-1] & ~hold[1:])):
            found += [Pattern(name, start[i], start[i + 1], 1 << key) for i in np.flatnonzero(here)]
        filled += list(start[1:][near & hold[1:] & hold[:-1]])
    return sorted(found + _inverse(np.sort(np.array(filled)), beats.beat_ms), key=lambda pattern: pattern.start_ms)


INVERSE_NOTES = 8
"""Consecutive holds with short gaps, each within a beat of the last, from which on they are an inverse."""


def _inverse(filled_ms: NDArray[np.float64], beat_ms: NDArray[np.float64]) -> list[Pattern]:
    if filled_ms.size < INVERSE_NOTES:
        return []
    runs = runs_where(np.diff(filled_ms, prepend=-np.inf) <= float(np.median(beat_ms)))
    runs = runs.where(runs.length >= INVERSE_NOTES)
    return [
        Pattern("inverse", filled_ms[a], filled_ms[b], LEFT | RIGHT) for a, b in zip(runs.first, runs.last, strict=True)
    ]


def find_patterns(chart: Chart) -> list[Pattern]:
    """Every named pattern of the chart in order of time; patterns overlap (a roll is also a stream)."""
    if not len(chart):
        return []
    rows, row_ms = rows_of(chart), chart.time_ms[row_starts(chart.time_ms)]
    found = hold_patterns(chart)
    for name, recogniser in RECOGNISERS.items():
        runs = recogniser(rows)
        for first, last in zip(runs.first.tolist(), runs.last.tolist(), strict=True):
            columns = int(np.bitwise_or.reduce(rows.mask[first : last + 1]))
            found.append(Pattern(name, float(row_ms[first]), float(row_ms[last]), columns))
    return sorted(found, key=lambda pattern: (pattern.start_ms, pattern.name))


def pattern_shares(chart: Chart) -> dict[str, float]:
    """Share of the chart's rows that take part in each row pattern, 0–1."""
    rows = rows_of(chart)
    shares = {}
    for name, recogniser in RECOGNISERS.items():
        runs = recogniser(rows)
        depth = np.zeros(rows.mask.size + 1, np.int64)
        np.add.at(depth, runs.first, 1)
        np.add.at(depth, runs.last + 1, -1)
        shares[name] = float(np.mean(np.cumsum(depth[:-1]) > 0)) if rows.mask.size else 0.0
    return shares
