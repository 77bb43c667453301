"""Compiled loops of the environment, over environments side by side. Plain arrays in, results into the caller's.

`numbers` [env, NUMBERS] holds one environment's numbers in the order of the constants below; slots there count from the
song set's first slot.
"""

from __future__ import annotations

from mapper.sampling.kernels import next_hold_bias
from mapper.tokens.row_codes import HELD_AFTER, MIN_COLUMN_GAP_MS
from runtime.loops import njit

SCAN, HELD, COUNT, END_SLOT, BASE, LATE_TICK, OVER, BAR, FIRST_COUNT, FIRST_SLOT = range(10)
"""Slot after which the next row is looked for; held state; rows known; first slot after the last that may be written; the
song's first slot; tick after which no hold begins; whether the episode is over; bars completed; rows known at the
beginning; first slot that may be written."""
NUMBERS = 10
CODE, SLOT = range(2)
"""A row of `rows` [env, row, 2]; its slot counts from the song's first."""
ADVANCED, WROTE, ILLEGAL = range(3)
"""Results of a step."""
OFFSETS = 96
"""Slots ahead among which one action chooses: four beats."""


@njit()
def resting(slot_ms, event_ms):  # type: ignore[no-untyped-def]
    """Bit mask of the columns whose last event [column] is too near to be followed at `slot_ms`."""
    mask = 0
    for column in range(4):
        if slot_ms - event_ms[column] < MIN_COLUMN_GAP_MS:
            mask |= 1 << column
    return mask


@njit()
def advance(state, slots, legal, offset, code, result):  # type: ignore[no-untyped-def]
    """Apply one action in each environment that is not over.

    state is `env.task.dynamics.StateArrays`, changed in place; slots `env.task.songs.SlotArrays`; legal
    `mapper.tokens.row_codes.legal_rows()`; offset, code [env] the action; result [env] receives ADVANCED, WROTE or ILLEGAL.
    """
    for env in range(offset.size):
        here = state.numbers[env]
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
            late = int(slots.tick[slot] > here[LATE_TICK])
            rest = resting(slots.slot_ms[slot], state.event_ms[env])
            if slots.open_slots[slot] and 0 <= code[env] < 256 and legal[here[HELD], rest, late, code[env]]:
                result[env] = WROTE
                _write(state, env, slot, code[env], slots.slot_ms[slot])
                state.hold_bias[env] = next_hold_bias(state.hold_bias[env], code[env], state.hold_ratio[env])
            else:
                result[env] = ILLEGAL
            here[SCAN] = slot
        bars = state.bar_slots[env]
        while here[BAR] + 1 < bars.size and bars[here[BAR] + 1] <= here[SCAN] + 1:
            here[BAR] += 1
        if here[SCAN] + 1 >= here[END_SLOT] or here[COUNT] >= state.rows.shape[1] - 1:
            _finish(state, env, slots.slot_ms)


@njit()
def _write(state, env, slot, code, slot_ms):  # type: ignore[no-untyped-def]
    """Append a row on `slot`, at `slot_ms` milliseconds."""
    here = state.numbers[env]
    row = state.rows[env, here[COUNT]]
    row[CODE], row[SLOT] = code, slot - here[BASE]
    here[HELD] = HELD_AFTER[here[HELD], code]
    here[COUNT] += 1
    for column in range(4):
        if code >> (2 * column) & 3:
            state.event_ms[env, column] = slot_ms


@njit()
def _finish(state, env, slot_ms):  # type: ignore[no-untyped-def]
    """End the episode: all bars are complete, and columns still held are released on the last slot."""
    here = state.numbers[env]
    here[OVER], here[BAR] = 1, state.bar_slots.shape[1] - 1
    release, last = 0, here[END_SLOT] - 1
    for column in range(4):
        if here[HELD] >> column & 1:
            release |= 3 << (2 * column)
    if release == 0:
        return
    row = state.rows[env, max(here[COUNT] - 1, 0)]
    if here[COUNT] and row[SLOT] == last - here[BASE]:
        row[CODE] |= release
        here[HELD] = 0
    else:
        _write(state, env, last, release, slot_ms[last])


@njit()
def look_ahead(state, slots, legal, mask, ahead, features):  # type: ignore[no-untyped-def]
    """Fill mask [env, OFFSETS + 1 + 256] and ahead [env, OFFSETS, 2 + feature] with each environment's choices.

    ahead: seconds from the scan to the slot; whether it is open; then its row of features [slot, feature].
    """
    for env in range(mask.shape[0]):
        here = state.numbers[env]
        earliest = state.event_ms[env].min() + MIN_COLUMN_GAP_MS
        base_ms = slots.slot_ms[here[SCAN]]
        for offset in range(OFFSETS):
            slot = here[SCAN] + 1 + offset
            inside = slot < here[END_SLOT]
            at = min(slot, slots.slot_ms.size - 1)
            free = inside and slots.open_slots[at] and slots.slot_ms[at] >= earliest
            mask[env, offset] = free
            ahead[env, offset, 0] = (slots.slot_ms[at] - base_ms) / 1000.0 if inside else 0.0
            ahead[env, offset, 1] = free
            for band in range(features.shape[1]):
                ahead[env, offset, 2 + band] = features[at, band] if inside else 0.0
        mask[env, OFFSETS] = True
        for code in range(256):
            mask[env, OFFSETS + 1 + code] = legal[here[HELD], 0, 0, code]
