"""Writes charts until each is what was asked: official stars, the level's ranking criteria, hold share, pattern mix.

In rounds: several *takes* of every difficulty are written side by side, and the best bars of each are joined
(mapper.search.splice). Most difficulties are met by the first round, because the takes lie on both sides of what is asked.
For those that are not, the next round tells the mapper more or fewer stars (a *push*), and where that is not enough adds
a *bias* to the hazard's log-odds, more or fewer rows. Notes are never deleted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from chart.model import KEYS, Chart
from chart.problems import find_problems
from mapper.network.interface import Network
from mapper.sampling.conditioning import CachedEncoder, LogitBias, StyleConditioning
from mapper.sampling.sampler import write_rows
from mapper.sampling.song_analysis import SongAnalysis
from mapper.search.candidate_measures import Spliced
from mapper.search.candidates import CandidateSet
from mapper.search.objective import Objective
from mapper.search.planned_sampling import PlannedCandidate, planned_sampling, usual_bias
from mapper.search.splice import CandidateSplicer
from mapper.search.unmet import FINDINGS_ALLOWED, unmet_constraints
from mapper.structure.plan import StructurePlan
from mapper.tokens.row_codes import Rows
from reward.chart_metrics import ChartMetrics, metrics_of
from runtime.errors import AudioFileError

SPREAD = 0.5
"""The first takes are told up to this many stars more and less than asked; later ones half as many."""
REPEAT_SPREAD = 0.7
"""Log-odds of a repeated column by which the takes differ where a pattern mix is asked."""
CHORD_SPREAD, CHORD_STEP, MAX_CHORD_LEAN = 0.4, 0.5, 2.0
"""Log-odds of each note beyond a row's first: by how much takes differ, and how much less it becomes from round to round
where the level's rules, most of which are about chords, are broken too often."""
MAX_STAR_OFFSET = 1.2
"""Told more stars than hard charts with audio have, the mapper hardly writes more: the bias does then (docs/LOG.md)."""
MIN_STARS_PER_PUSH, MAX_STARS_PER_PUSH = 0.4, 1.5
"""Effect of a push that is believed when a line is laid through few noisy charts."""
STARS_PER_BIAS = 0.8
MAX_BIAS = 3.0
NEAR_STARS = 1.0
"""Takes of other difficulties this near to the stars asked may be used too."""
STALLED_RATIO = 0.9
"""A round that leaves more than this of what a chart costs is its difficulty's last."""
MAX_SPLICED = 48
"""Takes that are spliced at most, the nearest: memory grows with their square."""
MAX_BATCH_SLOTS = 700_000
"""Slots times charts written side by side: what is heard of 18 charts of 3 minutes is 200 MB."""


@dataclass(frozen=True)
class SearchConfig:
    """What is asked of all charts of a set, and how hard to try."""

    seed: int = 0
    steering: tuple[StyleConditioning, ...] = (
        StyleConditioning(),
    )  # each chart follows the one with the nearest stars
    tolerance: float = 0.05  # stars
    takes: int = 3  # of each difficulty and round
    rounds: int = 4
    guidance: float = 1.0  # as in mapper.sampling.sampler.Sampling
    dynamics: float = 1.0  # as in mapper.structure.plan.StructurePlan
    deadline_s: float = np.inf  # of `time.perf_counter`; no round but the first begins after it

    def steering_for(self, value: float) -> StyleConditioning:
        """What a chart of so many stars shall be like."""
        return min(self.steering, key=lambda one: abs(one.stars - value))

    def wish(self, value: float) -> Objective:
        """What a difficulty of so many stars shall be like, as far as it is measured."""
        steering = self.steering_for(value)
        return Objective.of(value, hold_share=steering.hold_share, patterns=steering.patterns)


@dataclass(frozen=True)
class SearchResult:
    """The chart of one difficulty and how it came about."""

    wish: Objective
    chart: Chart
    rows: Rows
    stars: float
    findings: float  # warnings for 1,000 notes; a problem counts as several
    player_level: float  # whose players reach 96 %
    density_miss: float  # share of notes that lie in other bars than is usual
    takes: int  # that were written for it
    metrics: ChartMetrics | None = field(default=None, repr=False, compare=False)  # kept, so that others share them

    @staticmethod
    def of(wish: Objective, best: Spliced, takes: int) -> SearchResult:
        """What was found for a wish, in so many takes."""
        measured = (best.stars, best.findings, best.player_level, best.density_miss)
        return SearchResult(wish, best.chart, best.rows, *measured, takes, best.metrics)


