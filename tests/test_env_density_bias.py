"""Learning how dense whole charts are to be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from env.ppo.density_bias import (
    LEVELS_PER_STAR,
    MOST_CHANGE,
    RATE,
    DensityBiasRegression,
    DensityBiasSamples,
)
from env.task.episodes import DENSITY_PERTURBATION


def head_of(width: int = 4) -> nn.Linear:
    head = nn.Linear(width, 1)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head


def learn_from(learner: DensityBiasRegression, wanted, count: int) -> None:  # type: ignore[no-untyped-def]
    """Charts encoded as (6, 5 · stars - 15, …) that miss by the distance of their bias from the `wanted` one, and by chance."""
    random = torch.Generator().manual_seed(0)
    for _ in range(count):
        stars = 1.5 + 4.5 * torch.rand(12, generator=random)
        encoding = 3 * torch.randn(12, 4, generator=random)
        encoding[:, 0], encoding[:, 1] = 6.0, 5 * stars - 15
        bias = learner.head(encoding).squeeze(-1) + torch.tensor([DENSITY_PERTURBATION, -DENSITY_PERTURBATION] * 6)
        off = (bias - wanted(encoding)) * LEVELS_PER_STAR * stars + 0.4 * torch.randn(12, generator=random)
        learner.learn(DensityBiasSamples(*(one.detach().numpy() for one in (encoding, bias, stars, off))))


def test_the_bias_converges_for_each_song_and_target() -> None:
    head = head_of()
    learn_from(DensityBiasRegression(head), lambda encoding: 0.4 + 0.04 * encoding[:, 1] + 0.1 * encoding[:, 2], 60)
    for stars, song in ((2.0, 0.0), (5.0, 0.0), (5.0, 4.0), (3.0, -4.0)):
        found = head(torch.tensor([[6.0, 5 * stars - 15, song, 0.0]])).item()
        assert found == pytest.approx(0.4 + 0.04 * (5 * stars - 15) + 0.1 * song, abs=0.12)


def test_charts_on_target_move_nothing() -> None:
    head = head_of()
    encoding, none = np.full((2, 4), 3, np.float32), np.zeros(2, np.float32)
    assert (
        DensityBiasRegression(head).learn(DensityBiasSamples(encoding, none, np.full(2, 4.0, np.float32), none)) == 0.0
    )
    assert not head.weight.any()


def test_one_update_moves_only_so_far() -> None:
    head = head_of()
    encoding, stars = np.full((8, 4), 100, np.float32), np.full(8, 5.0, np.float32)
    found = DensityBiasRegression(head).learn(
        DensityBiasSamples(encoding, np.zeros(8, np.float32), stars, np.full(8, -9.0, np.float32))
    )
    assert found == MOST_CHANGE
    assert head(torch.from_numpy(encoding[:1])).item() == pytest.approx(MOST_CHANGE, rel=1e-4), "too easy: more rows"


def test_the_step_follows_the_rate() -> None:
    encoding, stars = np.eye(4, dtype=np.float32) * 9, np.full(4, 5.0, np.float32)
    charts = DensityBiasSamples(encoding, np.zeros(4, np.float32), stars, np.array([0.1, -0.2, 0.1, 0.0], np.float32))
    none, slow, fast = head_of(), head_of(), head_of()
    for head, rate in ((none, 0.0), (slow, RATE), (fast, 2 * RATE)):
        DensityBiasRegression(head).learn(charts, rate)
    assert not none.weight.any()
    torch.testing.assert_close(fast.weight, 2 * slow.weight)


def test_what_was_seen_goes_on_with_a_run() -> None:
    first, second = DensityBiasRegression(head_of()), DensityBiasRegression(head_of())
    learn_from(first, lambda encoding: encoding[:, 1], 3)
    second.restore(first.state())
    second.head.load_state_dict(first.head.state_dict())
    for learner in (first, second):
        learn_from(learner, lambda encoding: encoding[:, 1], 1)
    assert torch.equal(first.head.weight, second.head.weight)
