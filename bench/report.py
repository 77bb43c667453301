"""Date, commit and machine of a benchmark, and its JSON line."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import date
from pathlib import Path

import numpy as np


def context() -> dict[str, object]:
    """Date, commit and machine of a measurement."""
    root = Path(__file__).resolve().parent.parent
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    return {
        "date": date.today().isoformat(),
        "commit": git.stdout.strip() or "unknown",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }


def print_json(name: str, figures: dict[str, object]) -> None:
    """The last line of a benchmark."""
    print(json.dumps({"bench": name, **context(), **figures}, default=_plain), flush=True)


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not a figure")
