"""The n-gram baselines are real models: they sum to one, and a longer memory knows a longer cycle."""

import numpy as np
import pytest

from bench.column_ngrams import RowNGrams, packed


def test_packing_keeps_the_codes_before_each_row():
    context, whole = packed(np.array([5, 6, 7]), 3)
    assert context.tolist() == [0, 5, (5 << 8) | 6]
    assert whole.tolist() == [5, (5 << 8) | 6, (5 << 16) | (6 << 8) | 7]


@pytest.mark.parametrize("order", [1, 2, 4])
def test_probabilities_of_all_codes_sum_to_one(order):
    random = np.random.default_rng(0)
    grams = RowNGrams([random.integers(1, 6, 200) for _ in range(3)], order)
    before = [1, 2, 3, 4]
    total = sum(grams.probability(np.array([*before, code]))[-1] for code in range(256))
    assert total == pytest.approx(1.0)


def test_only_a_long_memory_knows_what_ends_a_long_cycle():
    cycle = np.tile([1, 2, 1, 4], 100)  # after 1 comes 2 or 4: two rows back tell which
    two, three = RowNGrams([cycle], 2), RowNGrams([cycle], 3)
    assert np.mean(two.guesses(cycle)[4:] == cycle[4:]) < 0.8
    assert np.mean(three.guesses(cycle)[4:] == cycle[4:]) == 1.0
    assert three.probability(cycle)[4:].min() > 0.9
