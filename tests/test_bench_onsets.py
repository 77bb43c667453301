"""The benchmark's own arithmetic."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.onsets import f1, grid_f1, matches
from chart.grid import make_grid
from chart.model import TimingPoint

times = st.lists(st.integers(0, 400), max_size=12).map(lambda values: np.array(sorted(values), float))


def largest_matching(found: list[float], true: list[float], tolerance: float) -> int:
    """By trying everything: the slow twin of `matches`."""
    if not found:
        return 0
    first, rest = found[0], found[1:]
    best = largest_matching(rest, true, tolerance)
    for index, other in enumerate(true):
        if abs(first - other) <= tolerance:
            best = max(best, 1 + largest_matching(rest, true[:index] + true[index + 1 :], tolerance))
    return best


@given(times.filter(lambda t: len(t) <= 6), times.filter(lambda t: len(t) <= 6), st.sampled_from([5.0, 20.0, 60.0]))
def test_matching_is_the_largest_one_to_one_matching(found, true, tolerance):
    assert matches(found, true, tolerance) == largest_matching(list(found), list(true), tolerance)


def test_f1_counts_both_kinds_of_error():
    true = np.array([0.0, 100.0, 200.0, 300.0])
    assert f1(true, true, 20) == 1.0
    assert f1(true[:2], true, 20) == pytest.approx(2 / 3)
    assert f1(true + 21, true, 20) == 0.0
    assert f1(np.array([]), true, 20) == 0.0


def test_the_best_constant_grid_is_found_between_first_and_last_onset():
    grid = make_grid([TimingPoint(37.0, 400.0)], 0.0, 10_000.0)
    eighths = 37.0 + np.arange(4, 20) * 200.0
    assert grid_f1(grid, eighths, 20) == 1.0
    assert grid_f1(grid, eighths[::2], 20) == 1.0
    assert grid_f1(grid, eighths + 100 / 3, 20) < 0.5
