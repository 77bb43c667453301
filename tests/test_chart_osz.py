"""`.osz` sets: what is read, names that are safe anywhere, and archives that are refused."""

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import chart.formats.osz as osz_module
import chart.formats.safe_zip as archive_module
from chart.formats.osu_read import format_osu, write_osu
from chart.formats.osz import (
    MAX_NAME_BYTES,
    MAX_NAME_CHARACTERS,
    chart_file_names,
    read_osz,
    read_osz_audio,
    write_osz,
)
from chart.formats.read import audio_beside, read_charts
from chart.model import Chart, Metadata
from runtime.errors import AudioFileError, ChartFileError, OutputError
from tests.builders import ChartBuilder, assert_charts_or_one_line, charts, names

EASY = ChartBuilder().stream(0, 250, "0123").having(metadata=Metadata("歌", "歌", "Band", version="Easy")).build()
HARD = ChartBuilder().stream(0, 125, "0123").having(metadata=Metadata("歌", "歌", "Band", version="Hard")).build()
AUDIO = bytes(range(256)) * 20


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    path = tmp_path / "Ton.OGG"
    path.write_bytes(AUDIO)
    return path


def pack(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return path


def osu(chart: Chart = EASY) -> bytes:
    return format_osu(chart).encode()


def test_a_set_reads_back(tmp_path: Path, audio: Path) -> None:
    path = tmp_path / "歌.osz"
    write_osz([HARD, EASY], audio, path)
    found = read_osz(path)

    assert [chart.metadata for chart in found.charts] == [HARD.metadata, EASY.metadata]
    assert [chart.time_ms.tolist() for chart in found.charts] == [HARD.time_ms.tolist(), EASY.time_ms.tolist()]
    assert (found.audio_filename, found.skipped, found.read_audio()) == ("audio.ogg", (), AUDIO)
    assert read_charts(path) == list(found.charts)


def test_members_are_named_for_the_game_and_audio_is_stored(tmp_path: Path, audio: Path) -> None:
    picture = tmp_path / "b.JPG"
    picture.write_bytes(b"x" * 100)
    write_osz([EASY, HARD], audio, tmp_path / "a.osz", background_path=picture)

    with zipfile.ZipFile(tmp_path / "a.osz") as archive:
        assert archive.namelist() == [
            "audio.ogg",
            "background.jpg",
            "Band - 歌 () [Easy].osu",
            "Band - 歌 () [Hard].osu",
        ]
        assert archive.getinfo("audio.ogg").compress_type == zipfile.ZIP_STORED
        assert archive.testzip() is None
        assert {item.date_time for item in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert read_osz(tmp_path / "a.osz").charts[0].background == "background.jpg"


def test_equal_sets_are_equal_bytes(tmp_path: Path, audio: Path) -> None:
    for name in ("a.osz", "b.osz"):
        write_osz([EASY, HARD], audio, tmp_path / name)
    write_osz([EASY], audio, tmp_path / "c.osz")

    assert (tmp_path / "a.osz").read_bytes() == (tmp_path / "b.osz").read_bytes() != (tmp_path / "c.osz").read_bytes()


def test_the_audio_can_be_had_as_a_file_for_a_while(tmp_path: Path, audio: Path) -> None:
    write_osz([EASY], audio, tmp_path / "a.osz")
    with read_osz(tmp_path / "a.osz").audio_file() as path:
        assert (path.suffix, path.read_bytes()) == (".ogg", AUDIO)
    assert not path.parent.exists()


@pytest.mark.parametrize("name", ["SONG.Mp3", "song.mp3", "only.mp3"])
def test_audio_is_found_in_any_case_and_when_it_is_the_only_one(tmp_path: Path, name: str) -> None:
    path = pack(tmp_path / "a.osz", {name: AUDIO, "a.osu": osu(), "b.png": b""})

    assert read_osz_audio(path, "song.mp3") == AUDIO


def test_missing_audio_is_named(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.osz", {"a.osu": osu()})
    with pytest.raises(ChartFileError, match=r"a\.osz: no audio file “audio\.ogg” in the archive"):
        read_osz(path).read_audio()


def test_charts_that_are_not_4k_or_broken_are_listed_as_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    members = {
        "taiko.osu": osu().replace(b"Mode: 3", b"Mode: 1"),
        "7k.osu": osu().replace(b"CircleSize:4", b"CircleSize:7"),
        "sub/fine.OSU": osu(),
        "latin.osu": b"osu file format v14\nTitle:\xe9",
        "__MACOSX/._fine.osu": b"junk",
    }
    found = read_osz(pack(tmp_path / "a.osz", members))

    assert len(found.charts) == 1
    assert [item.name for item in found.skipped] == ["taiko.osu", "7k.osu", "latin.osu"]
    assert "a.osz/taiko.osu:10: this is a chart for osu!taiko" in found.skipped[0].reason
    assert "for 7 keys, not 4" in found.skipped[1].reason
    assert len(read_charts(tmp_path / "a.osz")) == 1
    assert len(caplog.messages) == 3


def test_a_set_without_a_4k_chart_gives_one_line(tmp_path: Path) -> None:
    with pytest.raises(ChartFileError, match=r"no readable osu!mania 4K chart in the set$"):
        read_charts(pack(tmp_path / "a.osz", {"x.png": b""}))
    with pytest.raises(ChartFileError, match=r"in the set, for example .*osu!taiko"):
        read_charts(pack(tmp_path / "a.osz", {"a.osu": osu().replace(b"Mode: 3", b"Mode: 1")}))


@pytest.mark.parametrize(
    "name",
    [
        "../evil.osu",
        "a/../../evil.osu",
        "/evil.osu",
        "C:/evil.osu",
        "..\\evil.osu",
        "\\\\host\\evil",
        "c:evil",
        "a/.. /b",
    ],
)
def test_paths_that_leave_the_archive_are_refused(tmp_path: Path, name: str) -> None:
    path = pack(tmp_path / "a.osz", {"a.osu": osu(), name: osu()})
    with pytest.raises(ChartFileError, match=r"a\.osz: the path “.*” leads out of the archive; refused"):
        read_osz(path)
    assert [item.name for item in tmp_path.iterdir()] == ["a.osz"]


def test_folders_written_with_backslashes_are_harmless(tmp_path: Path) -> None:
    assert len(read_osz(pack(tmp_path / "a.osz", {"a.osu": osu(), "sb\\b..g.png": b""})).charts) == 1


def test_a_zip_bomb_is_refused_unopened(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.osz", {"a.osu": b"\0" * 5_000_000})
    with pytest.raises(ChartFileError, match=r"“a\.osu” unpacks to .* times its size; refused as a zip bomb"):
        read_osz(path)


@pytest.mark.parametrize(
    ("module", "limit", "value", "message"),
    [
        (archive_module, "MAX_MEMBERS", 1, "3 files in the archive, more than 1"),
        (archive_module, "MAX_TOTAL_BYTES", 100, r"unpacks to 0\.0 GB, more than 1e-07 GB \(a zip bomb\?\)"),
        (archive_module, "MAX_DIRECTORY_BYTES", 10, "its table of contents has .* bytes"),
        (osz_module, "MAX_CHARTS", 1, "2 charts, more than 1"),
        (osz_module, "MAX_CHART_BYTES", 10, "more than 1e-05 MB of charts"),
        (osz_module, "MAX_AUDIO_BYTES", 10, r"audio\.ogg: larger than 1e-05 MB"),
    ],
)
def test_each_limit_holds(
    tmp_path: Path, audio: Path, monkeypatch: pytest.MonkeyPatch, module: object, limit: str, value: int, message: str
) -> None:
    write_osz([EASY, HARD], audio, tmp_path / "a.osz")
    monkeypatch.setattr(module, limit, value)
    with pytest.raises(ChartFileError, match=message):
        read_osz(tmp_path / "a.osz").read_audio()


def encrypted(data: bytes) -> bytes:
    return data.replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00")


def zip64(data: bytes) -> bytes:
    end = data.rindex(b"PK\x05\x06")
    return data[:end] + struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1) + data[end:]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda _: b"", r"a\.osz: not a readable \.osz \(zip\) file"),
        (lambda _: b"hello" * 100, r"not a readable \.osz \(zip\) file: File is not a zip file"),
        (lambda data: data[:-30], "not a readable"),
        (zip64, "not a readable .* zip64"),
        (encrypted, r"“a\.osu” is encrypted \(pack it again without a password\)"),
        (lambda data: data[:60] + b"\xff" * 40 + data[100:], r"a\.osu: damaged: "),
    ],
)
def test_damaged_archives_give_one_line(tmp_path: Path, damage: Callable[[bytes], bytes], message: str) -> None:
    path = pack(tmp_path / "a.osz", {"a.osu": osu()})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ChartFileError, match=message) as error:
        read_charts(path)
    assert "\n" not in str(error.value)


