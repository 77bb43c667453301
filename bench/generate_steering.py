"""Agreement of generated charts with requests besides stars: hold share, pattern mix, a single section."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chart.formats.osz import read_osz
from chart.model import Chart
from chart.problems import find_problems
from mapper.generate import run
from mapper.network.model import Mapper
from mapper.output.report import DifficultyReport
from mapper.request.options import GenerateConfig
from reward.rules.check import check
from reward.rules.criteria import level_of

STEERED_STARS = 3.5
HOLDS = (0.05, 0.2, 0.4)
PATTERNS = {
    "stream": (0.05, 0.3),
    "jumpstream": (0.15, 0.6),
    "handstream": (0.0, 0.3),
    "jack": (0.05, 0.3),
    "chordjack": (0.0, 0.2),
    "trill": (0.03, 0.25),
}
"""Low and high share of rows requested of each family: about the 10th and 90th percentile of people's charts."""
SECTION_S, SECTION_LENGTH_S = 20.0, 10.0
JOIN_MS = 1500.0
"""Findings this close to an end of the section count as the join's."""


def measure_steering(songs: Sequence[Path], folder: Path, model: Mapper) -> dict[str, object]:
    """Error of the hold share, and correlation of the measured with the requested pattern mix, over songs."""
    errors: list[float] = []
    requested, got = [], []
    for song in songs:
        errors += [abs(_difficulty(song, folder, model, holds=share).holds - share) for share in HOLDS]
        for family, levels in PATTERNS.items():
            for share in levels:
                made = _difficulty(song, folder, model, patterns={family: share})
                requested.append((family, share))
                got.append(made.patterns[family])
                print(f"{song.parent.name} {family} {share:.2f} → {made.patterns[family]:.2f}", flush=True)
    if not songs:
        return {}
    by_family = {
        family: round(_correlation([(a[1], b) for a, b in zip(requested, got, strict=True) if a[0] == family]), 3)
        for family in PATTERNS
    }
    return {
        "hold_share_error_mean": round(float(np.mean(errors)), 4),
        "hold_share_error_max": round(float(np.max(errors)), 4),
        "pattern_correlation": round(_correlation([(a[1], b) for a, b in zip(requested, got, strict=True)]), 3),
        "pattern_correlation_by_family": by_family,
        "pattern_error_mean": round(float(np.mean([abs(a[1] - b) for a, b in zip(requested, got, strict=True)])), 4),
    }


def _correlation(pairs: list[tuple[float, float]]) -> float:
    return float(np.corrcoef(np.array(pairs).T)[0, 1])


def _difficulty(song: Path, folder: Path, model: Mapper, **options: object) -> DifficultyReport:
    config = GenerateConfig(song, folder / "steered.osz", stars=(STEERED_STARS,), **options)  # type: ignore[arg-type]
    report = run(config, model=model).report
    assert report is not None, "run always reports"
    return report.difficulties[0]


def measure_sections(songs: Sequence[Path], folder: Path, model: Mapper) -> dict[str, object]:
    """Notes changed outside a regenerated section, and findings at its joins."""
    if not songs:
        return {}
    same, changed, joins_before, joins_after, faults = 0, 0, 0, 0, 0
    start_ms, end_ms = 1000 * SECTION_S, 1000 * (SECTION_S + SECTION_LENGTH_S)
    for song in songs:
        first, again = folder / "first.osz", folder / "again.osz"
        run(GenerateConfig(song, first, stars=(2.5, 4.0)), model=model)
        run(GenerateConfig(None, again, from_map=first, section=(start_ms, end_ms), seed=1), model=model)
        for old, new in zip(read_osz(first).charts, read_osz(again).charts, strict=True):
            outside = [_notes_outside(chart, start_ms, end_ms) for chart in (old, new)]
            same += outside[0] == outside[1]
            changed += not np.array_equal(old.time_ms, new.time_ms) or not np.array_equal(old.column, new.column)
            joins_before += _join_findings(old, start_ms, end_ms)
            joins_after += _join_findings(new, start_ms, end_ms)
            faults += len(find_problems(new))
    charts = 2 * len(songs)
    return {
        "sections_rest_identical": round(same / charts, 4),
        "sections_changed": round(changed / charts, 4),
        "section_join_findings_before_after": [joins_before, joins_after],
        "section_faults": faults,
    }


def _notes_outside(chart: Chart, start_ms: float, end_ms: float) -> list[tuple[float, int, float]]:
    kept = (chart.time_ms < start_ms) | (chart.time_ms >= end_ms)
    end = np.where(chart.is_hold, chart.end_ms, -1.0)
    return list(zip(chart.time_ms[kept].tolist(), chart.column[kept].tolist(), end[kept].tolist(), strict=True))


def _join_findings(chart: Chart, start_ms: float, end_ms: float) -> int:
    found = check(chart, level_of(4.0 if chart.metadata.version.endswith(("Hard", "Insane")) else 2.5))
    return sum(min(abs(one.start_ms - start_ms), abs(one.start_ms - end_ms)) <= JOIN_MS for one in found)
