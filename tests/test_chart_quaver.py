"""`.qua` files: four lanes, timing, names, and one line for what cannot be read."""

import logging
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chart.formats.quaver import parse_quaver, read_quaver
from chart.problems import find_problems
from runtime.errors import ChartFileError
from tests.builders import assert_charts_or_one_line

QUA = """\
AudioFile: song.mp3
SongPreviewTime: 4000
BackgroundFile: 'bg.png'
MapId: -1
Mode: Keys4
Title: 2001-13-45
Artist: 日本語 *star*
Source: ''
Tags: fast, jumps
Creator: me
DifficultyName: Hard
EditorLayers: []
TimingPoints:
- Bpm: 120
- StartTime: 8000.5
  Bpm: 90
  Signature: Triple
SliderVelocities:
- StartTime: 100
  Multiplier: 0.5
HitObjects:
- Lane: 2
  HitSound: Normal
- StartTime: 500
  Lane: 4
  EndTime: 900
  KeySounds: []
"""


def test_a_chart_is_read() -> None:
    chart = parse_quaver(QUA, "song.qua")

    assert find_problems(chart) == []
    assert (chart.time_ms.tolist(), chart.column.tolist()) == ([0, 500], [1, 3])
    assert math.isnan(chart.end_ms[0])
    assert chart.end_ms[1] == 900
    assert [(point.time_ms, point.bpm, point.meter) for point in chart.timing_points] == [(0, 120, 4), (8000.5, 90, 3)]
    assert (chart.metadata.title, chart.metadata.artist_unicode) == ("2001-13-45", "日本語 *star*")
    assert (chart.metadata.tags, chart.metadata.version) == (("fast", "jumps"), "Hard")
    assert (chart.audio_filename, chart.preview_ms, chart.background) == ("song.mp3", 4000, "bg.png")


def test_notes_out_of_order_are_sorted_as_quaver_does() -> None:
    assert parse_quaver(QUA + "- StartTime: 100\n  Lane: 1\n", "song.qua").time_ms.tolist() == [0, 100, 500]


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nMode: Keys4\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "^song.qua: the file is empty$"),
        ("just words", "^song.qua:1: not a list of “Name: value” lines"),
        ("a: [1", "^song.qua:[12]: not YAML"),
        ("a: \x00", "^song.qua: not YAML"),
        ("- a\n" * 600_000, "^song.qua:59.*: more than 600,000 values"),
        (BOMB, "^song.qua:2: a YAML alias"),
        ("a: " + "[" * 100_000, "^song.qua:1: nested deeper than 16 levels"),
        (QUA.replace("Keys4", "Keys7"), "^song.qua:5: this is a chart of mode “Keys7”, not Keys4"),
        (QUA.replace("Mode: Keys4\n", ""), "^song.qua:1: this is a chart of mode “”"),
        (QUA.replace("- Bpm: 120\n- StartTime: 8000.5\n  Bpm: 90\n  Signature: Triple\n", "  []\n"), "no red line"),
        (
            QUA.replace("EditorLayers: []", "EditorLayers: []\nHitObjects: 3", 1).partition("\nTiming")[0],
            "HitObjects is not a list",
        ),
    ],
)
def test_what_cannot_be_read_gives_one_line(text: str, message: str) -> None:
    with pytest.raises(ChartFileError, match=message) as error:
        parse_quaver(text, "song.qua")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "notes", "points", "said"),
    [
        (("Lane: 4", "Lane: 5"), 1, 2, "lane 5 is not 1–4"),
        (("Lane: 2\n", "Lone: 2\n"), 1, 2, "lane 0 is not 1–4"),
        (("StartTime: 500", "StartTime: .nan"), 1, 2, "StartTime is “.nan”"),
        (("StartTime: 500", "StartTime: 1e12"), 1, 2, "outside the longest song"),
        (("Bpm: 120", "Bpm: 0"), 2, 1, "BPM is 0"),
        (("Bpm: 120", "Bpm: -60"), 2, 1, "BPM is -60"),
        (("Bpm: 120", "Bpm: 1e300"), 2, 1, "BPM is 1e\\+300"),
        (("Signature: Triple", "Signature: Waltz"), 2, 1, "Signature is “Waltz”"),
        (("Signature: Triple", "Signature: 0"), 2, 2, ""),
        (("SongPreviewTime: 4000", "SongPreviewTime: soon"), 2, 2, "SongPreviewTime is “soon”"),
        (("  Lane: 4", "  Type: Mine\n  Lane: 4"), 1, 2, "left out 1 mine"),
        (("Title: 2001", "Title: \udcff2001"), 2, 2, ""),
    ],
)
def test_entries_that_cannot_be_played_are_left_out_and_named(
    tmp_path, change: tuple[str, str], notes: int, points: int, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "song.qua"
    path.write_bytes(QUA.replace(*change).encode("utf-8", "surrogateescape"))
    with caplog.at_level(logging.WARNING):
        chart = read_quaver(path)
    assert (len(chart), len(chart.timing_points)) == (notes, points)
    assert find_problems(chart) == []
    assert re.search(said, " ".join(caplog.messages))
    assert bool(said) == bool(caplog.messages)


def test_a_hold_that_does_not_end_after_its_start_is_a_tap() -> None:
    assert not parse_quaver(QUA.replace("EndTime: 900", "EndTime: 400"), "song.qua").is_hold.any()


@given(
    st.lists(st.sampled_from([*"-:&*[]{}!|>'\"\n ", "Lane: ", "- ", "1e9", "!!python/object:os.system"]), max_size=12),
    st.integers(0, 400),
)
def test_mutated_text_gives_a_chart_or_one_line(noise: list[str], at: int) -> None:
    assert_charts_or_one_line(lambda: [parse_quaver(QUA[:at] + "".join(noise) + QUA[at:], "song.qua")])


@given(st.text(max_size=200))
def test_any_text_gives_one_line(text: str) -> None:
    with pytest.raises(ChartFileError):
        parse_quaver(text, "song.qua")
