"""Checkpoints of beat networks: find them by name or path, and load them without running anything in them.

Finding one needs no torch: an `.onnx` file runs without it.

bundled            ear/weights/beat_this.safetensors, trained by this project (docs/model-cards/beat-network.md)
final0, small0 …   the pretrained ones of the Beat This authors, downloaded on first use to the user's cache
a path             .safetensors (ours), .ckpt (Beat This's own, or `ear.finetune`'s), .onnx (`ear.finetune`'s)
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from ear.tracker.download import PRETRAINED_NAMES, pretrained_checkpoint
from ear.tracker.interface import DEFAULT_WINDOW_FRAMES, WINDOW_BOUNDS
from runtime.atomic_write import replacing, save_bytes
from runtime.errors import CheckpointError

if TYPE_CHECKING:
    from beat_this.model.beat_tracker import BeatThis
    from torch import Tensor

FORMAT_VERSION = 1

BUNDLED = Path(__file__).parents[1] / "weights" / "beat_this.safetensors"
"""The checkpoint that ships with the package."""

SUFFIXES = (".safetensors", ".ckpt", ".onnx")

MAX_CHECKPOINT_BYTES = 1 << 30
"""The official full-size checkpoints have 80 MB."""

CONFIG_BOUNDS: dict[str, tuple[float, float]] = {
    "spect_dim": (128, 128),
    "transformer_dim": (8, 2048),
    "ff_mult": (1, 16),
    "n_layers": (1, 48),
    "head_dim": (4, 256),
    "stem_dim": (1, 256),
}
"""Range accepted for each argument of the network: a stranger's file must not exhaust memory."""

FLAGS = ("sum_head", "partial_transformers")


def find_checkpoint(name: str) -> Path:
    """The file of a checkpoint given by name or path; official ones are downloaded when they are not in the cache."""
    if name == "bundled":
        path = BUNDLED
    elif name in PRETRAINED_NAMES:
        return pretrained_checkpoint(name)
    else:
        path = Path(name)
        if path.suffix.lower() not in SUFFIXES:
            if path.is_file():
                raise CheckpointError(f"{name}: not a beat network by its name (known: {' '.join(SUFFIXES)})")
            raise CheckpointError(
                f"{name}: no checkpoint of that name; give bundled, {', '.join(PRETRAINED_NAMES)} "
                f"or a file ({', '.join(SUFFIXES)})"
            )
    try:
        if not path.is_file():
            raise CheckpointError(f"{path}: no such checkpoint file; check the name")
        if path.stat().st_size > MAX_CHECKPOINT_BYTES:
            raise CheckpointError(f"{path}: larger than {MAX_CHECKPOINT_BYTES >> 20} MB, so not a beat network")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{name!r}: cannot be opened ({error})") from error
    return path


def load_network(path: Path) -> BeatThis:
    """The network of a `.safetensors` or `.ckpt` file, in float32 on the CPU. Raises CheckpointError."""
    import torch

    config, weights = read_checkpoint(path)
    network = build_network(config, str(path))
    try:
        network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    except RuntimeError as error:
        raise CheckpointError(f"{path}: the weights do not fit their own config; is the file from a fork?") from error
    return network.eval()


def load_config(path: Path) -> dict[str, Any]:
    """The BeatThis arguments of a `.safetensors` or `.ckpt` file that shape the network, and `window_frames`."""
    known = {*CONFIG_BOUNDS, *FLAGS, "window_frames"}
    return {name: value for name, value in read_checkpoint(path)[0].items() if name in known}


def window_frames_of(path: Path) -> int:
    """Window length a checkpoint was trained on, in frames; 1500 where it does not say."""
    frames = read_checkpoint(path)[0].get("window_frames", DEFAULT_WINDOW_FRAMES)
    low, high = WINDOW_BOUNDS
    if not isinstance(frames, int) or not low <= frames <= high:
        raise CheckpointError(f"{path}: window_frames {frames!r} is not a number in {low}–{high}")
    return frames


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """(config, arrays) of a `.safetensors` or `.ckpt` file, float32; only the second needs torch. Raises CheckpointError."""
    if path.suffix.lower() == ".onnx":
        raise CheckpointError(f"{path}: an .onnx file can be run but not trained; give its .ckpt")
    try:
        config, weights = _read_safetensors(path) if path.suffix.lower() == ".safetensors" else _read_ckpt(path)
        check_weights(config, weights)
        return config, weights
    except CheckpointError:
        raise
    except Exception as error:  # what torch.load and safetensors raise on damaged files has no bounds
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: not a checkpoint of a beat network, or damaged ({reason}); fetch or export it again"
        ) from error


