"""Songs of sets are found whatever spelling the archive or the disk has for their names."""

import unicodedata
import zipfile
from pathlib import Path

import pytest

from chart.formats.find_file import find_on_disk, name_of
from chart.formats.osu_read import format_osu
from chart.formats.osz import read_osz
from chart.formats.read import audio_beside, read_timing_charts
from runtime.errors import ChartFileError
from tests.builders import ChartBuilder
from tests.conftest import SHARED

SONG = "曲がガ.mp3"


def write_set(path: Path, members: dict[bytes, bytes], flag: bool = False) -> Path:
    """An archive whose names are these very bytes, with the UTF-8 flag or without."""
    stand_ins = {chr(ord("A") + number) * len(name): name for number, name in enumerate(members)}
    with zipfile.ZipFile(path, "w") as archive:
        for stand_in, name in stand_ins.items():
            archive.writestr(stand_in, members[name])
    data = bytearray(path.read_bytes())
    for stand_in, name in stand_ins.items():
        assert len(stand_in.encode()) == len(name)
        at = -1
        while (at := data.find(stand_in.encode(), at + 1)) >= 0:
            data[at : at + len(name)] = name
            local, central = data[at - 30 : at - 26] == b"PK\3\4", data[at - 46 : at - 42] == b"PK\1\2"
            if flag and (local or central):
                place = at - 30 + 6 if local else at - 46 + 8
                data[place + 1] |= 8
    path.write_bytes(data)
    return path


def chart_text(audio: str = SONG) -> bytes:
    return format_osu(ChartBuilder().note(100).having(audio_filename=audio).build()).encode()


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        (SONG.encode("cp932"), False),
        (SONG.encode("utf-8"), False),
        (SONG.encode("utf-8"), True),
        (unicodedata.normalize("NFD", SONG).encode(), True),
        (unicodedata.normalize("NFD", SONG).encode(), False),
        (b"Some Set/" + SONG.encode(), True),
        (SONG.replace(".mp3", ".MP3").encode(), True),
        (b"sfx/" + SONG.encode(), True),
    ],
    ids=["cp932", "utf-8", "flagged", "NFD", "NFD unflagged", "top folder", "case", "other folder"],
)
def test_the_song_is_found_by_its_name(tmp_path: Path, name: bytes, flag: bool) -> None:
    members = {b"hitsound-that-is-larger.wav": b"hit" * 9000, b"a.osu": chart_text(), name: b"the song"}
    beatmapset = read_osz(write_set(tmp_path / "a.osz", members, flag))
    assert len(beatmapset.charts) == 1
    assert beatmapset.read_audio() == b"the song"


def test_the_largest_audio_is_the_song_where_no_name_fits(tmp_path: Path) -> None:
    members = {b"hit.wav": b"hit", b"a.osu": chart_text(), b"\xff\xff.mp3": b"the song", b"__MACOSX/._b.mp3": b"x" * 99}
    assert read_osz(write_set(tmp_path / "a.osz", members)).read_audio() == b"the song"


def test_a_set_without_audio_says_so(tmp_path: Path) -> None:
    beatmapset = read_osz(write_set(tmp_path / "a.osz", {b"a.osu": chart_text(), b"bg.png": b"x"}))
    with pytest.raises(ChartFileError, match=r"no audio file “曲がガ\.mp3” in the archive"):
        beatmapset.read_audio()


def test_names_of_charts_are_readable(tmp_path: Path) -> None:
    path = write_set(tmp_path / "a.osz", {"曲 [難].osu".encode("cp932"): b"nothing"})
    with zipfile.ZipFile(path) as archive:
        assert name_of(archive.infolist()[0]) == "曲 [難].osu"
    assert read_osz(path).skipped[0].name == "曲 [難].osu"


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        ("Audio.MP3", "audio.mp3"),
        ("sub\\Song.ogg", "Sub/song.ogg"),
        (SONG, unicodedata.normalize("NFD", SONG)),
        ("song.mp3", "garbled.mp3"),
    ],
)
def test_songs_in_folders(tmp_path: Path, wanted: str, there: str) -> None:
    song = tmp_path / there
    song.parent.mkdir(exist_ok=True)
    song.write_bytes(b"the song, larger")
    (tmp_path / "hit.wav").write_bytes(b"hit")
    found = find_on_disk(tmp_path, wanted)
    assert found is not None
    assert found.samefile(song)
    chart = ChartBuilder().note(1).having(audio_filename=wanted).build()
    assert audio_beside(tmp_path / "map.osu", chart).samefile(song)


def test_a_folder_without_the_song(tmp_path: Path) -> None:
    assert find_on_disk(tmp_path, "song.mp3") is None
    assert find_on_disk(tmp_path / "none", "song.mp3") is None


def test_a_set_of_other_modes_gives_its_timing_and_song(tmp_path: Path) -> None:
    standard = chart_text("song.mp3").replace(b"Mode: 3", b"Mode: 0")
    path = write_set(tmp_path / "a.osz", {b"a.osu": standard, b"song.mp3": b"the song"})
    [chart] = read_timing_charts(path)
    assert (len(chart), len(chart.red_lines)) == (0, 1)
    assert read_osz(path).read_audio() == b"the song"


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "song_bytes"),
    [("shift_jis_names_and_hitsound.osz", 50_000), ("utf8_names_without_flag_and_hitsound.osz", 50_000)],
)
def test_sets_that_went_wrong(name: str, song_bytes: int) -> None:
    path = SHARED.parent / "cases" / "osz" / name
    if not path.is_file():
        pytest.skip(f"needs {path}")
    assert len(read_osz(path).read_audio()) > song_bytes
