"""Real plays to calibrate and test against: a folder with `replays.npz`, `maps/*.osu` and `accuracy.csv`.

A subfolder `wave2` holds later plays in the same form, some of them with the modifier ScoreV2.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agents.judgement.judge import Judged, Presses, judge, presses_of
from agents.judgement.mods import SCOREV2, Mods, mods_of
from chart.formats.osu_read import read_osu
from chart.model import Chart
from runtime.errors import ChartFileError

FRAME_LAG_MS = {"": 1, "wave2": 0}
"""Times in each folder's `replays.npz` less those of the game: the first sums deltas without the marker frame of −1 ms."""


@dataclass(frozen=True, eq=False)
class RealPlay:
    """One play by a human."""

    map_name: str
    chart: Chart
    mods: Mods
    presses: Presses
    counts: NDArray[np.int64]  # [6], MAX … MISS as the game counted them

    @property
    def rules(self) -> str:
        """Name of the rules by which the game judged the play."""
        return "scorev2" if self.mods.bits & SCOREV2 else "stable"

    def judged(self) -> Judged:
        """The play judged by this project."""
        return judge(self.chart, self.presses, self.mods, self.rules)


@dataclass(frozen=True, slots=True)
class RankedMap:
    """Accuracy of some 4,000 ranked players on a chart (MAX = 320 weights)."""

    map_name: str
    chart: Chart
    mean: float
    p10: float
    p50: float
    stars: float


def read_plays(folder: Path) -> list[RealPlay]:
    """All plays of the folder and of its `wave2`, in the order of their `replays.npz`."""
    plays = []
    for name, lag_ms in FRAME_LAG_MS.items():
        if not name or (folder / name).is_dir():
            plays += _read_npz(folder / name, lag_ms)
    return plays


def _read_npz(folder: Path, lag_ms: int) -> list[RealPlay]:
    path = folder / "replays.npz"
    if not path.is_file():
        raise ChartFileError(f"{path} is missing; name the folder that holds replays.npz, maps and accuracy.csv")
    with np.load(path, allow_pickle=False) as data:
        arrays = {name: data[name] for name in data.files}
    charts = {str(name): read_osu(folder / "maps" / f"{name}.osu") for name in np.unique(arrays["map_md5_10"])}
    plays = []
    for number, name in enumerate(arrays["map_md5_10"]):
        inside = slice(arrays["offset"][number], arrays["offset"][number + 1])
        presses = presses_of(
            arrays["time_ms"][inside].astype(np.int64) - lag_ms, arrays["column"][inside], arrays["down"][inside]
        )
        mods = mods_of(int(arrays["mods"][number]))
        plays.append(RealPlay(str(name), charts[str(name)], mods, presses, arrays["header_counts"][number]))
    return plays


def read_ranked(folder: Path) -> list[RankedMap]:
    """Read the maps of `accuracy.csv`."""
    with (folder / "accuracy.csv").open(encoding="utf-8", newline="") as file:
        return [
            RankedMap(
                row["map_md5_10"],
                read_osu(folder / "maps" / f"{row['map_md5_10']}.osu"),
                float(row["accuracy_mean"]),
                float(row["accuracy_p10"]),
                float(row["accuracy_p50"]),
                float(row["star_rating"]),
            )
            for row in csv.DictReader(file)
        ]
