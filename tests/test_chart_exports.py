"""Charts written for StepMania, Etterna and Quaver: the notes, holds and tempos that are read back are those of the chart."""

import logging
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from chart.analysis.star_rating import stars
from chart.formats.quaver import format_quaver, parse_quaver
from chart.formats.stepmania import format_ssc, parse_stepmania
from chart.formats.stepmania.grid import TUNED_MS, grid_of
from chart.model import Chart, Metadata, TimingPoint
from runtime.errors import ChartFileError
from tests.builders import ChartBuilder, charts


def back_from_ssc(chart: Chart) -> Chart:
    [found] = parse_stepmania(format_ssc([chart]), "a.ssc")
    return found


def snapped() -> ChartBuilder:
    """Jumps, holds and triplets at 150 BPM, beats of 400 ms, from 1,000 ms."""
    builder = ChartBuilder().bpm(150, 1000).stream(1000, 100, "0123210").stream(1800, 400 / 3, "012").chord(2600, 0, 3)
    return builder.hold(3000, until=3400, column=1).hold(3400, until=3750, column=2)


def test_snapped_notes_keep_their_time_in_ssc() -> None:
    chart = snapped().build()
    found = back_from_ssc(chart)
    assert np.array_equal(found.column, chart.column)
    assert np.abs(found.time_ms - chart.time_ms).max() < 0.01
    assert np.nanmax(np.abs(found.end_ms - chart.end_ms)) < 0.01
    assert [(point.time_ms, round(point.bpm, 3)) for point in found.red_lines] == [(1000, 150)]


def test_notes_before_the_first_red_line_have_beats_of_its_tempo() -> None:
    chart = ChartBuilder().bpm(120, 5000).note(1000, 0).note(5000, 3).build()
    found = back_from_ssc(chart)
    assert found.time_ms.tolist() == pytest.approx([1000, 5000], abs=0.01)
    assert found.red_lines[0].time_ms == pytest.approx(1000)  # two measures of 2 s before the line


def test_a_red_line_off_the_beat_loses_no_time() -> None:
    """3.6 beats of 500 ms, then 140 BPM: the line begins a beat, and notes on both sides keep their time."""
    chart = ChartBuilder().bpm(120).bpm(140, 1800).stream(0, 250, "0120").note(1800, 3).note(1800 + 3000 / 7, 0).build()
    found = back_from_ssc(chart)
    assert np.abs(found.time_ms - chart.time_ms).max() < 0.01
    assert [round(point.time_ms) for point in found.red_lines] == [0, 1500, 1800]
    assert [round(point.bpm, 2) for point in found.red_lines] == [120, 200, 140]


def test_lines_that_nearly_come_out_even_stretch_their_beats() -> None:
    grid = grid_of(ChartBuilder().bpm(120).bpm(121, 2000 + TUNED_MS).build().red_lines, 0)
    assert grid.tick.tolist() == [0, 192]
    assert grid.time_ms.tolist() == [0, 2000 + TUNED_MS]


def test_metres_are_written() -> None:
    text = format_ssc([ChartBuilder().bpm(120, meter=3).bpm(120, 1500, meter=4).note(0).note(1500).build()])
    assert "#TIMESIGNATURES:0.000000=3=4,\n3.000000=4=4;" in text


def test_charts_with_other_red_lines_have_their_own_timing() -> None:
    first = ChartBuilder().bpm(120).stream(0, 250, "01230123").having(metadata=Metadata(version="Hard")).build()
    other = ChartBuilder().bpm(90, 100).note(100, 0).note(766, 1).having(metadata=Metadata(version="Easy: 1")).build()
    text = format_ssc([first, other])
    easy, hard = parse_stepmania(text, "a.ssc")
    assert (easy.metadata.version, hard.metadata.version) == ("Easy: 1", "Hard")
    assert easy.time_ms.tolist() == pytest.approx([100, 766.667], abs=0.01)
    assert hard.time_ms.tolist() == pytest.approx(first.time_ms, abs=0.01)
    assert text.count("#OFFSET") == 2  # a chart with its own BPMs has its own offset, too
    assert [line for line in text.splitlines() if "#DIFFICULTY" in line] == [
        "#DIFFICULTY:Hard;",
        "#DIFFICULTY:Challenge;",
    ]


def test_what_one_place_cannot_hold_is_counted(caplog) -> None:
    builder = ChartBuilder().note(0, 0).note(0, 0).note(1, 0).hold(500, until=1000, column=1).note(1000, 1)
    with caplog.at_level(logging.WARNING):
        found = back_from_ssc(builder.build())
    assert "1 doubled notes left out" in caplog.text
    assert "1 notes moved to the next 1/48 beat" in caplog.text
    assert "1 holds ended 1/48 beat before the next note" in caplog.text
    assert found.column.tolist() == [0, 0, 1, 1]
    assert found.end_ms[2] == pytest.approx(1000 - 500 / 48)


