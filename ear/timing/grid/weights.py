"""Fitted weights of the timing: `ear/weights/timing.json`, written by `ear.fitting`, read strictly.

The file holds `format_version`, the arrays of `TimingWeights` as lists of numbers, and `report`, the held-out figures of
the last fit of each array. A missing or unknown name, another length or a number that is not finite is refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.atomic_write import save_bytes
from runtime.errors import CheckpointError

FORMAT_VERSION = 1

BUNDLED = Path(__file__).parents[2] / "weights" / "timing.json"
"""The weights that ship with the package."""

DECIMALS = 3


@dataclass(frozen=True, slots=True, eq=False)
class TimingWeights:
    """Weights of the multinomial logistic regressions; `size` in the metadata is the number of features."""

    beat_level: NDArray[np.float64] = field(metadata={"size": 71})  # multiple of the pulse, from the onsets
    beat_phase: NDArray[np.float64] = field(metadata={"size": 40})  # peak of the folded beat, from the onsets
    downbeat: NDArray[np.float64] = field(metadata={"size": 116})  # rotation of the bar, from the onsets
    metrical_level: NDArray[np.float64] = field(metadata={"size": 15})  # grid, from onsets and a network's peaks
    confidence: NDArray[np.float64] = field(metadata={"size": 6})  # of a steady timing (`ear.timing.confidence`)


@lru_cache(maxsize=1)
def timing_weights() -> TimingWeights:
    """The bundled weights, read once."""
    return read_weights(BUNDLED)


def read_weights(path: Path) -> TimingWeights:
    """The weights of a file. Raises CheckpointError."""
    content = _content(path)
    sizes = {one.name: one.metadata["size"] for one in fields(TimingWeights)}
    arrays = {name: value for name, value in content.items() if name not in ("format_version", "report")}
    if content.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format {content.get('format_version')!r}, this version reads {FORMAT_VERSION}; install again"
        )
    if arrays.keys() != sizes.keys():
        raise CheckpointError(f"{path}: holds {sorted(arrays)}, expected {sorted(sizes)}; install again")
    return TimingWeights(**{name: _array(path, name, arrays[name], size) for name, size in sizes.items()})


def update_weights(path: Path, arrays: dict[str, NDArray[np.float64]], report: dict[str, str]) -> None:
    """Write a weights file: that of `path`, or the bundled one, with some arrays and their report lines replaced."""
    content = _content(path if path.is_file() else BUNDLED)
    rounded = {name: np.round(weights, DECIMALS).tolist() for name, weights in arrays.items()}
    content |= rounded | {"report": {**content.get("report", {}), **report}}
    lines = [f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in content.items()]
    save_bytes(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode("utf-8"))


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as timing weights ({error}); install again") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: is not a table of timing weights; install again")
    return content


def _array(path: Path, name: str, values: object, size: int) -> NDArray[np.float64]:
    numbers = isinstance(values, list) and all(type(value) in (int, float) for value in values)
    weights = np.array(values, np.float64) if numbers else np.zeros(0)
    if weights.shape != (size,) or not np.isfinite(weights).all():
        raise CheckpointError(f"{path}: {name} must be {size} finite numbers; install again")
    weights.flags.writeable = False
    return weights
