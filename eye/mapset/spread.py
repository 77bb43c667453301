"""Rules about the difficulties of a set as a whole: spread, names, timing and metadata they should share.

Sources: osu! wiki, Ranking criteria, Beatmap and Metadata (https://osu.ppy.sh/wiki/en/Ranking_criteria), those of osu!mania
(…/Ranking_criteria/osu!mania, lengths as of ppy/osu-wiki #12363, October 2024), and Mapset Verifier's checks, which each rule names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from chart.model import Chart
from eye.critique.types import Finding, clock
from eye.mapset.facts import MapsetFacts
from eye.mapset.remarks import joined, label_of, minutes, name_of, remark
from reward.rules.criteria import Level, level_of


@dataclass(frozen=True, slots=True)
class Demand:
    """A set with a difficulty shorter than `below_ms` needs an easiest one of at most `level`, or `difficulties` without a gap."""

    below_ms: float
    level: Level
    difficulties: int


DEMANDS = (Demand(120_000, Level.NORMAL, 4), Demand(165_000, Level.HARD, 3), Demand(210_000, Level.INSANE, 2))
"""Rules of the osu!mania ranking criteria; CheckLowestDiff."""
BREAKS_COUNT_MS = 30_000
"""So much of the breaks of the hardest difficulty counts as play."""
LEVEL_WORDS = ("beginner", "easy", "normal", "hard", "insane", "expert")
NAME_MARGIN = 0.1
"""Stars; difficulties nearer to each other may have their names either way round."""
SHARED = {
    "title": "title",
    "title_unicode": "Unicode title",
    "artist": "artist",
    "artist_unicode": "Unicode artist",
    "creator": "creator",
    "source": "source",
    "tags": "tags",
}
"""Fields of the metadata that are the set's: CheckInconsistentMetadata."""


def spread(facts: MapsetFacts) -> Iterator[Finding]:
    """CheckLowestDiff, and that no level is left out from the easiest required on (ranking criteria, Beatmap)."""
    levels = [level_of(rating) for rating in facts.stars]
    hardest = len(levels) - 1
    length_ms = min(_play_ms(chart, is_hardest=index == hardest) for index, chart in enumerate(facts.charts))
    demand = next((one for one in DEMANDS if length_ms < one.below_ms), None)
    required = demand.level if demand else Level.EXPERT
    gaps = list(_gaps(facts.charts, levels, required))
    yield from gaps
    if demand and levels[0] > demand.level and (gaps or len(levels) < demand.difficulties):
        needed = label_of(demand.level)
        reason = (
            f"The easiest difficulty, {name_of(facts.charts[0])}, is {label_of(levels[0])}; a set of {minutes(length_ms)} "
            f"needs one of {needed} or easier, or at least {demand.difficulties} difficulties without a gap."
        )
        yield remark("problem", "lowest-difficulty", reason, f"Add a difficulty of {needed} or easier.")


def _gaps(charts: tuple[Chart, ...], levels: list[Level], required: Level) -> Iterator[Finding]:
    for (easier, low), (harder, high) in pairwise(zip(charts, levels, strict=True)):
        last = min(high - 1, Level.EXPERT)
        missing = [label_of(Level(level)) for level in range(max(low + 1, required), last + 1)]
        if missing:
            are = "is" if len(missing) == 1 else "are"
            between = f"between {name_of(easier)} ({label_of(low)}) and {name_of(harder)} ({label_of(high)})"
            reason = f"{joined(missing)} {are} missing {between}."
            advice = "Add a difficulty of that level." if len(missing) == 1 else "Add difficulties of these levels."
            yield remark("problem", "spread-gap", reason, advice)


def _play_ms(chart: Chart, is_hardest: bool) -> float:
    """From the first note to the last; of the hardest chart breaks beyond half a minute do not count."""
    if not len(chart):
        return 0.0
    play_ms = chart.last_ms - float(chart.time_ms[0])
    breaks_ms = sum(end - start for start, end in chart.breaks)
    return play_ms - max(breaks_ms - BREAKS_COUNT_MS, 0.0) if is_hardest else play_ms


