"""`.osu` files: what is read, what is refused with its line, and that writing loses nothing."""

import logging
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import fosu
import numpy as np
import pytest
import rosu_pp_py as rosu
from hypothesis import example, given
from hypothesis import strategies as st

from chart.formats.osu_read import format_osu, parse_osu, read_osu, write_osu
from chart.formats.parsing import MAX_LINES, MAX_NOTES, MAX_TEXT_BYTES, MAX_TIMING_POINTS
from chart.formats.read import read_timing_charts
from chart.model import Chart, Metadata, TimingPoint
from chart.problems import REFUSED_KINDS, find_problems
from runtime.errors import ChartFileError, OutputError
from tests.builders import ChartBuilder, assert_charts_or_one_line, charts

OSU = """\
osu file format v14

[General]
AudioFilename: song.mp3
AudioLeadIn: 250
PreviewTime: 4000
Mode: 3

[Metadata]
Title:Song // not a comment
TitleUnicode:歌: a
Artist:Band
Tags:fast  jumps
BeatmapID:12

[Difficulty]
HPDrainRate:7.5
CircleSize:4
OverallDifficulty:8

[Events]
// a comment
0,0,"a, b.jpg",0,0
Video,0,"film.mp4"
2,5000,9000
 F,0,100,200,1

[TimingPoints]
100.5,500,3,2,1,70,1,8
2000,-50,4,2,1,60,0,1

[HitObjects]
64,192,100,1,0,0:0:0:0:
448,192,350,128,0,600:0:0:0:0:
"""
NOTES_AT = OSU.split("\n").index("[HitObjects]") + 2  # line number of the first note
TIMING_AT = OSU.split("\n").index("[TimingPoints]") + 2


def osu(notes: str = "64,192,100,1,0,0:0:0:0:", timing: str = "0,500,4,2,1,70,1,0") -> str:
    """A chart with these lines."""
    head = OSU.partition("[TimingPoints]")[0]
    return f"{head}[TimingPoints]\n{timing}\n\n[HitObjects]\n{notes}\n"


def test_everything_the_model_holds_is_read() -> None:
    chart = parse_osu(OSU, "song.osu")

    assert (chart.time_ms.tolist(), chart.column.tolist()) == ([100, 350], [0, 3])
    assert chart.is_hold.tolist() == [False, True]
    assert chart.end_ms[1] == 600
    assert chart.timing_points == (
        TimingPoint(100.5, 500, 3, True, 2, 1, 70, 8),
        TimingPoint(2000, -50, 4, False, 2, 1, 60, 1),
    )
    assert chart.metadata == Metadata(
        title="Song // not a comment", title_unicode="歌: a", artist="Band", tags=("fast", "jumps"), beatmap_id=12
    )
    assert (chart.difficulty.hp, chart.difficulty.od) == (7.5, 8)
    assert (chart.audio_filename, chart.audio_lead_in_ms, chart.preview_ms) == ("song.mp3", 250, 4000)
    assert (chart.background, chart.breaks) == ("a, b.jpg", ((5000, 9000),))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_byte_order_mark_make_no_difference(tmp_path: Path, end: str) -> None:
    path = tmp_path / "歌.osu"
    path.write_bytes(b"\xef\xbb\xbf" + OSU.replace("\n", end).encode())

    assert read_osu(path) == parse_osu(OSU, "song.osu")


def test_missing_fields_take_the_games_defaults() -> None:
    text = "osu file format v12\n[General]\nMode:3\n[Difficulty]\nCircleSize:4\n[TimingPoints]\n0,500\n"
    chart = parse_osu(text, "song.osu")

    assert (len(chart), chart.difficulty.hp, chart.difficulty.od, chart.preview_ms) == (0, 5, 5, -1)
    assert chart.timing_points == (TimingPoint(0, 500),)
    assert [problem.kind for problem in find_problems(chart)] == ["no_audio"]


@pytest.mark.parametrize(
    ("x", "column"),
    [("0", 0), ("64", 0), ("127.9", 0), ("128", 1), ("256", 2), ("511", 3), ("512", 3), ("9e9", 3), ("-5", 0)],
)
def test_column_is_the_quarter_of_the_playfield(x: str, column: int) -> None:
    assert parse_osu(osu(f"{x},192,100,1,0"), "song.osu").column.tolist() == [column]


