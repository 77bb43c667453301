"""Checkpoints of beat networks: what is written is read, and strangers' files can do nothing."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from ear.export import export
from ear.export import main as export_command
from ear.tracker.checkpoint import build_network, find_checkpoint, load_config, load_network, save_ckpt, save_network
from ear.tracker.tracker import load_beat_tracker
from runtime.errors import CheckpointError
from tests.conftest import SHARED
from tests.ear_networks import TINY, tiny_checkpoint, tiny_network


def same_weights(one: torch.nn.Module, other: torch.nn.Module, atol: float) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.allclose(a.float(), b.float(), atol=atol, rtol=1e-3) for a, b in pairs)


def test_safetensors_keep_weights_as_half_precision(tmp_path: Path) -> None:
    path = tiny_checkpoint(tmp_path / "net.safetensors")
    assert same_weights(tiny_network(), load_network(path), atol=1e-3)
    assert load_config(path) == TINY
    assert all(value.dtype == torch.float32 for value in load_network(path).parameters())


def test_ckpt_is_laid_out_as_beat_this_does(tmp_path: Path) -> None:
    save_ckpt(tiny_network(), TINY | {"lr": 0.1}, tmp_path / "net.ckpt")
    content = torch.load(tmp_path / "net.ckpt", weights_only=True)
    assert all(name.startswith("model.") for name in content["state_dict"])
    assert same_weights(tiny_network(), load_network(tmp_path / "net.ckpt"), atol=0)
    assert load_config(tmp_path / "net.ckpt") == TINY  # what does not shape the network is left out


def test_weights_of_a_compiled_model_load(tmp_path: Path) -> None:
    state = {f"model._orig_mod.{name}": value for name, value in tiny_network().state_dict().items()}
    torch.save({"state_dict": state, "hyper_parameters": TINY}, tmp_path / "net.ckpt")
    assert same_weights(tiny_network(), load_network(tmp_path / "net.ckpt"), atol=0)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("evil-was-here"),))


def test_pickles_do_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {}, "hyper_parameters": Evil()}, tmp_path / "evil.ckpt")
    (tmp_path / "plain.ckpt").write_bytes(pickle.dumps(Evil()))
    for name in ("evil.ckpt", "plain.ckpt"):
        with pytest.raises(CheckpointError, match=f"{name}: not a checkpoint of a beat network, or damaged"):
            load_network(tmp_path / name)
    assert not (tmp_path / "evil-was-here").exists()


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 cut off"])
def test_damaged_files_are_named(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"net\.\w+: not a checkpoint of a beat network, or damaged"):
        load_network(path)


def test_other_formats_and_misfits_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_network(tiny_network(), TINY | {"n_layers": 2}, path)
    with pytest.raises(CheckpointError, match=r"its weights lack transformer_blocks\.layers\.1"):
        load_network(path)
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, path, metadata={"format_version": "9"})
    with pytest.raises(CheckpointError, match="checkpoint format 9, this version reads 1"):
        load_network(path)
    with pytest.raises(CheckpointError, match=r"can be run but not trained; give its \.ckpt"):
        load_network(tmp_path / "net.onnx")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transformer_dim": 1 << 20}, "transformer_dim 1048576 is outside 8–2048"),
        ({"n_layers": -1}, "n_layers -1 is outside 1–48"),
        ({"stem_dim": "16"}, "stem_dim must be a number, not '16'"),
        ({"transformer_dim": 20}, "transformer_dim must be a multiple of head_dim"),
    ],
)
def test_configs_are_bounded(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        build_network(TINY | change)


def test_window_lengths_travel_with_the_weights(tmp_path: Path) -> None:
    save_network(tiny_network(), TINY | {"window_frames": 400}, tmp_path / "net.safetensors")
    for name in ("net.safetensors", "out.ckpt", "out.onnx"):
        if name.startswith("out"):
            export(str(tmp_path / "net.safetensors"), tmp_path / name)
        for backend in ("torch", "onnx"):
            assert load_beat_tracker(str(tmp_path / name), backend, "cpu").network.window_frames == 400
    plain = tiny_checkpoint(tmp_path / "plain.safetensors")
    assert load_beat_tracker(str(plain), "onnx", "cpu").network.window_frames == 1500
    save_network(tiny_network(), TINY | {"window_frames": 10**9}, tmp_path / "net.safetensors")
    with pytest.raises(CheckpointError, match="window_frames 1000000000 is not a number in 50–6000"):
        load_beat_tracker(str(tmp_path / "net.safetensors"), device="cpu")


def test_names_and_paths(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="finale: no checkpoint of that name; give bundled, final0, "):
        find_checkpoint("finale")
    with pytest.raises(CheckpointError, match=r"none\.ckpt: no such checkpoint file"):
        find_checkpoint(str(tmp_path / "none.ckpt"))
    path = tiny_checkpoint(tmp_path / "音.safetensors")
    assert find_checkpoint(str(path)) == path


def test_export_writes_what_the_name_ends_in(tmp_path: Path) -> None:
    source = str(tiny_checkpoint(tmp_path / "net.safetensors"))
    for suffix in (".ckpt", ".onnx", ".safetensors"):
        out = tmp_path / f"out{suffix}"
        done = CliRunner().invoke(export_command, [source, "-o", str(out)])
        assert done.exit_code == 0, done.output
        assert "MB" in done.stdout
    assert same_weights(load_network(tmp_path / "out.ckpt"), load_network(tmp_path / "out.safetensors"), atol=0)
    failed = CliRunner().invoke(export_command, [source, "-o", str(tmp_path / "out.pt")])
    assert failed.exit_code == 1
    assert "cannot export to '.pt'; end the name in .onnx, .ckpt or .safetensors" in failed.stderr


def test_the_mean_of_two_networks_is_exported(tmp_path: Path) -> None:
    one = str(tiny_checkpoint(tmp_path / "one.safetensors"))
    network = load_network(tmp_path / "one.safetensors")
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.5
    save_network(network, TINY, tmp_path / "two.safetensors")
    save_network(network, TINY | {"window_frames": 400}, tmp_path / "other.safetensors")
    args = [one, "--mean-with", str(tmp_path / "two.safetensors"), "-o", str(tmp_path / "mean.safetensors")]
    done = CliRunner().invoke(export_command, args)
    assert done.exit_code == 0, done.output
    first, mean = (dict(load_network(tmp_path / f"{name}.safetensors").named_parameters()) for name in ("one", "mean"))
    for name, weight in mean.items():
        torch.testing.assert_close(weight - first[name], torch.full_like(weight, 0.25), atol=2e-3, rtol=0)
    failed = CliRunner().invoke(export_command, [*args[:2], str(tmp_path / "other.safetensors"), *args[3:]])
    assert failed.exit_code == 1
    assert "is another network than" in failed.stderr


def changed(path: Path, change: Callable[[dict[str, Any], dict[str, np.ndarray]], None]) -> Path:
    """A tiny checkpoint whose config and weights are changed; nothing checks them on writing."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    tiny_checkpoint(path)
    with safe_open(path, framework="np") as file:
        header, weights = dict(file.metadata()), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    config = json.loads(header["config"])
    change(config, weights)
    save_file(weights, path, metadata=header | {"config": json.dumps(config)})
    return path


