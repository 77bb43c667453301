"""Choice between torch and onnxruntime, which starts faster and is the only one in a small installation."""

from __future__ import annotations

import importlib.util
from typing import Literal

from runtime.errors import ConfigError

Library = Literal["torch", "onnx"]
BACKENDS = ("auto", "torch", "onnx")


def choose_library(backend: str = "auto", device: str = "auto") -> Library:
    """The library for a `--backend` and `--device`.

    `auto` is onnxruntime, unless it is not installed or only torch can use the device. Raises ConfigError.
    """
    if backend not in BACKENDS:
        raise ConfigError(f"--backend {backend}: must be one of {' '.join(BACKENDS)}")
    if backend == "torch" or (backend == "auto" and not _onnx_serves(device)):
        if not is_installed("torch"):
            raise ConfigError('--backend torch: torch is not installed; pip install "mania4k[train]", or use onnx')
        return "torch"
    if not is_installed("onnxruntime"):
        raise ConfigError('--backend onnx: onnxruntime is not installed; pip install "mania4k[infer]", or use torch')
    return "onnx"


def _onnx_serves(device: str) -> bool:
    """Whether onnxruntime is the default: it supports the device, or torch is not installed."""
    if not is_installed("torch"):
        return True
    if not is_installed("onnxruntime"):
        return False
    from runtime.onnx.session import pick_provider

    try:
        pick_provider(device)
    except ConfigError:
        return False
    return True


def is_installed(package: str) -> bool:
    """Whether a package can be imported, without importing it."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False
