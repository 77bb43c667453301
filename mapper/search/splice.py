"""Joins bars of several candidates into the chart that is nearest to its target.

A target has official stars, few breaches of the level's ranking criteria and, where the user requests them, a hold ratio and
a pattern mix. The search starts from the best single candidate and the best path through all (dynamic programming over the
costs that add up bar by bar), then exchanges passages of 1 to 8 bars, the best exchange first. Stars are predicted from the
candidates' strain peaks; every step is measured on the chart it gives before it is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from chart.model import Chart
from mapper.request.levels import SETTINGS
from mapper.sampling.conditioning import ChartTarget
from mapper.search.candidate_measures import CandidateMeasures, Spliced
from mapper.search.candidates import CandidateSet
from mapper.search.objective import DENSITY_UNIT, FINDING_UNIT, cost_of
from mapper.search.splice_kernels import exchanged_stars
from mapper.tokens.row_codes import Rows
from reward.chart_metrics import ChartMetrics, measure_breaches, metrics_of
from reward.rules.criteria import level_of

SPANS = (1, 2, 4, 8)
"""Bars that one exchange replaces."""
MAX_STEPS = 40
TRIES = 4
"""Exchanges that are tried at each step before the search ends."""
OFF_TARGET_UNIT = 1.0  # bars of a candidate so many stars from the target cost 1 if they are the whole chart
JOIN_COST = 0.02
NEAR_STARS = 0.5
"""A candidate this far from the target's stars weighs e times less in the usual density of its bars."""
STARTS, GOOD_COST = 3, 2.0
"""Starts tried at most; no further one after a chart that costs less than `GOOD_COST`."""

_OFF_TARGET, _FINDINGS, _NOTES, _HOLDS, _ROWS, _FAMILY = 0, 1, 2, 3, 4, 5  # columns of Measured.bars


class CandidateSplicer:
    """Joins candidates of one song for any target; `metrics` are the candidates' own, where they are known."""

    def __init__(
        self, candidates: CandidateSet, chart_of: Callable[[Rows], Chart], metrics: Sequence[ChartMetrics] | None = None
    ) -> None:
        self.measures = CandidateMeasures(candidates, chart_of, metrics)

    def splice(self, target: ChartTarget, usable: Sequence[int] | None = None) -> Spliced:
        """The best chart found for the target, from all candidates or the usable ones."""
        chosen = list(range(len(self.measures.candidates)) if usable is None else usable)
        chosen = [candidate for candidate in chosen if len(self.measures.charts[candidate])]
        search = _Search(self.measures, target, np.array(chosen, np.int64))
        alone = [np.full(self.measures.bar_ms.size, candidate) for candidate in chosen]
        starts = sorted([*alone, search.best_path()], key=lambda choice: search.measured(choice).cost)
        best = search.improved(starts[0])
        for start in starts[1:STARTS]:
            if best.cost > GOOD_COST:
                best = min(best, search.improved(start), key=lambda found: found.cost)
        return search.finished(best)


def exchanged(choice: NDArray[np.int64], exchange: tuple[int, int, int]) -> NDArray[np.int64]:
    """The choice with bars from start up to end taken from one candidate; `exchange` is (start, end, candidate)."""
    start, end, candidate = exchange
    tried = choice.copy()
    tried[start:end] = candidate
    return tried


