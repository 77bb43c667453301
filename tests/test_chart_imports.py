"""Malody `.mc` and four-key BMS charts: notes at their times, and one line for what cannot be read."""

import json
import logging
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chart.formats.imports.bms import parse_bms, read_bms
from chart.formats.imports.malody import parse_malody
from chart.formats.read import read_charts
from runtime.errors import ChartFileError, OtherGameError
from tests.builders import assert_charts_or_one_line

META = {
    "creator": "me", "version": "4K Hard", "mode": 0, "mode_ext": {"column": 4}, "preview": 9000, "background": "b.jpg",
    "song": {"title": "Song", "titleorg": "歌", "artist": "A"},
}  # fmt: skip


def mc(**changes: Any) -> str:
    """A chart at 120 BPM, 240 from beat 4, whose song begins 500 ms before beat 0."""
    root = {
        "meta": META,
        "time": [{"beat": [0, 0, 1], "bpm": 120}, {"beat": [4, 0, 1], "bpm": 240}],
        "note": [
            {"beat": [1, 1, 2], "column": 0},
            {"beat": [4, 0, 1], "column": 1, "endbeat": [6, 0, 1]},
            {"beat": [5, 0, 3], "column": 3},
            {"beat": [0, 0, 1], "type": 1, "sound": "song.ogg", "offset": -500},
        ],
    }
    return json.dumps(root | changes)


def test_malody_beats_are_times() -> None:
    chart = parse_malody(mc(), "a.mc")
    assert chart.time_ms.tolist() == [1250, 2500, 2750]
    assert chart.column.tolist() == [0, 1, 3]
    assert chart.end_ms[1] == 3000
    assert [(point.time_ms, point.bpm) for point in chart.red_lines] == [(500, 120), (2500, 240)]
    assert (chart.audio_filename, chart.preview_ms, chart.background) == ("song.ogg", 9000, "b.jpg")
    names = chart.metadata
    assert (names.title, names.title_unicode, names.version) == ("Song", "歌", "4K Hard")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"meta": META | {"mode": 3}}, "a chart of mode Catch, not Key"),
        ({"meta": META | {"mode_ext": {"column": 7}}}, "for 7 keys, not 4"),
        ({"meta": []}, "no “meta” and “note”"),
        ({"time": []}, "no BPM"),
        ({"time": [{"beat": [0, 0, 1], "bpm": -5}]}, "BPM is -5"),
        ({"note": [{"beat": [1, 0, 0], "column": 0}]}, "no denominator above 0"),
        ({"note": [{"beat": "x", "column": 0}]}, "is not \\[whole, numerator, denominator\\]"),
        ({"note": {}}, "“note” is not a list"),
        ({"note": [{"beat": [9_000_000, 0, 1], "column": 0}]}, "outside the longest song"),
    ],
)
def test_malody_errors_say_what(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ChartFileError, match=match):
        parse_malody(mc(**changes), "a.mc")


@pytest.mark.parametrize("text", ["[" * 9000, "nothing", "", "{}", "[1, 2]", '{"meta": {"mode": NaN}, "note": 1}'])
def test_what_is_no_malody_chart_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ChartFileError):
        parse_malody(text, "a.mc")


def test_bad_malody_entries_cost_themselves(caplog) -> None:
    notes = [*json.loads(mc())["note"], {"beat": [2, 0, 1], "column": 9}, 17]
    with caplog.at_level(logging.WARNING):
        assert len(parse_malody(mc(note=notes), "a.mc")) == 3
    assert "column 9 is not 0–3 (and 1 more entries)" in caplog.text


BMS = """
*---- HEADER
#TITLE Song
#ARTIST A
#PLAYLEVEL 7
#BPM 120
#BPM01 240
#STOP01 48
#WAV01 song.ogg
#WAVAA kick.wav
#LNOBJ ZZ
#RANDOM 2
#IF 2
#00111:AAAAAAAA
#ENDIF
#IF 1
#00001:01
#00111:AA00AA00
#ENDIF
#00112:00AA00ZZ
#00214:AAAA
#00208:0001
#00302:0.5
#00309:0100
#00313:AA
#00453:AA00AA00
"""


