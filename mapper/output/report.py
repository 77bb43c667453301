"""The report of a set: requested and achieved values of every difficulty, as a table and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from agents.difficulty_curve import TARGET
from agents.rating import Rating
from chart.analysis.pattern_mix import FAMILIES
from chart.model import Chart
from mapper.search.closed_loop import SearchResult
from mapper.search.unmet import unmet_constraints
from reward.chart_metrics import ChartMetrics
from runtime.atomic_write import save_bytes
from runtime.text import json_text

PEAK_WINDOW_MS = 2000.0


@dataclass(frozen=True)
class DifficultyReport:
    """One difficulty: requested values, achieved values, findings and unmet constraints."""

    name: str
    level: str
    asked_stars: float
    stars: float
    notes: int
    holds: float  # ratio of the notes
    notes_per_s: float
    peak_notes_per_s: float  # in the densest two seconds
    patterns: dict[str, float]  # family → ratio of rows
    player_level: float  # skill level whose players reach 96 %
    ratings: dict[str, Rating]  # the same with its SD, overall and by skill (`agents.rating`)
    accuracy: dict[str, float]  # player level → expected accuracy
    findings: dict[str, int]  # rule → number of findings, at the requested level
    problems: int  # findings that must be fixed
    takes: int  # candidates written for it
    missed: tuple[str, ...]  # unmet constraints; empty when all are met
    section: str = ""  # which part of it was written anew, where only a part was


@dataclass(frozen=True)
class SetReport:
    """Report of a whole set."""

    song: str
    bpm: float
    timing_confidence: float  # 0–1
    difficulties: tuple[DifficultyReport, ...]
    seconds: float  # it took
    runs_on: str = ""  # back end and device of the network
    notice: str = ""  # why it does not run where it was asked to; empty when it does
    audio_notice: str = ""  # what of the song could not be read; empty where all of it was
    timing_doubt: str = ""  # why the timing should be checked; empty where it is sure

    @property
    def met(self) -> bool:
        """Whether every requested property is met."""
        return not any(one.missed for one in self.difficulties)

    def as_json(self) -> str:
        """Everything, for other programs."""
        return json_text({"met": self.met, **asdict(self)}, indent=2) + "\n"

    def save(self, path: Path) -> None:
        """Write the JSON, all or nothing."""
        save_bytes(path, self.as_json().encode("utf-8"))


def report_difficulty(chart: Chart, metrics: ChartMetrics, written: SearchResult, tolerance: float) -> DifficultyReport:
    """Report a finished chart with its measures against what was requested of it."""
    found, curve = metrics.findings(written.target.level), metrics.accuracy_curve()
    span_s = max(chart.last_ms - chart.time_ms[0], 1000) / 1000
    return DifficultyReport(
        name=chart.metadata.version,
        level=written.target.level.name.lower(),
        asked_stars=written.target.stars,
        stars=round(written.stars, 4),
        notes=len(chart),
        holds=round(metrics.hold_ratio, 4),
        notes_per_s=round(float(len(chart) / span_s), 2),
        peak_notes_per_s=peak_density(chart),
        patterns={name: round(float(share), 3) for name, share in zip(FAMILIES, metrics.pattern_mix, strict=True)},
        player_level=round(curve.level_for(TARGET), 2),
        ratings=metrics.ratings(),
        accuracy={f"{rung:g}": round(float(np.interp(rung, curve.level, curve.accuracy)), 4) for rung in range(1, 11)},
        findings=dict(Counter(one.rule for one in found).most_common()),
        problems=sum(one.severity == "problem" for one in found),
        takes=written.takes,
        missed=tuple(unmet_constraints(written.target, metrics, written, tolerance)),
        section=written.section,
    )


def peak_density(chart: Chart) -> float:
    """Notes a second in the densest two seconds."""
    until = np.searchsorted(chart.time_ms, chart.time_ms + PEAK_WINDOW_MS)
    return float((until - np.arange(len(chart))).max() / (PEAK_WINDOW_MS / 1000))


def warnings_of(report: SetReport) -> Sequence[str]:
    """Warnings for the user, one line each."""
    lines = [line for line in (report.audio_notice, report.notice) if line]
    if report.timing_doubt:
        lines.append(
            f"{report.timing_doubt}: check the timing by ear before playing, or give --bpm, --offset or --tempo"
        )
    for one in report.difficulties:
        lines += [f"{one.name}: {text}; the nearest that this song and effort gave" for text in one.missed]
    return lines
