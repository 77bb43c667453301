"""The scene of a picture: a span of a chart with its patterns, strain and findings, and the colours to draw it in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ConfigError

if TYPE_CHECKING:
    from chart.model import Chart
    from eye.critique.types import Finding

COLOURS = {
    "jack": "#e5484d",
    "chordjack": "#f76b8a",
    "trill": "#b57edc",
    "roll": "#3fb6a8",
    "handstream": "#2f6fdf",
    "jumpstream": "#4a9df0",
    "stream": "#7cc4fa",
    "minijack": "#f5a05a",
    "chord": "#f2d04b",
    "single": "#c9ced6",
}
"""Pattern family (eye.critique.pattern_rows) → colour, on the dark background."""
BACKGROUND, LANE, BAR, BEAT, INK, FAINT, STRAIN = (
    "#15181d",
    "#1d2127",
    "#4a515c",
    "#2a2f37",
    "#e6e9ee",
    "#8b94a1",
    "#c2553f",
)
MARKS = {"problem": "#ff5a5f", "warning": "#ffb454", "note": "#6cb6ff"}
TAIL_MS = 250.0
"""Time shown after the last note, so that it is seen."""
MAX_MARKED = 12


@dataclass(frozen=True)
class Scene:
    """A span of a chart to be drawn."""

    chart: Chart
    start_ms: float
    end_ms: float
    family: NDArray[np.int64]  # [note], pattern of its row, index into pattern_rows.NAMES
    strain_ms: NDArray[np.float64]  # [sample]
    strain: NDArray[np.float64]  # [sample], 0–1
    findings: tuple[Finding, ...] = ()


def scene_of(
    chart: Chart, start_ms: float | None = None, end_ms: float | None = None, findings: tuple[Finding, ...] = ()
) -> Scene:
    """The whole chart, or what lies between two times."""
    from chart.analysis.rows import row_starts, rows_of
    from chart.analysis.star_rating import strain_curve
    from eye.critique.pattern_rows import families_of

    if not len(chart):
        raise ConfigError("the chart has no notes: there is nothing to draw")
    start = float(chart.time_ms[0]) if start_ms is None else start_ms
    end = chart.last_ms + TAIL_MS if end_ms is None else end_ms
    if not start < end:
        raise ConfigError(f"the picture would end at {end:g} ms, not after its start at {start:g} ms")
    row = np.cumsum(row_starts(chart.time_ms)) - 1
    strains = strain_curve(chart)
    peak = strains.peak / max(float(strains.peak.max(initial=0.0)), 1e-9)
    placed = tuple(one for one in findings if one.severity in MARKS and one.end_ms - one.start_ms < (end - start) / 2)
    return Scene(
        chart,
        start,
        end,
        families_of(rows_of(chart))[row],
        strains.start_ms + strains.section_ms / 2,
        peak,
        placed[:MAX_MARKED],
    )


def clock_text(time_ms: float) -> str:
    """A time as minutes and seconds, m:ss."""
    from eye.critique.types import clock

    return clock(time_ms)[:-4]
