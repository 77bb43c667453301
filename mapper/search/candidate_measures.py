"""Candidates measured bar by bar: notes, holds, pattern rows and rule breaches of every bar, strain peaks, stars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chart.analysis.pattern_mix import FAMILIES
from chart.analysis.rows import row_starts
from chart.analysis.strain import SECTION_MS
from chart.model import Chart
from mapper.sampling.conditioning import ChartTarget
from mapper.search.candidates import CandidateSet
from mapper.search.objective import PLAYTEST_UNIT, cost_of, playtest_miss
from mapper.tokens.row_codes import Rows
from reward.chart_metrics import ChartMetrics, metrics_of
from reward.rules.criteria import Level


@dataclass(frozen=True)
class Spliced:
    """A chart joined from candidates; `cost` is 0 for one that meets its target in everything."""

    chart: Chart
    rows: Rows
    stars: float  # by the compiled loop until the search is finished, then the official ones
    findings: float  # warnings for 1,000 notes; a problem counts as `reward.chart_metrics.PROBLEM_WEIGHT`
    cost: float  # without what simulated players say
    density_miss: float = 0.0  # ratio of its notes in other bars than usual; known for a finished search
    metrics: ChartMetrics | None = field(default=None, repr=False, compare=False)
    beside: tuple[float, float] = (0.0, 0.0)  # costs of bars that are far from the stars, and of joins

    def with_cost(self, target: ChartTarget) -> Spliced:
        """The chart with its cost for this target."""
        assert self.metrics is not None, "a measured chart"
        measured = (np.array(self.stars), np.array(self.findings), np.array(self.metrics.hold_ratio))
        cost = float(cost_of(target, *measured, target.mix_of(self.metrics)))
        return replace(self, cost=cost + self.beside[0] + self.beside[1])

    @cached_property
    def player_level(self) -> float:
        """Skill level whose players reach 96 %; 0 for a chart that was not measured exactly."""
        return self.metrics.player_level if self.metrics is not None and len(self.chart) else 0.0

    @property
    def whole_cost(self) -> float:
        """The cost with that of a chart that plays harder or easier than human charts of its stars."""
        return self.cost + playtest_miss(self.player_level, self.stars) / PLAYTEST_UNIT

    def is_better_than(self, other: Spliced) -> bool:
        """Whether the whole cost is lower; players play only where it depends on them."""
        if self.cost >= other.cost and self.cost >= other.whole_cost:
            return False
        return self.whole_cost < other.cost or self.whole_cost < other.whole_cost


class CandidateMeasures:
    """Measures of the candidates of one song, for any target; `metrics` [candidate] are computed where not given."""

    def __init__(
        self, candidates: CandidateSet, chart_of: Callable[[Rows], Chart], metrics: Sequence[ChartMetrics] | None = None
    ) -> None:
        self.candidates, self.chart_of = candidates, chart_of
        self.metrics = metrics or [metrics_of(chart_of(rows)) for rows in candidates.rows]
        self.charts = [one.chart for one in self.metrics]
        self.stars = np.array([one.section_peaks.stars for one in self.metrics])
        self.bar_ms = candidates.grid.slot_ms[candidates.bars]  # [bar]

    @cached_property
    def peaks(self) -> NDArray[np.float64]:
        """[candidate, section], strain peaks in sections of 400 ms from `first_section` on."""
        curves = [one.section_peaks for one in self.metrics]
        self.first_section = min(curve.first for curve in curves)
        size = max(curve.first + curve.peak.size for curve in curves) - self.first_section
        peaks = np.zeros((len(curves), size))
        for candidate, curve in enumerate(curves):
            peaks[candidate, curve.first - self.first_section :][: curve.peak.size] = curve.peak
        return peaks

    @cached_property
    def section_of_bar(self) -> NDArray[np.int64]:
        """[bar + 1], the first section that lies wholly in the bar or after it."""
        size = self.peaks.shape[1]
        section = np.ceil(self.bar_ms / SECTION_MS).astype(np.int64) - self.first_section
        section[0] = 0
        return np.append(np.clip(section, 0, size), size)

    @cached_property
    def counts(self) -> NDArray[np.float64]:
        """[candidate, bar, notes · holds · rows · rows of each family]."""
        return np.array([self._count(one) for one in self.metrics])

    def _count(self, metrics: ChartMetrics) -> NDArray[np.float64]:
        chart, bars = metrics.chart, self.bar_ms.size
        counts = np.zeros((bars, 3 + len(FAMILIES)))
        counts[:, 0] = self.notes_in_bars(chart)
        counts[:, 1] = np.bincount(self._bar(chart.time_ms[chart.is_hold]), minlength=bars)
        at = self._bar(chart.time_ms[row_starts(chart.time_ms)])
        counts[:, 2] = np.bincount(at, minlength=bars)
        for family, rows in enumerate(metrics.notes.family_rows):
            counts[:, 3 + family] = np.bincount(at[rows], minlength=bars)
        return counts

    def notes_in_bars(self, chart: Chart) -> NDArray[np.int64]:
        """[bar], notes that begin there: the chart's density curve."""
        return np.bincount(self._bar(chart.time_ms), minlength=self.bar_ms.size)

    def _bar(self, time_ms: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.maximum(np.searchsorted(self.bar_ms - 2.0, time_ms, side="right") - 1, 0)

    def findings(self, candidate: int, level: Level) -> NDArray[np.float64]:
        """[bar], breaches of the level's criteria that begin there, in warnings."""
        found = self.metrics[candidate].breaches(level)
        return np.bincount(self._bar(found.start_ms), found.weight, minlength=self.bar_ms.size).astype(np.float64)
