"""A section cut out of a chart: its ends, what is kept, and the set that it is written back to."""

import dataclasses
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chart.formats.osu_read import format_osu
from chart.formats.osz import read_osz
from chart.grid import make_grid
from chart.model import MACHINE_MADE_TAGS, Metadata
from mapper.output.package import add_to_osz
from mapper.search.inpaint import cut_out
from mapper.tokens.row_codes import Rows, held_states
from runtime.errors import ChartFileError, ConfigError
from tests.builders import ChartBuilder, charts

BEAT_MS = 400.0


def stream(**fields: object) -> ChartBuilder:
    builder = ChartBuilder().bpm(150).having(audio_filename="audio.ogg", **fields)
    for beat in range(30):
        builder.note(BEAT_MS * beat, beat % 4)
    return builder


def grid_of(chart):
    return make_grid(chart.red_lines, 0.0, 12_000.0)


def test_the_section_begins_and_ends_on_beats():
    chart = stream().build()
    section = cut_out(chart, grid_of(chart), 1900.0, 4100.0)
    assert section.bounds_ms == (2000.0, 4000.0)
    assert sorted(set(chart.time_ms) - set(section.kept.time_ms)) == [2000.0, 2400.0, 2800.0, 3200.0, 3600.0]
    assert section.span.next_event_ms.tolist() == [4800.0, 5200.0, 4000.0, 4400.0]
    assert section.span.last_event_ms.tolist() == [1600.0, 400.0, 800.0, 1200.0]


def test_a_hold_that_lasts_into_the_section_is_kept_whole():
    chart = stream().hold(1900.0, 2500.0, 3).build()
    section = cut_out(chart, grid_of(chart), 1900.0, 4100.0)
    assert section.bounds_ms[0] == 2800.0
    assert 2500.0 in section.kept.end_ms.tolist()


@pytest.mark.parametrize("end_ms", [1995.0, 2000.0, 2001.5])
def test_a_hold_released_on_a_beat_is_no_part_of_the_section(end_ms):
    chart = stream().hold(1700.0, end_ms, 3).build()
    section = cut_out(chart, grid_of(chart), 1900.0, 4100.0)
    assert section.bounds_ms == (2400.0, 4000.0)
    assert held_states(section.span.before.code)[-1] == 0
    rows = section.whole(Rows(np.zeros(0, np.int64), np.zeros(0, np.int64)))
    assert (np.diff(rows.slot) > 0).all()
    assert section.chart_of(rows) == section.kept


def test_notes_that_snap_into_the_section_are_kept_as_they_are():
    chart = stream().note(1992.0, 3).build()
    section = cut_out(chart, grid_of(chart), 1900.0, 4100.0)
    rows = section.whole(Rows(np.zeros(0, np.int64), np.zeros(0, np.int64)))
    assert (np.diff(rows.slot) > 0).all()
    assert section.chart_of(rows) == section.kept
    assert 1992.0 in section.kept.time_ms


def test_no_place_without_a_hold_is_an_error():
    chart = ChartBuilder().bpm(150).hold(0.0, 9000.0, 3).having(metadata=Metadata(version="Slow")).build()
    with pytest.raises(ConfigError, match="“Slow” has no two beats on which no hold is down"):
        cut_out(chart, grid_of(chart), 1000.0, 5000.0)
    with pytest.raises(ConfigError, match="choose a longer section"):
        cut_out(stream().build(), grid_of(stream().build()), 40_000.0, 50_000.0)


@given(charts(), st.floats(0, 6000), st.floats(2000, 8000))
def test_what_is_kept_is_what_lies_outside(chart, start_ms, length_ms):
    grid = make_grid(chart.red_lines, 0.0, 20_000.0)
    try:
        section = cut_out(chart, grid, start_ms, start_ms + length_ms)
    except ConfigError:
        return
    first, end = section.bounds_ms
    assert start_ms <= first < end <= start_ms + length_ms
    outside = (chart.time_ms < first - 2) | (chart.time_ms >= end - 2)
    assert section.kept.time_ms.tolist() == chart.time_ms[outside].tolist()
    nothing = section.chart_of(section.whole(Rows(np.zeros(0, np.int64), np.zeros(0, np.int64))))
    assert np.array_equal(nothing.time_ms, section.kept.time_ms)
    assert np.array_equal(nothing.end_ms, section.kept.end_ms, equal_nan=True)