@dataclass(frozen=True)
class Candidate:
    """A chart to write, or written, for the difficulty with this index."""

    index: int
    number: int  # among the takes of its difficulty
    push: float
    bias: float
    lean: LogitBias
    rows: Rows | None = None
    metrics: ChartMetrics | None = field(default=None, repr=False, compare=False)

    @property
    def stars(self) -> float:
        """Official stars of the chart that was written."""
        return self.metrics.stars if self.metrics is not None else 0.0


def write_charts(
    model: Network,
    song: SongAnalysis,
    targets: Sequence[float],
    config: SearchConfig,
    report: Callable[[float], None] = lambda share: None,
) -> list[SearchResult]:
    """One chart for each target, easiest first; the k-th easiest belongs to the k-th lowest target.

    A target that the song does not allow gets the nearest chart that was found. `report` is told the share done.
    """
    wishes = [config.wish(target) for target in sorted(targets)]
    takes: list[Candidate] = []
    found: list[Spliced | None] = [None] * len(wishes)
    given_up: set[int] = set()
    listener = CachedEncoder(model, song, MAX_BATCH_SLOTS)
    plan = StructurePlan(song.grid, song.features, song.lag_ms, config.seed, config.dynamics)
    config = replace(config, steering=tuple(replace(one, natural_holds=plan.hold_share) for one in config.steering))
    for number, seed in enumerate(np.random.SeedSequence(config.seed).generate_state(config.rounds)):
        unmet = [index for index, best in enumerate(found) if not is_met(wishes[index], best, config.tolerance)]
        open_wishes = [index for index in unmet if index not in given_up]
        if not open_wishes or (number and time.perf_counter() > config.deadline_s):
            break
        wanted = [
            take for index in open_wishes for take in _next_takes(index, wishes[index], takes, found[index], config)
        ]
        share = _share_of_round(report, number, config.rounds)
        takes += _record(listener, plan, config, wishes, wanted, int(seed), share)
        for index in open_wishes:
            before, found[index] = found[index], _best(song, wishes, index, takes, found[index])
            if not is_met(wishes[index], found[index], config.tolerance) and _is_stalled(before, found[index]):
                given_up.add(index)
    report(1.0)
    return _in_order(wishes, found, takes)


def _share_of_round(report: Callable[[float], None], number: int, rounds: int) -> Callable[[float], None]:
    """Rounds mostly end with the first, so each gets half of what is left of the bar."""
    done = 1 - 0.5**number
    last = number + 1 == rounds
    return lambda share: report(done + share * (1 - done) * (1.0 if last else 0.5))


def _is_stalled(before: Spliced | None, best: Spliced | None) -> bool:
    """Whether a further round brought so little that the next will not bring what is missing."""
    if best is before:
        return before is not None
    return before is not None and best is not None and best.whole_cost > STALLED_RATIO * before.whole_cost


def is_met(wish: Objective, best: Spliced | None, tolerance: float) -> bool:
    """Whether a chart has everything that was asked."""
    return (
        best is not None
        and is_whole(best.chart)
        and not unmet_constraints(wish, metrics_of(best.chart), best, tolerance)
    )


def is_whole(chart: Chart) -> bool:
    """Whether the chart is valid and uses every column."""
    return len(np.unique(chart.column)) == KEYS and not find_problems(chart)


def _next_takes(
    index: int, wish: Objective, takes: Sequence[Candidate], best: Spliced | None, config: SearchConfig
) -> list[Candidate]:
    """The takes to write next, after all those that were tried for the difficulty."""
    tried = [take for take in takes if take.index == index]
    count, free = config.takes, not np.isfinite(wish.patterns).any()
    offsets = np.linspace(-1, 1, count) if count > 1 else np.zeros(1)
    lean, centre, bias, spread = usual_bias(wish.stars) if free else LogitBias(), 0.0, 0.0, SPREAD
    if tried:
        centre, bias = _settings(wish, tried, count)
        lean, spread = _lean(config.steering_for(wish.stars), tried[-count:]), SPREAD / 2
    if free and best is not None and best.findings > FINDINGS_ALLOWED[wish.level]:
        lean = replace(lean, chords=max(lean.chords - CHORD_STEP, -MAX_CHORD_LEAN))
    push = np.clip(centre + spread * offsets, -MAX_STAR_OFFSET, MAX_STAR_OFFSET)
    # What differs besides the push must not go along with it, or the splicer could not have one without the other.
    chords = CHORD_SPREAD * np.roll(offsets, 2)
    repeats = REPEAT_SPREAD * np.roll(offsets, 1) * (not free)
    return [
        Candidate(
            index,
            len(tried) + number,
            float(push[number]),
            bias,
            LogitBias(lean.chords + float(chords[number]), lean.repeats + float(repeats[number])),
        )
        for number in range(count)
    ]


