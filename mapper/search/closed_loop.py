"""Writes charts until each meets its target: official stars, the level's ranking criteria, hold share, pattern mix.

In rounds: several *takes* of every difficulty are written side by side, and the best bars of each are joined
(mapper.search.splice). Most difficulties are met by the first round, because the takes lie on both sides of the target.
For those that are not, the next round conditions the mapper on more or fewer stars (a *push*), and where that is not enough adds
a *bias* to the hazard's log-odds, more or fewer rows. Notes are never deleted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from chart.model import KEYS, Chart
from chart.problems import find_problems
from mapper.network.interface import Network
from mapper.sampling.conditioning import CachedEncoder, ChartTarget
from mapper.sampling.sampler import write_rows
from mapper.sampling.song_analysis import SongAnalysis
from mapper.search.candidate_measures import Spliced
from mapper.search.candidates import CandidateSet
from mapper.search.objective import FINDINGS_ALLOWED
from mapper.search.planned_sampling import planned_sampling, usual_chord_bias, usual_onset_bias
from mapper.search.splice import CandidateSplicer
from mapper.search.unmet import shortfall, unmet_constraints
from mapper.structure.plan import StructurePlan
from mapper.structure.row_shares import RowShares
from mapper.tokens.row_codes import Rows
from reward.chart_metrics import ChartMetrics, metrics_of
from runtime.errors import AudioFileError

SPREAD = 0.5
"""The first takes are conditioned on up to this many stars more and less than the target; later ones half as many."""
SHARES_SPREAD = 0.3
"""Logarithm of the ratio by which shares of chords and of repeated columns differ between takes where a pattern mix is requested."""
CHORD_SPREAD, CHORD_STEP, MAX_CHORD_BIAS = 0.4, 0.5, 2.0
"""Log-odds of each note beyond a row's first: by how much takes differ, and how much less it becomes from round to round
where the level's rules, most of which are about chords, are broken too often."""
MAX_STAR_OFFSET = 1.2
"""Conditioned on more stars than hard charts with audio have, the mapper hardly writes more: the bias does then (docs/LOG.md)."""
MIN_STARS_PER_PUSH, MAX_STARS_PER_PUSH = 0.3, 1.5
"""Effect of a push that is believed when a line is laid through few noisy charts."""
STARS_PER_BIAS, STARS_PER_CHORD = 0.8, 0.4
"""Effect of a unit of the hazard's bias, and of each further note's log-odds, on hard charts."""
MAX_BIAS = 3.0
MORE_CHORDS, MOST_RAISED = 0.5, 1.0
"""Share of the stars that a push cannot bring for which chords are raised beside the bias, so that takes lie on both
sides; and up to where: from 1.4 on some charts become nothing but chords of three and four (docs/LOG.md)."""
NEAR_STARS = 1.0
"""Takes of other difficulties this near to the target stars may be used too."""
STALLED_RATIO = 0.8
"""A round that leaves more than this of what a chart lacks to meet its target is its difficulty's last."""
MAX_SPLICED = 48
"""Takes that are spliced at most, the nearest: memory grows with their square."""
MAX_BATCH_SLOTS = 700_000
"""Slots times charts written side by side: encodings of 18 charts of 3 minutes are 200 MB."""


@dataclass(frozen=True)
class SearchConfig:
    """Settings common to all charts of a set."""

    seed: int = 0
    tolerance: float = 0.05  # stars
    takes: int = 3  # of each difficulty and round
    rounds: int = 4
    guidance: float = 1.0  # as in mapper.sampling.sampler.Sampling
    dynamics: float = 1.0  # as in mapper.structure.plan.StructurePlan
    deadline_s: float = np.inf  # of `time.perf_counter`; no round but the first begins after it


@dataclass(frozen=True)
class SearchResult:
    """The chart of one difficulty and how it came about."""

    target: ChartTarget
    chart: Chart
    rows: Rows
    stars: float
    findings: float  # warnings for 1,000 notes; a problem counts as several
    player_level: float  # whose players reach 96 %
    density_miss: float  # share of notes that lie in other bars than is usual
    takes: int  # that were written for it
    metrics: ChartMetrics | None = field(default=None, repr=False, compare=False)  # kept, so that others share them
    section: str = ""  # for the user: the part that was written anew, where the rest is as it was

    @staticmethod
    def of(target: ChartTarget, best: Spliced, takes: int) -> SearchResult:
        """The result for a target after sampling `takes` candidates."""
        measured = (best.stars, best.findings, best.player_level, best.density_miss)
        return SearchResult(target, best.chart, best.rows, *measured, takes, best.metrics)