PARSED = [
    ("64,192,100,1,0,0:0:0:0:", "64,192,100,1,0,0:0:0:0:"),
    ("10,0,100,5,12,1:2:3:70:hit.wav", "64,192,100,1,0,0:0:0:0:"),
    ("64,192,100.4,1", "64,192,100,1,0,0:0:0:0:"),
    ("64,192,-100,1,0", "64,192,-100,1,0,0:0:0:0:"),
    ("320,192,100,128,0,250:0:0:0:0:", "320,192,100,128,0,250:0:0:0:0:"),
    ("320,192,100,132,0,250", "320,192,100,128,0,250:0:0:0:0:"),
    ("320,192,100.2,128,0,100.4:0", "320,192,100,128,0,101:0:0:0:0:"),
    ("64,192,120,128,0", "64,192,120,1,0,0:0:0:0:"),
    ("64,192,120,128,0,91:0:0:0:0:", "64,192,120,1,0,0:0:0:0:"),
    ("64,192,120,128,0,120:0:0:0:0:", "64,192,120,1,0,0:0:0:0:"),
    ("64,192,120,128,0,2147483647:0\n64,192,900,1,0", "64,192,120,128,0,900:0:0:0:0:\n64,192,900,1,0,0:0:0:0:"),
    ("64,192,120,128,0,2147483647:0", "64,192,120,128,0,121:0:0:0:0:"),
    ("64,192,500,1,0 // late\n64,192,400,1,0", "64,192,400,1,0,0:0:0:0:\n64,192,500,1,0,0:0:0:0:"),
    ("hello\n64,192,100,1,0", "64,192,100,1,0,0:0:0:0:"),
    ("64,192,nan,1,0\n64,192,100,2,0,B|1:1,1,9\n64,192,100,1,0", "64,192,100,1,0,0:0:0:0:"),
    ("64,192,100", "“64,192,100” is no note"),
    ("hello", "“hello” is no note"),
    ("64,192,x,1,0", "note time is “x”, not a finite number"),
    ("64,192,nan,1,0", "note time is “nan”, not a finite number"),
    ("64,192,1e999,1,0", "note time is “1e999”, not a finite number"),
    ("64,192,1_0,1,0", "note time is “1_0”, not a finite number"),
    ("64,192,1e9,1,0", "note time 1e+09 ms lies outside the longest song supported"),
    ("nan,192,100,1,0", "x is “nan”, not a finite number"),
    ("64,192,100,one,0", "type is “one”, not a finite number"),
    ("64,192,100,1.5,0", "type is “1.5”, not a whole number"),
    ("64,192,100,2,0,B|1:1,1,9", "the object is a slider, not a note or a hold"),
    ("64,192,100,12,0,900", "the object is a spinner, not a note or a hold"),
    ("64,192,100,0,0", "the object is of unknown type 0"),
    ("64,192,120,128,0,inf:0:0:0:0:", "hold end is “inf”, not a finite number"),
]


@pytest.mark.parametrize(("line", "expected"), PARSED)
def test_note_lines(line: str, expected: str) -> None:
    if expected[0].isdigit():
        assert format_osu(parse_osu(osu(line), "song.osu")).rstrip().endswith(f"\n[HitObjects]\n{expected}")
        return
    at = osu().split("\n").index("[HitObjects]") + 2
    with pytest.raises(ChartFileError) as error:
        parse_osu(osu(line), "song.osu")
    assert str(error.value).startswith(f"song.osu:{at}: {expected}")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0", "a timing point needs a time and a beat length"),
        ("x,500", "timing point time is “x”"),
        ("1e12,500", "timing point time 1e+12 ms lies outside"),
        ("0,NaN,4,2,1,70,1,0", "beat length is “NaN”, not a finite number"),
        ("0,500,4,2,1,loud,1,0", "volume is “loud”"),
    ],
)
def test_timing_that_cannot_be_read(line: str, message: str) -> None:
    with pytest.raises(ChartFileError) as error:
        parse_osu(osu(timing=line), "song.osu")
    assert str(error.value).startswith(f"song.osu:{TIMING_AT}: {message}")


