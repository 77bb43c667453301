"""What a difficulty shall be like, and what each way of missing it costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chart.analysis.pattern_mix import FAMILIES
from reward.chart_metrics import ChartMetrics
from reward.rules.criteria import Level, level_of

STAR_SLACK, STAR_UNIT = 0.01, 0.02
"""Stars that cost nothing, and that cost 1 beyond: the tolerance of ±.05 is left only if nothing else will do."""
HOLD_UNIT = 0.01  # a hold share this far off costs 1
MANY_HOLDS = 0.3
"""Where no hold share is asked, more than this is too many: the 90th percentile of `train` charts of most levels."""
PATTERN_UNIT = 0.05  # a family's share of rows this far off costs 1
FINDING_UNIT = 10.0  # so many warnings for 1,000 notes cost 1
PLAYTEST_BAND = (-1.03, 1.2)
"""Where the level that a chart asks of simulated players lies against its stars: 5th and 95th percentile of the 185
charts made for keys of the `train` songs, as `python -m bench.player_levels` counts them."""
PLAYTEST_UNIT = 0.1  # levels outside of that which cost 1


@dataclass(frozen=True)
class Objective:
    """What a difficulty shall be like."""

    stars: float
    level: Level
    hold_share: float | None = None
    patterns: tuple[float, ...] = (np.nan,) * len(FAMILIES)  # [family], share of rows, nan = as it comes

    @staticmethod
    def of(value: float, **asked: object) -> Objective:
        """The wish for so many stars, at the level they belong to."""
        return Objective(value, level_of(value), **asked)  # type: ignore[arg-type]

    def mix_of(self, metrics: ChartMetrics) -> NDArray[np.float64]:
        """[family], the chart's pattern mix; not looked for where none was asked."""
        return metrics.pattern_mix if np.isfinite(self.patterns).any() else np.array(self.patterns)


def playtest_miss(player_level: float, rating: float) -> float:
    """Levels by which a chart of these stars plays harder or easier than people's charts of so many stars do."""
    low, high = PLAYTEST_BAND
    return max(low - (player_level - rating), player_level - rating - high, 0.0)


def cost_of(
    wish: Objective, rating: NDArray, findings: NDArray, hold_share: NDArray, mix: NDArray
) -> NDArray[np.float64]:
    """Of one chart or of [move] charts; `mix` has the families last."""
    cost = np.maximum(np.abs(rating - wish.stars) - STAR_SLACK, 0) / STAR_UNIT + findings / FINDING_UNIT
    off_holds = np.maximum(hold_share - MANY_HOLDS, 0)
    if wish.hold_share is not None:
        off_holds = np.abs(hold_share - wish.hold_share)
    cost = cost + off_holds / HOLD_UNIT
    off = np.abs(mix - np.array(wish.patterns)) / PATTERN_UNIT
    total: NDArray[np.float64] = cost + np.nansum(off, -1)
    return total
