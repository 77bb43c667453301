"""Constraints of a target that a chart leaves unmet: their bounds, and one line of text for each."""

from __future__ import annotations

from typing import Protocol

from chart.analysis.pattern_mix import FAMILIES
from mapper.sampling.conditioning import ChartTarget
from mapper.search.objective import (
    DENSITY_UNIT,
    EXCESS_UNIT,
    FINDINGS_ALLOWED,
    HOLD_UNIT,
    PATTERN_UNIT,
    PLAYTEST_UNIT,
    STAR_UNIT,
    playtest_miss,
)
from reward.chart_metrics import ChartMetrics

HOLDS_ALLOWED, PATTERNS_ALLOWED = 0.02, 0.1
"""Deviation from the requested hold ratio and from a family's requested ratio of rows that still counts as met."""

DENSITY_ALLOWED = 0.2
"""Ratio of notes in other bars than usual for song and stars that still counts as met: candidates of one request have .04
to .13, spliced charts of three `train` songs .03 to .15."""


class Measured(Protocol):
    """Measures of a generated chart."""

    @property
    def stars(self) -> float:
        """Official star rating of the chart."""

    @property
    def findings(self) -> float:
        """Warnings for 1,000 notes."""

    @property
    def player_level(self) -> float:
        """Skill level whose players reach 96 %."""

    @property
    def density_miss(self) -> float:
        """Ratio of notes in other bars than usual."""


def unmet_constraints(target: ChartTarget, metrics: ChartMetrics, best: Measured, tolerance: float) -> list[str]:
    """One line of text for each unmet constraint; empty when the target is met."""
    missing = []
    if abs(best.stars - target.stars) > tolerance:
        missing.append(f"{best.stars:.2f} stars instead of {target.stars:.2f}")
    if best.findings > FINDINGS_ALLOWED[target.level]:
        missing.append(
            f"{best.findings:.0f} rule findings for 1,000 notes (people: {FINDINGS_ALLOWED[target.level]:g})"
        )
    if not missing and playtest_miss(best.player_level, best.stars) > 0:
        missing.append(f"plays like {best.player_level:.1f} stars, far from {best.stars:.2f}")
    if best.density_miss > DENSITY_ALLOWED:
        missing.append(f"{best.density_miss:.0%} of the notes in other bars than the song suggests")
    share = metrics.hold_ratio
    if target.hold_share is not None and abs(share - target.hold_share) > HOLDS_ALLOWED:
        missing.append(f"{share:.0%} holds instead of {target.hold_share:.0%}")
    for name, requested, got in zip(FAMILIES, target.patterns, target.mix_of(metrics), strict=True):
        if abs(got - requested) > PATTERNS_ALLOWED:
            missing.append(f"{got:.0%} {name} instead of {requested:.0%}")
    return missing


def shortfall(target: ChartTarget, metrics: ChartMetrics, best: Measured, tolerance: float) -> float:
    """Distance of a chart from the bounds of `unmet_constraints`, in units of the objective; 0 if it meets all of them.

    Terms of the objective that no bound concerns do not count: a further round of the search is not begun for them.
    """
    short = max(abs(best.stars - target.stars) - tolerance, 0.0) / STAR_UNIT
    short += max(best.findings - FINDINGS_ALLOWED[target.level], 0.0) / EXCESS_UNIT
    if target.hold_share is not None:
        short += max(abs(metrics.hold_ratio - target.hold_share) - HOLDS_ALLOWED, 0.0) / HOLD_UNIT
    for requested, got in zip(target.patterns, target.mix_of(metrics), strict=True):
        if abs(got - requested) > PATTERNS_ALLOWED:  # false where none is requested, which is nan
            short += (abs(got - requested) - PATTERNS_ALLOWED) / PATTERN_UNIT
    short += max(best.density_miss - DENSITY_ALLOWED, 0.0) / DENSITY_UNIT
    return float(short) or playtest_miss(best.player_level, best.stars) / PLAYTEST_UNIT
