"""The fitted weights of the timing: read strictly, replaced in part."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ear.timing.grid.weights import BUNDLED, read_weights, timing_weights, update_weights
from runtime.errors import CheckpointError


@pytest.fixture
def content() -> dict[str, Any]:
    return json.loads(BUNDLED.read_text(encoding="utf-8"))


def written(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "timing.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_an_update_replaces_the_arrays_named_and_keeps_the_others(tmp_path: Path) -> None:
    path = tmp_path / "new.json"
    fitted = np.linspace(-1, 1, timing_weights().beat_phase.size)
    update_weights(path, {"beat_phase": fitted}, {"beat_phase": "right 1.000"})
    read = read_weights(path)
    assert np.abs(read.beat_phase - fitted).max() <= 0.5e-3
    assert np.array_equal(read.beat_level, timing_weights().beat_level)
    report = json.loads(path.read_text(encoding="utf-8"))["report"]
    assert report["beat_phase"] == "right 1.000"
    assert "beat_level" in report


def test_weights_cannot_be_changed_by_a_caller() -> None:
    with pytest.raises(ValueError, match="read-only"):
        timing_weights().beat_level[0] = 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "format 2, this version reads 1"),
        ({"beat_phase": [0.0]}, "beat_phase must be 40 finite numbers"),
        ({"beat_phase": [float("nan")] * 40}, "beat_phase must be 40 finite numbers"),
        ({"beat_phase": ["0"] * 40}, "beat_phase must be 40 finite numbers"),
        ({"beat_phase": [True] * 40}, "beat_phase must be 40 finite numbers"),
        ({"beat_phase": None}, "beat_phase must be 40 finite numbers"),
        ({"rotation": [0.0]}, "rotation"),
    ],
)
def test_wrong_weights_are_refused(content: dict[str, Any], change: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_weights(written(tmp_path, content | change))


def test_missing_weights_are_refused(content: dict[str, Any], tmp_path: Path) -> None:
    del content["downbeat"]
    with pytest.raises(CheckpointError, match="expected"):
        read_weights(written(tmp_path, content))
    with pytest.raises(CheckpointError, match="is not a table"):
        read_weights(written(tmp_path, []))
    with pytest.raises(CheckpointError, match="cannot be read as timing weights"):
        read_weights(tmp_path / "none.json")
