"""Notes read all at once are those that are read line by line, whatever the lines hold."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chart.formats import osu_sections
from chart.formats.osu_plain_notes import split_plain_notes
from chart.formats.osu_read import parse_osu
from chart.formats.osu_write import format_osu
from chart.model import Chart
from runtime.errors import ChartFileError
from tests.builders import ChartBuilder, charts

HEAD = format_osu(ChartBuilder().note(100).build()).partition("[HitObjects]")[0] + "[HitObjects]\n"
PLAIN = ("64,192,100,1,0,0:0:0:0:", "448,192,350,128,0,600:0:0:0:0:", "192,0,500,5,2,0:0:0:70:a b.wav", "900,1,9,1,0")
UNUSUAL = (
    "64,192,-5,1,0,0:0:0:0:",
    " 64,192,100,1,0",
    "64.5,192,100,1,0",
    "64,192,1e3,1,0",
    "64,192,100,1 ,0",
    "64,192,100,2,0",
    "64,192,100,128,0",
    "64,192,100,128,0,",
    "64,192,100,128,0,90 :0",
    "64,192,100,129,0,900,5",
    "64,192,100,128,0,99999999:0",
    "64,192,99999999,1,0",
    "64,192,100",
    "64,192,100,1,0 // 0",
    "64,192,100,1,0,歌",
    "64,192,100,1\t",
    "٣,192,100,1,0",
    "",
    "// nothing",
    "[Events]",
    "[HitObjects]",
    "2,1000,2000",
)


def line_by_line(text: str) -> Chart | str:
    """The chart as it is read with nothing read all at once, or the error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(osu_sections, "split_plain_notes", lambda text, most: (text, None))
        return read(text)


def read(text: str) -> Chart | str:
    try:
        return parse_osu(text, "x.osu")
    except ChartFileError as error:
        return str(error)


lines = st.one_of(
    st.sampled_from(PLAIN + UNUSUAL),
    st.lists(st.sampled_from([*"0123456789,:/.-[] \r", "128", ",1,", "64,192,"]), max_size=12).map("".join),
)


@given(st.lists(lines, min_size=1, max_size=4), st.sampled_from(["\n", "\r\n", "\r"]))
@example(list(PLAIN), "\n")
def test_any_lines_are_read_alike(notes: list[str], line_end: str) -> None:
    text = (HEAD + "\n".join(notes) + "\n").replace("\n", line_end)
    assert read(text) == line_by_line(text)


@pytest.mark.parametrize("unusual", UNUSUAL)
def test_an_unusual_line_among_others_is_read_alike(unusual: str) -> None:
    text = HEAD + "\n".join([PLAIN[0], unusual, *PLAIN])
    assert read(text) == line_by_line(text)


@given(charts(min_notes=1))
def test_every_chart_that_we_write_from_the_song_s_begin_on_is_read_all_at_once(chart: Chart) -> None:
    text = format_osu(chart)
    head, notes = split_plain_notes(text, 1000)
    assert (notes is not None) == (chart.time_ms.min() > -0.5)
    assert notes is None or (notes.time_ms.size == len(chart) and head.endswith("[HitObjects]\n"))
    assert read(text) == line_by_line(text)


def test_a_long_chart_without_one_unusual_line_takes_no_line_of_its_own() -> None:
    body = "\n".join(f"64,192,{time},1,0,0:0:0:0:" for time in range(0, 100_000, 50))
    sections = osu_sections.cut_sections(HEAD + body, "x.osu")
    assert sections.lines["HitObjects"] == []
    assert sections.plain_notes is not None
    assert np.array_equal(sections.plain_notes.time_ms, np.arange(0, 100_000, 50))
    assert split_plain_notes(HEAD + body, 100)[1] is None
