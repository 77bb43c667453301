"""Which library runs the network, and on which device."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from chart.errors import ConfigError
from mapper.network import Network

BACKENDS = ("auto", "torch", "onnx")
DEVICES = ("auto", "cpu", "cuda", "rocm", "dml")


@dataclass(frozen=True)
class OpenedNetwork:
    """A network ready to generate, and a line for the user where it runs elsewhere than was asked; else empty."""

    network: Network
    notice: str = ""


def open_network(checkpoint: Path | None = None, backend: str = "auto", device: str = "auto") -> OpenedNetwork:
    """The network of a checkpoint (default: the bundled one) or of a folder that `mania4k export` wrote.

    `auto` is onnxruntime, which starts faster than torch and hears as fast, unless only torch can use the device that
    was asked for. Raises CheckpointError or ConfigError.
    """
    if backend not in BACKENDS:
        raise ConfigError(f"--backend {backend}: must be one of {' '.join(BACKENDS)}")
    if backend == "torch" or (backend == "auto" and not _onnx_serves(device)):
        return _on_torch(checkpoint, device)
    if not _is_installed("onnxruntime"):
        raise ConfigError("--backend onnx: onnxruntime is not installed; `pip install onnxruntime`, or use torch")
    from mapper.onnx_mapper import OnnxMapper

    mapper = OnnxMapper(checkpoint, device)
    return OpenedNetwork(mapper, mapper.notice)


def _onnx_serves(device: str) -> bool:
    """Whether onnxruntime is to be used when nobody chose: it is there and knows the device, or torch is not there."""
    if not _is_installed("onnxruntime"):
        return False
    from ear.onnx_session import pick_provider

    try:
        pick_provider(device)
    except ConfigError:
        return not _is_installed("torch")
    return True


def _on_torch(checkpoint: Path | None, device: str) -> OpenedNetwork:
    if not _is_installed("torch"):
        raise ConfigError("--backend torch: torch is not installed; `pip install mania4k[train]`, or use onnx")
    if checkpoint is not None and checkpoint.is_dir():
        raise ConfigError(f"--checkpoint {checkpoint}: is an exported folder, which torch cannot run; use onnx")
    from mapper.checkpoint import load_mapper
    from training.device import pick_device

    name, _, number = device.partition(":")
    if name in ("dml", "directml"):
        raise ConfigError(f"--device {device}: torch cannot use it; DirectML needs --backend onnx on Windows")
    known = f"cuda:{number}" if number else "cuda"  # builds of torch for ROCm call their device so too
    return OpenedNetwork(load_mapper(checkpoint).to(pick_device(known if name == "rocm" else device)))


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False
