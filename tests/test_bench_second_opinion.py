"""Other people's readers agree with ours about charts, and what they differ about is said."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.other_readers import Reading, of_osu_parsers, of_ours
from bench.second_opinion import differences, first_lines, texts_of
from chart.formats.osu_read import parse_osu
from chart.formats.osu_write import format_osu
from tests.builders import ChartBuilder

NODE = os.environ.get("OSU_PARSERS", "")
"""The folder in which osu-parsers is installed (`bench.other_readers`)."""
SETS = 20


def chart_text() -> str:
    builder = ChartBuilder().bpm(158).bpm(120.5, 30_000, meter=3).green(5000, 1.5).stream(1000, 95, "01233210" * 20)
    return format_osu(builder.hold(40_000, until=41_003, column=2).chord(42_000, 0, 1, 3).build())


def test_readers_agree_about_a_chart_of_ours() -> None:
    assert differences(chart_text(), "a.osu") == {}


@pytest.mark.parametrize(
    ("old", "new", "who"),
    [
        ("1000,1,0", "1000,128,0,1000:", {"fosu": "1 holds", "rosu-pp": "2 of them holds"}),
        (",3,1,0,100,1,0", ",0,1,0,100,1,0", {"fosu": "metre of a red line off by 4"}),
        ("30000", "30000.5", {}),
    ],
)
def test_what_they_differ_about_is_said(old: str, new: str, who: dict[str, str]) -> None:
    text = chart_text()
    assert old in text
    found = differences(text.replace(old, new, 1), "a.osu")
    assert set(found) == set(who)
    for name, what in who.items():
        assert what.split()[-1] in found[name]


def test_a_reading_tells_what_differs_first() -> None:
    one = Reading.of([(0, 0, np.nan), (5, 1, 9)])
    assert one.same_notes(Reading.of([(5, 1, 9), (0, 0, np.nan)])) == ""
    assert one.same_notes(Reading.of([(0, 0, np.nan)])) == "1 notes of 2"
    assert one.same_notes(Reading.of([(0, 0, 3), (5, 1, 9)])) == "2 holds of 1"
    assert one.same_notes(Reading.of([(0, 2, np.nan), (5, 1, 9)])) == "1 notes in another column"
    assert one.same_notes(Reading.of([(0, 0, np.nan), (5, 1, 9.5)])) == "notes up to 0.50 ms off"
    assert one.same_notes(Reading.of([(0, 0, np.nan), (5, 1, 9.5)]), within_ms=0.5) == ""
    assert one.same_notes(Reading.of([(0, 0, 3), (5, 1, np.nan)])).startswith("2 notes that are holds there")


def test_notes_whose_order_changes_by_a_millisecond_are_the_same() -> None:
    one = Reading.of([(1000, 3, np.nan), (1001, 0, 1500)])
    assert one.same_notes(Reading.of([(1000.6, 3, np.nan), (1000.5, 0, 1500)]), within_ms=1) == ""


@pytest.mark.skipif(not NODE or shutil.which("node") is None, reason="needs Node, and OSU_PARSERS to name its folder")
def test_osu_parsers_agrees_about_a_chart_of_ours() -> None:
    text = chart_text()
    [theirs] = of_osu_parsers([text], Path(NODE))
    assert differences(text, "a.osu", theirs) == {}
    assert of_ours(parse_osu(text, "a.osu")).same_notes(theirs) == ""


def test_of_red_lines_at_one_time_the_first_is_left() -> None:
    lines = ((0.0, 400.0, 4), (500.0, 300.0, 3), (500.0, 200.0, 4), (900.0, 200.0, 4))
    assert first_lines(lines) == (lines[0], lines[1], lines[3])


@pytest.mark.skipif(not NODE or shutil.which("node") is None, reason="needs Node, and OSU_PARSERS to name its folder")
def test_osu_parsers_keeps_the_first_of_two_red_lines_at_one_time() -> None:
    text = chart_text().replace("[TimingPoints]\n", "[TimingPoints]\n0,400,3,1,0,100,1,0\n", 1)
    [theirs] = of_osu_parsers([text], Path(NODE))
    assert theirs.lines[0] == (0, 400, 3)
    assert differences(text, "a.osu", theirs) == {}


@pytest.mark.shared
def test_readers_agree_about_real_sets(shared_data: Path) -> None:
    paths = sorted((shared_data / "songs").glob("*.osz"))
    chosen = paths[:: len(paths) // SETS][:SETS]
    assert len(chosen) == SETS
    found = {name: differences(text, name) for path in chosen for name, text in texts_of(path)}
    assert {name: what for name, what in found.items() if what} == {}
