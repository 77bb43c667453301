"""Learning how dense a section is to be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from env.lean import DRAWN, MOST_CHANGE, USUAL_SPREAD, LeanLearner, Pairs


def lean_of(width: int = 4) -> nn.Linear:
    lean = nn.Linear(width, 1)
    nn.init.zeros_(lean.weight)
    nn.init.zeros_(lean.bias)
    return lean


def learn_from(learner: LeanLearner, wanted, count: int) -> None:  # type: ignore[no-untyped-def]
    """Charts heard as (6, 5 · stars, …); what they earn falls with the square of what is off the `wanted` lean for the stars."""
    random = torch.Generator().manual_seed(0)
    for _ in range(count):
        heard = 5 * torch.randn(8, 4, generator=random)
        heard[:, 0] = 6.0
        off = learner.lean(heard).squeeze(-1) - wanted(heard)
        drawn = torch.tensor([DRAWN, -DRAWN] * 4)
        earned = -2 * off * drawn * USUAL_SPREAD  # above the mean of its pair
        learner.learn(Pairs(*(one.detach().numpy() for one in (heard, drawn, earned))))


def test_the_lean_comes_to_what_each_section_wants() -> None:
    lean = lean_of()
    learn_from(LeanLearner(lean), lambda heard: 0.5 + 0.08 * heard[:, 1], 200)
    low, high = torch.tensor([[6.0, -5.0, 0, 0]]), torch.tensor([[6.0, 5.0, 0, 0]])
    assert lean(low).item() == pytest.approx(0.1, abs=0.15)
    assert lean(high).item() == pytest.approx(0.9, abs=0.15)


def test_one_update_moves_only_so_far() -> None:
    lean = lean_of()
    learner = LeanLearner(lean)
    heard, drawn = np.full((8, 4), 100, np.float32), np.tile(np.array([DRAWN, -DRAWN], np.float32), 4)
    assert learner.learn(Pairs(heard, drawn, drawn)) == MOST_CHANGE
    heard = torch.from_numpy(heard)
    assert lean(heard[:1]).abs().item() == pytest.approx(MOST_CHANGE, rel=1e-4)


def test_what_was_seen_goes_on_with_a_run() -> None:
    first, second = LeanLearner(lean_of()), LeanLearner(lean_of())
    learn_from(first, lambda heard: heard[:, 1], 3)
    second.restore(first.state())
    second.lean.load_state_dict(first.lean.state_dict())
    for learner in (first, second):
        learn_from(learner, lambda heard: heard[:, 1], 1)
    assert torch.equal(first.lean.weight, second.lean.weight)
