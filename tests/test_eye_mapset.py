"""Rules about a set: each fires on a set that breaks it and on nothing else, and a sound set is left alone."""

import json
import math
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import eye.review as review
from chart.formats.osu_write import format_osu
from chart.model import Chart, Metadata, TimingPoint
from eye.critique.types import Review
from eye.mapset import mapset_facts, review_mapset
from eye.mapset.facts import Sound, size_of
from eye.mapset.rules import findings_of
from runtime.errors import ChartFileError
from tests.builders import ChartBuilder

STEPS_MS = {"Easy": 300, "Normal": 95, "Hard": 70}
NAMES = Metadata(title="T", title_unicode="T", artist="A", artist_unicode="A", creator="me", tags=("a",))


def jpeg(width: int, height: int) -> bytes:
    """As much of a JPEG as tells its size."""
    return b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08" + struct.pack(">HH", height, width) + bytes(12)


@pytest.fixture(scope="module")
def song(tmp_path_factory) -> bytes:
    """Twenty seconds of noise in Vorbis of some 165 kbit/s."""
    path = tmp_path_factory.mktemp("song") / "song.ogg"
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, (44_100, 2))
    settings = {"format": "OGG", "subtype": "VORBIS", "compression_level": 0.5}
    with soundfile.SoundFile(path, "w", 44_100, 2, **settings) as file:
        for _ in range(20):
            file.write(noise)
    return path.read_bytes()


