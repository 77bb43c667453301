"""Learning how dense a section is to be."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from env.lean import MOST_CHANGE, SPREAD, LeanLearner


def lean_of(width: int = 4) -> nn.Linear:
    lean = nn.Linear(width, 1)
    nn.init.zeros_(lean.weight)
    nn.init.zeros_(lean.bias)
    return lean


def rollouts(learner: LeanLearner, wanted, count: int) -> None:  # type: ignore[no-untyped-def]
    """Sections heard as (1, stars, …); the reward falls with the square of what is off the `wanted` lean for the stars."""
    random = torch.Generator().manual_seed(0)
    for _ in range(count):
        heard = torch.randn(96, 4, generator=random)
        heard[:, 0] = 3.0
        mean = learner.lean(heard).squeeze(-1)
        drawn = SPREAD * torch.randn(96, generator=random)
        off = mean - wanted(heard)
        siblings = -off.square() - SPREAD**2  # what other versions of the section earn
        earned = -(off + drawn).square() - siblings
        learner.learn(heard, drawn, earned.detach())


def test_the_lean_comes_to_what_each_section_wants() -> None:
    lean = lean_of()
    rollouts(LeanLearner(lean), lambda heard: 0.5 + 0.4 * heard[:, 1], 60)
    low, high = torch.tensor([[3.0, -1.0, 0, 0]]), torch.tensor([[3.0, 1.0, 0, 0]])
    assert lean(low).item() == pytest.approx(0.1, abs=0.15)
    assert lean(high).item() == pytest.approx(0.9, abs=0.15)


def test_one_update_moves_only_so_far() -> None:
    lean = lean_of()
    learner = LeanLearner(lean)
    heard, drawn = torch.full((96, 4), 100.0), torch.linspace(-5, 5, 96)
    assert learner.learn(heard, drawn, drawn) == MOST_CHANGE
    assert lean(heard[:1]).abs().item() == pytest.approx(MOST_CHANGE, rel=1e-4)


def test_what_was_seen_goes_on_with_a_run() -> None:
    first, second = LeanLearner(lean_of()), LeanLearner(lean_of())
    rollouts(first, lambda heard: heard[:, 1], 3)
    second.restore(first.state())
    second.lean.load_state_dict(first.lean.state_dict())
    for learner in (first, second):
        rollouts(learner, lambda heard: heard[:, 1], 1)
    assert torch.equal(first.lean.weight, second.lean.weight)
