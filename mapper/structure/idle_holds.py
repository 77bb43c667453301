"""Ends of holds that would last through a stretch without rows.

Rows fall where the plan has them, and a hold can only end in a row: one that is held into a break would last until the music
begins again. People let go where the sound dies away.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chart.grid import TICKS_PER_BEAT, Grid
from chart.model import KEYS
from mapper.tokens.row_codes import HOLD_END, SYMBOLS, Rows, held_states

IDLE_BEATS = 4
"""Holds through a longer stretch without rows are ended: in people's charts 1 % of holds last through one."""
RELEASE_BEATS = (2, 8)
"""First and last beat after the last row at which they may end."""


def end_idle_holds(rows: Rows, grid: Grid, hold_end: NDArray[np.float64]) -> Rows:
    """The rows with holds ended within stretches of more than `IDLE_BEATS` beats without a row.

    They end on the beat with the highest of the log-odds `hold_end` [slot] (`mapper.structure.holds.hold_odds`) among those
    that `RELEASE_BEATS` allows. Other rows stay; rows that only released such holds go.
    """
    if len(rows) < 2:
        return rows
    symbols, held = SYMBOLS[rows.code].copy(), held_states(rows.code)
    tick, on_beat = grid.tick, (grid.beat_tick == 0) & grid.usable
    idle = np.flatnonzero((np.diff(tick[rows.slot]) > IDLE_BEATS * TICKS_PER_BEAT) & (held[:-1] > 0))
    new_slots, new_symbols = [], []
    for row in idle.tolist():
        first, last = (tick[rows.slot[row]] + beats * TICKS_PER_BEAT for beats in RELEASE_BEATS)
        between = np.arange(rows.slot[row] + 1, rows.slot[row + 1])
        allowed = between[on_beat[between] & (tick[between] >= first) & (tick[between] <= last)]
        if not allowed.size:
            continue
        columns = np.flatnonzero(held[row] >> np.arange(KEYS) & 1)
        for column in columns.tolist():
            release = row + 1 + int(np.argmax(symbols[row + 1 :, column] == HOLD_END))
            symbols[release, column] = 0
        new_slots.append(int(allowed[np.argmax(hold_end[allowed])]))
        new_symbols.append(np.isin(np.arange(KEYS), columns) * HOLD_END)
    if not new_slots:
        return rows
    slot = np.concatenate((rows.slot, new_slots))
    code = (np.concatenate((symbols, np.array(new_symbols))) << (2 * np.arange(KEYS))).sum(axis=1)
    order = np.argsort(slot, kind="stable")
    order = order[code[order] > 0]
    return Rows(slot[order], code[order], rows.unsnapped)
