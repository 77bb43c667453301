"""`.sm` and `.ssc` files: notes by measure, StepMania's clock, and one line for what cannot be read."""

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chart.formats.stepmania import parse_stepmania, read_stepmania
from chart.model import Chart
from chart.problems import find_problems
from runtime.errors import ChartFileError
from tests.builders import assert_charts_or_one_line

HEAD = "#TITLE:Song;\n#SUBTITLE:(short);\n#ARTIST:Band;\n#MUSIC:song.ogg;\n#OFFSET:-0.100;\n#SAMPLESTART:12.5;\n"


def sm(notes: str, bpms: str = "0=120", tags: str = "", kind: str = "dance-single") -> str:
    return f"{HEAD}#BPMS:{bpms};\n{tags}\n#NOTES:\n  {kind}:\n  me:\n  Hard:\n  9:\n  0,0:\n{notes}\n;\n"


def ssc(notes: str, tags: str = "") -> str:
    head = f"#VERSION:0.83;\n{HEAD}#BPMS:0=120;\n#STOPS:;\n"
    return f"{head}#NOTEDATA:;\n#STEPSTYPE:dance-single;\n#DIFFICULTY:Easy;\n#METER:2;\n{tags}#NOTES:\n{notes}\n;\n"


def one(text: str) -> Chart:
    [chart] = parse_stepmania(text, "song.sm")
    assert find_problems(chart) == []
    return chart


def test_rows_of_a_measure_are_spread_over_four_beats() -> None:
    chart = one(sm("1000\n0100\n0010\n0001\n,\n1001\n0000"))

    # OFFSET -0.1 means that beat 0 sounds 100 ms into the audio.
    np.testing.assert_allclose(chart.time_ms, [100, 600, 1100, 1600, 2100, 2100])
    assert chart.column.tolist() == [0, 1, 2, 3, 0, 3]
    assert [(point.time_ms, point.bpm) for point in chart.red_lines] == [(100.0, 120.0)]


def test_names_are_carried() -> None:
    chart = one(sm("1000"))

    assert (chart.metadata.title, chart.metadata.artist, chart.metadata.version) == ("Song (short)", "Band", "Hard 9")
    assert (chart.metadata.creator, chart.audio_filename, chart.preview_ms) == ("me", "song.ogg", 12_500)


def test_holds_and_rolls_end_at_their_tails() -> None:
    chart = one(sm("2000\n0004\n3000\n0003"))

    np.testing.assert_allclose(chart.time_ms, [100, 600])
    np.testing.assert_allclose(chart.end_ms, [1100, 1600])


def test_a_bpm_change_moves_later_notes_and_draws_a_red_line() -> None:
    chart = one(sm("1000\n1000\n1000\n1000\n,\n1000", bpms="0=120,\n2=60"))

    np.testing.assert_allclose(chart.time_ms, [100, 600, 1100, 2100, 3100])
    assert [(point.time_ms, point.bpm, point.effects) for point in chart.red_lines] == [(100, 120, 0), (1100, 60, 8)]


def test_a_stop_delays_what_comes_after_its_beat() -> None:
    chart = one(sm("1000\n1000\n1000\n1000", tags="#STOPS:1=0.25;"))

    np.testing.assert_allclose(chart.time_ms, [100, 600, 1350, 1850])
    assert [point.time_ms for point in chart.red_lines] == [100, 850]


def test_a_delay_comes_before_the_note_on_its_beat() -> None:
    chart = one(sm("1000\n1000\n1000\n1000", tags="#DELAYS:1=0.25;"))

    np.testing.assert_allclose(chart.time_ms, [100, 850, 1350, 1850])


def test_mines_and_lifts_are_left_out_and_counted_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        chart = one(sm("1M0L\n00M0"))

    assert len(chart) == 1
    assert caplog.messages == ["song.sm: Hard 9: left out 1 lift, 2 mines"]


def test_key_sounds_in_brackets_and_comments_are_skipped() -> None:
    assert one(sm("1[3]000 // measure 1\n0{x}100")).column.tolist() == [0, 1]


def test_an_ssc_chart_with_its_own_timing_does_not_use_the_songs() -> None:
    assert one(ssc("1000\n1000", "#BPMS:0=60;\n#OFFSET:0;\n")).time_ms.tolist() == [0, 2000]
    assert one(ssc("1000\n1000")).time_ms.tolist() == [100, 1100]
    assert one(ssc("1000")).metadata.version == "Easy 2"


def test_other_dances_are_passed_over() -> None:
    text = sm("10000000", kind="dance-double") + sm("1000").partition("#NOTES")[2].join(["#NOTES", ""])

    assert len(one(text)) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"^song\.sm: not a StepMania file \(no #TAG:value; in it\)$"),
        ("#" * 100_001, r"^song\.sm: more than 100,000 tags and separators"),
        ("/\n" * 100_001, r"^song\.sm: more than 100,000 tags and separators"),
        (sm("0000\n,\n" * 50_000), "Hard 9: more than 50,000 measures"),
        (sm("1000\n" * 200_001), "Hard 9: more than 200,000 notes"),
        (sm("1000").replace("Song;", "Song;#NOTES:dance-single:a:b:1:0:1000;" * 100), "101 charts, more than 100"),
        ("hello", "not a StepMania file"),
        (HEAD, r"no dance-single \(4K\) chart \(found: no chart at all\)"),
        (sm("10000000", kind="dance-double"), r"no dance-single \(4K\) chart \(found: dance-double\)"),
        ("#BPMS:0=120;#NOTES:dance-single:me;", "#NOTES has too few fields"),
        (sm("1000", bpms=""), r"^song\.sm: Hard 9: no BPM"),
        (sm("1000", bpms="0=0"), "no BPM above 0"),
        (sm("1000", bpms="0=-120"), "no BPM above 0"),
        (sm("1000", bpms="0=nan"), "BPM is “nan”, not a finite number"),
        (sm("1000", bpms="0:120"), "beat of a BPM is “0:120”"),
        (sm("1000", bpms="120"), "BPM “120” is not beat=value"),
        (sm("1000", bpms="-4=120"), "BPM “-4=120” is not beat=value"),
        (
            sm("1000", tags="#STOPS:0=99999999;").replace("1000", "1000\n1000"),
            "its stops lead outside the longest song",
        ),
    ],
)
def test_what_cannot_be_read_gives_one_line(text: str, message: str) -> None:
    with pytest.raises(ChartFileError, match=message) as error:
        parse_stepmania(text, "song.sm")
    assert "\n" not in str(error.value)