@pytest.mark.parametrize(
    ("line", "point"),
    [
        ("0,0,4,2,1,70,1,0", TimingPoint(0, 6, 4, True, 2, 1, 70)),
        ("0,-500,4,2,1,70,1,0", TimingPoint(0, 6, 4, True, 2, 1, 70)),
        ("0,1e-300,4,2,1,70,1,0", TimingPoint(0, 0.01, 4, True, 2, 1, 70)),
        ("0,1e13,4,2,1,70,1,0", TimingPoint(0, 3_600_000, 4, True, 2, 1, 70)),
        ("0,500,0,2,1,70,1,0", TimingPoint(0, 500, 4, True, 2, 1, 70)),
        ("0,500,-4,2,1,70,1,0", TimingPoint(0, 500, 4, True, 2, 1, 70)),
        ("0,500,99999,2,1,70,1,0", TimingPoint(0, 500, 10_000, True, 2, 1, 70)),
        ("0,500,4,2,1,70,1,0\n100,NaN,4,2,1,70,0,0", TimingPoint(100, -100, 4, False, 2, 1, 70)),
    ],
)
def test_timing_beyond_bounds_is_set_to_them(line: str, point: TimingPoint) -> None:
    chart = parse_osu(osu(timing=line), "song.osu")
    assert chart.timing_points[-1] == point
    assert find_problems(chart) == []


