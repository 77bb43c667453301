"""Snaps, rows and pattern names on hand-made charts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chart.analysis.patterns import find_patterns, pattern_shares
from chart.analysis.rows import rows_of
from chart.analysis.snap import beats_at, snap_chart
from chart.model import Chart, TimingPoint

BEAT_MS = 60_000 / 180
POINTS = (TimingPoint(1000.0, BEAT_MS),)


def masks_chart(masks: list[int], step: float = 0.25) -> Chart:
    """Rows given as bit masks (bit c = column c), one every `step` beats, in whole milliseconds."""
    time, column = [], []
    for index, mask in enumerate(masks):
        for key in range(4):
            if mask >> key & 1:
                time.append(float(round(1000 + index * step * BEAT_MS)))
                column.append(key)
    return Chart.from_notes(time, column, timing_points=POINTS)


def names(chart: Chart) -> set[str]:
    return {pattern.name for pattern in find_patterns(chart)}


@pytest.mark.parametrize(
    ("masks", "name"),
    [
        ([0b0011], "jump"),
        ([0b0111], "hand"),
        ([0b1111], "quad"),
        ([1, 2, 8, 4, 1], "stream"),
        ([3, 4, 1, 10, 1], "jumpstream"),
        ([7, 8, 3, 4, 1], "handstream"),
        ([1, 2, 4, 8], "roll"),
        ([8, 4, 2, 1, 8], "roll"),
        ([1, 4, 2, 8], "split roll"),
        ([1, 4, 1], "trill"),
        ([3, 12, 3], "jumptrill"),
        ([5, 10, 5], "split-jumptrill"),
        ([9, 6, 9], "split-jumptrill"),
        ([1, 1], "minijack"),
        ([1, 1, 1], "jack"),
        ([1, 1, 1, 1, 1], "longjack"),
        ([3, 6, 12], "chordjack"),
        ([1, 2, 1, 4, 1], "anchor"),
    ],
)
def test_a_pattern_is_recognised_and_its_shorter_form_is_not(masks: list[int], name: str) -> None:
    assert name in names(masks_chart(masks))
    if len(masks) > 1:
        assert name not in names(masks_chart(masks[:-1] if name != "roll" else masks[:3]))


def test_patterns_slower_than_half_beats_have_no_name() -> None:
    assert names(masks_chart([1, 2, 4, 8, 1, 1, 4, 1], step=0.75)) == set()


def test_a_stream_needs_equal_intervals() -> None:
    time = 1000 + np.round(np.array([0, 0.25, 0.75, 1.0, 1.5]) * BEAT_MS)
    assert "stream" not in names(Chart.from_notes(time, [0, 1, 2, 3, 0], timing_points=POINTS))


def test_a_stream_that_changes_speed_is_two_streams_sharing_a_row() -> None:
    beats = np.concatenate([np.arange(5) * 0.5, 2 + np.arange(1, 6) * 0.25])
    chart = Chart.from_notes(1000 + np.round(beats * BEAT_MS), np.arange(10) % 4, timing_points=POINTS)
    spans = [(p.start_ms, p.end_ms) for p in find_patterns(chart) if p.name == "stream"]
    assert spans == [(1000.0, 1667.0), (1667.0, 2083.0)]


def test_patterns_say_where_and_with_which_columns() -> None:
    pattern = next(p for p in find_patterns(masks_chart([8, 1, 4, 1])) if p.name == "trill")
    assert (pattern.start_ms, pattern.end_ms, pattern.columns) == (1083.0, 1250.0, 0b0101)


def test_shields_and_inverse_are_found_on_holds() -> None:
    shield = Chart.from_notes([1000, 1083], [0, 0], [np.nan, 1500], timing_points=POINTS)
    assert names(shield) == {"shield", "minijack"}
    reverse = Chart.from_notes([1000, 1583], [0, 0], [1500, np.nan], timing_points=POINTS)
    assert "reverse shield" in names(reverse)
    late = Chart.from_notes([1000, 1700], [0, 0], [1500, np.nan], timing_points=POINTS)
    assert "reverse shield" not in names(late)
    start = 1000 + np.round(np.repeat(np.arange(4), 4) * BEAT_MS)
    inverse = Chart.from_notes(start, np.tile(np.arange(4), 4), start + 260, timing_points=POINTS)
    assert "inverse" in names(inverse)


def test_a_grace_stands_alone() -> None:
    assert "grace" in names(masks_chart([1, 2, 4], step=1 / 8))
    assert "grace" not in names(masks_chart([1, 2, 4, 8, 1], step=1 / 8))


def test_shares_count_rows_and_an_empty_chart_has_none() -> None:
    assert pattern_shares(masks_chart([1, 2, 4, 8]))["roll"] == 1.0
    assert pattern_shares(masks_chart([3, 4, 8, 1]))["jump"] == 0.25
    assert set(pattern_shares(Chart.from_notes([], [])).values()) == {0.0}
    assert find_patterns(Chart.from_notes([], [])) == []


@given(st.lists(st.integers(1, 15), min_size=1, max_size=40))
def test_mirroring_keeps_the_names(masks: list[int]) -> None:
    chart = masks_chart(masks)
    mirrored = chart.mirrored()
    assert [p.name for p in find_patterns(chart)] == [p.name for p in find_patterns(mirrored)]


def test_rows_know_what_is_held() -> None:
    chart = Chart.from_notes([0, 250, 500, 501], [0, 1, 2, 3], [500, np.nan, np.nan, np.nan])
    rows = rows_of(chart)
    assert rows.mask.tolist() == [1, 2, 12]
    assert rows.held.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("beats", "divisor"),
    [
        (3, 1),
        (3.5, 2),
        (1 / 3, 3),
        (0.25, 4),
        (5 / 6, 6),
        (3 / 8, 8),
        (5 / 12, 12),
        (3 / 16, 16),
        (2 / 5, 5),
        (0.53, 0),
    ],
)
def test_the_coarsest_fitting_divisor_wins(beats: float, divisor: int) -> None:
    chart = Chart.from_notes([round(1000 + beats * 600.0)], [0], timing_points=(TimingPoint(1000.0, 600.0),))
    assert snap_chart(chart).divisor.tolist() == [divisor]


def test_snaps_follow_each_red_line_and_reach_before_the_first() -> None:
    points = (TimingPoint(1000.0, 500.0), TimingPoint(3100.0, 300.0))
    chart = Chart.from_notes([500.0, 1250.0, 3100.0, 3250.0], [0, 1, 2, 3], timing_points=points)
    snaps = snap_chart(chart)
    assert snaps.divisor.tolist() == [1, 2, 1, 2]
    assert beats_at(chart.time_ms, points).beat == pytest.approx([-1.0, 0.5, 4.2, 4.7])


def test_a_chart_without_red_lines_is_read_at_120_bpm() -> None:
    assert snap_chart(Chart.from_notes([1000.0, 1250.0], [0, 1])).divisor.tolist() == [1, 2]