@dataclass(frozen=True)
class Candidate:
    """A chart to write, or written, for the difficulty with this index."""

    index: int
    number: int  # among the takes of its difficulty
    push: float
    bias: float
    chord_bias: float  # log-odds of each note beyond a row's first
    row_shares: RowShares
    rows: Rows | None = None
    metrics: ChartMetrics | None = field(default=None, repr=False, compare=False)

    @property
    def stars(self) -> float:
        """Official stars of the chart that was written."""
        return self.metrics.section_peaks.stars if self.metrics is not None else 0.0


def write_charts(
    model: Network,
    song: SongAnalysis,
    targets: Sequence[ChartTarget],
    config: SearchConfig,
    report: Callable[[float], None] = lambda share: None,
) -> list[SearchResult]:
    """One chart for each target, easiest first; the k-th easiest belongs to the target with the k-th fewest stars.

    A target that the song does not allow gets the nearest chart that was found. `report` is called with the share done, 0–1.
    """
    plan = StructurePlan(song.grid, song.features, song.lag_ms, config.seed, config.dynamics)
    targets = sorted((replace(one, natural_holds=plan.hold_share) for one in targets), key=lambda one: one.stars)
    takes: list[Candidate] = []
    found: list[Spliced | None] = [None] * len(targets)
    given_up: set[int] = set()
    encoder = CachedEncoder(model, song, MAX_BATCH_SLOTS)
    for number, seed in enumerate(np.random.SeedSequence(config.seed).generate_state(config.rounds)):
        unmet = [index for index, best in enumerate(found) if not is_met(targets[index], best, config.tolerance)]
        unmet_targets = [index for index in unmet if index not in given_up]
        if not unmet_targets or (number and time.perf_counter() > config.deadline_s):
            break
        wanted = [
            take for index in unmet_targets for take in _next_takes(index, targets[index], takes, found[index], config)
        ]
        share = _share_of_round(report, number, config.rounds)
        takes += _record(encoder, plan, config, targets, wanted, int(seed), share)
        for index in unmet_targets:
            before, found[index] = found[index], _best(song, targets, index, takes, found[index])
            if _is_stalled(targets[index], before, found[index], config.tolerance):
                given_up.add(index)
    report(1.0)
    return _in_order(targets, found, takes)


def _share_of_round(report: Callable[[float], None], number: int, rounds: int) -> Callable[[float], None]:
    """Rounds mostly end with the first, so each gets half of what is left of the bar."""
    done = 1 - 0.5**number
    last = number + 1 == rounds
    return lambda share: report(done + share * (1 - done) * (1.0 if last else 0.5))


def _is_stalled(target: ChartTarget, before: Spliced | None, best: Spliced | None, tolerance: float) -> bool:
    """Whether a further round brought so little that the next will not bring what is missing."""
    if before is None or best is None or best is before:
        return before is not None
    short = [shortfall(target, metrics_of(one.chart), one, tolerance) for one in (before, best)]
    return short[1] > STALLED_RATIO * short[0]


def is_met(target: ChartTarget, best: Spliced | None, tolerance: float) -> bool:
    """Whether a chart meets its target."""
    return (
        best is not None
        and is_whole(best.chart)
        and not unmet_constraints(target, metrics_of(best.chart), best, tolerance)
    )


def is_whole(chart: Chart) -> bool:
    """Whether the chart is valid and uses every column."""
    return len(np.unique(chart.column)) == KEYS and not find_problems(chart)


def _next_takes(
    index: int, target: ChartTarget, takes: Sequence[Candidate], best: Spliced | None, config: SearchConfig
) -> list[Candidate]:
    """The takes to write next, after all those that were tried for the difficulty."""
    tried = [take for take in takes if take.index == index]
    count, free = config.takes, target.is_free
    offsets = np.linspace(-1, 1, count) if count > 1 else np.zeros(1)
    chord_bias, centre, spread = usual_chord_bias(target.stars) if free else 0.0, 0.0, SPREAD
    bias, shares = usual_onset_bias(target.stars) if free else 0.0, RowShares.of(target)
    if tried:
        centre, bias = _settings(target, tried, count)
        spread = SPREAD / 2
        if free:
            chord_bias = _chord_bias(target, float(np.mean([take.chord_bias for take in tried[-count:]])), bias)
        else:
            shares = _row_shares(target, tried[-count:])
    if free and best is not None and best.findings > FINDINGS_ALLOWED[target.level]:
        chord_bias = max(chord_bias - CHORD_STEP, -MAX_CHORD_BIAS)
    push = np.clip(centre + spread * offsets, -MAX_STAR_OFFSET, MAX_STAR_OFFSET)
    # What differs besides the push must not go along with it, or the splicer could not have one without the other.
    chords, repeats = np.roll(offsets, 2).tolist(), np.roll(offsets, 1).tolist()
    varied = [
        shares if free else shares.varied(SHARES_SPREAD * more, SHARES_SPREAD * again)
        for more, again in zip(chords, repeats, strict=True)
    ]
    biases = [chord_bias + CHORD_SPREAD * free * more for more in chords]
    return [
        Candidate(index, len(tried) + number, float(push[number]), bias, biases[number], varied[number])
        for number in range(count)
    ]


