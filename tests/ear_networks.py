"""Small untrained beat networks for tests."""

from pathlib import Path
from typing import Any

import torch
from beat_this.model.beat_tracker import BeatThis

from ear.tracker.checkpoint import build_network, save_network

TINY: dict[str, Any] = {
    "transformer_dim": 16,
    "head_dim": 8,
    "stem_dim": 4,
    "ff_mult": 1,
    "n_layers": 1,
    "partial_transformers": False,
}


def tiny_network(seed: int = 0, **changes: Any) -> BeatThis:
    """Random weights large enough that activations rise and fall."""
    torch.manual_seed(seed)
    network = build_network(TINY | changes)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim >= 2 or name.startswith("task_heads"):
                parameter.normal_(0, 0.3)
    return network.eval()


def tiny_checkpoint(path: Path, seed: int = 0) -> Path:
    save_network(tiny_network(seed), TINY, path)
    return path
