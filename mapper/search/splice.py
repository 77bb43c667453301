"""Joins bars of several takes into the chart that is nearest to what was asked.

Asked are official stars, few breaches of the level's ranking criteria, and, where the user says so, a hold share and a
pattern mix. The search starts from the nearest single take and the best path through all (dynamic programming over
what adds up bar by bar), then exchanges stretches of 1 to 8 bars, the best exchange first. Stars are predicted from the
takes' strain peaks, and every step is measured on the chart it would give before it is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chart.analysis.pattern_mix import FAMILIES
from chart.analysis.rows import row_starts
from chart.model import Chart
from mapper.request.levels import SETTINGS
from mapper.search.candidates import CandidateSet
from mapper.search.objective import FINDING_UNIT, PLAYTEST_UNIT, Objective, cost_of, playtest_miss
from mapper.search.splice_kernels import exchanged_stars
from mapper.tokens.row_codes import Rows
from reward.chart_metrics import ChartMetrics, measure_breaches, metrics_of
from reward.rules.criteria import Level, level_of

SPANS = (1, 2, 4, 8)
"""Bars that one exchange replaces."""
MAX_STEPS = 40
TRIES = 4
"""Exchanges that are measured at each step before the search ends."""
SECTION_MS = 400.0  # of the official strain

OFF_TARGET_UNIT = 1.0  # bars of a take that is this many stars off cost 1 if they are the whole chart
JOIN_COST = 0.02
NEAR_STARS = 0.5
"""A take this far from the stars asked counts e times less in what is usual for them."""
DENSITY_UNIT = 0.5
"""A chart whose notes lie in other bars than those of the takes nearest to the wish costs 1 when so large a share does."""
STARTS, GOOD_COST = 3, 2.0
"""So many starts are tried at most; none after a chart that costs less than this."""

_ALIEN, _FINDINGS, _NOTES, _HOLDS, _ROWS, _FAMILY = 0, 1, 2, 3, 4, 5  # columns of Measured.bars


@dataclass(frozen=True)
class Spliced:
    """A chart joined from takes; `cost` is 0 for one that has all that was asked."""

    chart: Chart
    rows: Rows
    stars: float
    findings: float  # warnings for 1,000 notes; a problem counts as `reward.chart_metrics.PROBLEM_WEIGHT`
    cost: float  # without what simulated players say
    density_miss: float = 0.0  # share of its notes that lie in other bars than is usual; known for a finished search
    metrics: ChartMetrics | None = field(default=None, repr=False, compare=False)
    beside: tuple[float, float] = (0.0, 0.0)  # costs of bars that are far from the stars, and of joins

    def with_cost(self, wish: Objective) -> Spliced:
        """With the cost of what is measured."""
        assert self.metrics is not None, "a measured chart"
        measured = (np.array(self.stars), np.array(self.findings), np.array(self.metrics.hold_ratio))
        cost = float(cost_of(wish, *measured, wish.mix_of(self.metrics)))
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
        if "player_level" in vars(other) and self.cost >= other.whole_cost:
            return False
        return self.whole_cost < other.cost or self.whole_cost < other.whole_cost


class CandidateSplicer:
    """Takes of one song from which charts are joined for any wish; `metrics` are the takes' own, where they are known."""

    def __init__(
        self, takes: CandidateSet, chart_of: Callable[[Rows], Chart], metrics: Sequence[ChartMetrics] | None = None
    ) -> None:
        self.takes, self.chart_of = takes, chart_of
        self.metrics = metrics or [metrics_of(chart_of(rows)) for rows in takes.rows]
        self.charts = [one.chart for one in self.metrics]
        self.stars = np.array([one.stars for one in self.metrics])
        self.bar_ms = takes.grid.slot_ms[takes.bars]  # [bar]

    @cached_property
    def peaks(self) -> NDArray[np.float64]:
        """[take, section], strain peaks in sections of 400 ms from `first_section` on."""
        curves = [one.strains for one in self.metrics]
        first = [round(curve.start_ms[0] / SECTION_MS) if curve.peak.size else 0 for curve in curves]
        self.first_section = min(first)
        size = max(start + curve.peak.size for start, curve in zip(first, curves, strict=True)) - self.first_section
        peaks = np.zeros((len(curves), size))
        for take, (start, curve) in enumerate(zip(first, curves, strict=True)):
            peaks[take, start - self.first_section :][: curve.peak.size] = curve.peak
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
        """[take, bar, notes · holds · rows · rows of each family]."""
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

    def findings(self, take: int, level: Level) -> NDArray[np.float64]:
        """[bar], breaches of the level's criteria that begin there, in warnings."""
        found = self.metrics[take].breaches(level)
        return np.bincount(self._bar(found.start_ms), found.weight, minlength=self.bar_ms.size).astype(np.float64)

    def splice(self, wish: Objective, usable: Sequence[int] | None = None) -> Spliced:
        """The best chart found for the wish, from all takes or the usable ones."""
        chosen = list(range(len(self.takes)) if usable is None else usable)
        chosen = [take for take in chosen if len(self.charts[take])]
        search = _Search(self, wish, np.array(chosen, np.int64))
        alone = [np.full(self.bar_ms.size, take) for take in chosen]
        starts = sorted([*alone, search.best_path()], key=lambda choice: search.measured(choice).cost)
        best = search.improved(starts[0])
        for start in starts[1:STARTS]:
            if best.cost > GOOD_COST:
                best = min(best, search.improved(start), key=lambda found: found.cost)
        return search.finished(best)


