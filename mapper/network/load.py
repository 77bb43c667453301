"""Opens the mapper with the requested library and device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mapper.network.checkpoint import origin_of
from mapper.network.interface import Network
from runtime.errors import ConfigError
from runtime.onnx.backend import choose_library


@dataclass(frozen=True)
class OpenedNetwork:
    """A network ready to generate, and a line for the user if it does not run on the requested device; else empty."""

    network: Network
    notice: str = ""


def open_network(checkpoint: Path | None = None, backend: str = "auto", device: str = "auto") -> OpenedNetwork:
    """The network of a checkpoint (default: the bundled one) or of a folder that `mania4k export` wrote.

    `backend` and `device` as in `runtime.onnx.backend.choose_library`. Raises CheckpointError or ConfigError.
    """
    if choose_library(backend, device) == "torch":
        return OpenedNetwork(_on_torch(checkpoint, device), _untrained(checkpoint))
    from mapper.network.onnx_model import WEIGHTS_FILE, OnnxMapper

    mapper = OnnxMapper(checkpoint, device)
    weights = checkpoint / WEIGHTS_FILE if checkpoint is not None and checkpoint.is_dir() else checkpoint
    return OpenedNetwork(mapper, "; ".join(filter(None, (mapper.notice, _untrained(weights)))))


def _untrained(checkpoint: Path | None) -> str:
    """The warning of weights that have hardly been trained; empty for others."""
    return "" if checkpoint is None else origin_of(checkpoint).warning


def _on_torch(checkpoint: Path | None, device: str) -> Network:
    if checkpoint is not None and checkpoint.is_dir():
        raise ConfigError(f"--checkpoint {checkpoint}: is an exported folder, which torch cannot run; use onnx")
    from mapper.network.checkpoint import load_mapper
    from runtime.training.device import pick_device

    name, _, number = device.partition(":")
    if name in ("dml", "directml"):
        raise ConfigError(f"--device {device}: torch cannot use it; DirectML needs --backend onnx on Windows")
    if name == "rocm":  # builds of torch for ROCm call their device cuda
        device = f"cuda:{number}" if number else "cuda"
    return load_mapper(checkpoint).to(pick_device(device))