class _Search:
    """The search for one target; a choice is [bar], the candidate of each bar."""

    def __init__(self, measures: CandidateMeasures, target: ChartTarget, usable: NDArray[np.int64]) -> None:
        self.measures, self.target, self.usable = measures, target, usable
        counts, off = measures.counts, np.abs(measures.stars - target.stars)
        near = np.exp(-off[usable] / NEAR_STARS)[:, None]
        self.usual = (near * counts[usable, :, 0]).sum(0) / near.sum()  # [bar], notes
        off_target = (
            off[:, None] / OFF_TARGET_UNIT * counts[..., 0] + np.abs(counts[..., 0] - self.usual) / DENSITY_UNIT
        )
        candidates, bars = counts.shape[:2]
        found = np.zeros((candidates, bars))
        measure_breaches([measures.metrics[candidate] for candidate in usable], target.level)
        for candidate in usable:
            found[candidate] = measures.findings(int(candidate), target.level)
        additive = np.concatenate([off_target[..., None], found[..., None], counts], -1)
        self.sums = np.zeros((candidates, bars + 1, additive.shape[-1]))  # [candidate, bar, quantity], before the bar
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
        measure_breaches([draft.metrics for key in fresh if (draft := drafts[key]).metrics], self.target.level)
        self.known |= {key: self._with_rules(drafts[key]) for key in fresh}
        return [self.known.get(key, drafts[key]) for key in keys]

    def _without_rules(self, choice: NDArray[np.int64]) -> Spliced:
        """The choice's chart, its cost without that of findings."""
        key = choice.tobytes()
        if key in self.known:
            return self.known[key]
        measures = self.measures
        rows = measures.candidates.joined(choice)
        metrics = measures.metrics[choice[0]] if (choice == choice[0]).all() else metrics_of(measures.chart_of(rows))
        chart = metrics.chart
        if not len(chart):
            return Spliced(chart, rows, 0.0, 0.0, np.inf, metrics=metrics)
        own = float(self.additive[choice, np.arange(choice.size), _OFF_TARGET].sum()) / len(chart)
        found = Spliced(chart, rows, metrics.section_peaks.stars, 0.0, 0.0, metrics=metrics)
        return replace(found, beside=(own, JOIN_COST * np.count_nonzero(np.diff(choice)))).with_cost(self.target)

    def _with_rules(self, draft: Spliced) -> Spliced:
        assert draft.metrics is not None, "drafts are measured"
        found = 1000 * float(draft.metrics.breaches(self.target.level).weight.sum()) / len(draft.chart)
        return replace(draft, findings=found).with_cost(self.target)

    def finished(self, best: Spliced) -> Spliced:
        """The chart with its density, to be played with the settings that it will get."""
        played = metrics_of(replace(best.chart, difficulty=SETTINGS[level_of(best.stars)]))
        return replace(best, stars=played.stars, density_miss=self.density_miss(best.chart), metrics=played)

    def density_miss(self, chart: Chart) -> float:
        """Ratio of the chart's notes in other bars than those of the candidates nearest to the target."""
        got = self.measures.notes_in_bars(chart)
        return float(np.abs(got / got.sum() - self.usual / self.usual.sum()).sum() / 2)

    def best_path(self) -> NDArray[np.int64]:
        """The choice with the fewest breaches and the bars nearest to the target (Viterbi); stars are not considered."""
        notes = max(float(self.sums[self.usable, -1, _NOTES].mean()), 1.0)
        step = self.additive[..., _FINDINGS] * 1000 / notes / FINDING_UNIT + self.additive[..., _OFF_TARGET] / notes
        step = step[self.usable]  # [usable, bar]
        joins = self.measures.candidates.joins[:, self.usable[:, None], self.usable]
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
        """Exchange passages as long as the measured cost falls."""
        now = self.measured(choice)
        surprise: dict[tuple[int, int, int], float] = {}  # failed exchange → error of its predicted cost
        for _ in range(MAX_STEPS):
            start, end, candidate = self._moves(choice)
            predicted = self._predicted(choice, now, start, end, candidate)
            moves = [int(move) for move in np.argsort(predicted, kind="stable")[:TRIES] if predicted[move] < now.cost]
            exchanges = [(int(start[move]), int(end[move]), int(candidate[move])) for move in moves]
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
        """First bar, end and candidate of every exchange that may be made."""
        bars, joins = choice.size, self.measures.candidates.joins
        start, span, candidate = (
            axis.ravel() for axis in np.meshgrid(np.arange(bars), np.array(SPANS), self.usable, indexing="ij")
        )
        end = np.minimum(start + span, bars)
        legal = (start == 0) | joins[start, choice[start - 1], candidate]
        legal &= (end == bars) | joins[end % bars, candidate, choice[end % bars]]
        return start[legal], end[legal], candidate[legal]

    def _predicted(
        self, choice: NDArray[np.int64], now: Spliced, start: NDArray, end: NDArray, candidate: NDArray
    ) -> NDArray[np.float64]:
        """[move], the cost after each exchange; effects of joins on stars and rules are not predicted."""
        own = np.zeros((choice.size + 1, self.additive.shape[-1]))
        np.cumsum(self.additive[choice, np.arange(choice.size)], 0, out=own[1:])
        total = own[-1] + (self.sums[candidate, end] - self.sums[candidate, start]) - (own[end] - own[start])
        notes = np.maximum(total[:, _NOTES], 1)
        mix = total[:, _FAMILY:] / np.maximum(total[:, _ROWS], 1)[:, None]
        unforeseen = now.findings - 1000 * own[-1, _FINDINGS] / max(own[-1, _NOTES], 1)
        findings = np.maximum(1000 * total[:, _FINDINGS] / notes + unforeseen, 0)
        rating = self._stars(choice, now, start, end, candidate)
        cost = cost_of(self.target, rating, findings, total[:, _HOLDS] / notes, mix)
        change = np.append(0, np.cumsum(np.diff(choice, prepend=choice[0]) != 0))  # [bar + 1], joins before the bar
        bars = choice.size
        kept = change[-1] - (change[np.minimum(end + 1, bars)] - change[start])
        fresh = ((start > 0) & (choice[start - 1] != candidate)).astype(int)
        fresh += (end < bars) & (choice[end % bars] != candidate)
        joined: NDArray[np.float64] = cost + total[:, _OFF_TARGET] / notes + JOIN_COST * (kept + fresh)
        return joined

    def _stars(
        self, choice: NDArray[np.int64], now: Spliced, start: NDArray, end: NDArray, candidate: NDArray
    ) -> NDArray[np.float64]:
        """[move], stars after each exchange, from the candidates' peaks; off now as they are off for the chart as it is."""
        measures = self.measures
        section = measures.section_of_bar
        bar = np.searchsorted(section, np.arange(measures.peaks.shape[1]), side="right") - 1
        peak = measures.peaks[choice[np.minimum(bar, choice.size - 1)], np.arange(bar.size)]
        order = np.argsort(-peak, kind="stable")
        predicted, none = np.zeros(candidate.size), np.zeros(1, np.int64)
        exchanged_stars(peak, order, measures.peaks, candidate, section[start], section[end], predicted)
        as_it_is = np.zeros(1)
        exchanged_stars(peak, order, measures.peaks, none, none, none, as_it_is)
        return predicted + (now.stars - as_it_is[0])