def test_names_with_marks_of_the_format_survive() -> None:
    names = Metadata(title="a: b; #c \\ d // e", artist="x=y,z", version="[#1]", creator="me")
    found = back_from_ssc(ChartBuilder().note(0).having(metadata=names).build())
    assert (found.metadata.title, found.metadata.artist, found.metadata.version) == (names.title, names.artist, "[#1]")


def in_play(chart: Chart) -> Chart:
    """The chart with tempos of 100 to 300 BPM, and 15 ms and more between the notes of a column."""
    points = tuple(replace(point, beat_length_ms=200 + point.beat_length_ms % 400) for point in chart.red_lines)
    return Chart.from_notes(chart.time_ms * 15, chart.column, chart.end_ms * 15, timing_points=points)


@given(charts(min_notes=1).map(in_play))
def test_any_chart_goes_through_ssc_to_half_a_tick(chart: Chart) -> None:
    found = back_from_ssc(chart)
    assert len(found) == len(chart)
    for column in range(4):
        mine, theirs = chart.column == column, found.column == column
        assert np.array_equal(chart.is_hold[mine], found.is_hold[theirs])
        most_ms = 600 / 48 / 2 + TUNED_MS
        assert np.abs(found.time_ms[theirs] - chart.time_ms[mine]).max(initial=0) <= most_ms
        held = chart.is_hold[mine]
        longest = np.abs(found.end_ms[theirs] - chart.end_ms[mine])[held].max(initial=0)
        assert longest <= 3 * most_ms  # an end gives way to the next note, and a hold lasts a tick


@given(charts(min_notes=1))
def test_no_chart_loses_notes_in_ssc(chart: Chart) -> None:
    assert len(back_from_ssc(chart)) == len(chart)


@given(charts(min_notes=1))
def test_any_chart_goes_through_qua(chart: Chart) -> None:
    found = parse_quaver(format_quaver(chart), "a.qua")
    assert np.array_equal(found.time_ms, chart.time_ms)
    assert np.array_equal(found.column, chart.column)
    kept = np.where(chart.end_ms > 0, chart.end_ms, math.nan)  # Quaver's ends of 0 and before are none
    assert np.array_equal(found.end_ms, kept, equal_nan=True)
    assert [(point.time_ms, point.meter) for point in found.red_lines] == [
        (point.time_ms, point.meter) for point in chart.red_lines
    ]
    assert [point.bpm for point in found.red_lines] == pytest.approx([point.bpm for point in chart.red_lines])
    assert found.metadata.version == " ".join(chart.metadata.version.split())


def test_scroll_speeds_are_written_for_quaver() -> None:
    chart = ChartBuilder().bpm(120).green(1000, 2).green(3000, 2).bpm(240, 5000).note(0).build()
    text = format_quaver(chart)
    assert text[text.index("SliderV") : text.index("HitObj")].split() == (
        [
            "SliderVelocities:",
            "-",
            "StartTime:",
            "1000",
            "Multiplier:",
            "2.0",
            "-",
            "StartTime:",
            "5000",
            "Multiplier:",
            "1.0",
        ]
    )


@pytest.mark.parametrize("write", [format_quaver, lambda chart: format_ssc([chart])])
def test_a_chart_without_a_tempo_is_refused(write) -> None:
    with pytest.raises(ChartFileError, match="no red line"):
        write(Chart.from_notes([0.0], [0], timing_points=()))


def test_levels_rise_with_the_stars() -> None:
    easy = ChartBuilder().stream(0, 500, "0123" * 8).build()
    hard = ChartBuilder().stream(0, 90, "0123" * 40).build()
    text = format_ssc([hard, easy])
    levels = [int(line[7:-1]) for line in text.splitlines() if line.startswith("#METER:")]
    assert stars(easy) < stars(hard)
    assert levels[0] < levels[1]


@pytest.mark.parametrize("beat_ms", [0.5, 400_000.0])
def test_tempos_beyond_play_are_written_with_other_beats_of_the_same_time(beat_ms: float) -> None:
    points = (TimingPoint(0, 500), TimingPoint(4000, beat_ms), TimingPoint(8000, 500))
    chart = Chart.from_notes([0, 4000, 8000], [0, 1, 2], timing_points=points)
    assert back_from_ssc(chart).time_ms.tolist() == pytest.approx([0, 4000, 8000], abs=0.01)
