"""Measures of a chart: stars, strains, pattern mix, rule findings and accuracy by level, each computed once.

    metrics = metrics_of(chart)
    metrics.stars, metrics.findings(level), metrics.player_level

Charts with the same content share one set of measures for as long as anyone holds it: the search, the report, the review
and the page of a generated chart ask for the same figures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from agents.difficulty_curve import TARGET, AccuracyCurve, curve_by
from agents.judgement.mods import mods_of
from agents.rating import Rating, rate_by
from agents.simulate import Simulator
from chart.analysis.pattern_mix import family_rows
from chart.analysis.star_rating import Strains, stars, strain_curve
from chart.analysis.strain import SectionPeaks
from chart.model import Chart, Difficulty
from reward.core.batch_view import view_of
from reward.rules.check import Finding, all_rules, check
from reward.rules.criteria import Level

OF_WHOLE_CHARTS = ("column-share", "scroll-speed", "hp-od")
"""Rules (by how their names begin) that no bar decides: they concern whole charts, or settings."""
ALL_CORES = 0
"""Threads of plays, as `agents.simulate.play` counts them; plays do not depend on them."""
PROBLEM_WEIGHT = 10.0
"""A problem counts as this many warnings."""


@dataclass(frozen=True)
class Breaches:
    """Findings of one chart at one level."""

    start_ms: NDArray[np.float64]  # [finding], chart time
    weight: NDArray[np.float64]  # [finding], in warnings


class NoteMetrics:
    """Measures that depend on a chart's notes alone, not on its timing, settings or names."""

    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._players: Simulator | None = None
        self._curves: dict[tuple[Difficulty, int], AccuracyCurve] = {}
        self._ratings: dict[tuple[Difficulty, int], dict[str, Rating]] = {}

    @cached_property
    def stars(self) -> float:
        """Official star rating; 0 for an empty chart."""
        return stars(self._chart)

    @cached_property
    def section_peaks(self) -> SectionPeaks:
        """The peaks and their stars by a compiled loop, some fifty times as fast, for searches."""
        return SectionPeaks.of(self._chart)

    @cached_property
    def strains(self) -> Strains:
        """Official strain peaks by section."""
        return strain_curve(self._chart)

    @cached_property
    def family_rows(self) -> NDArray[np.bool_]:
        """[family, row], as `chart.analysis.pattern_mix.family_rows`."""
        return family_rows(self._chart)

    @cached_property
    def pattern_mix(self) -> NDArray[np.float64]:
        """[family], share of the rows in patterns of the family, 0–1."""
        member = self.family_rows
        return member.mean(1) if member.shape[1] else np.zeros(len(member))

    @cached_property
    def hold_ratio(self) -> float:
        """Holds / notes; 0 for an empty chart."""
        return float(self._chart.is_hold.mean()) if len(self._chart) else 0.0

    def accuracy_curve(self, settings: Difficulty, seed: int = 0) -> AccuracyCurve:
        """Expected accuracy of all-round players by skill level, the notes judged with these settings.

        Raises ChartFileError for a chart that cannot be played.
        """
        if (settings, seed) not in self._curves:
            self._curves[settings, seed] = curve_by(self._simulator(settings), seed, ALL_CORES)
        return self._curves[settings, seed]

    def ratings(self, settings: Difficulty, seed: int = 0) -> dict[str, Rating]:
        """Levels required overall and by skill, as `agents.rating.rate`, the notes judged with these settings."""
        if (settings, seed) not in self._ratings:
            curve = self.accuracy_curve(settings, seed)
            self._ratings[settings, seed] = rate_by(self._simulator(settings), seed, ALL_CORES, curve)
        return self._ratings[settings, seed]

    def _simulator(self, settings: Difficulty) -> Simulator:
        """The last one used, or a new one for other settings."""
        if self._players is None or self._players.chart.difficulty != settings:
            self._players = Simulator(replace(self._chart, difficulty=settings), mods_of(), "stable")
        return self._players


