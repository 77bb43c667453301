"""Files written from a timing: red lines, .osu, JSON, dump, picture; and grids placed by notes."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from chart.formats.osu_read import parse_osu
from chart.formats.osu_write import write_osu
from chart.model import TimingPoint
from ear.audio.clock import OSU_CLOCK_MS
from ear.audio.decode import Audio, Tags
from ear.beat_to_osu import main
from ear.fitting.note_offset import offset_of_notes
from ear.plots import draw_timing
from ear.song_timing import TimedSong
from ear.timing.model import OMIT_BAR_LINE, Timing
from ear.timing_files import as_osu, dump, red_lines
from runtime.errors import ConfigError
from tests.builders import ChartBuilder
from tests.ear_activations import activations_of
from tests.ear_signals import clicks, write_wav

GRID = (TimingPoint(1000.0, 500.0), TimingPoint(9000.0, 400.0, 3))


def live_timing() -> Timing:
    points = (TimingPoint(5.0, 500.0), TimingPoint(2005.0, 520.0), TimingPoint(3045.0, 540.0, 4, effects=OMIT_BAR_LINE))
    return Timing(points, 0.7, (), 20_000.0, "live")


def test_a_first_bar_before_zero_is_dropped_where_the_next_one_begins_too_soon() -> None:
    points = red_lines(live_timing(), "osu")
    assert [point.time_ms for point in points] == pytest.approx([2005 + OSU_CLOCK_MS, 3045 + OSU_CLOCK_MS])


def test_main_of_live_music_has_the_median_tempo() -> None:
    points = (TimingPoint(0.0, 500.0), TimingPoint(3000.0, 300.0), TimingPoint(6000.0, 450.0))
    assert Timing(points, 0.5, duration_ms=9000.0, profile="live").bpm == pytest.approx(60_000 / 450)


def test_an_osu_file_can_be_read_again() -> None:
    chart = parse_osu(as_osu(GRID, Path("星.ogg"), Tags("Star", "")), "out.osu")
    assert chart.timing_points == GRID
    assert (chart.metadata.title, chart.metadata.artist, chart.audio_filename) == ("Star", "unknown artist", "星.ogg")
    assert len(chart) == 0


@pytest.fixture(scope="module")
def found() -> TimedSong:
    beat_ms = np.arange(5.0, 19_000.0, 500.0)
    return TimedSong(live_timing(), activations_of(beat_ms, np.arange(beat_ms.size) % 4 + 1, 20_000.0))  # type: ignore[arg-type]


def test_dump_keeps_the_activations(found: TimedSong, tmp_path: Path) -> None:
    paths = dump(found, tmp_path / "dump")
    assert [path.name for path in paths] == ["timing.json", "beats.csv", "activations.npz", "tracked.csv"]
    with np.load(paths[2]) as kept:
        assert (kept["beat"] == found.activations.beat).all()  # type: ignore[union-attr]
        assert kept["frames_per_s"] == 50
    head, first, *_ = paths[1].read_text(encoding="utf-8").splitlines()
    assert (head, first) == ("time_ms,position", "5,1")
    assert json.loads(paths[0].read_text(encoding="utf-8"))["profile"] == "live"
    assert paths[3].read_text(encoding="utf-8").count("\n") > 30


def test_dump_without_a_network(tmp_path: Path) -> None:
    names = [path.name for path in dump(TimedSong(live_timing(), None), tmp_path)]
    assert names == ["timing.json", "beats.csv"]


def test_a_picture_is_drawn_whatever_the_title(found: TimedSong, tmp_path: Path) -> None:
    audio = Audio(clicks(120.0, 0.005, 20.0).astype(np.float32))
    draw_timing(audio, found, tmp_path / "song.png", title="星 $x$ \\frac")
    data = (tmp_path / "song.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) > 10_000


def test_a_picture_without_matplotlib_says_what_to_install(
    found: TimedSong, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match="--plot needs matplotlib, which is not installed: pip install matplotlib"):
        draw_timing(Audio(np.zeros(22_050, np.float32)), found, tmp_path / "song.png")


@pytest.mark.parametrize("shift_ms", [-31.0, 0.0, 12.4])
def test_notes_place_the_grid(shift_ms: float) -> None:
    rng = np.random.default_rng(0)
    on_grid = np.concatenate([1000 + 125.0 * np.arange(60), 9000 + 100.0 * np.arange(50)])
    fit = offset_of_notes(GRID, on_grid + shift_ms + rng.uniform(-1, 1, on_grid.size))
    assert fit.shift_ms == pytest.approx(shift_ms, abs=0.5)
    assert fit.share == 1.0


@pytest.mark.parametrize("note_ms", [[], [1000.0, 1500.0], np.cumsum(np.random.default_rng(0).uniform(40, 300, 60))])
def test_notes_of_another_song_are_refused(note_ms: list[float]) -> None:
    with pytest.raises(ConfigError, match="notes lie on this song's beats: too few to place them by"):
        offset_of_notes(GRID, np.asarray(note_ms))


def test_the_command_writes_every_requested_file(tmp_path: Path) -> None:
    song = write_wav(tmp_path / "星.wav", clicks(120.0, 0.25, 12.0))
    chart = ChartBuilder()
    for step in range(40):
        chart.note(250 + 250 * step, step % 4)
    write_osu(chart.build(), tmp_path / "notes.osu")
    arguments = ["--checkpoint", "none", "--clock", "audio", "--notes", str(tmp_path / "notes.osu")]
    arguments += [
        "--plot",
        str(tmp_path / "song.png"),
        "--dump-dir",
        str(tmp_path / "dump"),
        "-o",
        str(tmp_path / "out.osu"),
    ]
    result = CliRunner().invoke(main, [str(song), *arguments])
    assert result.exit_code == 0, result.output
    assert "shifted by +" in result.stderr
    chart = parse_osu((tmp_path / "out.osu").read_text(encoding="utf-8"), "out.osu")
    (line,) = chart.timing_points
    assert (line.time_ms - 250) % 500 == pytest.approx(0, abs=0.6) or (line.time_ms - 250) % 500 > 499.4
    assert (tmp_path / "song.png").exists()
    assert (tmp_path / "dump" / "beats.csv").exists()


def test_a_picture_must_be_a_png(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["song.ogg", "--plot", str(tmp_path / "song.jpg")])
    assert result.exit_code == 1
    assert "pictures are written as .png; change the name's end" in result.stderr


def test_an_unknown_checkpoint_is_one_line(tmp_path: Path) -> None:
    song = write_wav(tmp_path / "a.wav", clicks(120.0, 0.25, 6.0))
    result = CliRunner().invoke(main, [str(song), "--checkpoint", "nosuch"])
    assert result.exit_code == 1
    assert "nosuch: no checkpoint of that name" in result.stderr
