"""The benchmark's own sums, on made-up scores."""

from __future__ import annotations

import numpy as np

from bench.reward import Pairs, correlations, moved_by, wins
from reward.total import TERMS

COUNT = len(TERMS)


def pairs() -> Pairs:
    human = np.ones((4, 1 + COUNT))
    corrupted = np.ones((4, 2, 1 + COUNT))
    corrupted[:, 0, 0] = [0.5, 0.5, 0.5, 1.0]  # a tie is no win
    corrupted[:, 1, 0] = 0.9
    corrupted[:3, 1, 1] = [0.0, 0.5, np.nan]
    corrupted[0, 1, 2] = 0.5
    return Pairs(["first", "second"], human, corrupted)


def test_a_tie_is_no_win() -> None:
    assert wins(pairs()) == {"first": 0.75, "second": 1.0}


def test_a_probe_moves_a_term_when_a_quarter_of_its_charts_lose_on_it() -> None:
    moved = moved_by(pairs())
    assert moved[TERMS[0].name] == ["second"]
    assert moved[TERMS[1].name] == ["second"]
    assert moved[TERMS[2].name] == []


def test_correlations_leave_out_unknown_values() -> None:
    matrix = correlations(pairs())
    assert matrix[0, 0] == 1.0
    assert np.isnan(matrix[2, 3])  # constant terms have no correlation
    assert 0 < matrix[0, 1] < 1
