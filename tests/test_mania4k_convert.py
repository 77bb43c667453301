"""`mania4k convert`: every file it writes is read back, at the times of its game, and nothing is replaced unasked."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from chart.formats.osz import read_osz, write_osz
from chart.formats.quaver import parse_quaver
from chart.formats.read import read_charts
from chart.model import Metadata
from ear.audio.clock import SOURCE_LAG_MS
from mania4k.cli import main
from tests.builders import ChartBuilder
from tests.ear_signals import write_wav

MOVED_MS = {game: SOURCE_LAG_MS["osu"] - SOURCE_LAG_MS[game] for game in ("stepmania", "quaver")}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["convert", *map(str, arguments)])


@pytest.fixture
def beatmapset(tmp_path: Path) -> Path:
    """Two difficulties with a picture and a second of noise."""
    folder = tmp_path / "in"
    folder.mkdir()
    song = write_wav(folder / "song.wav", np.random.default_rng(0).uniform(-0.1, 0.1, 22_050))
    (folder / "bg.jpg").write_bytes(b"picture")
    sets = [
        ChartBuilder()
        .stream(1000, step, "0123" * 8)
        .having(metadata=Metadata(title="T", artist="A", version=name))
        .build()
        for name, step in (("Easy", 500), ("Hard", 125))
    ]
    write_osz(sets, song, folder / "set.osz", folder / "bg.jpg")
    return folder / "set.osz"


def test_a_set_becomes_a_song_folder_of_stepmania(beatmapset: Path, tmp_path: Path) -> None:
    result = run(beatmapset, "-o", tmp_path / "set.ssc")
    assert (result.exit_code, result.stdout.split("\n")[:3]) == (
        0,
        [str(tmp_path / name) for name in ("set.ssc", "set.wav", "set-bg.jpg")],
    )
    assert (tmp_path / "set-bg.jpg").read_bytes() == b"picture"
    easy, hard = read_charts(tmp_path / "set.ssc")
    assert (easy.metadata.version, hard.metadata.version) == ("Easy", "Hard")
    assert (hard.audio_filename, hard.background) == ("set.wav", "set-bg.jpg")
    assert hard.time_ms == pytest.approx(1000 + 125 * np.arange(32) + MOVED_MS["stepmania"], abs=0.01)


def test_a_set_becomes_a_set_of_quaver(beatmapset: Path, tmp_path: Path) -> None:
    assert run(beatmapset, "-o", tmp_path / "set.qp").exit_code == 0
    with zipfile.ZipFile(tmp_path / "set.qp") as archive:
        names = archive.namelist()
        chart = parse_quaver(archive.read("A - T () [Hard].qua").decode(), "a.qua")
    assert names == ["audio.wav", "background.jpg", "A - T () [Easy].qua", "A - T () [Hard].qua"]
    assert chart.time_ms[0] == round(1000 + MOVED_MS["quaver"])
    assert (chart.audio_filename, chart.background) == ("audio.wav", "background.jpg")


def test_there_and_back_gives_the_same_times(beatmapset: Path, tmp_path: Path) -> None:
    assert run(beatmapset, "-o", tmp_path / "a.ssc").exit_code == 0
    assert run(tmp_path / "a.ssc", "-o", tmp_path / "b.osz").exit_code == 0
    before, after = read_osz(beatmapset).charts, read_osz(tmp_path / "b.osz").charts
    assert [chart.time_ms.tolist() for chart in after] == [chart.time_ms.tolist() for chart in before]


def test_times_may_stay(beatmapset: Path, tmp_path: Path) -> None:
    assert run(beatmapset, "-o", tmp_path / "a.qua", "--difficulty", "hard", "--keep-times").exit_code == 0
    assert read_charts(tmp_path / "a.qua")[0].time_ms[0] == 1000


def test_a_file_of_one_chart_asks_which(beatmapset: Path, tmp_path: Path) -> None:
    result = run(beatmapset, "-o", tmp_path / "a.qua")
    assert result.exit_code == 1
    assert "holds one difficulty; choose by --difficulty: “Easy”, “Hard”" in result.stderr
    result = run(beatmapset, "-o", tmp_path / "a.qua", "--difficulty", "Insane")
    assert "no difficulty “Insane” (there are: “Easy”, “Hard”)" in result.stderr


def test_nothing_is_replaced_unasked(beatmapset: Path, tmp_path: Path) -> None:
    (tmp_path / "a.ssc").write_text("mine", encoding="utf-8")
    result = run(beatmapset, "-o", tmp_path / "a.ssc")
    assert (result.exit_code, "is there already" in result.stderr) == (1, True)
    (tmp_path / "b.wav").write_bytes(b"another song")
    result = run(beatmapset, "-o", tmp_path / "b.ssc")
    assert (result.exit_code, "another file" in result.stderr) == (1, True)
    assert (tmp_path / "b.wav").read_bytes() == b"another song"
    assert not (tmp_path / "b.ssc").exists()


def test_songs_that_not_every_game_plays_become_vorbis(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, 22_050)
    soundfile.write(tmp_path / "song.flac", samples, 22_050)
    write_osz([ChartBuilder().note(100).build()], tmp_path / "song.flac", tmp_path / "set.osz")
    assert run(tmp_path / "set.osz", "-o", tmp_path / "out.ssc").exit_code == 0
    with soundfile.SoundFile(tmp_path / "out.ogg") as song:
        assert (song.subtype, song.frames) == ("VORBIS", 22_050)


def test_the_file_to_write_must_be_one_of_the_kinds(beatmapset: Path, tmp_path: Path) -> None:
    assert run(beatmapset, "-o", tmp_path / "a.mp3").exit_code == 2
