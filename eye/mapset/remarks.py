"""Findings about a set and the words they are made of."""

from __future__ import annotations

from collections.abc import Sequence

from chart.model import Chart
from eye.critique.types import Finding, Severity, clock
from reward.rules.criteria import Level


def remark(severity: Severity, kind: str, reason: str, suggestion: str, time_ms: float = 0.0) -> Finding:
    """A finding about the set, at a time of the song where it has one."""
    return Finding(time_ms, time_ms, severity, f"set/{kind}", reason, suggestion)


def name_of(chart: Chart) -> str:
    """The difficulty's name in quotation marks."""
    return f"“{chart.metadata.version}”"


def label_of(level: Level) -> str:
    """The level as the game writes it, such as Expert+."""
    return level.name.title().replace("_Plus", "+")


def joined(words: Sequence[str]) -> str:
    """One, two or more words as in “a, b and c”."""
    return " and ".join([part for part in (", ".join(words[:-1]), *words[-1:]) if part])


def minutes(time_ms: float) -> str:
    """A length as m:ss."""
    return clock(time_ms).partition(".")[0]