def test_lines_that_cannot_be_read_are_left_out_and_named(caplog: pytest.LogCaptureFixture) -> None:
    text = osu("64,192,100,1,0\nhello", "0,500\n9,NaN,4,2,1,70,1,0").replace("HPDrainRate:7.5", "HPDrainRate:x")
    with caplog.at_level(logging.WARNING):
        chart = parse_osu(text, "song.osu")
    assert (len(chart), len(chart.timing_points), chart.difficulty.hp) == (1, 1, 5.0)
    [line] = caplog.messages
    assert line.startswith("left out: song.osu:")
    assert line.endswith("(and 2 more lines)")


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"\x7f" + data,
        lambda data: data.partition(b"\n")[2],
        lambda data: data.decode().encode("utf-16"),
        lambda data: b"\xfe\xff" + data.decode().encode("utf-16-be"),
        lambda data: data.replace(b"// a comment", b"// \xff\xfe\x80"),
        lambda data: data.replace(b"CircleSize:4", b"CircleSize:4 // keys").replace(b"0,0:0:0:0:", b"0 // tap"),
    ],
    ids=["junk first", "no header", "UTF-16", "big-endian", "bad bytes", "comments"],
)
def test_text_that_the_game_reads_is_read(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "x.osu"
    path.write_bytes(change(OSU.encode()))
    assert read_osu(path) == parse_osu(OSU, "song.osu")


@pytest.mark.parametrize(("version", "later_ms"), [(3, 24), (4, 24), (5, 0), (14, 0), (128, 0)])
def test_early_formats_are_played_later(version: int, later_ms: int) -> None:
    chart = parse_osu(OSU.replace("format v14", f"format v{version}"), "song.osu")
    assert chart == replace(parse_osu(OSU, "song.osu").shifted(later_ms), preview_ms=4000 + later_ms)


@pytest.mark.parametrize("change", [("Mode: 3", "Mode: 0"), ("CircleSize:4", "CircleSize:7"), ("CircleSize:4", "")])
def test_any_mode_gives_its_timing(tmp_path: Path, change: tuple[str, str]) -> None:
    path = tmp_path / "x.osu"
    path.write_text(OSU.replace(*change), encoding="utf-8")
    [chart] = read_timing_charts(path)
    assert (len(chart), chart.red_lines, chart.audio_filename) == (0, parse_osu(OSU, "x").red_lines, "song.mp3")


def test_timing_points_out_of_order_are_sorted_as_the_game_does() -> None:
    chart = parse_osu(osu(timing="900,400\n100,500\n100,-50,4,2,1,70,0,0"), "song.osu")

    assert [(point.time_ms, point.beat_length_ms) for point in chart.timing_points] == [
        (100, 500),
        (100, -50),
        (900, 400),
    ]


def test_doubled_and_overlapping_notes_are_read_and_listed() -> None:
    lines = ["64,192,100,128,0,500:0", "64,192,300,1,0", "192,192,300,1,0", "192,192,300,1,0"]
    chart = parse_osu(osu("\n".join(lines)), "song.osu")

    assert [problem.kind for problem in find_problems(chart)] == ["duplicate", "overlap"]
    assert parse_osu(format_osu(chart), "song.osu") == chart


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"^song\.osu: the file is empty$"),
        ("\n\nPK\x03\x04", r"^song\.osu:3: not an \.osu chart \(the first line must be “osu file format v14”\)$"),
        (OSU.replace("Mode: 3", "Mode: 0"), r"^song\.osu:7: this is a chart for osu!standard, not osu!mania \(only"),
        (OSU.replace("Mode: 3", "Mode: 1"), "this is a chart for osu!taiko"),
        (OSU.replace("Mode: 3", "Mode: 9"), "this is a chart for mode 9"),
        (OSU.replace("Mode: 3", ""), r"^song\.osu: this is a chart for osu!standard"),
        (OSU.replace("CircleSize:4", "CircleSize:7"), r"^song\.osu:18: this is a chart for 7 keys, not 4"),
        (OSU.replace("CircleSize:4", ""), r"^song\.osu: no CircleSize, the number of keys"),
        (osu(timing=""), r"^song\.osu: no red line: the tempo is unknown"),
        (osu(timing="0,-100,4,2,1,70,0,0"), r"^song\.osu: no red line"),
        (OSU + "\n" * MAX_LINES, r"^song\.osu: more than 500,000 lines"),
        (osu("x\n" * (MAX_NOTES + 1)), "200,001 notes, more than 200,000"),
        (osu(timing="0,500\n" * (MAX_TIMING_POINTS + 1)), "200,001 timing points, more than 200,000"),
    ],
)
def test_what_cannot_be_read_gives_one_line(text: str, message: str) -> None:
    with pytest.raises(ChartFileError, match=message) as error:
        parse_osu(text, "song.osu")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b" " * (MAX_TEXT_BYTES + 1), r": larger than 16 MB, the most that is read"),
    ],
)
def test_bytes_that_are_no_chart_text(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "x.osu"
    path.write_bytes(data)
    with pytest.raises(ChartFileError, match=message):
        read_osu(path)


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ChartFileError, match=r"none\.osu: no such file"):
        read_osu(tmp_path / "none.osu")
    with pytest.raises(ChartFileError, match="cannot be read: "):
        read_osu(tmp_path)


@given(charts())
@example(ChartBuilder().having(metadata=Metadata(title="a\u2028b\x85c", tags=("\u3000x".strip(),))).build())
def test_reading_what_was_written_gives_the_same_chart(chart: Chart) -> None:
    assert find_problems(chart) == []
    assert parse_osu(format_osu(chart), "x.osu") == chart


@given(charts(max_notes=10), st.floats(-0.49, 0.49))
def test_notes_are_rounded_to_the_nearest_ms(chart: Chart, by_ms: float) -> None:
    moved = replace(chart, time_ms=chart.time_ms + by_ms, end_ms=chart.end_ms + by_ms)

    assert parse_osu(format_osu(moved), "x.osu") == chart


