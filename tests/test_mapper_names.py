"""Names, settings, preview and background as people have them."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ear.audio.decode import Tags
from mapper.output.cover import cover_of
from mapper.output.metadata import finish, named_stars, preview_point_ms
from mapper.request.names import metadata_of, romanised, title_and_artist
from mapper.request.options import GenerateConfig
from runtime.errors import ConfigError
from tests.builders import ChartBuilder

PNG = b"\x89PNG\r\n\x1a\n" + b"front"


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("Beyoncé", "Beyonce"),
        ("ギミチョコ!!", "gimichoko!!"),
        ("きゃりーぱみゅぱみゅ", "kyariipamyupamyu"),
        ("ファッション マッチ", "fasshon matchi"),
        ("Группа крови", "Gruppa krovi"),
        ("밤편지", "Bampyeonji"),
        ("夜に駆ける", "夜に駆ける"),
        ("ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
    ],
)
def test_names_are_spelt_in_ascii(text: str, spelt: str) -> None:
    assert romanised(text) == spelt
    metadata = metadata_of(text, text, "me")
    assert (metadata.title_unicode, metadata.artist_unicode) == (text.replace("\u3000", " "),) * 2


def test_given_spellings_stand() -> None:
    metadata = metadata_of("夜に駆ける", "YOASOBI\u2028", "me", romanised_title="Yoru ni Kakeru")
    assert (metadata.title, metadata.artist) == ("Yoru ni Kakeru", "YOASOBI")


@pytest.mark.parametrize(
    ("name", "tags", "title", "artist"),
    [
        ("Band - Song.mp3", Tags(), "Song", "Band"),
        ("03. Band – Song (Live).mp3", Tags(), "Song (Live)", "Band"),
        ("01 - Song.mp3", Tags(), "Song", "Unknown Artist"),
        ("99 Luftballons.mp3", Tags(), "99 Luftballons", "Unknown Artist"),
        ("Band_-_My_Song.mp3", Tags(), "My Song", "Band"),
        ("my_song.mp3", Tags(), "my song", "Unknown Artist"),
        ("Band - Song.mp3", Tags("Title", "Artist"), "Title", "Artist"),
        ("Band - Song.mp3", Tags("", "Band"), "Song", "Band"),
        ("A - B.mp3", Tags("Title", ""), "Title", "Unknown Artist"),
        ("Self-Titled.mp3", Tags(), "Self-Titled", "Unknown Artist"),
    ],
)
def test_names_of_files_are_split(name: str, tags: Tags, title: str, artist: str) -> None:
    assert title_and_artist(tags, Path(name)) == (title, artist)


def test_a_name_does_not_change_with_a_hundredth_of_a_star() -> None:
    assert named_stars(4.0, 3.99) == named_stars(4.0, 4.01) == 4.0
    assert named_stars(4.0, 3.5) == 3.5
    charts = [ChartBuilder().note(1000).build()]
    [below], [above] = (
        finish(charts, [named_stars(4.0, stars)], metadata_of("t", "a", "c"), 0) for stars in (3.99, 4.01)
    )
    assert below == above


def test_settings_that_are_given() -> None:
    charts = [ChartBuilder().note(1000).build()]
    [chart] = finish(charts, [4.0], metadata_of("t", "a", "c"), 0, hp=3.0, od=9.5)
    assert (chart.difficulty.hp, chart.difficulty.od) == (3.0, 9.5)


def test_the_preview_starts_with_a_kiai() -> None:
    features = np.zeros((30_000, 4), np.uint8)
    features[20_000:24_000] = 200
    downbeats = np.arange(0, 300_000.0, 2000.0)
    loud_ms = preview_point_ms(features, downbeats, 0.0)
    assert (
        preview_point_ms(features, downbeats, 0.0, [(4000.0, 20_000.0), (loud_ms + 3000.0, loud_ms + 9000.0)])
        == loud_ms + 3000
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hp": 11}, "--hp 11: must be 0 to 10"),
        ({"od": -1}, "--od -1"),
        ({"preview": -2}, "--preview -2"),
        ({"background": Path("a.gif")}, r"--background a\.gif: must be one of"),
        ({"background": Path("none.png")}, r"--background none\.png: no such file"),
    ],
)
def test_settings_that_cannot_be(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GenerateConfig(song=Path("a.mp3"), **options)


@pytest.mark.parametrize("kind", ["mp3", "flac", "ogg"])
def test_the_cover_becomes_a_file(tmp_path: Path, kind: str) -> None:
    from mutagen.flac import FLAC, Picture
    from mutagen.id3 import APIC, ID3
    from mutagen.oggvorbis import OggVorbis

    song = tmp_path / f"song.{kind}"
    soundfile.write(song, np.zeros(22_050), 22_050)
    picture = Picture()
    picture.data, picture.type, picture.mime = PNG, 3, "image/png"
    if kind == "mp3":
        tags = ID3()
        tags.add(APIC(mime="image/png", type=4, desc="back", data=PNG.replace(b"front", b"back")))
        tags.add(APIC(mime="image/png", type=3, desc="front", data=PNG))
        tags.save(song)
    elif kind == "flac":
        file = FLAC(song)
        file.add_picture(picture)
        file.save()
    else:
        vorbis = OggVorbis(song)
        vorbis["metadata_block_picture"] = [base64.b64encode(picture.write()).decode()]
        vorbis.save()
    found = cover_of(song, tmp_path)
    assert found is not None
    assert (found.name, found.read_bytes()) == ("background.png", PNG)


def test_songs_without_a_usable_cover(tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    file = io.BytesIO()
    soundfile.write(file, np.zeros(22_050), 22_050, format="WAV")
    song.write_bytes(file.getvalue())
    assert cover_of(song, tmp_path) is None
    song.write_bytes(b"no song")
    assert cover_of(song, tmp_path) is None
