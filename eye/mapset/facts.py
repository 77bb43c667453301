"""Facts about a set besides its charts: its files, and the formats of its song and pictures."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from chart.analysis.star_rating import stars
from chart.formats.find_file import find, key_of
from chart.formats.osz import Beatmapset, Member, list_osz, read_osz, read_osz_file
from chart.formats.parsing import decode_as_the_game
from chart.model import Chart
from runtime.errors import ChartFileError

TEXT_SUFFIXES = frozenset({".osu", ".osb"})
MAX_MENTIONS_BYTES = 20_000_000
"""Most text searched for names of files; storyboards beyond it are taken to use every file."""


@dataclass(frozen=True, slots=True)
class Sound:
    """The song's file."""

    name: str
    format: str  # "mp3", "ogg", "wav" … as its content says; "" if it cannot be read
    kbps: float  # mean bit rate, nan if unknown
    duration_ms: float  # nan if unknown


@dataclass(frozen=True, slots=True)
class Picture:
    """A background picture of the set."""

    name: str
    size: int  # bytes
    pixels: tuple[int, int] | None  # width and height; None if it is neither PNG nor JPEG


@dataclass(frozen=True)
class MapsetFacts:
    """A set as the rules see it."""

    charts: tuple[Chart, ...]  # by stars, the easiest first
    stars: tuple[float, ...]
    files: tuple[Member, ...]
    mentions: str  # text of every chart and storyboard, in lower case with forward slashes; "" if there is too much
    sound: Sound | None  # None where no file has the name that the charts give
    pictures: tuple[Picture, ...]  # backgrounds that are there


def mapset_facts(path: Path, beatmapset: Beatmapset | None = None) -> MapsetFacts:
    """Read a set, whose charts may be read already. Raises `ChartFileError` where there is no 4K chart in it."""
    beatmapset = beatmapset or read_osz(path)
    if not beatmapset.charts:
        raise ChartFileError(f"{path}: no readable osu!mania 4K chart in the set")
    rated = sorted(((stars(chart), index) for index, chart in enumerate(beatmapset.charts)))
    files = list_osz(path)
    return MapsetFacts(
        charts=tuple(beatmapset.charts[index] for _, index in rated),
        stars=tuple(rating for rating, _ in rated),
        files=files,
        mentions=_mentions(path, files),
        sound=_sound(beatmapset),
        pictures=_pictures(beatmapset, files),
    )


def _mentions(path: Path, files: tuple[Member, ...]) -> str:
    texts = [one for one in files if PurePosixPath(key_of(one.name)).suffix in TEXT_SUFFIXES]
    if sum(one.size for one in texts) > MAX_MENTIONS_BYTES:
        return ""
    return "\n".join(key_of(decode_as_the_game(read_osz_file(path, one.name) or b"")) for one in texts)


def _sound(beatmapset: Beatmapset) -> Sound | None:
    import mutagen

    name = beatmapset.audio_filename
    data = read_osz_file(beatmapset.path, name)
    if data is None:
        return None
    try:
        found = mutagen.File(io.BytesIO(data))
    except (mutagen.MutagenError, OSError, ValueError, struct.error, IndexError, OverflowError):
        found = None
    length_s = float(getattr(getattr(found, "info", None), "length", 0.0))
    if found is None or not length_s > 0:
        return Sound(name, "", float("nan"), float("nan"))
    kind = type(found).__name__.lower()
    # Pictures in an mp3's tag are no sound; of Vorbis the bit rate that is written is only the encoder's aim.
    kbps = found.info.bitrate / 1000 if kind == "mp3" else 8 * len(data) / length_s / 1000
    return Sound(name, "ogg" if kind == "oggvorbis" else kind, kbps, 1000 * length_s)


def _pictures(beatmapset: Beatmapset, files: tuple[Member, ...]) -> tuple[Picture, ...]:
    found = []
    for name in sorted({chart.background for chart in beatmapset.charts if chart.background}):
        member = find(name, [(one.name, one) for one in files])
        if member is not None:
            data = read_osz_file(beatmapset.path, name) or b""
            found.append(Picture(member.name, member.size, size_of(data)))
    return tuple(found)


def size_of(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels of a PNG or JPEG; None for others and damaged ones."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        width, height = struct.unpack_from(">II", data, 16)
        return width, height
    at = 2
    while data.startswith(b"\xff\xd8") and at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame header
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
