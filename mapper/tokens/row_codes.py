"""Row codes: a chart as a sequence of rows on the beat grid.

A row is everything that happens in the four columns at one slot of `chart.grid.Grid`: per column nothing, a tap,
the start of a hold or its end. A row code packs the four symbols in base 4, column 0 first (0–255).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from chart.grid import Grid
from chart.model import KEYS, Chart
from mapper.tokens.note_kernels import MIN_COLUMN_GAP_MS as MIN_COLUMN_GAP_MS
from mapper.tokens.note_kernels import write_notes

NOTHING, TAP, HOLD_START, HOLD_END = range(4)
ROW_CODES = 4**KEYS
HELD_STATES = 2**KEYS

SNAP_TOLERANCE_MS = 12.0
"""A note further than this from every slot is on a snap that the grid does not offer."""

SYMBOLS = np.array([[code >> (2 * column) & 3 for column in range(KEYS)] for code in range(ROW_CODES)])
"""[code, column] → symbol."""


def _legal_rows() -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    held = (np.arange(HELD_STATES)[:, None] >> np.arange(KEYS) & 1).astype(bool)[:, None, :]  # [state, 1, column]
    symbols = SYMBOLS[None]  # [1, code, column]
    fits = np.where(held, (symbols == NOTHING) | (symbols == HOLD_END), symbols != HOLD_END).all(-1)
    fits[:, 0] = False  # a row has at least one event
    held_after = (symbols == HOLD_START) | (held & (symbols != HOLD_END))
    return fits, (held_after * (1 << np.arange(KEYS))).sum(-1)


LEGAL, HELD_AFTER = _legal_rows()
"""[held state, code] → whether the row may be written; → the held state after it. Held states are 4-bit masks."""

STARTS_NOTE = ((SYMBOLS == TAP) | (SYMBOLS == HOLD_START)).any(-1)
"""[code] → whether the row has a note head (and is not just releases)."""
STARTS_HOLD = (SYMBOLS == HOLD_START).any(-1)
"""[code] → whether a hold begins in the row."""


@dataclass(frozen=True)
class Rows:
    """A chart on a grid. Invariant: legal one after another from no held column, and none held after the last."""

    slot: NDArray[np.int64]  # [row], strictly increasing
    code: NDArray[np.int64]  # [row], 1–255
    unsnapped: int = 0  # notes that were on no slot and left out

    def __len__(self) -> int:
        return int(self.slot.size)


def rows_of(chart: Chart, grid: Grid) -> Rows:
    """The chart's notes on their nearest slots; holds shorter than a slot become taps."""
    if not len(chart):
        return Rows(np.empty(0, np.int64), np.empty(0, np.int64))
    start = grid.nearest_slot(chart.time_ms)
    snapped = np.abs(grid.slot_ms[start] - chart.time_ms) <= SNAP_TOLERANCE_MS
    end = np.where(chart.is_hold, grid.nearest_slot(np.nan_to_num(chart.end_ms)), -1)
    symbols: dict[int, list[int]] = {}
    for column in range(KEYS):
        notes = np.flatnonzero((chart.column == column) & snapped)
        if not notes.size:
            continue
        notes = notes[np.concatenate(([True], np.diff(start[notes]) > 0))]
        following = np.append(start[notes][1:], np.iinfo(np.int64).max)
        for note, next_start in zip(notes, following, strict=True):
            release = min(end[note], _slot_before(grid, next_start))
            is_hold = release > start[note]
            symbols.setdefault(start[note], [0] * KEYS)[column] = HOLD_START if is_hold else TAP
            if is_hold:
                symbols.setdefault(release, [0] * KEYS)[column] = HOLD_END
    slot = np.array(sorted(symbols), dtype=np.int64)
    code = np.array([sum(s << (2 * c) for c, s in enumerate(symbols[at])) for at in slot], dtype=np.int64)
    return Rows(slot, code, int((~snapped).sum()))


def _slot_before(grid: Grid, slot: int) -> int:
    """The last usable slot before `slot`, where a hold must have ended."""
    slot = min(slot, grid.slot_ms.size) - 1
    while slot > 0 and not grid.usable[slot]:
        slot -= 1
    return slot


def notes_of(
    rows: Rows, grid: Grid, open_end_ms: float = np.inf
) -> tuple[NDArray[np.float64], NDArray[np.int8], NDArray[np.float64]]:
    """(time_ms, column, end_ms) of the rows, as `Chart.from_notes` takes them, in chart time.

    Holds that the rows do not release end at `open_end_ms`.
    """
    note = np.empty((KEYS * len(rows), 3))
    note = note[: write_notes(rows.slot, rows.code, open_end_ms, grid.slot_ms, note)]
    return note[:, 0].copy(), note[:, 1].astype(np.int8), note[:, 2].copy()


def held_states(code: NDArray[np.int64]) -> NDArray[np.int64]:
    """[row] row codes from no held column → [row] held state after each."""
    symbols = SYMBOLS[code]
    held = np.cumsum((symbols == HOLD_START).astype(int) - (symbols == HOLD_END), axis=0) > 0
    return (held * (1 << np.arange(KEYS))).sum(-1)


@cache
def legal_rows() -> NDArray[np.bool_]:
    """[held state, resting columns, late, code] → whether the row may be written.

    Held and resting columns are 4-bit masks: a legal row fits the held columns and has no event in columns whose last event
    is less than `MIN_COLUMN_GAP_MS` ago. When `late` is 1, no hold begins.
    """
    resting = (np.arange(HELD_STATES)[:, None] >> np.arange(KEYS) & 1).astype(bool)
    disturbs = ((SYMBOLS != NOTHING)[None] & resting[:, None]).any(-1)  # [resting, code]
    late = np.array([[False], [True]]) & STARTS_HOLD  # [late, code]
    return LEGAL[:, None, None] & ~disturbs[None, :, None] & ~late[None, None]


@cache
def mirrored_codes() -> NDArray[np.int64]:
    """[code] → the code with the columns reversed."""
    return (SYMBOLS[:, ::-1] << (2 * np.arange(KEYS))).sum(-1)


@cache
def hand_swapped_codes() -> NDArray[np.int64]:
    """[code] → the code with the two hands exchanged, each keeping its own order: columns 2 3 0 1."""
    return (SYMBOLS[:, [2, 3, 0, 1]] << (2 * np.arange(KEYS))).sum(-1)


@cache
def mirrored_states() -> NDArray[np.int64]:
    """[held state] → the state with the columns reversed."""
    return np.array([int(f"{state:04b}"[::-1], 2) for state in range(HELD_STATES)])


@cache
def hand_swapped_states() -> NDArray[np.int64]:
    """[held state] → the state with the two hands exchanged."""
    return np.array([(state >> 2) | (state & 3) << 2 for state in range(HELD_STATES)])
