"""Each way in which a chart can be broken is found, and nothing else is."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from chart.formats.osu_read import format_osu
from chart.model import Chart, Difficulty, Metadata, TimingPoint
from chart.problems import REFUSED_KINDS, Problem, find_problems
from runtime.errors import ChartFileError
from tests.builders import ChartBuilder, charts

RED = TimingPoint(0, 500)


def raw(times: list[float], columns: list[int], ends: list[float] | None = None) -> Chart:
    """A chart of arrays as they are, unsorted if they are."""
    end = np.full(len(times), np.nan) if ends is None else np.array(ends)
    return Chart(np.array(times, dtype=float), np.array(columns, dtype=np.int8), end, (RED,))


def having(**fields: object) -> Chart:
    return ChartBuilder().note(0).having(**fields).build()


def timed(*points: TimingPoint) -> Chart:
    return replace(raw([0], [0]), timing_points=points)


BROKEN = [
    (raw([math.nan], [0]), "not_finite", "note at nan ms"),
    (raw([math.inf], [0]), "not_finite", "note at inf ms"),
    (raw([0], [0], [math.inf]), "not_finite", "hold at 0.0 ms ends at inf ms"),
    (raw([-1e6], [0]), "time_range", "outside the longest song"),
    (raw([1e8], [0]), "time_range", "outside the longest song"),
    (raw([0], [0], [1e8]), "time_range", "outside the longest song"),
    (raw([5], [4]), "column", "in column 4, not 0–3"),
    (raw([5], [-1]), "column", "in column -1, not 0–3"),
    (raw([9, 5], [0, 0]), "unsorted", "note at 5 ms in column 0 comes after a later one"),
    (raw([5, 5], [1, 0]), "unsorted", "note at 5 ms in column 0 comes after a later one"),
    (raw([5], [0], [5]), "hold_order", "hold ends at 5 ms, not after its start at 5 ms"),
    (raw([5, 5], [0, 0]), "duplicate", "second note at 5 ms in column 0"),
    (raw([0, 5], [0, 0], [9, math.nan]), "overlap", "note at 5 ms in column 0 starts before a hold there has ended"),
    (raw([0, 9], [0, 0], [9, math.nan]), "overlap", "note at 9 ms"),
    (raw([0, 5, 8], [0, 1, 0], [9, math.nan, math.nan]), "overlap", "note at 8 ms in column 0"),
    (timed(), "no_red_line", "tempo is unknown"),
    (timed(RED, TimingPoint(math.nan, 500)), "not_finite", "timing point at nan ms"),
    (timed(RED, TimingPoint(0, math.nan, uninherited=False)), "not_finite", "beat length nan"),
    (timed(TimingPoint(-1e6, 500)), "time_range", "timing point at -1e\\+06 ms"),
    (timed(TimingPoint(9, 500), RED), "timing_unsorted", "timing point at 0 ms comes after one at 9 ms"),
    (timed(TimingPoint(0, 0)), "beat_length", "beat length 0 ms gives no usable BPM"),
    (timed(TimingPoint(0, -400)), "beat_length", "beat length -400 ms gives no usable BPM"),
    (timed(TimingPoint(0, 500, meter=0)), "meter", "0 beats a bar"),
    (timed(RED, TimingPoint(0, 100, uninherited=False)), "scroll_speed", "green line at 0 ms has beat length 100"),
    (having(breaks=((9.0, 5.0),)), "break", "break ends at 5 ms, not after its start at 9 ms"),
    (having(breaks=((math.nan, 5.0),)), "not_finite", "break from nan to 5.0 ms"),
    (having(breaks=((0.0, 1e12),)), "time_range", "break from 0 to 1e\\+12 ms"),
    (having(difficulty=Difficulty(hp=11)), "difficulty", "HP is 11, not 0–10"),
    (having(difficulty=Difficulty(od=math.nan)), "not_finite", "OD is nan"),
    (having(audio_filename=""), "no_audio", "no audio file is named"),
    (having(metadata=Metadata(title="a\nb")), "text", "title contains a line break"),
    (having(metadata=Metadata(tags=("a\rb",))), "text", "tags contains a line break"),
    (having(metadata=Metadata(artist="\ud800")), "text", "artist contains a line break or a lone surrogate"),
    (having(background='a"b.jpg'), "text", "background contains a quote"),
    (having(metadata=Metadata(version=" Hard")), "untidy_text", "version has white space around it"),
    (having(metadata=Metadata(tags=("two words",))), "untidy_text", "a tag is empty or contains a space"),
]


@pytest.mark.parametrize(("chart", "kind", "message"), BROKEN)
def test_a_broken_invariant_is_found_alone(chart: Chart, kind: str, message: str) -> None:
    [problem] = find_problems(chart)

    assert problem.kind == kind
    with pytest.raises(ValueError, match=message):
        raise ValueError(problem.message)


@pytest.mark.parametrize(("chart", "kind"), [(chart, kind) for chart, kind, _ in BROKEN])
def test_only_what_no_file_can_hold_is_refused_by_the_writer(chart: Chart, kind: str) -> None:
    if kind not in REFUSED_KINDS:
        assert format_osu(chart)
        return
    with pytest.raises(ChartFileError, match="not a valid chart"):
        format_osu(chart)


def test_every_kind_that_is_refused_has_a_case_above() -> None:
    assert {kind for _, kind, _ in BROKEN} >= REFUSED_KINDS


def test_a_problem_says_where() -> None:
    assert find_problems(raw([5, 7, 7], [0, 3, 3])) == [Problem("duplicate", "second note at 7 ms in column 3", 7.0, 3)]


def test_a_long_hold_overlaps_every_note_until_its_end() -> None:
    chart = raw([0, 10, 50, 101], [0, 0, 0, 0], [100, 20, math.nan, math.nan])

    assert [(problem.kind, problem.time_ms) for problem in find_problems(chart)] == [("overlap", 10), ("overlap", 50)]


def test_a_hold_ending_one_ms_before_the_next_note_is_fine() -> None:
    assert find_problems(ChartBuilder().hold(0, until=99).note(100).note(50, 1).build()) == []


@given(charts())
def test_mirrored_and_shifted_charts_stay_valid(chart: Chart) -> None:
    assert find_problems(chart.mirrored()) == []
    assert find_problems(chart.shifted(-20.25)) == []
    assert chart.mirrored().mirrored() == chart
