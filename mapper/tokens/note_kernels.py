"""Rows to notes, compiled: plain arrays in, notes into the caller's array."""

from __future__ import annotations

import numpy as np

from runtime.loops import njit

MIN_COLUMN_GAP_MS = 60.0
"""Between two events of a column, taps, starts and releases alike: 30 ms is unplayable, 60 ms a 250 BPM jack."""


@njit()
def write_notes(slot, code, end_ms, slot_ms, note):  # type: ignore[no-untyped-def]
    """Write the notes of rows (slot, code [row]) into note [note, 3]: start ms, column, end ms. Returns how many.

    Notes are in order of time and column; `end_ms` is nan for taps. A hold whose column is used again ends
    `MIN_COLUMN_GAP_MS` before; one that is not released ends at `end_ms` (with no room it is a tap); a release without a
    start is no note. `note` needs room for four notes a row.
    """
    count = 0
    held_by = np.full(4, -1)
    for row in range(slot.size):
        time = slot_ms[slot[row]]
        for column in range(4):
            symbol = code[row] >> (2 * column) & 3
            if symbol and held_by[column] >= 0:
                before = held_by[column]
                note[before, 2] = time if symbol == 3 else min(time - MIN_COLUMN_GAP_MS, note[before, 2])
                if note[before, 2] <= note[before, 0]:
                    note[before, 2] = np.nan
                held_by[column] = -1
            if symbol == 1 or symbol == 2:
                note[count, 0], note[count, 1] = time, column
                note[count, 2] = np.nan if symbol == 1 else max(end_ms, time + MIN_COLUMN_GAP_MS)
                held_by[column] = count if symbol == 2 else -1
                count += 1
    return count
