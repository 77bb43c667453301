"""Compiled loops against slow twins that share no code with them."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reward.core.kernels import add_demand, add_losses


@given(st.integers(0, 6), st.integers(0, 30), st.integers(0, 10_000))
def test_losses_equal_a_plain_double_loop(players: int, notes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    grade = rng.integers(0, 6, (players, notes)).astype(np.int8)
    tail = rng.integers(-1, 6, (players, notes)).astype(np.int8)
    section = np.sort(rng.integers(0, 4, notes))
    loss = np.array([0.0, 0.1, 0.3, 0.6, 0.8, 1.0])
    got = np.zeros((players, 4))
    add_losses(grade, tail, section, loss, got)
    for player in range(players):
        for part in range(4):
            wanted = 0.0
            for note in np.flatnonzero(section == part):
                parts = [loss[g] for g in (grade[player, note], tail[player, note]) if g >= 0]
                wanted += sum(parts) / len(parts)
            assert math.isclose(got[player, part], wanted, abs_tol=1e-9)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3)), max_size=25))
def test_demand_equals_sums_over_all_earlier_presses(gaps: list[tuple[int, int]]) -> None:
    note_ms = np.cumsum([float(gap) for gap, _ in gaps]) if gaps else np.zeros(0)
    column = np.array([key for _, key in gaps], np.int64)
    decays, weights = np.array([250.0, 600.0, 8000.0]), np.array([0.5, 0.7, 0.2])
    got = np.zeros(note_ms.size)
    add_demand(note_ms, column, decays, weights, got)
    for index in range(note_ms.size):
        wanted = 0.0
        for earlier in range(index):
            age = note_ms[index] - note_ms[earlier]
            groups = (column[earlier] == column[index], column[earlier] // 2 == column[index] // 2, True)
            for same, decay, weight in zip(groups, decays, weights, strict=True):
                wanted += weight * math.exp(-age / decay) / (decay / 1000.0) if same else 0.0
        assert math.isclose(got[index], wanted, rel_tol=1e-9, abs_tol=1e-9)
