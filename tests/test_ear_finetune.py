"""Training beat networks: they learn, go on, and change only what they may."""

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from ear.finetune import main as finetune_command
from ear.tracker.checkpoint import load_network
from ear.tracker.tracker import load_beat_tracker
from ear.training.batches import batches
from ear.training.loss import beat_loss
from ear.training.store import BeatPiece, PieceEntry, add_to_index, write_piece
from ear.training.train import TrainConfig, learning_rate, start_or_resume, take_step, train
from runtime.errors import CheckpointError, ConfigError
from runtime.training.muon import Muon, orthogonal
from tests.ear_networks import TINY, tiny_checkpoint
from tests.test_ear_beat_data import piece


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two pieces to train on and one to validate with."""
    for name, split in (("a", "train"), ("b", "train"), ("c", "val")):
        write_piece(tmp_path / "data", piece(name, seconds=20))
        add_to_index(tmp_path / "data", [PieceEntry(name, "osu", split, 20.0)])  # type: ignore[arg-type]
    return tmp_path / "data"


def config(data: Path, out: Path, **changes: object) -> TrainConfig:
    settings: dict[str, object] = {"steps": 4, "batch": 2, "frames": 100, "validate_every": 2, "save_every": 2}
    return TrainConfig(str(data), str(out), **({"model": dict(TINY)} | settings | changes))  # type: ignore[arg-type]


def quiet(_: str) -> None:
    pass


def test_the_loss_falls_on_one_batch(data: Path, tmp_path: Path) -> None:
    settings = config(data, tmp_path / "run", learning_rate=5e-3, warmup=1, steps=1000)
    _, state = start_or_resume(settings, tmp_path / "nothing")
    batch = next(batches([piece()], 2, 150, seed=0))
    places = {name: value.clone() for name, value in state.network.state_dict().items() if "rotary" in name}
    losses = [take_step(state, batch, settings)["loss/total"] for _ in range(25)]
    assert np.mean(losses[-5:]) < 0.7 * losses[0]
    assert places
    for name, value in places.items():
        assert torch.equal(state.network.state_dict()[name], value)  # they are cached: a change would show only later


def test_going_on_is_the_same_as_never_stopping(data: Path, tmp_path: Path) -> None:
    train(config(data, tmp_path / "whole", warmup=1), quiet)
    interrupted = config(data, tmp_path / "parts", warmup=1)
    assert stop_after(interrupted, "step 2")[0].startswith("2 pieces, ")
    train(interrupted, quiet)
    states = [start_or_resume(config(data, out), out)[1] for out in (tmp_path / "whole", tmp_path / "parts")]
    assert [state.step for state in states] == [4, 4]
    assert {int(value["step"]) for value in states[1].optimizers[0].state.values()} == {4}
    for one, other in zip(states[0].average.values(), states[1].average.values(), strict=True):
        torch.testing.assert_close(one, other, atol=5e-3, rtol=0)  # Adam blows rounding up to its rate


def stop_after(settings: TrainConfig, start: str) -> list[str]:
    """Train until a line that begins so is said, as if interrupted then; returns what was said."""
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if line.startswith(start):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(settings, say)
    return said


def test_heads_leave_the_rest_as_it_was(data: Path, tmp_path: Path) -> None:
    start = tiny_checkpoint(tmp_path / "start.safetensors")
    scores = train(config(data, tmp_path / "run", init=str(start), tune="heads", learning_rate=0.1, warmup=1), quiet)
    assert {"beat_f/osu", "downbeat_f/osu", "val/score"} <= set(scores)
    before, after = load_network(start).state_dict(), load_network(tmp_path / "run" / "best.ckpt").state_dict()
    for name, value in before.items():
        assert torch.equal(value, after[name]) != name.startswith("task_heads"), name


def test_results_can_be_used(data: Path, tmp_path: Path) -> None:
    start = str(tiny_checkpoint(tmp_path / "start.safetensors"))
    options = ["--init-checkpoint", start, "--steps", "2", "--validate-every", "2", "--batch", "2", "--frames", "100"]
    done = CliRunner().invoke(finetune_command, [str(data), "-o", str(tmp_path / "run"), *options])
    assert done.exit_code == 0, done.output
    assert "best.ckpt: beat_f/osu" in done.stdout
    for name in ("best.ckpt", "best.onnx", "best.safetensors"):
        assert load_beat_tracker(str(tmp_path / "run" / name), device="cpu").checkpoint.name == name


def test_mistakes_are_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--steps must be at least 1, not 0"):
        config(data, tmp_path, steps=0)
    (tmp_path / "run").mkdir()
    torch.save({"step": 3}, tmp_path / "run" / "state.pt")
    with pytest.raises(CheckpointError, match=r"state\.pt: is of another run; give another folder"):
        train(config(data, tmp_path / "run"), quiet)
    add_to_index(tmp_path / "empty", [PieceEntry("c", "osu", "val", 20.0)])
    write_piece(tmp_path / "empty", piece("c"))
    with pytest.raises(ConfigError, match="has no piece in its train split"):
        train(config(tmp_path / "empty", tmp_path / "other"), quiet)


def test_what_is_unknown_has_no_gradient() -> None:
    batch = next(batches([piece()], 1, 100, seed=0))
    batch.beat_known[:, 50:] = 0
    logits = torch.zeros(1, 100, requires_grad=True)
    losses = beat_loss({"beat": logits, "downbeat": logits.detach()}, batch)
    losses["beat"].backward()
    assert logits.grad is not None
    changed = logits.grad[0].nonzero()[:, 0]
    assert (int(changed.min()), int(changed.max())) == (6, 49)


def test_the_rate_rises_and_falls() -> None:
    settings = TrainConfig("d", "o", steps=100, warmup=10, learning_rate=1.0)
    rates = [learning_rate(settings, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:41] == [1.0] * 32
    assert rates[99] < 0.05


def test_muon_makes_updates_orthogonal() -> None:
    torch.manual_seed(0)
    for shape in ((8, 20), (20, 8)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
        assert values.min() > 0.6
        assert values.max() < 1.3
    weight = torch.nn.Parameter(torch.eye(4))
    weight.grad = torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    Muon([weight], lr=0.1).step()
    assert (torch.diagonal(weight) < 1).all()


def test_a_dataset_of_silence_trains_without_nan(tmp_path: Path) -> None:
    silent = BeatPiece("s", "osu", np.zeros((600, 128), np.uint8), np.zeros(0), np.zeros(0, bool), 0.0, 12_000.0)
    settings = config(tmp_path, tmp_path / "run")
    _, state = start_or_resume(settings, tmp_path / "nothing")
    for seed in (0, 2):  # nothing at all, whose gradient is infinite and not taken, and noise
        logged = take_step(state, next(batches([silent], 2, 100, seed=seed)), settings)
        assert np.isfinite([logged["loss/total"], logged["loss/beat"], logged["loss/downbeat"]]).all()
        assert all(torch.isfinite(value).all() for value in state.network.state_dict().values())