LAYER = "transformer_blocks.layers.0"
BROKEN = {
    "missing": lambda config, weights: weights.pop(f"{LAYER}.0.to_qkv.weight"),
    "missing in front": lambda config, weights: weights.pop("frontend.linear.weight"),
    "reshaped": lambda config, weights: weights.update({f"{LAYER}.0.norm.gamma": np.ones(3, np.float16)}),
    "reshaped in front": lambda config, weights: weights.update({"frontend.linear.weight": np.ones(3, np.float16)}),
    "no numbers": lambda config, weights: weights.update({"transformer_blocks.norm.gamma": np.full(8, np.nan)}),
    "huge": lambda config, weights: config.update(transformer_dim=2048, n_layers=48, head_dim=32),
    "odd heads": lambda config, weights: config.update(head_dim=5),
    "text": lambda config, weights: config.update(transformer_dim="wide"),
    "null": lambda config, weights: config.update(n_layers=None),
}


@pytest.mark.parametrize("library", ["torch", "onnx"])
@pytest.mark.parametrize("case", BROKEN)
def test_weights_that_do_not_fit_are_refused_on_every_back_end(tmp_path: Path, case: str, library: str) -> None:
    path = changed(tmp_path / "net.safetensors", BROKEN[case])
    if library == "onnx":
        from ear.tracker.onnx_runner import open_onnx as open_network
    else:
        from ear.tracker.torch_runner import open_torch as open_network
    with pytest.raises(CheckpointError, match=r"net\.safetensors") as error:
        open_network(path, "cpu")
    assert "\n" not in str(error.value)


@pytest.mark.shared
@pytest.mark.parametrize("pattern", ["ear-*.safetensors", "bin-earckpt-*.bin"])
def test_checkpoints_that_went_wrong(tmp_path: Path, pattern: str) -> None:
    found = sorted((SHARED.parent / "cases" / "broken").glob(pattern))
    if not found:
        pytest.skip("needs ../shared/cases")
    for file in found:
        path = tmp_path / file.with_suffix(".ckpt" if file.suffix == ".bin" else file.suffix).name
        path.write_bytes(file.read_bytes())
        with pytest.raises(CheckpointError):
            load_network(path)