def exchanged(choice: NDArray[np.int64], exchange: tuple[int, int, int]) -> NDArray[np.int64]:
    """The choice with bars from start up to end taken from one take; `exchange` is (start, end, take)."""
    start, end, take = exchange
    tried = choice.copy()
    tried[start:end] = take
    return tried


class _Search:
    """Search for one wish; a choice is the take of each bar."""

    def __init__(self, splicer: CandidateSplicer, wish: Objective, usable: NDArray[np.int64]) -> None:
        self.splicer, self.wish, self.usable = splicer, wish, usable
        counts, off = splicer.counts, np.abs(splicer.stars - wish.stars)
        near = np.exp(-off[usable] / NEAR_STARS)[:, None]
        self.usual = (near * counts[usable, :, 0]).sum(0) / near.sum()  # [bar], notes
        alien = off[:, None] / OFF_TARGET_UNIT * counts[..., 0] + np.abs(counts[..., 0] - self.usual) / DENSITY_UNIT
        takes, bars = counts.shape[:2]
        found = np.zeros((takes, bars))
        measure_breaches([splicer.metrics[take] for take in usable], wish.level)
        for take in usable:
            found[take] = splicer.findings(int(take), wish.level)
        additive = np.concatenate([alien[..., None], found[..., None], counts], -1)
        self.sums = np.zeros((takes, bars + 1, additive.shape[-1]))  # [take, bar, quantity], before the bar
        np.cumsum(additive, 1, out=self.sums[:, 1:])
        self.additive = additive
        self.known: dict[bytes, Spliced] = {}  # choice → its chart, exactly measured

    def measured(self, choice: NDArray[np.int64]) -> Spliced:
        """The choice's chart with its whole cost."""
        return self.measured_together([choice], np.inf)[0]

    def measured_together(self, choices: Sequence[NDArray[np.int64]], limit: float) -> list[Spliced]:
        """The choices' charts with their costs, or lower bounds of those that are at least `limit`.

        Rules are checked last, in one pass, and only where the rest does not cost too much already.
        """
        keys = [choice.tobytes() for choice in choices]
        drafts = {key: self._without_rules(choice) for key, choice in dict(zip(keys, choices, strict=True)).items()}
        fresh = [key for key, draft in drafts.items() if key not in self.known and draft.cost < limit]
        measure_breaches([draft.metrics for key in fresh if (draft := drafts[key]).metrics], self.wish.level)
        self.known |= {key: self._with_rules(drafts[key]) for key in fresh}
        return [self.known.get(key, drafts[key]) for key in keys]

    def _without_rules(self, choice: NDArray[np.int64]) -> Spliced:
        """The choice's chart, its cost without that of findings."""
        key = choice.tobytes()
        if key in self.known:
            return self.known[key]
        splicer = self.splicer
        rows = splicer.takes.joined(choice)
        metrics = splicer.metrics[choice[0]] if (choice == choice[0]).all() else metrics_of(splicer.chart_of(rows))
        chart = metrics.chart
        if not len(chart):
            return Spliced(chart, rows, 0.0, 0.0, np.inf, metrics=metrics)
        own = float(self.additive[choice, np.arange(choice.size), _ALIEN].sum()) / len(chart)
        found = Spliced(chart, rows, metrics.stars, 0.0, 0.0, metrics=metrics)
        return replace(found, beside=(own, JOIN_COST * np.count_nonzero(np.diff(choice)))).with_cost(self.wish)

    def _with_rules(self, draft: Spliced) -> Spliced:
        assert draft.metrics is not None, "drafts are measured"
        found = 1000 * float(draft.metrics.breaches(self.wish.level).weight.sum()) / len(draft.chart)
        return replace(draft, findings=found).with_cost(self.wish)

    def finished(self, best: Spliced) -> Spliced:
        """The chart with its density, to be played with the settings that it will get."""
        played = metrics_of(replace(best.chart, difficulty=SETTINGS[level_of(best.stars)]))
        return replace(best, density_miss=self.density_miss(best.chart), metrics=played)

    def density_miss(self, chart: Chart) -> float:
        """Share of the chart's notes that lie in other bars than those of the takes nearest to the wish."""
        got = self.splicer.notes_in_bars(chart)
        return float(np.abs(got / got.sum() - self.usual / self.usual.sum()).sum() / 2)

    def best_path(self) -> NDArray[np.int64]:
        """The choice with the fewest breaches and the least alien bars (Viterbi); stars are not looked at."""
        notes = max(float(self.sums[self.usable, -1, _NOTES].mean()), 1.0)
        step = self.additive[..., _FINDINGS] * 1000 / notes / FINDING_UNIT + self.additive[..., _ALIEN] / notes
        step = step[self.usable]  # [usable, bar]
        joins = self.splicer.takes.joins[:, self.usable[:, None], self.usable]
        move = np.where(joins, JOIN_COST, np.inf)
        move[:, np.arange(self.usable.size), np.arange(self.usable.size)] = 0
        cost, back = step[:, 0], np.zeros(step.T.shape, np.int64)
        for bar in range(1, step.shape[1]):
            ways = cost[:, None] + move[bar]
            back[bar] = ways.argmin(0)
            cost = ways.min(0) + step[:, bar]
        path = [int(cost.argmin())]
        for bar in range(step.shape[1] - 1, 0, -1):
            path.append(int(back[bar, path[-1]]))
        return self.usable[np.array(path[::-1])]

    def improved(self, choice: NDArray[np.int64]) -> Spliced:
        """Exchange stretches as long as the measured cost falls."""
        now = self.measured(choice)
        surprise: dict[tuple[int, int, int], float] = {}  # exchange that failed → cost that was not foreseen
        for _ in range(MAX_STEPS):
            start, end, take = self._moves(choice)
            predicted = self._predicted(choice, now, start, end, take)
            moves = [int(move) for move in np.argsort(predicted, kind="stable")[:TRIES] if predicted[move] < now.cost]
            exchanges = [(int(start[move]), int(end[move]), int(take[move])) for move in moves]
            foreseen = [float(predicted[move]) for move in moves]
            hopeful = [
                number for number, cost in enumerate(foreseen) if cost + surprise.get(exchanges[number], 0.0) < now.cost
            ]
            better = None
            for group in (hopeful[:1], hopeful[1:]):  # the first mostly succeeds, so the others wait
                if better is not None or not group:
                    continue
                choices = [exchanged(choice, exchanges[number]) for number in group]
                for number, tried, found in zip(group, choices, self.measured_together(choices, now.cost), strict=True):
                    if found.cost < now.cost:
                        better = better or (tried, found)
                    else:
                        surprise[exchanges[number]] = found.cost - foreseen[number]
            if better is None:
                return now
            choice, now = better
        return now

    def _moves(self, choice: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """First bar, end and take of every exchange that may be made."""
        bars, joins = choice.size, self.splicer.takes.joins
        start, span, take = (
            axis.ravel() for axis in np.meshgrid(np.arange(bars), np.array(SPANS), self.usable, indexing="ij")
        )
        end = np.minimum(start + span, bars)
        legal = (start == 0) | joins[start, choice[start - 1], take]
        legal &= (end == bars) | joins[end % bars, take, choice[end % bars]]
        return start[legal], end[legal], take[legal]

    def _predicted(
        self, choice: NDArray[np.int64], now: Spliced, start: NDArray, end: NDArray, take: NDArray
    ) -> NDArray[np.float64]:
        """[move], the cost after each exchange; what joins do to stars and rules is not foreseen."""
        own = np.zeros((choice.size + 1, self.additive.shape[-1]))
        np.cumsum(self.additive[choice, np.arange(choice.size)], 0, out=own[1:])
        total = own[-1] + (self.sums[take, end] - self.sums[take, start]) - (own[end] - own[start])
        notes = np.maximum(total[:, _NOTES], 1)
        mix = total[:, _FAMILY:] / np.maximum(total[:, _ROWS], 1)[:, None]
        unforeseen = now.findings - 1000 * own[-1, _FINDINGS] / max(own[-1, _NOTES], 1)
        findings = np.maximum(1000 * total[:, _FINDINGS] / notes + unforeseen, 0)
        rating = self._stars(choice, now, start, end, take)
        cost = cost_of(self.wish, rating, findings, total[:, _HOLDS] / notes, mix)
        change = np.append(0, np.cumsum(np.diff(choice, prepend=choice[0]) != 0))  # [bar + 1], joins before the bar
        bars = choice.size
        kept = change[-1] - (change[np.minimum(end + 1, bars)] - change[start])
        fresh = ((start > 0) & (choice[start - 1] != take)).astype(int)
        fresh += (end < bars) & (choice[end % bars] != take)
        joined: NDArray[np.float64] = cost + total[:, _ALIEN] / notes + JOIN_COST * (kept + fresh)
        return joined

    def _stars(
        self, choice: NDArray[np.int64], now: Spliced, start: NDArray, end: NDArray, take: NDArray
    ) -> NDArray[np.float64]:
        """[move], stars after each exchange, from the takes' peaks; off now as they are off for the chart as it is."""
        splicer = self.splicer
        section = splicer.section_of_bar
        bar = np.searchsorted(section, np.arange(splicer.peaks.shape[1]), side="right") - 1
        peak = splicer.peaks[choice[np.minimum(bar, choice.size - 1)], np.arange(bar.size)]
        order = np.argsort(-peak, kind="stable")
        predicted, none = np.zeros(take.size), np.zeros(1, np.int64)
        exchanged_stars(peak, order, splicer.peaks, take, section[start], section[end], predicted)
        as_it_is = np.zeros(1)
        exchanged_stars(peak, order, splicer.peaks, none, none, none, as_it_is)
        return predicted + (now.stars - as_it_is[0])
