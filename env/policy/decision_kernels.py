"""Compiled loop that finds the decisions which lead to given rows."""

from __future__ import annotations

from env.task.episodes import MAX_ROWS
from env.task.kernels import OFFSETS, resting
from mapper.sampling.kernels import next_hold_bias
from mapper.tokens.row_codes import HELD_AFTER, MIN_COLUMN_GAP_MS
from runtime.loops import njit

TOKEN, SCAN, EARLIEST, HELD, OFFSET, CODE, RESTS = range(7)
"""Columns of a decision: number of the last row known (−1: none), slot after which the next row is looked for, first
offset at which some column has rested, held columns before; offset and code of the row chosen, and the columns that rest at
its slot (bit masks)."""
DECISION = 7


@njit()
def replay(slot, code, known, start, end, event_ms, held, bias, hold_ratio, slot_ms, out, hold_bias):  # type: ignore[no-untyped-def]
    """Write the decisions for rows (slot, code [row]) into out [step, DECISION]; returns their number.

    `known` rows come before, the first decision looks from slot `start` on, none from `end` on. event_ms [column] (changed)
    and held are those of the rows before; hold_bias [step] receives the log-odds of a hold, from `bias` on.
    """
    step, row, scan = 0, 0, start - 1
    while step == 0 or (scan + 1 < end and known + row < MAX_ROWS):
        here = out[step]
        first, rested_ms = 0, event_ms.min() + MIN_COLUMN_GAP_MS
        while first < OFFSETS and scan + 1 + first < end and slot_ms[scan + 1 + first] < rested_ms:
            first += 1
        here[TOKEN], here[SCAN], here[EARLIEST], here[HELD] = known + row - 1, scan, first, held
        hold_bias[step] = bias
        step += 1
        if row < slot.size and slot[row] <= scan + OFFSETS:
            here[OFFSET], here[CODE] = slot[row] - scan - 1, code[row]
            here[RESTS] = resting(slot_ms[slot[row]], event_ms)
            for column in range(4):
                if code[row] >> (2 * column) & 3:
                    event_ms[column] = slot_ms[slot[row]]
            held, bias = HELD_AFTER[held, code[row]], next_hold_bias(bias, code[row], hold_ratio)
            scan = slot[row]
            row += 1
        else:
            here[OFFSET] = OFFSETS
            scan = min(scan + OFFSETS, end - 1)
    return step
