"""Charts as rows: both directions, legality, symmetries."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chart.grid import make_grid
from chart.model import Chart, TimingPoint
from chart.problems import find_problems
from mapper.tokens.row_codes import (
    HELD_AFTER,
    HOLD_END,
    HOLD_START,
    LEGAL,
    SYMBOLS,
    TAP,
    Rows,
    hand_swapped_codes,
    held_states,
    mirrored_codes,
    notes_of,
    rows_of,
)

RED = TimingPoint(100.0, 400.0)
GRID = make_grid([RED], 0.0, 20_000.0)


def code(*symbols: int) -> int:
    return sum(symbol << (2 * column) for column, symbol in enumerate(symbols))


def chart_of(*notes: tuple[float, int, float]) -> Chart:
    time, column, end = zip(*notes, strict=True)
    return Chart.from_notes(time, column, end, timing_points=(RED,))


def test_taps_and_holds_become_rows_at_their_slots():
    rows = rows_of(chart_of((100, 0, np.nan), (100, 3, 300), (300, 1, np.nan)), GRID)
    assert rows.code.tolist() == [code(TAP, 0, 0, HOLD_START), code(0, TAP, 0, HOLD_END)]
    assert GRID.slot_ms[rows.slot].tolist() == [100.0, 300.0]


def test_a_hold_into_the_next_note_of_its_column_ends_a_slot_earlier():
    rows = rows_of(chart_of((100, 2, 500), (500, 2, np.nan)), GRID)
    time, column, end = notes_of(rows, GRID)
    assert column.tolist() == [2, 2]
    assert end[0] < 500
    assert np.isnan(end[1])
    assert time.tolist() == [100.0, 500.0]


def test_a_note_on_no_slot_is_left_out_and_counted():
    grid = make_grid([TimingPoint(0.0, 1000.0)], 0.0, 5000.0)  # slots 20.8 ms apart at the nearest, 62.5 at the widest
    rows = rows_of(chart_of((1031.0, 0, np.nan), (2000.0, 0, np.nan)), grid)
    assert rows.unsnapped == 1
    assert len(rows) == 1


@st.composite
def legal_rows(draw: st.DrawFn) -> Rows:
    """Rows as the mapper may write them, every hold ended."""
    slots = sorted(draw(st.sets(st.integers(0, 900), min_size=1, max_size=60)))
    slots = [slot for slot in slots if GRID.usable[slot]]
    codes, state = [], 0
    for _ in slots:
        pick = draw(st.integers(0, 255))
        options = np.flatnonzero(LEGAL[state])
        codes.append(int(options[pick % options.size]))
        state = int(HELD_AFTER[state, codes[-1]])
    if state:
        slots.append(950)
        codes.append(code(*[HOLD_END if state >> column & 1 else 0 for column in range(4)]))
    return Rows(np.array(slots), np.array(codes))


@given(legal_rows())
def test_rows_to_notes_and_back_is_identity_and_the_chart_is_valid(rows):
    time, column, end = notes_of(rows, GRID)
    chart = Chart.from_notes(time, column, end, timing_points=(RED,))
    assert find_problems(chart) == []
    again = rows_of(chart, GRID)
    assert again.slot.tolist() == rows.slot.tolist()
    assert again.code.tolist() == rows.code.tolist()


@given(legal_rows())
def test_held_states_follow_the_transition_table(rows):
    state, states = 0, []
    for row in rows.code:
        assert LEGAL[state, row]
        state = int(HELD_AFTER[state, row])
        states.append(state)
    assert held_states(rows.code).tolist() == states


def test_legal_rows_never_tap_a_held_column_nor_release_a_free_one():
    for state in range(16):
        for row in np.flatnonzero(LEGAL[state]):
            for column in range(4):
                held = bool(state >> column & 1)
                assert SYMBOLS[row, column] in ((0, HOLD_END) if held else (0, TAP, HOLD_START))
    assert not LEGAL[:, 0].any()


def test_symmetries_are_their_own_inverse_and_move_columns():
    for codes in (mirrored_codes(), hand_swapped_codes()):
        assert codes[codes].tolist() == list(range(256))
    assert mirrored_codes()[code(TAP, 0, HOLD_START, 0)] == code(0, HOLD_START, 0, TAP)
    assert hand_swapped_codes()[code(TAP, 0, HOLD_START, 0)] == code(HOLD_START, 0, TAP, 0)