class ChartMetrics:
    """Measures of one chart with its timing, settings and breaks."""

    def __init__(self, chart: Chart, notes: NoteMetrics) -> None:
        self.chart, self.notes = chart, notes
        self._findings: dict[Level, tuple[Finding, ...]] = {}
        self._breaches: dict[Level, Breaches] = {}

    @property
    def stars(self) -> float:
        """Official star rating; 0 for an empty chart."""
        return self.notes.stars

    @property
    def section_peaks(self) -> SectionPeaks:
        """The peaks and their stars by a compiled loop, some fifty times as fast, for searches."""
        return self.notes.section_peaks

    @property
    def strains(self) -> Strains:
        """Official strain peaks by section."""
        return self.notes.strains

    @property
    def pattern_mix(self) -> NDArray[np.float64]:
        """[family], share of the rows in patterns of the family, 0–1."""
        return self.notes.pattern_mix

    @property
    def hold_ratio(self) -> float:
        """Holds / notes; 0 for an empty chart."""
        return self.notes.hold_ratio

    def findings(self, level: Level) -> tuple[Finding, ...]:
        """Findings of the ranking criteria at a difficulty level, in order of time; none for an empty chart."""
        if level not in self._findings:
            self._findings[level] = tuple(check(self.chart, level)) if len(self.chart) else ()
        return self._findings[level]

    def breaches(self, level: Level) -> Breaches:
        """Findings of the rules that single bars decide, as arrays."""
        measure_breaches([self], level)
        return self._breaches[level]

    def accuracy_curve(self, seed: int = 0) -> AccuracyCurve:
        """Expected accuracy of all-round players by skill level. Raises ChartFileError for an unplayable chart."""
        return self.notes.accuracy_curve(self.chart.difficulty, seed)

    def ratings(self, seed: int = 0) -> dict[str, Rating]:
        """Levels required overall and by skill, with their SD. Raises ChartFileError for an unplayable chart."""
        return self.notes.ratings(self.chart.difficulty, seed)

    @property
    def player_level(self) -> float:
        """Skill level whose players reach 96 % on average."""
        return self.accuracy_curve().level_for(TARGET)


def measure_breaches(charts: Sequence[ChartMetrics], level: Level) -> None:
    """Find the breaches of several charts in one pass over all of them, where they are not known yet."""
    new = [one for one in dict.fromkeys(charts) if level not in one._breaches]
    if not new:
        return
    view = view_of([one.chart for one in new])
    rules = [one for one in all_rules() if level in one.levels and not one.name.startswith(OF_WHOLE_CHARTS)]
    hits = [rule.find(view) for rule in rules]
    weights = [PROBLEM_WEIGHT if rule.severity == "problem" else 1.0 for rule in rules]
    chart = np.concatenate([one.chart for one in hits])
    start_ms = np.concatenate([one.start_ms for one in hits]) - view.offset_ms[chart]
    weight = np.concatenate([np.full(one.chart.size, value) for one, value in zip(hits, weights, strict=True)])
    for number, one in enumerate(new):
        mine = chart == number
        one._breaches[level] = Breaches(start_ms[mine], weight[mine])


_NOTES: WeakValueDictionary[bytes, NoteMetrics] = WeakValueDictionary()
_CHARTS: WeakValueDictionary[tuple[object, ...], ChartMetrics] = WeakValueDictionary()


def metrics_of(chart: Chart) -> ChartMetrics:
    """The measures of the chart, shared with every holder of the measures of an equal chart; names do not matter."""
    digest = _digest(chart)
    key = (digest, chart.timing_points, chart.difficulty, chart.breaks)
    known = _CHARTS.get(key)
    if known is None:
        notes = _NOTES.get(digest) or NoteMetrics(chart)
        _NOTES[digest] = notes
        _CHARTS[key] = known = ChartMetrics(chart, notes)
    return known


def _digest(chart: Chart) -> bytes:
    """Identifies the notes of the chart."""
    digest = hashlib.blake2b(digest_size=16)
    for array in (chart.time_ms, chart.column, chart.end_ms):
        digest.update(array.data)
    return digest.digest()