def _settings(wish: Objective, tried: Sequence[Candidate], count: int) -> tuple[float, float]:
    """(push, bias) at which the stars should be right, by a line through the takes that were tried."""
    push = np.array([take.push for take in tried])
    got = np.array([take.stars - STARS_PER_BIAS * take.bias for take in tried])
    slope = float(np.polyfit(push, got, 1)[0]) if np.ptp(push) > 0 else 1.0
    slope = float(np.clip(slope, MIN_STARS_PER_PUSH, MAX_STARS_PER_PUSH))
    needed = wish.stars - float(np.mean((got - slope * push)[-count:]))
    centre = float(np.clip(needed / slope, -MAX_STAR_OFFSET, MAX_STAR_OFFSET))
    return centre, float(np.clip((needed - slope * centre) / STARS_PER_BIAS, -MAX_BIAS, MAX_BIAS))


def _lean(steering: StyleConditioning, last: Sequence[Candidate]) -> LogitBias:
    """The middle of the last takes' leans, corrected by how far they were from what was asked."""
    middle = LogitBias(
        *(float(np.mean([getattr(take.lean, field.name) for take in last])) for field in fields(LogitBias))
    )
    mixes = [take.metrics.pattern_mix for take in last if take.metrics is not None]
    return middle.corrected(steering, np.mean(mixes, axis=0))


def _record(
    listener: CachedEncoder,
    plan: StructurePlan,
    config: SearchConfig,
    wishes: Sequence[Objective],
    wanted: Sequence[Candidate],
    seed: int,
    report: Callable[[float], None],
) -> list[Candidate]:
    """Write the wanted takes, as many at a time as memory allows."""
    song, written = listener.song, []
    size = max(MAX_BATCH_SLOTS // song.grid.slot_ms.size, 1)
    for first in range(0, len(wanted), size):
        some = wanted[first : first + size]
        steering = [config.steering_for(wishes[take.index].stars) for take in some]
        told = [wishes[take.index].stars + take.push for take in some]
        heard = listener.encode(list(zip(told, steering, strict=True)), config.guidance)
        planned = [
            PlannedCandidate(wishes[take.index].stars, take.bias, take.lean, one)
            for take, one in zip(some, steering, strict=True)
        ]
        sampling = planned_sampling(plan, heard, planned, seed + first, config.guidance)
        share = lambda done, first=first: report((first + done * min(size, len(wanted) - first)) / len(wanted))  # noqa: E731
        rows = write_rows(listener.model, heard, sampling, share)
        measured = [metrics_of(song.chart_of(one)) for one in rows]
        written += [
            replace(take, rows=one, metrics=metrics)
            for take, one, metrics in zip(some, rows, measured, strict=True)
            if len(metrics.chart)
        ]
    return written


def _best(
    song: SongAnalysis, wishes: Sequence[Objective], index: int, takes: Sequence[Candidate], before: Spliced | None
) -> Spliced | None:
    """The best chart for the difficulty from its own takes and those of others that are near."""
    wish = wishes[index]
    near = [
        take
        for take in takes
        if take.index == index
        or (wishes[take.index].stars != wish.stars and abs(take.stars - wish.stars) <= NEAR_STARS)
    ]
    near.sort(key=lambda take: abs(take.stars - wish.stars))
    rows = [take.rows for take in near[:MAX_SPLICED] if take.rows is not None]
    metrics = [take.metrics for take in near[:MAX_SPLICED] if take.metrics is not None]
    if not rows:
        return before
    best = CandidateSplicer(CandidateSet(song.grid, rows), song.chart_of, metrics).splice(wish)
    return best if before is None or best.is_better_than(before) else before


def _in_order(
    wishes: Sequence[Objective], found: Sequence[Spliced | None], takes: Sequence[Candidate]
) -> list[SearchResult]:
    """The charts handed out so that harder targets never get easier charts."""
    whole = [best for best in found if best is not None and is_whole(best.chart)]
    if len(whole) < len(wishes):
        raise AudioFileError("the song leaves too little room for a chart; is it mostly silent, or very short?")
    whole.sort(key=lambda best: best.stars)
    counts = [sum(take.index == index for take in takes) for index in range(len(wishes))]
    return [SearchResult.of(wish, best, count) for wish, best, count in zip(wishes, whole, counts, strict=True)]
