"""Summary of a playtest: places, patterns and hands at which plays fail."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from agents.difficulty_curve import AccuracyCurve
from agents.judgement import note_kernels
from agents.judgement.accuracy import LETTER_NAMES, SHOWN, letter
from agents.judgement.mods import Mods
from agents.rating import Rating, in_words
from agents.simulate import Plays
from chart.analysis.patterns import find_patterns
from chart.analysis.star_rating import stars
from chart.model import KEYS, Chart

SECTION_MS = 5000.0
"""Length of the sections among which the worst are named."""
NAMED = 5
"""Worst sections and patterns that are named."""
FEW_NOTES = 16
"""A pattern with fewer notes in the chart is not blamed."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A stretch or pattern that costs accuracy."""

    name: str  # m:ss of a stretch, or the pattern's name
    notes: int
    lost: float  # mean accuracy lost on its notes, 0–1
    misses: float  # misses a play


@dataclass(frozen=True, slots=True)
class HandShare:
    """One hand's part."""

    notes: float  # share of the chart's notes
    lost: float  # mean accuracy lost on its notes
    unstable_rate: float


@dataclass(frozen=True, slots=True)
class Summary:
    """A playtest in numbers; accuracies but `shown_accuracy` have MAX = 320 weights."""

    notes: int
    plays: int
    stars: float  # official, at the modifiers' rate
    required_skill: float
    ratings: dict[str, Rating]  # overall and by skill, see agents.rating
    skill_mean: float
    accuracy_mean: float
    accuracy_p10: float
    accuracy_p50: float
    accuracy_p90: float
    shown_accuracy: float  # mean of what the client shows under these rules
    letters: dict[str, float]  # fraction of plays by letter grade, best first
    pass_rate: float
    misses_mean: float
    unstable_rate: float
    fail_at: str  # m:ss at which most plays that fail have failed, "" if none
    accuracy_by_skill: dict[str, float]
    worst_sections: tuple[Spot, ...]
    worst_patterns: tuple[Spot, ...]
    left: HandShare
    right: HandShare

    def as_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return asdict(self)