@pytest.fixture
def made(tmp_path):
    """A set with hit sounds, a picture and a chart of another mode, as people's sets have."""
    text = format_osu(stream(metadata=Metadata(title="t", version="Hard", tags=("jazz",))).build())
    text = text.replace("64,192,0,1,0,0:0:0:0:", "64,192,0,1,8,2:1:0:70:clap.wav")
    path = tmp_path / "set.osz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hard.osu", text.replace("\n", "\r\n"))
        archive.writestr("taiko.osu", text.replace("Mode: 3", "Mode: 1"))
        archive.writestr("audio.ogg", b"sound")
        archive.writestr("bg.jpg", b"picture")
    return path, text


def test_a_section_written_back_leaves_every_other_line(made, tmp_path):
    path, text = made
    (chart,) = read_osz(path).charts
    section = cut_out(chart, grid_of(chart), 2000.0, 4000.0)
    add_to_osz(path, [section.kept], (2000.0, 4000.0), tmp_path / "out.osz")
    with zipfile.ZipFile(tmp_path / "out.osz") as archive:
        assert sorted(archive.namelist()) == ["audio.ogg", "bg.jpg", "hard.osu", "taiko.osu"]
        assert archive.read("bg.jpg") == b"picture"
        assert archive.read("taiko.osu").decode() == text.replace("Mode: 3", "Mode: 1")
        lines = archive.read("hard.osu").decode().splitlines()
    gone = {f",{time}," for time in range(2000, 4000, 400)}
    expected = [line for line in text.splitlines() if not any(time in line for time in gone)]
    tags = next(line for line in lines if line.startswith("Tags:"))
    assert [line for line in lines if line != tags] == [line for line in expected if not line.startswith("Tags:")]
    assert set(MACHINE_MADE_TAGS) | {"jazz"} == set(tags.removeprefix("Tags:").split())


@pytest.mark.parametrize("version", [3, 4, 14])
def test_new_notes_of_an_old_format_are_played_where_they_were_written(made, tmp_path, version):
    """The game has the times of formats below 5 by 24 ms later, those of new notes in such a file, too."""
    _, text = made
    path = tmp_path / "old.osz"
    text = text.replace("file format v14", f"file format v{version}")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hard.osu", f"{text}this is no note\n")
    (chart,) = read_osz(path).charts
    assert chart.time_ms[0] == (24.0 if version < 5 else 0.0)
    moved = chart.time_ms[10] + 7.0
    time_ms = np.where(np.arange(len(chart)) == 10, moved, chart.time_ms)
    add_to_osz(path, [dataclasses.replace(chart, time_ms=time_ms)], (2000.0, 9000.0), tmp_path / "out.osz")
    (again,) = read_osz(tmp_path / "out.osz").charts
    assert np.array_equal(again.time_ms, time_ms)
    with zipfile.ZipFile(tmp_path / "out.osz") as archive:
        lines = archive.read("hard.osu").decode().splitlines()
    kept = [line for line in text.splitlines() if f",{chart.time_ms[10] - chart.time_ms[0]:.0f}," not in line]
    assert {line for line in kept if not line.startswith("Tags:")} <= set(lines)
    assert lines[-1] == "this is no note", "lines that the game passes over are kept"


def test_notes_that_are_not_last_in_the_file_are_refused(made, tmp_path):
    _, text = made
    path = tmp_path / "odd.osz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hard.osu", text + "[Colours]\nCombo1 : 1,2,3\n")
    (chart,) = read_osz(path).charts
    with pytest.raises(ChartFileError, match=r"odd.osz/hard.osu: \[HitObjects\] is not its last section"):
        add_to_osz(path, [chart], (2000.0, 4000.0), tmp_path / "out.osz")
    assert not (tmp_path / "out.osz").exists()


def test_added_charts_stand_beside_all_that_was_there(made, tmp_path):
    path, _ = made
    (chart,) = read_osz(path).charts
    add_to_osz(path, [chart, chart], None, tmp_path / "out.osz")
    with zipfile.ZipFile(tmp_path / "out.osz") as archive, zipfile.ZipFile(path) as before:
        assert {name: archive.read(name) for name in before.namelist()} == {
            name: before.read(name) for name in before.namelist()
        }
        assert len(archive.namelist()) == 6