def check_weights(config: dict[str, Any], weights: dict[str, NDArray[Any]]) -> None:
    """Raise ValueError where weights are missing, of another shape than the config says, or no numbers.

    Nothing is built for it: a config of a few bytes could ask for tens of gigabytes.
    """
    width, head = (int(config.get(name, default)) for name, default in (("transformer_dim", 512), ("head_dim", 32)))
    layers, wide = int(config.get("n_layers", 6)), int(config.get("ff_mult", 4)) * width
    expected: dict[str, tuple[int, ...]] = {"transformer_blocks.norm.gamma": (width,)}
    expected["task_heads.beat_downbeat_lin.weight"] = (2, width)
    if not (
        0 < width <= CONFIG_BOUNDS["transformer_dim"][1] and head > 0 and 0 < layers <= CONFIG_BOUNDS["n_layers"][1]
    ):
        raise ValueError(f"a width of {width}, {layers} layers and heads of {head} are out of bounds")
    for layer in range(layers):
        name = f"transformer_blocks.layers.{layer}"
        inner = width // head * head
        expected |= {
            f"{name}.0.norm.gamma": (width,),
            f"{name}.0.to_qkv.weight": (3 * inner, width),
            f"{name}.0.to_out.0.weight": (width, inner),
            f"{name}.1.net.1.weight": (wide, width),
            f"{name}.1.net.4.weight": (width, wide),
        }
    for name, shape in expected.items():
        if name not in weights:
            raise ValueError(f"its weights lack {name}")
        if weights[name].shape != shape:
            raise ValueError(f"{name} has the shape {weights[name].shape}, and its config says {shape}")
    for name, array in weights.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name} holds values that are no numbers")


def build_network(config: dict[str, Any], where: str = "config") -> BeatThis:
    """An untrained network without dropout; `config` holds BeatThis's own arguments and anything else."""
    settings: dict[str, Any] = {"dropout": {"frontend": 0.0, "transformer": 0.0}}  # it would force slow attention
    for name, (low, high) in CONFIG_BOUNDS.items():
        if name not in config:
            continue
        if isinstance(config[name], bool) or not isinstance(config[name], int | float):
            raise CheckpointError(f"{where}: {name} must be a number, not {config[name]!r}")
        if not low <= config[name] <= high:
            raise CheckpointError(f"{where}: {name} {config[name]} is outside {low}–{high}")
        settings[name] = int(config[name])
    settings |= {name: bool(config[name]) for name in FLAGS if name in config}
    if settings.get("transformer_dim", 512) % settings.get("head_dim", 32):
        raise CheckpointError(f"{where}: transformer_dim must be a multiple of head_dim")
    from beat_this.model.beat_tracker import BeatThis

    try:
        return BeatThis(**settings)
    except (AssertionError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{where}: its config builds no network ({error or 'sizes do not fit'})") from error


def save_network(
    network: BeatThis, config: dict[str, Any], path: Path, weights: dict[str, Tensor] | None = None, notes: str = ""
) -> None:
    """Write `weights` (default: the network's own) as float16 safetensors with the config in the header."""
    from safetensors.torch import save

    state = weights or network.state_dict()
    tensors = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).detach().cpu().clone().contiguous()
        for name, tensor in state.items()
    }
    header = {"format_version": str(FORMAT_VERSION), "config": json.dumps(config), "notes": notes}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_bytes(path, save(tensors, metadata=header))


def save_ckpt(network: BeatThis, config: dict[str, Any], path: Path) -> None:
    """Write a `.ckpt` that Beat This's own programs load."""
    import torch

    state = {f"model.{name}": tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
    with replacing(path) as file:
        torch.save({"state_dict": state, "hyper_parameters": dict(config)}, file)


def _read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    with safe_open(path, framework="np") as file:
        header = file.metadata() or {}
        if header.get("format_version") != str(FORMAT_VERSION):
            found = header.get("format_version", "none")
            raise CheckpointError(f"{path}: checkpoint format {found}, this version reads {FORMAT_VERSION}")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    weights = {name: one.astype(np.float32) if one.dtype.kind == "f" else one for name, one in tensors.items()}
    config = json.loads(header["config"])
    if not isinstance(config, dict):
        raise ValueError("its config is not a table")
    return config, weights


def _read_ckpt(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about pickles of another kind: they are read or refused as any other
        content = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise ValueError("it holds no state_dict")
    config = content.get("hyper_parameters", {})
    state = {name.replace("_orig_mod.", ""): tensor for name, tensor in content["state_dict"].items()}
    weights = {name.removeprefix("model."): tensor for name, tensor in state.items() if name.startswith("model.")}
    return dict(config), {
        name: (tensor.float() if tensor.is_floating_point() else tensor).numpy() for name, tensor in weights.items()
    }
