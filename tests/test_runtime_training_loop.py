"""The loop of a supervised run saves a step only once its validation is over."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch

from runtime.training.loop import TrainingState, run_steps

STEPS = SimpleNamespace(steps=4, save_every=2, validate_every=2, patience=9)


def run(out, validate) -> None:
    """Take steps that do nothing but count."""
    network = torch.nn.Linear(1, 1)
    state = TrainingState(network, [torch.optim.SGD(network.parameters())])
    state.resume(out)

    def take_step(batch: int) -> dict[str, float]:
        state.step += 1
        return {"loss/total": 0.0}

    config = SimpleNamespace(out=str(out), **vars(STEPS))
    batches = range(state.step, STEPS.steps)
    run_steps(state, config, batches, take_step, lambda: validate(state.step), Mock(), say=lambda line: None)


def test_a_run_stopped_in_a_validation_has_that_validation_when_it_goes_on(tmp_path):
    def killed(step: int) -> str:
        if step == STEPS.steps:
            raise KeyboardInterrupt
        return ""

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, killed)
    validated: list[int] = []
    run(tmp_path, lambda step: str(validated.append(step)))
    assert validated == [STEPS.steps]