def summarise(
    chart: Chart, plays: Plays, curve: AccuracyCurve, mods: Mods, rules: str, ratings: dict[str, Rating]
) -> Summary:
    """The playtest's numbers; `curve` and `ratings` are the chart's under the same modifiers and rules."""
    costs = note_costs(plays)
    accuracy = plays.accuracy
    mean = float(accuracy.mean()) if accuracy.size else 1.0
    p10, p50, p90 = np.percentile(accuracy, [10, 50, 90]).tolist() if accuracy.size else (1.0, 1.0, 1.0)
    shown = np.asarray(SHOWN[rules](plays.counts))
    letters = [letter(float(value)) for value in shown]
    column = KEYS - 1 - chart.column if mods.mirror else chart.column
    left, right = _hands(plays, costs, column >= KEYS // 2)
    failed = plays.fail_ms[~np.isnan(plays.fail_ms)]
    shown_levels = (curve.level >= 1) & (curve.level <= 10) & (curve.level % 1 == 0)
    return Summary(
        notes=len(chart),
        plays=len(plays.population),
        stars=round(stars(chart, mods.rate), 2),
        required_skill=round(curve.level_for(0.96), 2),
        ratings=ratings,
        skill_mean=round(float(plays.population.level.mean()), 2) if len(plays.population) else 0.0,
        accuracy_mean=mean,
        accuracy_p10=p10,
        accuracy_p50=p50,
        accuracy_p90=p90,
        shown_accuracy=float(shown.mean()) if shown.size else 1.0,
        letters={name: letters.count(name) / len(letters) for name in LETTER_NAMES if name in letters},
        pass_rate=float(plays.passed.mean()) if accuracy.size else 1.0,
        misses_mean=float(plays.misses.mean()) if accuracy.size else 0.0,
        unstable_rate=float(plays.unstable_rate.mean()) if accuracy.size else 0.0,
        fail_at=clock(float(np.median(failed))) if failed.size else "",
        accuracy_by_skill={
            f"{level:g}": float(value)
            for level, value in zip(curve.level[shown_levels], curve.accuracy[shown_levels], strict=True)
        },
        worst_sections=_worst_sections(chart, costs),
        worst_patterns=_worst_patterns(chart, costs),
        left=left,
        right=right,
    )


@dataclass(frozen=True, eq=False)
class NoteCosts:
    """What each note cost the players."""

    players: int
    lost: NDArray[np.float64]  # [note], mean accuracy lost, 0 all MAX, 1 all misses; a hold's mean of head and tail
    missed: NDArray[np.int64]  # [note], players who missed it


def note_costs(plays: Plays) -> NoteCosts:
    """Sum up the judgements of each note."""
    players, notes = plays.grade.shape
    lost, missed = np.zeros(notes, np.int64), np.zeros(notes, np.int64)
    note_kernels.add_losses(plays.grade, plays.tail_grade, lost, missed)
    return NoteCosts(players, lost / (note_kernels.LOST_UNITS * max(players, 1)), missed)


def clock(time_ms: float) -> str:
    """A time as minutes and seconds, m:ss."""
    seconds = int(max(time_ms, 0.0) // 1000)
    return f"{seconds // 60}:{seconds % 60:02d}"


def _spot(name: str, inside: NDArray, costs: NoteCosts) -> Spot:
    missed = float(costs.missed[inside].sum()) / costs.players
    return Spot(name, int(np.count_nonzero(inside)), float(costs.lost[inside].mean()), missed)


def _worst_sections(chart: Chart, costs: NoteCosts) -> tuple[Spot, ...]:
    if not costs.players or not len(chart):
        return ()
    section = ((chart.time_ms - chart.time_ms[0]) // SECTION_MS).astype(np.int64)
    total = np.bincount(section, weights=costs.lost)  # what it costs the whole, not its mean
    worst = [int(s) for s in np.argsort(-total)[:NAMED] if total[s] > 0]
    starts = [float(chart.time_ms[0]) + s * SECTION_MS for s in worst]
    return tuple(_spot(clock(at), section == s, costs) for s, at in zip(worst, starts, strict=True))


def _worst_patterns(chart: Chart, costs: NoteCosts) -> tuple[Spot, ...]:
    if not costs.players or not len(chart) or not chart.red_lines:
        return ()
    inside: dict[str, NDArray] = {}
    for pattern in find_patterns(chart):
        first = np.searchsorted(chart.time_ms, pattern.start_ms - 1)
        last = np.searchsorted(chart.time_ms, pattern.end_ms + 1, side="right")
        notes = inside.setdefault(pattern.name, np.zeros(len(chart), bool))
        notes[first:last] |= (pattern.columns >> chart.column[first:last].astype(np.int64)) & 1 == 1
    spots = [_spot(name, notes, costs) for name, notes in inside.items() if notes.sum() >= FEW_NOTES]
    return tuple(sorted(spots, key=lambda spot: -spot.lost)[:NAMED])


def _hands(plays: Plays, costs: NoteCosts, is_right: NDArray[np.bool_]) -> tuple[HandShare, HandShare]:
    """The left hand's share and the right hand's."""
    totals = np.zeros((costs.players, 2, 3))
    note_kernels.add_errors(plays.hit_error_ms, is_right.astype(np.int8), totals)
    hits = np.maximum(totals[:, :, note_kernels.HITS], 1)
    mean = totals[:, :, note_kernels.SUM] / hits
    spread = np.sqrt(np.maximum(totals[:, :, note_kernels.SQUARES] / hits - mean * mean, 0.0))  # [player, hand]
    return (_hand(costs, ~is_right, spread[:, 0]), _hand(costs, is_right, spread[:, 1]))


def _hand(costs: NoteCosts, mine: NDArray[np.bool_], spread_ms: NDArray[np.float64]) -> HandShare:
    if not mine.any() or not costs.players:
        return HandShare(0.0, 0.0, 0.0)
    return HandShare(float(mine.mean()), float(costs.lost[mine].mean()), float(10 * spread_ms.mean()))


def as_text(summary: Summary, title: str, who: str) -> str:
    """The table a user reads."""
    s = summary
    lines = [
        title,
        f"{s.notes:,} notes, {s.stars:.2f} stars; {s.plays} plays by {who}",
        f"level for 96 %  {in_words(s.ratings)}",
        f"accuracy {s.accuracy_mean:.2%} (10th {s.accuracy_p10:.2%}, median {s.accuracy_p50:.2%}, "
        f"90th {s.accuracy_p90:.2%}), unstable rate {s.unstable_rate:.0f}, {s.misses_mean:.1f} misses, "
        f"{s.pass_rate:.0%} pass" + (f", the others fail about {s.fail_at}" if s.fail_at else ""),
        f"osu! shows {s.shown_accuracy:.2%}: "
        + ", ".join(f"{name} for {share:.0%}" for name, share in s.letters.items()),
        "",
        "skill     " + "".join(f"{level:>7}" for level in s.accuracy_by_skill),
        "accuracy  " + "".join(f"{value:>7.1%}" for value in s.accuracy_by_skill.values()),
    ]
    for heading, spots in (("costliest stretches", s.worst_sections), ("worst patterns", s.worst_patterns)):
        if spots:
            lines += ["", f"{heading:<22}{'notes':>7}{'lost':>8}{'misses':>9}"]
            lines += [f"{spot.name:<22}{spot.notes:>7}{spot.lost:>8.1%}{spot.misses:>9.1f}" for spot in spots]
    lines += ["", f"{'hand':<22}{'notes':>7}{'lost':>8}{'UR':>9}"]
    for name, hand in (("left", s.left), ("right", s.right)):
        lines.append(f"{name:<22}{hand.notes:>7.0%}{hand.lost:>8.1%}{hand.unstable_rate:>9.0f}")
    return "\n".join(lines)
