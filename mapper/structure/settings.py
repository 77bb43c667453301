"""Fitted numbers of the structure of charts: `settings.json`, made by `mapper.structure.fit` and `mapper.pretraining.fit_rhythm`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.errors import CheckpointError

TABLE = Path(__file__).with_name("settings.json")


@dataclass(frozen=True)
class Settings:
    """Everything fitted on people's `train` charts."""

    rhythm: dict[str, list[float]]  # field of `mapper.structure.rhythm.RhythmSettings` → [knot of STAR_KNOTS]
    begin: NDArray[np.float64]  # [edge feature], log-odds that the first row falls in a bar
    end: NDArray[np.float64]  # [edge feature], the same for the last row, backwards
    dynamics: NDArray[np.float64]  # [bar feature], of a bar's log density over the chart's mean
    hold_weights: NDArray[np.float64]  # [1 + song feature], of the root of the share of holds
    hold_mean: NDArray[np.float64]  # [song feature], and their deviations
    hold_deviation: NDArray[np.float64]
    hold_predicted: NDArray[np.float64]  # [quantile], predictions over train songs, rising
    hold_people: NDArray[np.float64]  # [quantile], people's shares at the same ranks
    row_stars: NDArray[np.float64]  # [knot], stars of the shares below
    row_shares: NDArray[np.float64]  # [knot, 2, family, 4], of rows of a family, and of all others: chords of 2, 3, 4
    # notes, and rows that press a column of the row before again (`mapper.structure.row_shares`)

    def as_json(self) -> str:
        """The file's text, one array a line."""
        rows = [
            f"  {json.dumps(name)}: {json.dumps(value if isinstance(value, dict) else np.round(value, 5).tolist())}"
            for name, value in vars(self).items()
        ]
        return "{\n" + ",\n".join(rows) + "\n}\n"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of the structure plan that are shipped with the package."""
    try:
        data = json.loads(TABLE.read_text(encoding="utf-8"))
        rhythm = data.pop("rhythm")
        return Settings(rhythm, **{name: np.array(value) for name, value in data.items()})
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{TABLE}: not readable ({error}); reinstall the package") from error
