"""Rules about settings: HP and OD, scroll speed, and whether the set needs an easier difficulty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chart.model import Chart
from reward.core.batch_view import View
from reward.rules.criteria import Hits, Level, Rule, hits_of_charts

SPEED_SLACK = 0.02
"""Share by which rounding in a file may change the scroll speed."""
LONG_TERM_MEASURES = 4  # osu! wiki: a slider velocity change lasting more than four measures is long-term
MIN_SPEED, MAX_SPEED = 0.01, 10.0  # osu!'s own limits on a green line's multiplier

SETTING_CAPS = {Level.EASY: 7.0, Level.NORMAL: 7.5, Level.HARD: 8.0}
SPEED_RANGES = {
    Level.NORMAL: (0.90, 1.05),
    Level.HARD: (0.80, 1.10),
    Level.INSANE: (0.70, 1.10),
    Level.EXPERT: (0.60, 1.10),
}


@dataclass(frozen=True)
class Speeds:
    """Scroll speed over time, 1 = the speed of most of the chart."""

    start_ms: NDArray[np.float64]  # [span]
    end_ms: NDArray[np.float64]  # [span]
    beat_ms: NDArray[np.float64]  # [span]
    meter: NDArray[np.float64]  # [span]
    speed: NDArray[np.float64]  # [span]


def scroll_speeds(chart: Chart) -> Speeds:
    """Spans of one speed: tempo times green-line multiplier, over the chart's most used tempo (as the game scrolls)."""
    points = sorted(chart.timing_points, key=lambda point: (point.time_ms, not point.uninherited))
    points = points[[point.uninherited for point in points].index(True) :] if chart.red_lines else []
    if not points:
        return Speeds(*(np.zeros(0) for _ in range(5)))
    time = np.array([point.time_ms for point in points])
    red = np.array([point.uninherited for point in points])
    ruling = np.maximum.accumulate(np.where(red, np.arange(red.size), 0))
    length = np.array([point.beat_length_ms for point in points])
    beat = length[ruling]
    green = np.clip(-100.0 / np.where(red, -100.0, np.minimum(length, -1e-3)), MIN_SPEED, MAX_SPEED)
    end = np.append(time[1:], max(chart.last_ms, time[-1]))
    lasts = np.maximum(end - time, 0.0)
    tempos, which = np.unique(beat, return_inverse=True)
    most_used = tempos[np.argmax(np.bincount(which, lasts))]
    keep = lasts > 0
    meter = np.array([float(max(points[index].meter, 1)) for index in ruling])
    return Speeds(time[keep], end[keep], beat[keep], meter[keep], (most_used / beat * green)[keep])


def _setting_cap(level: Level) -> Callable[[View], Hits]:
    def find(view: View) -> Hits:
        worst = np.array([max(chart.difficulty.hp, chart.difficulty.od) for chart in view.charts])
        return hits_of_charts(view, worst > SETTING_CAPS[level], np.full(worst.size, 15), worst)

    return find


def _speed_hits(view: View, wanted: Callable[[Speeds], NDArray[np.bool_]]) -> Hits:
    parts = []
    for index, chart in enumerate(view.charts):
        if len(chart.timing_points) < 2:
            continue
        speeds = scroll_speeds(chart)
        at = np.flatnonzero(wanted(speeds))
        start, end = speeds.start_ms[at] + view.offset_ms[index], speeds.end_ms[at] + view.offset_ms[index]
        parts.append(Hits(np.full(at.size, index), start, end, np.full(at.size, 15), speeds.speed[at]))
    if not parts:
        return Hits(np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros(0, np.int64), np.zeros(0))
    names = ("chart", "start_ms", "end_ms", "columns", "amount")
    return Hits(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _changed_speed(view: View) -> Hits:
    return _speed_hits(view, lambda speeds: np.abs(speeds.speed - 1) > SPEED_SLACK)


def _long_term_speed(level: Level) -> Callable[[View], Hits]:
    low, high = SPEED_RANGES[level]

    def wanted(speeds: Speeds) -> NDArray[np.bool_]:
        measures = (speeds.end_ms - speeds.start_ms) / (speeds.beat_ms * speeds.meter)
        outside = (speeds.speed < low * (1 - SPEED_SLACK)) | (speeds.speed > high * (1 + SPEED_SLACK))
        return (measures > LONG_TERM_MEASURES * (1 + SPEED_SLACK)) & outside

    return lambda view: _speed_hits(view, wanted)


_NAMES = {level: level.name.title() for level in Level}
SETTING_RULES = (
    *(
        Rule(
            f"hp-od-{level.name.lower()}",
            "warning",
            frozenset({level}),
            f"HP or OD is {{amount}}; {_NAMES[level]} allows {cap:g}",
            _setting_cap(level),
        )
        for level, cap in SETTING_CAPS.items()
    ),
    Rule(
        "scroll-speed-easy",
        "problem",
        frozenset({Level.EASY}),
        "scroll speed × {amount}; Easy keeps one speed (normalise tempo changes with green lines)",
        _changed_speed,
    ),
    *(
        Rule(
            f"scroll-speed-{level.name.lower()}",
            "warning",
            frozenset({level}),
            f"scroll speed × {{amount}} for over four measures; {_NAMES[level]} allows {low:g}–{high:g}",
            _long_term_speed(level),
        )
        for level, (low, high) in SPEED_RANGES.items()
    ),
)