def test_other_compression_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.osz", {"a.osu": osu()}, zipfile.ZIP_LZMA)
    assert "packed by a method the game does not read" in read_osz(path).skipped[0].reason


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ChartFileError, match=r"none\.osz: no such file"):
        read_osz(tmp_path / "none.osz")
    with pytest.raises(ChartFileError, match="is a folder, not a file"):
        read_osz(tmp_path)
    with pytest.raises(ChartFileError, match=r"song\.txt: not a chart file by its name \(known: \.osu \.osz"):
        read_charts(tmp_path / "song.txt")


ARCHIVE = io.BytesIO()
with zipfile.ZipFile(ARCHIVE, "w", zipfile.ZIP_DEFLATED) as _archive:
    _archive.writestr(zipfile.ZipInfo("a.osu"), osu())
    _archive.writestr(zipfile.ZipInfo("audio.ogg"), AUDIO)


@given(st.lists(st.tuples(st.integers(0, len(ARCHIVE.getvalue()) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_any_mutated_archive_gives_charts_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(ARCHIVE.getvalue())
    for at, value in changes:
        data[-1 - at] = value  # shrinks towards the table of contents
    path = tmp_path_factory.mktemp("osz") / "x.osz"
    path.write_bytes(data)
    assert_charts_or_one_line(lambda: read_charts(path))
    assert_charts_or_one_line(lambda: [EASY] if read_osz_audio(path, "audio.ogg") else [])


@given(st.lists(st.builds(Metadata, title=names(), artist=names(), creator=names(), version=names()), max_size=6))
@example([Metadata("t" * 300, version="v" * 300)] * 12)
@example([Metadata("歌" * 300, version="歌" * 300)] * 3)
@example([Metadata(artist="con. x"), Metadata(artist='a/b\\c:d*e?f"g<h>i|j\x07\u202e')])
def test_member_names_are_legal_short_and_unique(metadata: list[Metadata]) -> None:
    found = chart_file_names(metadata)

    assert len({name.casefold() for name in found}) == len(metadata)
    for name in found:
        assert name.endswith(".osu")
        assert not set(name) & set('<>:"/\\|?*')
        assert name.isprintable()
        assert len(name) <= MAX_NAME_CHARACTERS
        assert len(name.encode()) <= MAX_NAME_BYTES
        assert not name.casefold().startswith("con.")


@given(st.lists(charts(max_notes=5), min_size=1, max_size=3))
def test_any_charts_read_back(tmp_path_factory: pytest.TempPathFactory, written: list[Chart]) -> None:
    folder = tmp_path_factory.mktemp("osz")
    (folder / "a.wav").write_bytes(AUDIO)
    write_osz(written, folder / "a.wav", folder / "a.osz")

    assert [chart.metadata for chart in read_osz(folder / "a.osz").charts] == [chart.metadata for chart in written]


def test_sets_that_cannot_be_written_leave_nothing(tmp_path: Path, audio: Path) -> None:
    target = tmp_path / "a.osz"
    with pytest.raises(OutputError, match=r"a\.osz: not written: there is no chart"):
        write_osz([], audio, target)
    with pytest.raises(AudioFileError, match=r"none\.ogg: no such file"):
        write_osz([EASY], tmp_path / "none.ogg", target)
    with pytest.raises(OutputError, match="it is the audio itself"):
        write_osz([EASY], audio, audio)
    with pytest.raises(OutputError, match=r"cannot be written: the folder .* does not exist"):
        write_osz([EASY], audio, tmp_path / "none" / "a.osz")
    with pytest.raises(OutputError, match=r"cannot be written: "):
        write_osz([EASY], audio, audio / "a.osz")  # a file where the folder should be
    with pytest.raises(ChartFileError, match="not a valid chart"):
        write_osz([ChartBuilder().hold(9, until=3).build()], audio, target)
    assert [item.name for item in tmp_path.iterdir()] == [audio.name]


def test_audio_beside_a_chart_stays_in_its_folder(tmp_path: Path, audio: Path) -> None:
    path = tmp_path / "a.osu"
    for name, message in (("../x.ogg", "is not a file in its folder"), ("none.txt", "is not in its folder")):
        with pytest.raises(ChartFileError, match=message):
            audio_beside(path, ChartBuilder().having(audio_filename=name).build())
    chart = ChartBuilder().having(audio_filename=audio.name).build()
    write_osu(chart, path)

    assert audio_beside(path, read_charts(path)[0]) == audio


@pytest.mark.shared
def test_real_sets_are_read_whole(shared_data: Path) -> None:
    paths = sorted((shared_data / "songs").glob("*.osz"))[::20]
    assert paths
    for path in paths:
        found = read_osz(path)
        assert found.charts
        assert found.skipped == ()
        assert found.read_audio()[:4] == b"OggS"