def test_old_files_in_a_western_code_page_are_read(tmp_path) -> None:
    path = tmp_path / "old.sm"
    path.write_bytes(sm("1000").replace("Band", "Bénd").encode("cp1252"))

    assert read_stepmania(path)[0].metadata.artist == "Bénd"


ODD = [
    ("3000\n1000", [2], "1 tail without a head"),
    ("2000\n0100", [2], "1 hold without an end"),
    ("2000\n1000\n3000\n0001", [1, 3], "1 hold without an end, 1 tail without a head"),
    ("2000\n2000\n3000\n0001", [1, 3], "1 hold without an end"),
    ("10\n0001", [0, 2], "1 odd row"),
    ("10000\n00011", [0, 2], "2 odd rows"),
    ("1000\n0X01", [0, 2], "1 unknown note"),
]


@pytest.mark.parametrize(("notes", "beats", "said"), ODD)
def test_odd_notes_are_read_as_stepmania_reads_them(
    notes: str, beats: list[float], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        chart = one(sm(notes))
    np.testing.assert_allclose(chart.time_ms, [100 + 500 * beat for beat in beats])
    assert caplog.messages == [f"song.sm: Hard 9: left out {said}"]


def test_a_chart_that_cannot_be_read_does_not_cost_the_others(caplog: pytest.LogCaptureFixture) -> None:
    broken = sm("0000\n,\n" * 50_000).partition("#NOTES")[2]
    with caplog.at_level(logging.WARNING):
        assert len(one(sm("1000") + "#NOTES" + broken)) == 1
    assert caplog.messages == [
        "left out: song.sm: Hard 9: more than 50,000 measures (is it a chart to be played?)",
    ]


EIGHT = "1000\n0100\n0010\n0001\n,\n1000\n0100\n0010\n0001"  # a note a beat


@pytest.mark.parametrize(
    ("tags", "bpms", "beats", "times"),
    [
        ("#WARPS:2=1.5;", "0=120", [0, 1, 4, 5, 6, 7], [100, 600, 1350, 1850, 2350, 2850]),
        ("#WARPS:2=1;\n#STOPS:2=0.25;", "0=120", [0, 1, 2, 3, 4], [100, 600, 1100, 1350, 1850]),
        ("#STOPS:2=-0.25;", "0=120", [0, 1, 3, 4], [100, 600, 1350, 1850]),
        ("#STOPS:2=-0.25,3=1;", "0=120", [0, 1, 3, 4], [100, 600, 1350, 2850]),
        ("", "0=120,2=-120,3=120", [0, 1, 4, 5], [100, 600, 1100, 1600]),
        ("", "0=120,2=99999999,3=120", [0, 1, 3, 4], [100, 600, 1100, 1600]),
        ("", "0=120,2=-120,2.5=240", [0, 1, 4, 5], [100, 600, 1225, 1475]),
        ("#FREEZES:1=0.5;", "0=120", [0, 1, 2, 3], [100, 600, 1600, 2100]),
        ("#DELAYS:2=-0.25;", "0=120", [0, 1, 3, 4], [100, 600, 1350, 1850]),
    ],
)
def test_warps_leave_the_notes_that_can_be_hit(tags: str, bpms: str, beats: list[int], times: list[float]) -> None:
    chart = one(sm(EIGHT, bpms=bpms, tags=tags))
    assert chart.column[: len(beats)].tolist() == [beat % 4 for beat in beats]
    np.testing.assert_allclose(chart.time_ms[: len(times)], times)
    assert np.all(np.diff([point.time_ms for point in chart.red_lines]) >= 0)


def test_fake_regions_are_no_notes() -> None:
    assert one(ssc(EIGHT, "#FAKES:2=3;\n")).column.tolist() == [0, 1, 1, 2, 3]
    assert one(ssc("2000\n0000\n3000\n0001", "#FAKES:0=1;\n")).column.tolist() == [3]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_byte_order_marks(tmp_path, encoding: str) -> None:
    path = tmp_path / "x.sm"
    path.write_bytes(sm("1000").replace("Band", "歌").encode(encoding))
    assert read_stepmania(path)[0].metadata.artist == "歌"


PIECES = st.sampled_from(
    [*"#:;,=\n01234ML", "#NOTES:", "#BPMS:0=", "#NOTEDATA:;", "dance-single:", "1000\n", "-1", "nan", "//"]
)


@given(st.lists(PIECES, max_size=30).map("".join), st.integers(0, 200))
def test_mutated_text_gives_charts_or_one_line(noise: str, at: int) -> None:
    text = sm("1000\n0200\n0300\n0001", tags="#STOPS:1=0.5;")
    assert_charts_or_one_line(lambda: parse_stepmania(text[:at] + noise + text[at:], "song.sm"))


@given(st.binary(max_size=300))
def test_any_bytes_give_charts_or_one_line(tmp_path_factory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("sm") / "x.sm"
    path.write_bytes(data)
    with pytest.raises(ChartFileError):
        read_stepmania(path)
