"""Findings of the ranking criteria, gathered: one remark a rule, at the place where it fires most, ranked by how rare it is.

Many rules fire on most charts people make (their texts are guidelines); others hardly ever. A rule's rarity is −log10 of
the share of human charts of its levels with a finding, so that what everybody does comes last.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eye.critique.anomaly import Human, human, tail
from eye.critique.types import Finding, Severity
from reward.rules.check import Finding as Breach
from reward.rules.settings import SETTING_RULES

TOGETHER_MS = 2_000.0
"""Breaches of one rule so close are one place."""
MANY = 0.3
"""Rarity that ten times as many breaches add."""
NOTE_RARITY = 0.7
"""Guidelines that more than a fifth of human charts break are notes, not warnings."""
LEAST_RARITY = 0.15
"""Guidelines that are broken as much by most human charts of the level are not worth a word."""
SOFT = 0.9
"""Rules weigh a little less than places that stand out by themselves."""
MOST_WHOLE = 0.45
"""Rules about settings, scroll speed or the whole chart stay behind remarks about patterns at a place."""
UNKNOWN_SHARE = 1 / 600
"""Share taken for a rule that no human chart of the table broke; it holds about so many."""
ADVICE = {
    "concurrent-notes": "Remove one of the two.",
    "note-in-hold": "End the hold earlier or move the note to another column.",
    "hold-backwards": "Set the end after the start, or make it a note.",
    "column-gap": "Move one of the notes to a column that has rested.",
    "hold-under-20-ms": "Make it a note.",
    "hold-under-30-ms": "Make it a note, or hold it for 1/4 and more.",
    "hold-under-1/12": "Make it a note, or hold it for 1/4 and more.",
    "empty-column": "Spread the patterns over all four columns.",
    "column-share": "Mirror or move some patterns to the columns that are used less.",
    "unsnapped-note": "Resnap (select the notes and snap them to the grid), or put a red line where the tempo changes.",
    "unsnapped-release": "Resnap the ends of these holds.",
    "note-in-break": "Move the break or the notes.",
}
LEVEL_ADVICE = {
    "hold": "Lengthen the holds, or make them notes.",
    "releases": "Let them go together, or farther apart.",
    "chord": "Thin the chords out, or keep them for the strongest sounds.",
    "jack": "Spread the repeated column over its neighbours.",
    "anchor": "Spread the anchored column over its neighbours.",
    "trill": "Break the trill with another column.",
    "shield": "Move the note before the hold to another column.",
    "scroll": "Keep the scroll speed nearer to 1.",
    "hp-od": "Lower the setting.",
}


def rule_rarity(rule: str, count: int, table: Human) -> float:
    """Rarity of `count` findings of this rule alone."""
    return -float(np.log10(max(table.rules.get(rule, UNKNOWN_SHARE), UNKNOWN_SHARE))) + MANY * float(np.log10(count))


def rule_remarks(breaches: Sequence[Breach], table: Human | None = None) -> list[Finding]:
    """One finding a rule that fires, rarest first."""
    table = table or human()
    whole = {rule.name for rule in SETTING_RULES} | {"column-share"}
    by_rule: dict[str, list[Breach]] = {}
    for breach in breaches:
        by_rule.setdefault(breach.rule, []).append(breach)
    remarks = []
    for rule, found in by_rule.items():
        weight = SOFT * tail(rule_rarity(rule, len(found), table), table.rules_worst)
        weight = min(weight, MOST_WHOLE) if rule in whole else weight
        if weight >= LEAST_RARITY or found[0].severity == "problem":
            remarks.append(_remark(rule, found, weight))
    return sorted(remarks, key=lambda remark: -remark.weight)


def _remark(rule: str, found: list[Breach], weight: float) -> Finding:
    place = _thickest(found)
    severity: Severity = "problem" if found[0].severity == "problem" else "warning" if weight >= NOTE_RARITY else "note"
    reason = place[0].text[0].upper() + place[0].text[1:] + "."
    if len(place) > 1:
        reason += f" {len(place)} times here."
    if len(found) > len(place):
        reason += f" {len(found)} times in the chart."
    return Finding(
        place[0].start_ms,
        max(breach.end_ms for breach in place),
        severity,
        f"rule/{rule}",
        reason,
        advice(rule),
        tuple(sorted({column for breach in place for column in breach.columns})),
        weight,
    )


def _thickest(found: list[Breach]) -> list[Breach]:
    """The place with most breaches, of those that follow one another closely."""
    ordered = sorted(found, key=lambda breach: breach.start_ms)
    places: list[list[Breach]] = []
    for breach in ordered:
        if places and breach.start_ms - places[-1][-1].start_ms <= TOGETHER_MS:
            places[-1].append(breach)
        else:
            places.append([breach])
    return max(places, key=len)


def advice(rule: str) -> str:
    """Advice to the mapper for a breach of this rule."""
    if rule in ADVICE:
        return ADVICE[rule]
    return next((text for word, text in LEVEL_ADVICE.items() if word in rule), "Thin the rhythm out, or rest sooner.")
