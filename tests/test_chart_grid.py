"""The beat grid: slots, red lines, bounds."""

import numpy as np
import pytest

from chart.grid import SLOT_TICKS, SLOTS_PER_CELL, felt_beat_ms, make_grid
from chart.model import TimingPoint
from runtime.errors import ChartFileError


def test_slots_of_a_beat_are_its_quarters_sixths_eighths_twelfths_and_sixteenths():
    grid = make_grid([TimingPoint(0.0, 480.0)], 0.0, 480.0)
    ticks = {round(time / 10) for time in grid.slot_ms}
    wanted = {k * 3 for k in range(16)} | {k * 4 for k in range(12)}
    assert ticks == wanted
    assert len(ticks) == 4 * len(SLOT_TICKS)


def test_the_first_red_line_is_continued_backwards_on_its_own_beat():
    grid = make_grid([TimingPoint(1000.0, 400.0, 3)], 0.0, 2000.0)
    assert grid.slot_ms[0] <= 0.0
    cell = int(grid.nearest_slot(np.array([1000.0]))[0]) // SLOTS_PER_CELL
    assert (grid.quarter[cell], grid.beat_in_bar[cell], grid.bar[cell]) == (0, 0, 0)
    assert grid.bar[0] == -1
    assert set(grid.beat_in_bar) == {0, 1, 2}


def test_slots_beyond_the_next_red_line_are_unusable_and_ticks_rise():
    grid = make_grid([TimingPoint(0.0, 400.0), TimingPoint(1030.0, 300.0)], 0.0, 2000.0)
    assert (np.diff(grid.tick) > 0).all()
    assert (np.diff(grid.slot_ms[grid.usable]) > 0).all()
    before = grid.slot_ms[grid.usable & (np.arange(grid.slot_ms.size) < 11 * SLOTS_PER_CELL)]
    assert before.max() < 1030.0
    assert 1030.0 in grid.slot_ms[grid.usable]


def test_nearest_slot_is_the_nearest_of_all_usable_ones():
    grid = make_grid([TimingPoint(3.0, 351.7), TimingPoint(900.0, 280.0)], 0.0, 3000.0)
    times = np.random.default_rng(0).uniform(0, 2990, 500)
    usable = np.flatnonzero(grid.usable)
    nearest = np.abs(grid.slot_ms[usable][None] - times[:, None]).min(1)
    np.testing.assert_allclose(np.abs(grid.slot_ms[grid.nearest_slot(times)] - times), nearest)


@pytest.mark.parametrize(("beat_ms", "felt"), [(60.0, 240.0), (100.0, 200.0), (400.0, 400.0), (6000.0, 1500.0)])
def test_absurd_beats_are_halved_or_doubled(beat_ms, felt):
    assert felt_beat_ms(beat_ms) == felt


def test_no_red_line_is_refused():
    with pytest.raises(ChartFileError, match="no red line"):
        make_grid([], 0.0, 1000.0)


def test_a_grid_too_large_is_refused():
    with pytest.raises(ChartFileError, match="more than 100000 quarter beats"):
        make_grid([TimingPoint(0.0, 200.0)], 0.0, 1e8)
