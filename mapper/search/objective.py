"""The objective of the search: the cost of every deviation of a chart from its target."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mapper.sampling.conditioning import ChartTarget
from reward.rules.criteria import Level

STAR_SLACK, STAR_UNIT = 0.01, 0.02
"""Deviation in stars that is free, and that costs 1 beyond; the tolerance is ±.05."""
HOLD_UNIT = 0.01  # deviation of the hold ratio that costs 1
MANY_HOLDS = 0.3
"""Hold ratio that costs nothing where none is requested: the 90th percentile of `train` charts of most levels."""
PATTERN_UNIT = 0.05  # deviation of a family's ratio of rows that costs 1
FINDING_UNIT = 10.0  # warnings for 1,000 notes that cost 1
FINDINGS_ALLOWED = {
    Level.EASY: 49.0,
    Level.NORMAL: 43.0,
    Level.HARD: 47.0,
    Level.INSANE: 5.4,
    Level.EXPERT: 2.0,
    Level.EXPERT_PLUS: 2.0,
}
"""Warnings for 1,000 notes of human osu!mania charts of the level (`train` songs; Expert's .1 rounded up to what one
finding in a short chart is)."""
EXCESS_UNIT, MOST_EXCESS = 1.0, 1.5
"""Warnings for 1,000 notes beyond those that cost 1 more, as such a chart does not meet its target; and the most that they
cost, less than stars outside the tolerance do."""
PLAYTEST_BAND = (-1.03, 1.2)
"""Skill level that a chart requires minus its stars: 5th and 95th percentile of the 185 keyboard charts of the `train`
songs (`python -m bench.player_levels`)."""
PLAYTEST_UNIT = 0.1  # levels outside that range that cost 1
DENSITY_UNIT = 0.5
"""Ratio of notes in other bars than those of the candidates nearest to the target that costs 1."""


def playtest_miss(player_level: float, rating: float) -> float:
    """Distance of `player_level` from the human 5–95 % range at this star rating, in levels; 0 inside."""
    low, high = PLAYTEST_BAND
    return max(low - (player_level - rating), player_level - rating - high, 0.0)


def cost_of(
    target: ChartTarget, rating: NDArray, findings: NDArray, hold_share: NDArray, mix: NDArray
) -> NDArray[np.float64]:
    """Cost of one chart or of [move] charts: deviations from the target in their units; `mix` is […, family]."""
    cost = np.maximum(np.abs(rating - target.stars) - STAR_SLACK, 0) / STAR_UNIT + findings / FINDING_UNIT
    excess = np.maximum(findings - FINDINGS_ALLOWED[target.level], 0)
    cost = cost + np.minimum(excess / EXCESS_UNIT, MOST_EXCESS)
    off_holds = np.maximum(hold_share - MANY_HOLDS, 0)
    if target.hold_share is not None:
        off_holds = np.abs(hold_share - target.hold_share)
    cost = cost + off_holds / HOLD_UNIT
    off = np.abs(mix - np.array(target.patterns)) / PATTERN_UNIT
    total: NDArray[np.float64] = cost + np.nansum(off, -1)
    return total
