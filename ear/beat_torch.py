"""Beat This on torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from chart.errors import ConfigError
from ear.checkpoints import load_network

if TYPE_CHECKING:
    from ear.beat_network import RunWindow


def open_torch(path: Path, device: str = "auto") -> tuple[RunWindow, str]:
    """A function that runs the network of a checkpoint on one window, and the device it runs on."""
    chosen = pick_device(device)
    network = load_network(path).to(chosen).eval()

    def run_window(mel: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            out = network(torch.from_numpy(np.ascontiguousarray(mel))[None].to(chosen))
            return torch.stack((out["beat"][0], out["downbeat"][0])).float().cpu().numpy()

    return run_window, str(chosen)


def pick_device(name: str) -> torch.device:
    """`auto` is a GPU where torch finds one (CUDA or ROCm), else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"--device {name}: torch cannot use it ({str(error).splitlines()[0]}); try auto or cpu"
        ) from error
    return torch.device(name)
