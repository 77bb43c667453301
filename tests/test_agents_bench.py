"""The benchmark's harness, with a fake clock and a leak that is known."""

from __future__ import annotations

import numpy as np

from bench.agents import bench_chart, memory_growth, timed
from bench.player_levels import table_of
from chart.problems import find_problems


def test_timed_warms_up_once_and_sorts() -> None:
    ticks = iter([0.0, 5.0, 5.0, 6.0, 6.0, 9.0])
    runs: list[int] = []
    assert timed(lambda: runs.append(1), 3, lambda: next(ticks)) == [1.0, 3.0, 5.0]
    assert len(runs) == 4


def test_memory_growth_sees_a_leak() -> None:
    kept: list[bytearray] = []
    assert memory_growth(lambda: kept.append(bytearray(1000)), 100) > 90_000
    assert memory_growth(lambda: bytearray(1000), 100) < 5_000


def test_the_bench_chart_is_valid() -> None:
    chart = bench_chart(300)
    assert len(chart) == 300
    assert find_problems(chart) == []
    assert 0.05 < chart.is_hold.mean() < 0.3


def test_levels_are_set_against_stars_by_band() -> None:
    table = table_of(np.array([1.2, 1.7, 3.1]), np.array([-1.0, 0.0, 0.5]))
    assert list(table) == ["all", "1-2", "3-4"]
    assert table["all"]["charts"] == 3
    assert table["1-2"] == {"charts": 2, "p5": -0.95, "p25": -0.75, "p50": -0.5, "p75": -0.25, "p95": -0.05}
    assert table["3-4"]["p50"] == 0.5