def sound_charts() -> list[Chart]:
    """Three levels without a gap, 18 s long."""
    common = {"audio_filename": "song.ogg", "background": "bg.jpg", "preview_ms": 3000}
    return [
        ChartBuilder()
        .bpm(100)
        .stream(0, step, "0123" * (18_000 // step // 4))
        .having(metadata=replace(NAMES, version=name), **common)
        .build()
        for name, step in STEPS_MS.items()
    ]


def kinds(tmp_path: Path, charts: list[Chart], files: dict[str, bytes]) -> list[str]:
    """Kinds of the findings about a set."""
    path = tmp_path / "set.osz"
    with zipfile.ZipFile(path, "w") as archive:
        for index, chart in enumerate(charts):
            archive.writestr(f"{index}.osu", format_osu(chart))
        for name, data in files.items():
            archive.writestr(name, data)
    return [finding.kind.removeprefix("set/") for finding in review_mapset(path)]


@pytest.fixture
def files(song: bytes) -> dict[str, bytes]:
    return {"song.ogg": song, "bg.jpg": jpeg(1920, 1080), "soft-hitnormal.wav": b"x", "thumbs.db": b"x"}


def test_a_sound_set_has_no_finding(tmp_path, files) -> None:
    assert kinds(tmp_path, sound_charts(), files) == []


def test_stars_of_the_sound_set_are_its_names(tmp_path, files) -> None:
    kinds(tmp_path, sound_charts(), files)
    stars = mapset_facts(tmp_path / "set.osz").stars
    assert stars[0] < 2.0 <= stars[1] < 2.7 <= stars[2] < 4.0, stars


def test_a_gap_in_the_spread(tmp_path, files) -> None:
    easy, _, hard = sound_charts()
    assert kinds(tmp_path, [easy, hard], files) == ["spread-gap"]


def test_too_hard_an_easiest_difficulty(tmp_path, files) -> None:
    assert kinds(tmp_path, sound_charts()[2:], files) == ["lowest-difficulty"]


def lasting(charts: list[Chart], minutes: float) -> list[Chart]:
    """The charts with their first note so long before the end."""
    return [replace(chart, time_ms=np.r_[chart.last_ms - 60_000 * minutes, chart.time_ms[1:]]) for chart in charts]


@pytest.mark.parametrize(
    ("stars", "minutes", "found"),
    [
        ((2.8,), 1.99, ["lowest-difficulty"]),
        ((2.8,), 2.0, []),
        ((2.5,), 0.5, []),
        ((4.2,), 2.74, ["lowest-difficulty"]),
        ((4.2,), 2.75, []),
        ((5.4,), 3.49, ["lowest-difficulty"]),
        ((5.4,), 3.5, []),
        ((2.8, 3.5, 4.2, 5.4), 1.0, []),  # four without a gap
        ((2.8, 3.5, 4.2), 1.0, ["lowest-difficulty"]),
        ((2.8, 3.5, 3.9, 5.4), 1.0, ["spread-gap", "lowest-difficulty"]),
        ((4.2, 5.0, 5.4), 2.5, []),
        ((1.5, 3.0), 1.9, ["spread-gap"]),
        ((1.5, 3.0), 2.1, []),  # Normal is below what is required
        ((1.5, 4.2), 2.1, ["spread-gap"]),
        ((1.5, 5.4), 3.6, []),
    ],
)
def test_the_spread_that_a_length_requires(tmp_path, files, stars, minutes, found) -> None:
    kinds(tmp_path, sound_charts(), files)
    facts = mapset_facts(tmp_path / "set.osz")
    charts = tuple(
        renamed(chart, version=str(index))
        for index, chart in enumerate(lasting([facts.charts[0]] * len(stars), minutes))
    )
    facts = replace(facts, charts=charts, stars=stars)
    assert [finding.kind.removeprefix("set/") for finding in findings_of(facts)] == found


def test_the_words_of_the_spread(tmp_path, files) -> None:
    easy, _, hard = sound_charts()
    kinds(tmp_path, [easy, hard], files)
    assert [finding.reason for finding in review_mapset(tmp_path / "set.osz")] == [
        "Normal is missing between “Easy” (Easy) and “Hard” (Hard)."
    ]
    kinds(tmp_path, [hard], files)
    assert [finding.reason for finding in review_mapset(tmp_path / "set.osz")] == [
        "The easiest difficulty, “Hard”, is Hard; a set of 0:17 needs one of Normal or easier, or at least 4 difficulties without a gap."
    ]


def renamed(chart: Chart, **names: object) -> Chart:
    return replace(chart, metadata=replace(chart.metadata, **names))


def test_names(tmp_path, files) -> None:
    easy, normal, hard = sound_charts()
    swapped = [renamed(easy, version="Hard"), normal, renamed(hard, version="Easy")]
    assert kinds(tmp_path, swapped, files) == ["name-order", "name-order"]
    assert kinds(tmp_path, [easy, renamed(normal, version="easy"), hard], files) == ["same-name"]
    assert kinds(tmp_path, [easy, renamed(normal, artist="B"), renamed(hard, tags=())], files) == ["metadata-differs"]
    [finding] = review_mapset(tmp_path / "set.osz")
    assert finding.reason == "The difficulties differ in artist and tags."


def test_timing_and_preview_differ(tmp_path, files) -> None:
    easy, normal, hard = sound_charts()
    moved = replace(normal, timing_points=(TimingPoint(3.0, 600.0),))
    assert kinds(tmp_path, [easy, moved, hard], files) == ["timing-differs"]
    [finding] = review_mapset(tmp_path / "set.osz")
    assert finding.reason == "“Normal” has other red lines than “Hard”: 1 differs, the first at 0:00.000."
    also = replace(easy, timing_points=moved.timing_points)
    assert kinds(tmp_path, [also, moved, hard], files) == ["timing-differs"]
    [finding] = review_mapset(tmp_path / "set.osz")
    assert finding.reason == "“Hard” has other red lines than “Normal”: 1 differs, the first at 0:00.000."
    assert kinds(tmp_path, [easy, replace(normal, preview_ms=7), hard], files) == ["preview-differs"]
    assert kinds(tmp_path, [easy, replace(normal, preview_ms=-1), hard], files) == ["no-preview"]


def test_red_lines_at_one_time(tmp_path, files) -> None:
    [line] = sound_charts()[0].timing_points
    twice = [replace(chart, timing_points=(line, line)) for chart in sound_charts()]
    assert kinds(tmp_path, twice, files) == ["lines-at-once"] * 3
    near = (line, replace(line, time_ms=line.time_ms + 1))
    assert kinds(tmp_path, [replace(chart, timing_points=near) for chart in sound_charts()], files) == []


@pytest.mark.parametrize(
    ("picture", "kind"),
    [
        (jpeg(2561, 1440), "background-size"),
        (jpeg(1000, 1000), "background-size"),
        (jpeg(1920, 1080) + bytes(2_700_000), "background-bytes"),
    ],
)
def test_backgrounds(tmp_path, files, picture: bytes, kind: str) -> None:
    assert kinds(tmp_path, sound_charts(), files | {"bg.jpg": picture}) == [kind]


def test_a_background_that_is_missing(tmp_path, files) -> None:
    del files["bg.jpg"]
    assert kinds(tmp_path, sound_charts(), files) == ["no-background"]
    easy, normal, hard = sound_charts()
    assert kinds(tmp_path, [easy, replace(normal, background=""), hard], files) == ["no-background"]


def test_unused_and_empty_files(tmp_path, files) -> None:
    assert kinds(tmp_path, sound_charts(), files | {"virus.exe": b"x"}) == ["unused-file"]
    assert kinds(tmp_path, sound_charts(), files | {"soft-hitclap2.wav": b""}) == ["empty-file"]
    used = files | {"sb/a0.png": b"x", "story.osb": b'Animation,Foreground,Centre,"SB\\a.png",320,240,1,50'}
    assert kinds(tmp_path, sound_charts(), used) == []


def test_the_song_is_read(tmp_path, files) -> None:
    kinds(tmp_path, sound_charts(), files)
    sound = mapset_facts(tmp_path / "set.osz").sound
    assert (sound.format, round(sound.duration_ms)) == ("ogg", 20_000)
    assert sound.kbps == pytest.approx(len(files["song.ogg"]) * 8 / 20_000)


@pytest.mark.parametrize(
    ("sound", "found"),
    [
        (Sound("a", "ogg", 208.4, 20_000), []),
        (Sound("a", "mp3", 192.3, 20_000), []),
        (Sound("a", "mp3", 208, 20_000), ["set/bit-rate"]),
        (Sound("a", "ogg", 127, 20_000), ["set/bit-rate"]),
        (Sound("a", "ogg", 160, 25_000), ["set/song-unused"]),
        (Sound("a", "wave", 1411, 20_000), ["set/song-format"]),
        (Sound("a", "", math.nan, math.nan), ["set/song-format"]),
        (None, ["set/song-missing"]),
    ],
)
def test_songs(tmp_path, files, sound: Sound | None, found: list[str]) -> None:
    kinds(tmp_path, sound_charts(), files)
    facts = replace(mapset_facts(tmp_path / "set.osz"), sound=sound)
    assert [finding.kind for finding in findings_of(facts)] == found


@pytest.mark.parametrize("data", [b"", b"no sound", b"ID3" + bytes(99), b"OggS" + bytes(99), b"fLaC" + bytes(99)])
def test_songs_that_cannot_be_read(tmp_path, files, data: bytes) -> None:
    assert "song-format" in kinds(tmp_path, sound_charts(), files | {"song.ogg": data})


@pytest.mark.parametrize(("off_ms", "found"), [(0, []), (4, ["kiai-unsnapped"]), (17, ["kiai-unsnapped"])])
def test_kiai(tmp_path, files, off_ms: float, found: list[str]) -> None:
    easy, normal, hard = sound_charts()
    kiai = TimingPoint(6000.0 + off_ms, -100.0, uninherited=False, effects=1)
    marked = replace(hard, timing_points=(*hard.timing_points, kiai))
    assert kinds(tmp_path, [easy, normal, marked], files) == found


@pytest.mark.parametrize(
    ("data", "pixels"),
    [
        (jpeg(640, 480), (640, 480)),
        (b"\x89PNG\r\n\x1a\n" + bytes(8) + struct.pack(">II", 30, 20), (30, 20)),
        (b"\xff\xd8\xff", None),
        (b"\xff\xd8\xff\xe0\x00\x00" + bytes(20), None),
        (b"GIF89a", None),
    ],
)
def test_sizes_of_pictures(data: bytes, pixels: tuple[int, int] | None) -> None:
    assert size_of(data) == pixels


def test_the_review_lists_the_set(tmp_path, files, monkeypatch) -> None:
    plain = Review("T", "A", "Hard", "me", 3.0, 3.0, "Hard", 3.0, 8, 0, 1000.0, with_song=False)
    monkeypatch.setattr(review, "review_chart", lambda *_, **__: plain)
    monkeypatch.setattr(review, "song_of", lambda *_: None)
    kinds(tmp_path, sound_charts(), files | {"virus.exe": b"x"})
    result = CliRunner().invoke(review.main, [str(tmp_path / "set.osz"), "--json"])
    assert [finding["kind"] for finding in json.loads(result.stdout)["set"]] == ["set/unused-file"]
    result = CliRunner().invoke(review.main, [str(tmp_path / "set.osz")])
    assert "• problem (unused-file): Used by no chart or storyboard: “virus.exe”. → Remove them." in " ".join(
        result.stdout.split()
    )


def test_a_set_without_a_4k_chart_is_refused(tmp_path) -> None:
    with zipfile.ZipFile(tmp_path / "a.osz", "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(ChartFileError, match="no readable osu!mania 4K chart"):
        review_mapset(tmp_path / "a.osz")
