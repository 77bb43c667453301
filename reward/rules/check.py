"""The ranking criteria and Mapset Verifier's mania checks as named rules that give findings with place and advice.

`check(chart)` lists findings; `count(view, levels)` counts them for a batch. A rule is a pure function from a `View` to
`Hits`. Tables: `rules_general` (every level), `rules_settings` (HP, OD, scroll speed, drain) and `rules_levels`.

Source: osu! wiki, Ranking criteria/osu!mania; MapsetVerifier (its source). Not covered, because `Chart` holds no such
thing: hit sounds, kiai, storyboards, key counts other than four ("6 pressed" cannot happen on 4 keys).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chart.model import KEYS, Chart
from reward.core.batch_view import View, view_of
from reward.rules.criteria import Hits, Level, Rule
from reward.rules.general import GENERAL_RULES
from reward.rules.levels import LEVEL_RULES
from reward.rules.settings import SETTING_RULES

MAX_FINDINGS = 10_000
"""Most findings that `check` lists."""


@dataclass(frozen=True)
class Finding:
    """A rule that fires at one place of one chart."""

    rule: str
    severity: str
    start_ms: float  # chart time
    end_ms: float
    columns: tuple[int, ...]
    text: str


def all_rules() -> tuple[Rule, ...]:
    """Every rule, general ones first."""
    return GENERAL_RULES + SETTING_RULES + LEVEL_RULES


def check(chart: Chart, level: Level) -> list[Finding]:
    """Findings of every rule that applies at `level`, in order of time."""
    view = view_of([chart])
    found: list[Finding] = []
    for rule in all_rules():
        if level in rule.levels and len(found) < MAX_FINDINGS:
            found += _findings(rule, rule.find(view), float(view.offset_ms[0]))
    return sorted(found[:MAX_FINDINGS], key=lambda finding: (finding.start_ms, finding.rule))


def _findings(rule: Rule, hits: Hits, offset_ms: float) -> list[Finding]:
    return [
        Finding(
            rule.name,
            rule.severity,
            float(start) - offset_ms,
            float(end) - offset_ms,
            tuple(key for key in range(KEYS) if columns >> key & 1),
            rule.text.format(amount=f"{amount:.3g}" if amount % 1 else f"{amount:.0f}"),
        )
        for start, end, columns, amount in zip(hits.start_ms, hits.end_ms, hits.columns, hits.amount, strict=True)
    ]


@dataclass(frozen=True)
class Counts:
    """Findings per section and chart of a batch."""

    problems: NDArray[np.float64]  # [section]
    warnings: NDArray[np.float64]  # [section]


def count(view: View, levels: Sequence[Level], rules: Sequence[Rule] | None = None) -> Counts:
    """Findings of `rules` (default: every rule) at each chart's level; one counts in the section where it starts."""
    totals = {"problem": np.zeros(view.n_sections), "warning": np.zeros(view.n_sections)}
    for rule in all_rules() if rules is None else rules:
        applies = np.array([level in rule.levels for level in levels], np.bool_)
        if not applies.any():
            continue
        hits = rule.find(view)
        start = hits.start_ms[applies[hits.chart]]
        section = np.searchsorted(view.section_start_ms - 2.0, start, side="right") - 1
        totals[rule.severity] += np.bincount(np.maximum(section, 0), minlength=view.n_sections)
    return Counts(totals["problem"], totals["warning"])