@given(charts(min_notes=1))
def test_fosu_and_rosu_read_what_was_written(chart: Chart) -> None:
    text = format_osu(chart)
    theirs = fosu.parse(text.encode())

    assert (theirs.mode, theirs.cs) == (fosu.GameMode.MANIA, 4)
    assert [note.time for note in theirs.hit_objects] == chart.time_ms.tolist()
    assert [int(note.x // 128) for note in theirs.hit_objects] == chart.column.tolist()
    held = [note.end_time for note in theirs.hit_objects if isinstance(note, fosu.HoldNote)]
    assert held == chart.end_ms[chart.is_hold].tolist()
    assert [point.time for point in theirs.timing_points] == [point.time_ms for point in chart.timing_points]
    assert rosu.Beatmap(content=text).n_holds == int(chart.is_hold.sum())
    assert rosu.Beatmap(content=text).n_objects == len(chart)


NOISE = ["nan", "128", "1e99", "[HitObjects]\n", "osu file format v", "//", "2,", *'\n,:[]"/-']


@given(st.lists(st.sampled_from(NOISE), max_size=20), st.integers(0, len(OSU)), st.integers(0, 20))
def test_mutated_text_gives_a_chart_or_one_line(noise: list[str], at: int, gone: int) -> None:
    text = OSU[:at] + "".join(noise) + OSU[at + gone :]
    assert_charts_or_one_line(lambda: [parse_osu(text, "x.osu")])


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_give_a_chart_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, headed: bool
) -> None:
    path = tmp_path_factory.mktemp("osu") / "x.osu"
    path.write_bytes((OSU.encode() if headed else b"") + data)
    assert_charts_or_one_line(lambda: [read_osu(path)])


def test_a_long_number_costs_nothing() -> None:
    with pytest.raises(ChartFileError, match=r"note time is “1111.*…”, not a finite number"):
        parse_osu(osu(f"64,192,{'1' * 1_000_000}x,1,0"), "song.osu")


def test_writing_leaves_only_the_file(tmp_path: Path) -> None:
    chart = parse_osu(OSU, "song.osu")
    for _ in range(2):  # the second time it replaces
        write_osu(chart, tmp_path / "歌.osu")

    assert [path.name for path in tmp_path.iterdir()] == ["歌.osu"]
    assert read_osu(tmp_path / "歌.osu") == chart


def test_a_folder_that_cannot_be_written_gives_one_line(tmp_path: Path) -> None:
    chart = parse_osu(OSU, "song.osu")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match=r"song\.osu: cannot be written: the folder .* does not exist"):
        write_osu(chart, tmp_path / "none" / "song.osu")
    with pytest.raises(OutputError, match=r"song\.osu: cannot be written: "):
        write_osu(chart, tmp_path / "file" / "song.osu")
    with pytest.raises(OutputError, match="it is a folder"):
        write_osu(chart, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "song.osu"
    path.write_text("old", encoding="utf-8")
    monkeypatch.setattr("runtime.atomic_write.os.replace", refuse)
    with pytest.raises(OutputError, match=r"cannot be written: Permission denied \(choose another folder\)"):
        write_osu(parse_osu(OSU, "song.osu"), path)
    assert [(item.name, item.read_text(encoding="utf-8")) for item in tmp_path.iterdir()] == [("song.osu", "old")]


def test_a_broken_chart_is_not_written(tmp_path: Path) -> None:
    chart = ChartBuilder().note(100).having(metadata=Metadata(version="Hard")).build()
    broken = replace(chart, time_ms=np.array([np.nan]))
    with pytest.raises(ChartFileError, match=r"^Hard: not a valid chart: note at nan ms$"):
        write_osu(broken, tmp_path / "x.osu")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.shared
def test_every_real_chart_survives_writing(shared_data: Path) -> None:
    count = 0
    for path in sorted((shared_data / "songs").glob("*.osz")):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".osu"):
                    chart = parse_osu(archive.read(name).decode("utf-8-sig"), name)
                    assert not {problem.kind for problem in find_problems(chart)} & REFUSED_KINDS
                    assert parse_osu(format_osu(chart), name) == chart
                    count += 1
    assert count > 600


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes of POSIX")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "map.osu")
    with pytest.raises(ChartFileError, match="is a pipe or device, not a file"):
        read_osu(tmp_path / "map.osu")


@pytest.mark.parametrize("name", ["x" * 300 + ".osu", "a\0b.osu", "/dev/full/x.osu"])
def test_names_that_no_system_takes(tmp_path: Path, name: str) -> None:
    with pytest.raises(ChartFileError, match=r"cannot be read|no such file"):
        read_osu(tmp_path / name)
    with pytest.raises(OutputError, match="cannot be written"):
        write_osu(ChartBuilder().note(1).build(), tmp_path / name)
