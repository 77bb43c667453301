"""Summary of a playtest: places, patterns and hands at which plays fail."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from agents.difficulty_curve import WEIGHTS, AccuracyCurve
from agents.judgement.accuracy import LETTER_NAMES, SHOWN, letter
from agents.judgement.judge import MISS
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
    lost = lost_accuracy(plays)
    missed = plays.grade == MISS
    accuracy = plays.accuracy
    mean = float(accuracy.mean()) if accuracy.size else 1.0
    p10, p50, p90 = np.percentile(accuracy, [10, 50, 90]).tolist() if accuracy.size else (1.0, 1.0, 1.0)
    shown = np.asarray(SHOWN[rules](plays.counts))
    letters = [letter(float(value)) for value in shown]
    column = KEYS - 1 - chart.column if mods.mirror else chart.column
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
        worst_sections=_worst_sections(chart, lost, missed),
        worst_patterns=_worst_patterns(chart, lost, missed),
        left=_hand(plays, lost, column < 2),
        right=_hand(plays, lost, column >= 2),
    )


def lost_accuracy(plays: Plays) -> NDArray[np.float64]:
    """[player, note], 0 for a MAX, 1 for a miss; a hold's mean of head and tail where they are judged apart."""
    apart = plays.tail_grade >= 0
    if not apart.any():
        return (1.0 - WEIGHTS)[plays.grade]
    worth = WEIGHTS[plays.grade]
    return 1.0 - np.where(apart, (worth + WEIGHTS[plays.tail_grade]) / 2, worth)


def clock(time_ms: float) -> str:
    """A time as minutes and seconds, m:ss."""
    seconds = int(max(time_ms, 0.0) // 1000)
    return f"{seconds // 60}:{seconds % 60:02d}"


def _spot(name: str, inside: NDArray, lost: NDArray, missed: NDArray) -> Spot:
    return Spot(name, int(inside.sum()), float(lost[:, inside].mean()), float(missed[:, inside].sum(axis=1).mean()))


def _worst_sections(chart: Chart, lost: NDArray, missed: NDArray) -> tuple[Spot, ...]:
    if not lost.size:
        return ()
    section = ((chart.time_ms - chart.time_ms[0]) // SECTION_MS).astype(np.int64)
    total = np.bincount(section, weights=lost.mean(axis=0))  # what it costs the whole, not its mean
    worst = [int(s) for s in np.argsort(-total)[:NAMED] if total[s] > 0]
    starts = [float(chart.time_ms[0]) + s * SECTION_MS for s in worst]
    return tuple(_spot(clock(at), section == s, lost, missed) for s, at in zip(worst, starts, strict=True))


def _worst_patterns(chart: Chart, lost: NDArray, missed: NDArray) -> tuple[Spot, ...]:
    if not lost.size or not chart.red_lines:
        return ()
    inside: dict[str, NDArray] = {}
    for pattern in find_patterns(chart):
        notes = (chart.time_ms >= pattern.start_ms - 1) & (chart.time_ms <= pattern.end_ms + 1)
        notes &= (pattern.columns >> chart.column.astype(np.int64)) & 1 == 1
        inside[pattern.name] = inside.get(pattern.name, np.zeros(len(chart), bool)) | notes
    spots = [_spot(name, notes, lost, missed) for name, notes in inside.items() if notes.sum() >= FEW_NOTES]
    return tuple(sorted(spots, key=lambda spot: -spot.lost)[:NAMED])


def _hand(plays: Plays, lost: NDArray, mine: NDArray) -> HandShare:
    if not mine.any() or not lost.size:
        return HandShare(0.0, 0.0, 0.0)
    errors = plays.hit_error_ms[:, mine]
    hit = np.isfinite(errors)
    count = np.maximum(hit.sum(axis=1), 1)
    mean = np.where(hit, errors, 0).sum(axis=1) / count
    spread = np.sqrt(np.where(hit, (errors - mean[:, None]) ** 2, 0).sum(axis=1) / count)
    return HandShare(float(mine.mean()), float(lost[:, mine].mean()), float(10 * spread.mean()))


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
