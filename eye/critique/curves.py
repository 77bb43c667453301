"""A chart along its timeline: strain, notes a second, expected accuracy, readability; and accuracy by skill."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents import AccuracyCurve
from chart.analysis.star_rating import Strains
from eye.critique.row_measures import SNAP_NEAR, SNAP_OFF, Measures, notes_around
from reward.band_table import SECTION_BANDS
from reward.chart_metrics import ChartMetrics
from reward.core.bands import STAR_KNOTS
from reward.terms.readability import READ_MS
from runtime.errors import Mania4KError

STEP_MS = 1_000.0
MAX_SAMPLES = 2_400
"""Samples of a curve: a second each for 40 minutes, longer ones for longer charts."""
REACH_MS = 1_500.0
"""Notes this near to a sample count for it: about a bar in all."""
HOLD_POINTS = 4.0
"""Points of hold trouble in a row (`eye.critique.row_measures`) that are as bad as twice the rows one reads at the level."""
UNSNAPPED_COST = 1.0
LOWEST_LEVEL, HIGHEST_LEVEL = 1.0, 10.0


def curves_of(metrics: ChartMetrics, measures: Measures, target: float) -> dict[str, NDArray[np.float64]]:
    """The series of `findings.CURVES`, from the first note to the last."""
    chart = metrics.chart
    if not len(chart):
        return {name: np.zeros(0) for name in ("time_ms", "strain", "density", "accuracy", "readability")}
    first, last = float(chart.time_ms[0]), chart.last_ms
    step = max(STEP_MS, (last - first) / MAX_SAMPLES)
    time = np.arange(first, last + step / 2, step)
    note_ms = measures.view.note_ms - measures.view.offset_ms[0]
    return {
        "time_ms": time,
        "strain": _strain(metrics.strains, time),
        "density": notes_around(note_ms, time, REACH_MS),
        "accuracy": 1.0 - _mean_near(note_ms, measures.loss, time),
        "readability": 1.0 / (1.0 + np.nan_to_num(_mean_near(measures.row_ms, reading_cost(measures, target), time))),
    }


def _strain(strains: Strains, time: NDArray) -> NDArray[np.float64]:
    if not strains.peak.size:
        return np.zeros(time.size)
    return np.interp(time, strains.start_ms + strains.section_ms / 2, strains.peak)


def _mean_near(at_ms: NDArray, values: NDArray, time: NDArray) -> NDArray[np.float64]:
    """[sample] mean of the values within `REACH_MS`; nan where there is none."""
    total = np.append(0.0, np.cumsum(np.nan_to_num(values)))
    first, last = np.searchsorted(at_ms, time - REACH_MS), np.searchsorted(at_ms, time + REACH_MS)
    mean = np.full(time.size, np.nan)
    np.divide(total[last] - total[first], last - first, out=mean, where=last > first)
    return mean


def reading_cost(measures: Measures, target: float) -> NDArray[np.float64]:
    """[row] 0 = easily read: rows in sight beyond what people chart for the level, hold trouble, rows off the grid."""
    row_ms = measures.row_ms
    ahead = np.searchsorted(row_ms, row_ms + READ_MS) - np.arange(row_ms.size)
    usual = float(np.interp(target, STAR_KNOTS, SECTION_BANDS["readability/density"].high))
    off = np.isin(measures.classes["snap"], (SNAP_OFF, SNAP_NEAR))
    return (
        np.maximum(ahead / max(usual, 1.0) - 1.0, 0.0) + measures.classes["holds"] / HOLD_POINTS + UNSNAPPED_COST * off
    )


def skill_curve(metrics: ChartMetrics, seed: int = 0) -> AccuracyCurve | None:
    """Expected accuracy by level; None for a chart that is empty or cannot be played."""
    if not len(metrics.chart):
        return None
    try:
        return metrics.accuracy_curve(seed)
    except Mania4KError:
        return None


def by_skill(curve: AccuracyCurve | None) -> tuple[tuple[float, float], ...]:
    """(level, accuracy) at every half level that players have."""
    if curve is None:
        return ()
    rungs = (curve.level >= LOWEST_LEVEL) & (curve.level <= HIGHEST_LEVEL) & (curve.level * 2 % 1 == 0)
    return tuple(zip(curve.level[rungs].tolist(), curve.accuracy[rungs].tolist(), strict=True))
