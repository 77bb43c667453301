"""A refinement run on disk: its config, and the state to go on from after a crash."""

from __future__ import annotations

import importlib.metadata
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from chart.errors import CheckpointError

STATE = "state.pt"
PACKAGES = ("torch", "numpy", "numba", "stable-baselines3", "gymnasium")


def save_config(out: Path, config: Any) -> None:
    """The resolved settings with the versions that they ran with."""
    out.mkdir(parents=True, exist_ok=True)
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    text = json.dumps(asdict(config) | {"versions": versions}, indent=1, default=str)
    (out / "config.json").write_text(text, encoding="utf-8")


def save_state(out: Path, state: dict[str, Any]) -> None:
    """Write the state so that a crash at any moment leaves a whole one."""
    torch.save(state, out / f"{STATE}.tmp")
    os.replace(out / f"{STATE}.tmp", out / STATE)


def load_state(out: Path, device: torch.device | str) -> dict[str, Any] | None:
    """The state to go on from, None for a fresh run; raises CheckpointError when it is damaged."""
    path = out / STATE
    if not path.is_file():
        return None
    try:
        saved = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises pickle.UnpicklingError, RuntimeError, EOFError, … on damaged files
        raise CheckpointError(
            f"{path}: damaged ({str(error).splitlines()[0][:100]}); remove it to start anew"
        ) from error
    missing = {"policy", "optimizer", "leash", "updates", "steps", "before", "best"} - set(saved)
    if missing:
        raise CheckpointError(f"{path}: not a refinement run's state (no {', '.join(sorted(missing))})")
    return saved
