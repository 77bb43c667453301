"""Simulated players for the page: at a few levels around what a chart asks for, how a crowd does and one player's hits.

The crowd of a level is all-round players who differ by their dice alone, as in `agents.difficulty_curve`, so that the page's
figures and the review's speak of the same levels. The player shown is the one whose accuracy is nearest the crowd's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents import Plays, Population, play
from agents.difficulty_curve import WEIGHTS
from agents.motor.population import BEST_SCROLL_MS, MAX_LEVEL
from chart.model import Chart

CROWD = 24
"""Players of each level: a level's accuracy then wavers by about .1 %."""
STEPS = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Levels shown, relative to what the chart asks for."""
MIN_SHOWN_LEVEL = 0.5
STABLE_WEIGHTS = np.array([300, 300, 200, 100, 50, 0]) / 300.0
"""[grade], osu!stable's accuracy (REFERENCES.md §1)."""
ROUND_TO = 0.5
"""Shown levels are multiples of this, which a reader remembers more easily than 4.17."""


@dataclass(frozen=True, eq=False)
class LevelPlays:
    """Plays of one skill level on one chart."""

    level: float
    accuracy: float  # mean over the crowd, 0–1, a MAX worth 320 of 320
    stable: float  # the same as osu!stable gives it, a MAX worth as much as a 300
    passed: float  # share of the crowd whose health lasted
    unstable_rate: float  # mean over the crowd
    worth: NDArray[np.float64]  # [note], mean share of 320 that the crowd got, 0–1
    grade: NDArray[np.int8]  # [note], of the player shown: 0 MAX … 5 MISS
    error_ms: NDArray[np.float32]  # [note], + is late, nan = not pressed
    release_error_ms: NDArray[np.float32]  # [note], holds only, nan = not let go near its end

    def to_json(self) -> dict[str, Any]:
        """Plain data in whole ms and percent, small once compressed."""
        return {
            "level": self.level,
            "accuracy": round(self.accuracy, 5),
            "stable": round(self.stable, 5),
            "passed": round(self.passed, 3),
            "unstableRate": round(self.unstable_rate, 1),
            "worth": np.rint(self.worth * 100).astype(int).tolist(),
            "grade": "".join(map(str, self.grade.tolist())),
            "error": _whole(self.error_ms),
            "release": _whole(self.release_error_ms),
        }


def levels_around(required: float) -> tuple[float, ...]:
    """The levels shown for a chart that asks for `required`, rising, no two alike."""
    middle = round(required / ROUND_TO) * ROUND_TO
    return tuple(sorted({float(np.clip(middle + step, MIN_SHOWN_LEVEL, MAX_LEVEL)) for step in STEPS}))


def play_levels(chart: Chart, levels: tuple[float, ...], seed: int = 0) -> tuple[LevelPlays, ...]:
    """Let a crowd of each level play the chart once; nothing for an empty chart."""
    if not len(chart):
        return ()
    skills = np.zeros((len(levels) * CROWD, 9))
    skills[:, :6] = np.repeat(levels, CROWD)[:, None]
    skills[:, 6], skills[:, 8] = 1.0, BEST_SCROLL_MS
    plays = play(chart, Population(skills), seed)
    return tuple(_of_level(level, plays, slice(n * CROWD, (n + 1) * CROWD)) for n, level in enumerate(levels))


def _of_level(level: float, plays: Plays, crowd: slice) -> LevelPlays:
    accuracy = plays.accuracy[crowd]
    mean = float(accuracy.mean())
    shown = crowd.start + int(np.argmin(np.abs(accuracy - mean)))
    return LevelPlays(
        level=level,
        accuracy=mean,
        stable=float(STABLE_WEIGHTS[plays.grade[crowd]].mean()) if plays.grade.shape[1] else 1.0,
        passed=float(plays.passed[crowd].mean()),
        unstable_rate=float(plays.unstable_rate[crowd].mean()),
        worth=WEIGHTS[plays.grade[crowd]].mean(axis=0),
        grade=plays.grade[shown],
        error_ms=plays.hit_error_ms[shown],
        release_error_ms=plays.release_error_ms[shown],
    )


def _whole(values: NDArray[np.float32]) -> list[int | None]:
    return [None if np.isnan(value) else int(value) for value in values.tolist()]
