"""Review a chart as a fellow mapper would: what is unfair, unreadable or unheard, where, why, and what to do."""

from __future__ import annotations

from chart.model import Chart
from chart.stars import stars
from eye.findings import CURVES, Finding, Review
from eye.measures import measure
from eye.remarks import remarks
from eye.rule_remarks import rule_remarks
from eye.unusual import stretches
from reward.criteria import level_of
from reward.rules import check
from reward.song import Song


def review_chart(chart: Chart, song: Song | None = None, *, target: float | None = None, seed: int = 0) -> Review:
    """The review of one chart; `song` as `reward.song.Song`, `target` the stars it aims at (default: its own)."""
    import numpy as np

    rating = stars(chart)
    aim = rating if target is None else target
    measures = measure(chart, song, aim, seed)
    breaches = check(chart, level_of(aim))
    places = remarks(measures, stretches(measures, aim), breaches, aim, song)
    rules = [one for one in rule_remarks(breaches) if not any(_covers(place, one) for place in places)]
    findings = sorted(places + rules, key=lambda finding: (finding.severity == "praise", -finding.weight))
    return Review(
        title=chart.metadata.title_unicode or chart.metadata.title,
        artist=chart.metadata.artist_unicode or chart.metadata.artist,
        difficulty=chart.metadata.version,
        creator=chart.metadata.creator,
        stars=rating,
        target=aim,
        level=level_of(aim).name.title(),
        required_skill=0.0,
        notes=len(chart),
        holds=int(chart.is_hold.sum()),
        duration_ms=chart.last_ms - float(chart.time_ms[0]) if len(chart) else 0.0,
        with_song=song is not None,
        findings=tuple(findings),
        curves={name: np.zeros(0) for name in CURVES},
    )


def _covers(place: Finding, rule: Finding) -> bool:
    """Whether a remark about a place says already what a rule's remark would."""
    same = place.kind == "unsnapped" and rule.kind == "rule/unsnapped-note"
    return same and place.start_ms - 1 <= rule.start_ms <= place.end_ms + 1
