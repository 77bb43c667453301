"""Helpers of training runs: devices, averaged weights, and the state that a crash leaves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from runtime.errors import CheckpointError, ConfigError
from runtime.training.device import pick_device
from runtime.training.ema import init_ema, update_ema
from runtime.training.muon import Muon
from runtime.training.resume import checkpoint_errors, load_state, save_state
from runtime.training.run_config import require_positive


def test_a_device_that_torch_lacks_is_named() -> None:
    assert pick_device("cpu").type == "cpu"
    with pytest.raises(ConfigError, match=r"--device abacus: torch cannot use it .*; try auto or cpu"):
        pick_device("abacus")


def test_a_damaged_state_is_refused_with_a_reason(tmp_path: Path) -> None:
    needed = ("policy", "optimizer", "leash", "before", "best")
    assert load_state(tmp_path, "cpu", needed) is None
    (tmp_path / "state.pt").write_bytes(b"PK\x03\x04 not a checkpoint")
    with pytest.raises(CheckpointError, match=r"damaged .*; remove it to start anew"):
        load_state(tmp_path, "cpu", needed)
    torch.save({"policy": {}}, tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match=r"not a refinement run's state \(no before, best, leash"):
        load_state(tmp_path, "cpu", needed, "refinement run")


def test_a_state_of_another_run_is_reported(tmp_path: Path) -> None:
    network = torch.nn.Linear(2, 2)
    with (
        pytest.raises(CheckpointError, match=r"state\.pt: is of another run; give another folder"),
        checkpoint_errors(tmp_path),
    ):
        network.load_state_dict(torch.nn.Linear(3, 2).state_dict())


def test_a_failed_write_leaves_the_state_before(tmp_path: Path) -> None:
    save_state(tmp_path, {"step": 1})
    with pytest.raises(AttributeError, match="pickle"):
        save_state(tmp_path, {"step": lambda: 2})
    assert load_state(tmp_path, "cpu", ("step",)) == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]


def test_the_average_follows_at_once_and_then_slowly() -> None:
    network = torch.nn.BatchNorm1d(1)
    average = init_ema(network)
    with torch.no_grad():
        network.weight.fill_(3.0)
        network.num_batches_tracked.fill_(7)
    update_ema(average, network, 0.998, step=1)
    assert average["weight"].item() == pytest.approx(1 + 2 * (1 - 2 / 11))
    assert average["num_batches_tracked"].item() == 7
    before = average["weight"].item()
    update_ema(average, network, 0.998, step=100_000)
    assert average["weight"].item() == pytest.approx(before + 0.002 * (3 - before))


def test_settings_below_one_are_named_as_options() -> None:
    @dataclass
    class Config:
        validate_every: int = 0

    with pytest.raises(ConfigError, match="--validate-every must be at least 1, not 0"):
        require_positive(Config(), ("validate_every",))


@pytest.mark.parametrize("content", [b"", b"not a pickle", "number", "list", "no fields"])
def test_a_state_that_is_none_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "state.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save({"number": 3, "list": [1], "no fields": {"x": 1}}[content], path)
    with pytest.raises(CheckpointError, match=r"state\.pt: ") as error:
        load_state(tmp_path, "cpu", ("step",))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", [TypeError, AttributeError, IndexError, KeyError, RuntimeError])
def test_fields_of_another_type_are_another_runs(tmp_path, kind):
    with pytest.raises(CheckpointError, match="is of another run"), checkpoint_errors(tmp_path):
        raise kind


def test_muon_in_bfloat16_moves_nearly_as_in_float32():
    moved = []
    for bf16 in (False, True):
        weight = torch.nn.Parameter(torch.eye(24, 40))
        weight.grad = torch.randn(24, 40, generator=torch.Generator().manual_seed(0))
        Muon([weight], lr=0.1, bf16=bf16).step()
        assert weight.dtype == torch.float32
        moved.append((weight.detach() - torch.eye(24, 40)).flatten())
    assert torch.nn.functional.cosine_similarity(*moved, dim=0) > 0.999
    assert not torch.equal(*moved)