def difficulty_names(facts: MapsetFacts) -> Iterator[Finding]:
    """Names indicate the order of difficulty (ranking criteria, Beatmap), and no two are alike."""
    names = [chart.metadata.version.strip() for chart in facts.charts]
    folded = [name.casefold() for name in names]
    for name in sorted(set(folded)):
        if folded.count(name) > 1:
            reason = f"{folded.count(name)} difficulties are called “{names[folded.index(name)]}”."
            yield remark("problem", "same-name", reason, "Give each a name of its own.")
    ranked = [
        (LEVEL_WORDS.index(word), stars, names[index])
        for index, stars in enumerate(facts.stars)
        for word in LEVEL_WORDS
        if word in folded[index].split()
    ]
    for (rank, stars, name), (next_rank, next_stars, harder) in pairwise(ranked):
        if rank > next_rank and next_stars - stars >= NAME_MARGIN:
            reason = f"“{harder}” ({next_stars:.2f} stars) is harder than “{name}” ({stars:.2f}), although its name is an easier level's."
            yield remark("problem", "name-order", reason, "Rename one, or change its difficulty.")


def shared_timing(facts: MapsetFacts) -> Iterator[Finding]:
    """CheckInconsistentLines: all difficulties have the same red lines; those of the most are taken for right, else the hardest's."""
    groups: dict[frozenset[tuple[int, float, int]], list[Chart]] = defaultdict(list)
    for chart in reversed(facts.charts):
        groups[_lines(chart)].append(chart)
    usual = max(groups, key=lambda lines: len(groups[lines]))
    for lines, charts in groups.items():
        if lines == usual:
            continue
        first_ms = float(min(line[0] for line in lines ^ usual))
        count = max(len(lines - usual), len(usual - lines))
        have = "has" if len(charts) == 1 else "have"
        reason = (
            f"{joined([name_of(chart) for chart in reversed(charts)])} {have} other red lines than {name_of(groups[usual][0])}: "
            f"{count} {'differs' if count == 1 else 'differ'}, the first at {clock(first_ms)}."
        )
        yield remark("problem", "timing-differs", reason, "Copy the red lines of one to the others.", first_ms)


def _lines(chart: Chart) -> frozenset[tuple[int, float, int]]:
    return frozenset((round(line.time_ms), round(line.beat_length_ms, 3), line.meter) for line in chart.red_lines)


def lines_at_once(facts: MapsetFacts) -> Iterator[Finding]:
    """CheckConcurrentLines, red lines: osu!lazer plays by the first of those at one time, osu!stable by the last."""
    for chart in facts.charts:
        for one, other in pairwise(chart.red_lines):
            if one.time_ms == other.time_ms:
                reason = f"{name_of(chart)} has two red lines at {clock(one.time_ms)}; which of them counts depends on the game."
                yield remark("problem", "lines-at-once", reason, "Delete one of them.", one.time_ms)
                break


def shared_metadata(facts: MapsetFacts) -> Iterator[Finding]:
    """Findings of Mapset Verifier's CheckInconsistentMetadata: metadata that differ within a set."""
    differ = [
        word for field, word in SHARED.items() if len({getattr(chart.metadata, field) for chart in facts.charts}) > 1
    ]
    if differ:
        yield remark(
            "problem", "metadata-differs", f"The difficulties differ in {joined(differ)}.", "Give all the same."
        )


def preview(facts: MapsetFacts) -> Iterator[Finding]:
    """Findings of Mapset Verifier's CheckPreview: a preview point that is missing or differs."""
    missing = [name_of(chart) for chart in facts.charts if chart.preview_ms == -1]
    if missing:
        reason = f"The preview point is not set in {joined(missing)}."
        yield remark("problem", "no-preview", reason, "Set it where the chorus begins.")
    elif len({chart.preview_ms for chart in facts.charts}) > 1:
        reason = "The difficulties differ in their preview point."
        yield remark("problem", "preview-differs", reason, "Give all the same.")