def test_bms_measures_are_times() -> None:
    """120 BPM, 240 from the middle of measure 2; a stop of a beat at measure 3, which is half as long."""
    chart = parse_bms(BMS, "a.bms")
    # the song begins with measure 0; measure 1 is at 2 s, 2 at 4 s, 3 at 5.5 s, stops .25 s, 4 at 6.25 s
    notes = list(zip(chart.time_ms.tolist(), chart.column.tolist(), chart.end_ms.tolist(), strict=True))
    expected = [
        (2000, 0, math.nan), (2500, 1, 3500), (3000, 0, math.nan), (4000, 3, math.nan), (5000, 3, math.nan),
        (5500, 2, math.nan), (6250, 2, 6750),
    ]  # fmt: skip
    assert notes == [pytest.approx(note, nan_ok=True) for note in expected]
    assert chart.audio_filename == "song.ogg"
    assert (chart.metadata.title, chart.metadata.version) == ("Song", "Level 7")
    assert [(round(point.time_ms), round(point.bpm)) for point in chart.red_lines] == [
        (0, 120),
        (5000, 240),
        (5750, 240),
    ]


def test_the_song_of_a_bms_begins_where_its_sample_does() -> None:
    chart = parse_bms("#BPM 120\n#WAV02 s.ogg\n#00101:0002\n#00211:01\n", "a.bms")
    assert (chart.time_ms.tolist(), chart.audio_filename) == ([1000], "s.ogg")


def test_music_of_many_samples_is_not_carried(caplog) -> None:
    with caplog.at_level(logging.WARNING):
        chart = parse_bms("#BPM 120\n#00101:0102\n#00211:01\n", "a.bms")
    assert (chart.time_ms.tolist(), chart.audio_filename) == ([4000], "")
    assert "made of 2 samples" in caplog.text


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        ("#00116:01", "with a scratch"),
        ("\n".join(f"#0011{lane}:01" for lane in "12345"), "for 5 keys"),
        ("#00121:01", "two players"),
    ],
)
def test_other_numbers_of_keys_are_refused(lines: str, match: str) -> None:
    with pytest.raises(OtherGameError, match=match):
        parse_bms(f"#BPM 120\n{lines}\n", "a.bms")


def test_four_keys_anywhere_are_columns_from_left_to_right() -> None:
    chart = parse_bms("#BPM 120\n#00119:01\n#00111:01\n#00215:01\n#00318:01\n", "a.bms")
    assert chart.column.tolist() == [0, 3, 1, 2]


@pytest.mark.parametrize("text", ["", "#TITLE x", "#BPM 0\n#00111:01", "#BPM nan\n#00111:01", "no"])
def test_what_is_no_bms_chart_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ChartFileError):
        parse_bms(text, "a.bms")


def test_undefined_tempos_and_stops_are_left_out(caplog) -> None:
    with caplog.at_level(logging.WARNING):
        chart = parse_bms("#BPM 120\n#00008:05\n#00009:07\n#00111:01\n", "a.bms")
    assert chart.time_ms.tolist() == [2000]
    assert "is not defined" in caplog.text
    assert "(and 1 more lines)" in caplog.text


def test_japanese_names_are_read(tmp_path) -> None:
    path = tmp_path / "a.bms"
    path.write_bytes("#TITLE 歌\n#BPM 120\n#00111:01\n".encode("cp932"))
    assert read_bms(path).metadata.title == "歌"


def test_both_are_read_by_their_suffix(tmp_path) -> None:
    (tmp_path / "a.mc").write_text(mc(), encoding="utf-8")
    (tmp_path / "a.bms").write_text(BMS, encoding="utf-8")
    assert [len(read_charts(tmp_path / name)[0]) for name in ("a.mc", "a.bms")] == [3, 7]


@given(st.text(alphabet='{}[]":,0123456789.eE-+ntfamebcolu', max_size=200))
def test_any_text_is_a_malody_chart_or_one_line(text: str) -> None:
    assert_charts_or_one_line(lambda: [parse_malody(text, "a.mc")])


@given(
    st.lists(st.from_regex(r"#[0-9]{3}[0-9A-F]{2}:[0-9A-Z]{0,8}|#[A-Z]{1,6} [0-9.]{0,4}", fullmatch=True), max_size=20)
)
def test_any_lines_are_a_bms_chart_or_one_line(lines: list[str]) -> None:
    assert_charts_or_one_line(lambda: [parse_bms("\n".join(lines), "a.bms")])
