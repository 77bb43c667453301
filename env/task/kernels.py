"""Compiled loops of the environment, over environments side by side. Plain arrays in, results into the caller's.

`state` [env, STATE] holds one environment's numbers in the order of the constants below; slots there count from the
library's first slot. A token is a row as the decoder reads it: code, slot (from the window's first), held state after
it, ticks since the row before.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from mapper.tokens.row_codes import HELD_AFTER, LEGAL, MIN_COLUMN_GAP_MS, STARTS_HOLD

SCAN, LAST_TICK, HELD, COUNT, END_SLOT, WINDOW_SLOT, LATE_TICK, OVER, BAR, LAST_SLOT, FIRST_COUNT = range(11)
"""Slot after which the next row is looked for; tick of the last row; held state; tokens; first slot after the section;
the window's first slot; tick from which no hold begins; whether the episode is over; bars completed; the last slot of
the piece; tokens that the episode began with."""
STATE = 11
CODE, SLOT, HELD_AFTER_ROW, ELAPSED = range(4)
TOKEN = 4
ADVANCED, WROTE, ILLEGAL = range(3)
"""What a step did."""
OFFSETS = 96
"""Slots ahead that one action chooses among: four beats."""


@njit(cache=True)
def is_legal(code, held, late, rests):  # type: ignore[no-untyped-def]
    """Whether a row code fits the held columns [bit mask], begins no late hold and leaves resting columns [bit mask] alone."""
    if code <= 0 or code >= LEGAL.shape[1] or not LEGAL[held, code] or (late and STARTS_HOLD[code]):
        return False
    disturbs = 0
    for column in range(4):
        disturbs |= (code >> (2 * column) & 3) * (rests >> column & 1)
    return disturbs == 0


@njit(cache=True)
def resting(slot_ms, event_ms):  # type: ignore[no-untyped-def]
    """Bit mask of the columns whose last event [column] is too near to be followed at `slot_ms`."""
    mask = 0
    for column in range(4):
        if slot_ms - event_ms[column] < MIN_COLUMN_GAP_MS:
            mask |= 1 << column
    return mask


@njit(cache=True)
def advance(state, tokens, event_ms, bars, slots, offset, code, result):  # type: ignore[no-untyped-def]
    """One action in each environment that is not over.

    state [env, STATE], tokens [env, token, TOKEN], event_ms [env, column] are changed; bars [env, bar + 1] are the first
    slots of the bars; slots = (slot_ms, tick, open) [slot]; offset, code [env] the action; result [env] what it did.
    """
    slot_ms, tick, open_slots = slots
    for env in range(state.shape[0]):
        here = state[env]
        result[env] = ADVANCED
        if here[OVER]:
            continue
        slot = here[SCAN] + 1 + offset[env]
        if offset[env] >= OFFSETS:
            here[SCAN] = min(here[SCAN] + OFFSETS, here[END_SLOT] - 1)
        elif slot >= here[END_SLOT]:
            result[env] = ILLEGAL
            here[SCAN] = here[END_SLOT] - 1
        else:
            late = tick[slot] > here[LATE_TICK]
            rests = resting(slot_ms[slot], event_ms[env])
            if open_slots[slot] and is_legal(code[env], here[HELD], late, rests):
                result[env] = WROTE
                token = tokens[env, here[COUNT]]
                here[HELD] = HELD_AFTER[here[HELD], code[env]]
                token[CODE], token[SLOT], token[HELD_AFTER_ROW] = code[env], slot - here[WINDOW_SLOT], here[HELD]
                token[ELAPSED] = tick[slot] - here[LAST_TICK]
                here[LAST_TICK] = tick[slot]
                here[COUNT] += 1
                for column in range(4):
                    if code[env] >> (2 * column) & 3:
                        event_ms[env, column] = slot_ms[slot]
            else:
                result[env] = ILLEGAL
            here[SCAN] = slot
        while here[BAR] + 1 < bars.shape[1] and bars[env, here[BAR] + 1] <= here[SCAN] + 1:
            here[BAR] += 1
        here[OVER] = here[SCAN] + 1 >= here[END_SLOT] or here[COUNT] >= tokens.shape[1]


@njit(cache=True)
def look_ahead(state, event_ms, slots, mask, ahead, heard, out_of):  # type: ignore[no-untyped-def]
    """Fill mask [env, OFFSETS + 1 + 256] and ahead [env, OFFSETS, 2 + heard] with what each environment may do and hear.

    ahead: seconds from the scan to the slot; whether it is open; then what is told of it, heard [slot, …].
    """
    slot_ms, _, open_slots = slots
    for env in range(state.shape[0]):
        here = state[env]
        earliest = event_ms[env].min() + MIN_COLUMN_GAP_MS
        base_ms = slot_ms[here[SCAN]]
        for offset in range(OFFSETS):
            slot = here[SCAN] + 1 + offset
            inside = slot < here[END_SLOT]
            at = min(slot, out_of - 1)
            free = inside and open_slots[at] and slot_ms[at] >= earliest
            mask[env, offset] = free
            ahead[env, offset, 0] = (slot_ms[at] - base_ms) / 1000.0 if inside else 0.0
            ahead[env, offset, 1] = free
            for band in range(heard.shape[1]):
                ahead[env, offset, 2 + band] = heard[at, band] if inside else 0.0
        mask[env, OFFSETS] = True
        for code in range(256):
            mask[env, OFFSETS + 1 + code] = is_legal(code, here[HELD], False, 0)


@njit(cache=True)
def write_notes(tokens, end_ms, slot_ms, note):  # type: ignore[no-untyped-def]
    """Notes of tokens [token, TOKEN] into note [note, 3] (start, column, end ms), in order of time; how many.

    A hold whose column is used again or that is still held at the end lasts until then, or until `end_ms` if that is
    later than its start (with no room it is a tap); a release without a begin is no note. slot_ms [slot] counts from the window's first slot.
    """
    count = 0
    held_by = np.full(4, -1)
    for at in range(tokens.shape[0]):
        time = slot_ms[tokens[at, SLOT]]
        for column in range(4):
            symbol = tokens[at, CODE] >> (2 * column) & 3
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
