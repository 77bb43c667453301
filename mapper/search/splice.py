"""Joins bars of several takes into the chart that is nearest to what was asked.

Asked are official stars, few breaches of the level's ranking criteria, and, where the user says so, a hold share and a
pattern mix. The search starts from the nearest single take and the best path through all (dynamic programming over
what adds up bar by bar), then exchanges stretches of 1 to 8 bars, the best exchange first. Stars are predicted from the
takes' strain peaks, and every step is measured on the chart it would give before it is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from agents import required_skill
from chart.analysis.pattern_mix import FAMILIES, family_rows
from chart.analysis.rows import row_starts
from chart.analysis.star_rating import stars, strain_curve
from chart.model import Chart
from mapper.search.candidates import CandidateSet
from mapper.search.objective import FINDING_UNIT, PLAYTEST_UNIT, Objective, breaches, cost_of, playtest_miss
from mapper.search.splice_kernels import exchanged_stars
from mapper.tokens.row_codes import Rows
from reward.rules.criteria import Level

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
    findings: float  # warnings for 1,000 notes; a problem counts as `PROBLEM_WARNINGS`
    cost: float
    player_level: float = np.nan  # whose players reach 96 %; known for a finished search
    density_miss: float = 0.0  # share of its notes that lie in other bars than is usual; known for a finished search


class CandidateSplicer:
    """Takes of one song measured once, from which charts are joined for any wish."""

    def __init__(self, takes: CandidateSet, chart_of: Callable[[Rows], Chart]) -> None:
        self.takes, self.chart_of = takes, chart_of
        self.charts = [chart_of(rows) for rows in takes.rows]
        self.stars = np.array([stars(chart) if len(chart) else 0.0 for chart in self.charts])
        self.bar_ms = takes.grid.slot_ms[takes.bars]  # [bar]
        self._findings: dict[tuple[int, Level], NDArray[np.float64]] = {}

    @cached_property
    def peaks(self) -> NDArray[np.float64]:
        """[take, section], strain peaks in sections of 400 ms from `first_section` on."""
        curves = [strain_curve(chart) for chart in self.charts]
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
        return np.array([self._count(chart) for chart in self.charts])

    def _count(self, chart: Chart) -> NDArray[np.float64]:
        bars = self.bar_ms.size
        counts = np.zeros((bars, 3 + len(FAMILIES)))
        counts[:, 0] = self.notes_in_bars(chart)
        counts[:, 1] = np.bincount(self._bar(chart.time_ms[chart.is_hold]), minlength=bars)
        at = self._bar(chart.time_ms[row_starts(chart.time_ms)])
        counts[:, 2] = np.bincount(at, minlength=bars)
        for family, rows in enumerate(family_rows(chart)):
            counts[:, 3 + family] = np.bincount(at[rows], minlength=bars)
        return counts

    def notes_in_bars(self, chart: Chart) -> NDArray[np.int64]:
        """[bar], notes that begin there: the chart's density curve."""
        return np.bincount(self._bar(chart.time_ms), minlength=self.bar_ms.size)

    def _bar(self, time_ms: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.maximum(np.searchsorted(self.bar_ms - 2.0, time_ms, side="right") - 1, 0)

    def findings(self, take: int, level: Level) -> NDArray[np.float64]:
        """[bar], breaches of the level's criteria that begin there, in warnings."""
        if (take, level) not in self._findings:
            start_ms, worth = breaches(self.charts[take], level)
            found = np.bincount(self._bar(start_ms), worth, minlength=self.bar_ms.size)
            self._findings[take, level] = found.astype(np.float64)
        return self._findings[take, level]

    def measure(self, rows: Rows, wish: Objective) -> Spliced:
        """What the chart of these rows is worth, exactly, save for how alien its bars are to one another."""
        chart = self.chart_of(rows)
        if not len(chart):
            return Spliced(chart, rows, 0.0, 0.0, np.inf)
        rating, found = stars(chart), 1000 * float(breaches(chart, wish.level)[1].sum()) / len(chart)
        mix = wish.mix_of(chart)
        cost = cost_of(wish, np.array(rating), np.array(found), np.array(chart.is_hold.mean()), mix)
        return Spliced(chart, rows, rating, found, float(cost))

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
        level = required_skill(best.chart)
        cost = best.cost + playtest_miss(level, best.stars) / PLAYTEST_UNIT
        return replace(best, player_level=level, density_miss=search.density_miss(best.chart), cost=cost)


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
        for take in usable:
            found[take] = splicer.findings(int(take), wish.level)
        additive = np.concatenate([alien[..., None], found[..., None], counts], -1)
        self.sums = np.zeros((takes, bars + 1, additive.shape[-1]))  # [take, bar, quantity], before the bar
        np.cumsum(additive, 1, out=self.sums[:, 1:])
        self.additive = additive

    def measured(self, choice: NDArray[np.int64]) -> Spliced:
        """The choice's chart with its whole cost."""
        exact = self.splicer.measure(self.splicer.takes.joined(choice), self.wish)
        own = self.additive[choice, np.arange(choice.size), _ALIEN].sum() / max(len(exact.chart), 1)
        joins = np.count_nonzero(np.diff(choice))
        return replace(exact, cost=exact.cost + own + JOIN_COST * joins)

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
        for _ in range(MAX_STEPS):
            start, end, take = self._moves(choice)
            predicted = self._predicted(choice, now, start, end, take)
            for move in np.argsort(predicted, kind="stable")[:TRIES]:
                if predicted[move] >= now.cost:
                    return now
                tried = choice.copy()
                tried[start[move] : end[move]] = take[move]
                found = self.measured(tried)
                if found.cost < now.cost:
                    choice, now = tried, found
                    break
            else:
                return now
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
