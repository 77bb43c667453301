"""The benchmark's own arithmetic."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.onset_baselines import no_sound, other_chart, shuffled, wrong_song
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


def test_baselines_keep_what_they_say_and_nothing_else():
    grid = make_grid((TimingPoint(0.0, 500.0),), 0.0, 60_000.0)
    random = np.random.default_rng(0)
    slots = np.flatnonzero(grid.beat_tick % 12 == 0)[np.sort(random.choice(400, 150, replace=False))]
    mixed = shuffled(slots, grid, random)
    assert mixed[[0, -1]].tolist() == slots[[0, -1]].tolist()
    assert sorted(np.diff(grid.tick[mixed])) == sorted(np.diff(grid.tick[slots]))
    assert mixed.tolist() != slots.tolist()
    theirs = other_chart(slots, grid, slots[:40], grid)
    assert theirs[:40].tolist() == slots[:40].tolist()
    assert slots[-1] - 200 < theirs[-1] <= slots[-1]
    features = random.integers(0, 100, (50, 8)).astype(np.uint8)
    features[:10] = 0
    steady = no_sound(features)
    assert not steady[:10].any()
    assert (steady[10:] == steady[10]).all()
    assert np.abs(steady[10] - features[10:].mean(0)).max() <= 0.5
    assert wrong_song(features, features[:20]).tolist() == np.tile(features[:20], (3, 1))[:50].tolist()
