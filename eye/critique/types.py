"""Contents of a review, as plain data: findings with places and reasons, sections, curves. No thinking happens here.

Everything is JSON-able by `Review.to_json()`. Times are ms on the audio's clock (the chart's own times).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from agents.rating import Rating  # compiled loops, which a review without players does not need

Severity = Literal["problem", "warning", "note", "praise"]
SEVERITIES: tuple[Severity, ...] = ("problem", "warning", "note", "praise")
"""Worst first. A problem is backed by the ranking criteria's table; a warning by them or by the simulated players; a
note is worth a look; praise is what the chart does well."""

CURVES = ("time_ms", "strain", "density", "accuracy", "readability")
"""Names in `Review.curves`; every array is [sample].

    time_ms      middle of the sample
    strain       osu!'s own strain peak there, ≥ 0
    density      notes a second
    accuracy     share of the score that players of the target level are expected to get there, 0–1; nan = no notes
    readability  0–1, 1 = easily read
"""


def clock(time_ms: float) -> str:
    """m:ss.mmm, as people write a place in a song."""
    total = max(round(time_ms), 0)
    return f"{total // 60_000}:{total // 1000 % 60:02d}.{total % 1000:03d}"


def editor_time(time_ms: float) -> str:
    """mm:ss:mmm, which osu!'s editor takes as a place to jump to."""
    total = max(round(time_ms), 0)
    return f"{total // 60_000:02d}:{total // 1000 % 60:02d}:{total % 1000:03d}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark about one place of the chart."""

    start_ms: float
    end_ms: float  # ≥ start_ms; equal for a single row
    severity: Severity
    kind: str  # a stable name for programs, such as "jack" or "hand-imbalance"
    reason: str  # one or two sentences for the mapper, with numbers
    suggestion: str  # what to change; "" for praise
    columns: tuple[int, ...] = ()  # 0–3, empty = not about columns
    weight: float = 0.0  # how far the place stands out, ≥ 0; findings are sorted by severity of harm with it

    def __post_init__(self) -> None:
        assert self.severity in SEVERITIES, f"unknown severity {self.severity!r}"
        assert self.end_ms >= self.start_ms, "a finding ends before it starts"

    @property
    def place(self) -> str:
        """Start and end as osu!'s editor writes them."""
        return f"{editor_time(self.start_ms)} - {editor_time(self.end_ms)}"


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of music between two boundaries, what it asks for and how the patterns answer."""

    start_ms: float
    end_ms: float
    label: str  # "A", "A′", "B" …: sections of one letter sound alike; a prime is a varied return
    energy: float  # 0–1, loudness over the song (without a song: notes a second over the chart)
    intent: str  # what the music does there
    answer: str  # what the patterns do there


@dataclass(frozen=True)
class Review:
    """A whole review of one difficulty."""

    title: str
    artist: str
    difficulty: str  # the chart's version name
    creator: str
    stars: float  # official
    target: float  # stars it was judged for: as asked, else its own
    level: str  # of the ranking criteria: "Easy" … "Expert+"
    required_skill: float  # level whose players reach 96 %
    notes: int  # notes and holds together
    holds: int
    duration_ms: float  # from the first note to the last
    with_song: bool  # false: judged without the audio
    aimed_at: str = ""  # of our own charts: what the mapper was asked for
    findings: tuple[Finding, ...] = ()  # weightiest first, praise last
    sections: tuple[Section, ...] = ()  # in order of time, without gaps
    curves: dict[str, NDArray[np.float64]] = field(default_factory=dict)  # see CURVES
    accuracy_by_skill: tuple[tuple[float, float], ...] = ()  # (level, expected accuracy 0–1), rising
    ratings: dict[str, Rating] = field(default_factory=dict)  # required levels with their SD, overall and by skill

    def to_json(self) -> dict[str, Any]:
        """Plain lists, strings and numbers; values that are no number (nan) become None."""
        plain = asdict(self)
        plain["curves"] = {name: [_number(float(value)) for value in row] for name, row in self.curves.items()}
        for written, finding in zip(plain["findings"], self.findings, strict=True):
            written["place"] = finding.place
        plain["accuracy_by_skill"] = [list(pair) for pair in self.accuracy_by_skill]
        return plain


def _number(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
