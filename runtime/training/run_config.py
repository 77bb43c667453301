"""Settings of a training run: checks, and the config file with library versions."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runtime.atomic_write import save_bytes
from runtime.errors import ConfigError

CONFIG = "config.json"
PACKAGES = ("torch", "numpy", "numba", "stable-baselines3", "gymnasium", "beat-this")


def require_positive(config: Any, names: Collection[str]) -> None:
    """Raise ConfigError where one of these settings of a config is below 1."""
    for name in names:
        if getattr(config, name) < 1:
            raise ConfigError(f"--{name.replace('_', '-')} must be at least 1, not {getattr(config, name)}")


def save_config(out: Path, config: Any, **resolved: Any) -> None:
    """Write the settings of a run (a dataclass), with `resolved` values and library versions."""
    out.mkdir(parents=True, exist_ok=True)
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    text = json.dumps(asdict(config) | resolved | {"versions": versions}, indent=1, default=str)
    save_bytes(out / CONFIG, text.encode("utf-8"))