def _chord_bias(target: ChartTarget, last: float, bias: float) -> float:
    """Log-odds of chords for the next takes, after those with `last` and for those with this bias of the hazard."""
    if bias <= 0:
        return min(last, usual_chord_bias(target.stars))
    return min(last + MORE_CHORDS * bias * STARS_PER_BIAS / STARS_PER_CHORD, max(last, MOST_RAISED))


def _settings(target: ChartTarget, tried: Sequence[Candidate], count: int) -> tuple[float, float]:
    """(push, bias) at which the stars should be right, by a line through the takes that were tried."""
    push = np.array([take.push for take in tried])
    chords = STARS_PER_CHORD * np.array([take.chord_bias for take in tried])
    got = np.array([take.stars - STARS_PER_BIAS * take.bias for take in tried]) - chords
    slope = float(np.polyfit(push, got, 1)[0]) if np.ptp(push) > 0 else 1.0
    slope = float(np.clip(slope, MIN_STARS_PER_PUSH, MAX_STARS_PER_PUSH))
    needed = target.stars - float(np.mean((got + chords - slope * push)[-count:]))
    centre = float(np.clip(needed / slope, -MAX_STAR_OFFSET, MAX_STAR_OFFSET))
    return centre, float(np.clip((needed - slope * centre) / STARS_PER_BIAS, -MAX_BIAS, MAX_BIAS))


def _row_shares(target: ChartTarget, last: Sequence[Candidate]) -> RowShares:
    """The mean row shares of the last takes, corrected by how far they were from the requested pattern mix."""
    middle = RowShares.mean([take.row_shares for take in last])
    mixes = [take.metrics.pattern_mix for take in last if take.metrics is not None]
    return middle.corrected(target, np.mean(mixes, axis=0))


def _record(
    encoder: CachedEncoder,
    plan: StructurePlan,
    config: SearchConfig,
    targets: Sequence[ChartTarget],
    wanted: Sequence[Candidate],
    seed: int,
    report: Callable[[float], None],
) -> list[Candidate]:
    """Write the wanted takes, as many at a time as memory allows."""
    song, written = encoder.song, []
    size = max(MAX_BATCH_SLOTS // song.grid.slot_ms.size, 1)
    for first in range(0, len(wanted), size):
        some = wanted[first : first + size]
        own = [targets[take.index] for take in some]
        conditioned = [replace(one, stars=one.stars + take.push) for one, take in zip(own, some, strict=True)]
        encoding = encoder.encode(conditioned, config.guidance)
        biases = [take.bias for take in some], [take.chord_bias for take in some], [take.row_shares for take in some]
        sampling = planned_sampling(plan, encoding, own, *biases, seed + first, config.guidance)
        share = lambda done, first=first: report((first + done * min(size, len(wanted) - first)) / len(wanted))  # noqa: E731
        rows = [plan.mended(one) for one in write_rows(encoder.model, encoding, sampling, share)]
        measured = [metrics_of(song.chart_of(one)) for one in rows]
        written += [
            replace(take, rows=one, metrics=metrics)
            for take, one, metrics in zip(some, rows, measured, strict=True)
            if len(metrics.chart)
        ]
    return written


def _best(
    song: SongAnalysis, targets: Sequence[ChartTarget], index: int, takes: Sequence[Candidate], before: Spliced | None
) -> Spliced | None:
    """The best chart for the difficulty from its own takes and those of others that are near."""
    target = targets[index]
    near = [
        take
        for take in takes
        if take.index == index
        or (targets[take.index].stars != target.stars and abs(take.stars - target.stars) <= NEAR_STARS)
    ]
    near.sort(key=lambda take: abs(take.stars - target.stars))
    rows = [take.rows for take in near[:MAX_SPLICED] if take.rows is not None]
    metrics = [take.metrics for take in near[:MAX_SPLICED] if take.metrics is not None]
    if not rows:
        return before
    best = CandidateSplicer(CandidateSet(song.grid, rows), song.chart_of, metrics).splice(target)
    return best if before is None or best.is_better_than(before) else before


def _in_order(
    targets: Sequence[ChartTarget], found: Sequence[Spliced | None], takes: Sequence[Candidate]
) -> list[SearchResult]:
    """The charts handed out so that harder targets never get easier charts."""
    whole = [best for best in found if best is not None and is_whole(best.chart)]
    if len(whole) < len(targets):
        raise AudioFileError("the song leaves too little room for a chart; is it mostly silent, or very short?")
    whole.sort(key=lambda best: best.stars)
    counts = [sum(take.index == index for take in takes) for index in range(len(targets))]
    return [SearchResult.of(target, best, count) for target, best, count in zip(targets, whole, counts, strict=True)]
