"""Beat This on torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from beat_this.model.beat_tracker import BeatThis
from numpy.typing import NDArray

from ear.tracker.checkpoint import load_network, window_frames_of
from ear.tracker.interface import OpenedNetwork, RunWindow
from runtime.training.device import pick_device


def open_torch(path: Path, device: str = "auto") -> OpenedNetwork:
    """The network of a checkpoint, ready to run."""
    chosen = pick_device(device)
    network = load_network(path).to(chosen).eval()
    return OpenedNetwork(window_runner(network, chosen), str(chosen), window_frames_of(path))


def window_runner(network: BeatThis, device: torch.device) -> RunWindow:
    """A function that runs a network on one window."""

    def run_window(mel: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            out = network(torch.from_numpy(np.ascontiguousarray(mel))[None].to(device))
            return torch.stack((out["beat"][0], out["downbeat"][0])).float().cpu().numpy()

    return run_window
