"""`.osz` beatmap sets: a zip archive of `.osu` charts with their audio.

Only charts and audio are ever read from an archive, into memory; storyboards, videos and skins are left alone.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from chart.formats.find_file import find, is_audio, key_of, name_of
from chart.formats.osu_read import format_osu, parse_osu, parse_timing
from chart.formats.parsing import MAX_TEXT_BYTES, decode_as_the_game, shown
from chart.formats.safe_zip import open_archive, read_member
from chart.model import Chart, Metadata
from runtime.atomic_write import replacing
from runtime.errors import AudioFileError, ChartFileError, OtherGameError, OutputError

MAX_CHARTS = 300
"""Most charts read from one set; the largest ranked sets have some 60."""

MAX_CHART_BYTES = 100_000_000
"""Most `.osu` text read from one set."""

MAX_AUDIO_BYTES = 500_000_000
"""Largest audio file read from a set; 40 minutes of 16-bit stereo are 420 MB."""

MAX_NAME_CHARACTERS = 120
"""Longest member name written: long paths fail on Windows."""

MAX_NAME_BYTES = 240
"""Longest member name in UTF-8; most file systems stop at 255."""

_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)\s*(\.|$)", re.IGNORECASE)  # device names on Windows
WRITTEN_DATE = (1980, 1, 1, 0, 0, 0)
"""Date of every member written: the earliest that zip knows. A fixed one makes equal sets equal bytes."""


@dataclass(frozen=True, slots=True)
class SkippedChart:
    """A chart of a set that was not read, and why in one line."""

    name: str
    reason: str
    is_other_game: bool = False  # a sound chart of another mode or number of keys


@dataclass(frozen=True, slots=True)
class Beatmapset:
    """The osu!mania 4K charts of an `.osz`, in the order of the archive."""

    path: Path
    charts: tuple[Chart, ...]
    skipped: tuple[SkippedChart, ...] = ()  # charts of other modes and key counts, and broken ones
    timings: tuple[Chart, ...] = ()  # red lines, song and names of skipped charts that have them; no notes

    @property
    def audio_filename(self) -> str:
        """Name of the audio file of the first 4K chart, else of the first other chart; empty without charts."""
        return next((chart.audio_filename for chart in (*self.charts, *self.timings)), "")

    def read_audio(self, filename: str | None = None) -> bytes:
        """The bytes of an audio file of the set, by default that of the first chart."""
        return read_osz_audio(self.path, self.audio_filename if filename is None else filename)

    @contextmanager
    def audio_file(self, filename: str | None = None) -> Iterator[Path]:
        """The audio as a temporary file, not named by the archive, removed when the block ends."""
        name = self.audio_filename if filename is None else filename
        with tempfile.TemporaryDirectory(prefix="mania4k-") as folder:
            path = Path(folder) / f"audio{_audio_suffix(name)}"
            path.write_bytes(self.read_audio(name))
            yield path


def read_osz(path: Path) -> Beatmapset:
    """The 4K charts of an `.osz`; raises `ChartFileError` for archives that are damaged, unsafe or too costly."""
    path = Path(path)
    charts: list[Chart] = []
    skipped: list[SkippedChart] = []
    timings: list[Chart] = []
    with open_archive(path) as archive:
        members = [member for member in archive.infolist() if _is_chart(member.filename)]
        if len(members) > MAX_CHARTS:
            raise ChartFileError(f"{path}: {len(members):,} charts, more than {MAX_CHARTS}")
        if sum(member.file_size for member in members) > MAX_CHART_BYTES:
            raise ChartFileError(f"{path}: more than {MAX_CHART_BYTES / 1e6:g} MB of charts")
        for member in members:
            name = name_of(member)
            where, text = f"{path}/{shown(name)}", ""
            try:
                text = decode_as_the_game(read_member(path, archive, member, MAX_TEXT_BYTES))
                charts.append(parse_osu(text, where))
            except ChartFileError as error:
                skipped.append(SkippedChart(name, str(error), isinstance(error, OtherGameError)))
                with suppress(ChartFileError):
                    timings.append(parse_timing(text, where))
    return Beatmapset(path, tuple(charts), tuple(skipped), tuple(timings))


def read_osz_audio(path: Path, filename: str) -> bytes:
    """The bytes of the audio file that a chart of the set calls `filename` (`chart.formats.find_file`), else of the largest."""
    path = Path(path)
    with open_archive(path) as archive:
        files = [(name_of(member), member) for member in archive.infolist() if not member.is_dir()]
        member = find(filename, files)
        if member is None:
            audio = [member for name, member in files if is_audio(name) and not _is_of_macos(name)]
            if not audio:
                raise ChartFileError(f"{path}: no audio file “{shown(filename)}” in the archive (export the set again)")
            member = max(audio, key=lambda one: one.file_size)
        return read_member(path, archive, member, MAX_AUDIO_BYTES)


def read_osz_file(path: Path, filename: str) -> bytes | None:
    """The bytes of the file that a chart of the set calls `filename`, None where the set has none of the name."""
    with open_archive(Path(path)) as archive:
        member = find(filename, [(name_of(one), one) for one in archive.infolist() if not one.is_dir()])
        return None if member is None else read_member(Path(path), archive, member, MAX_AUDIO_BYTES)


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a set."""

    name: str
    size: int  # bytes unpacked


def list_osz(path: Path) -> tuple[Member, ...]:
    """The files of a set, without folders and what macOS adds."""
    with open_archive(Path(path)) as archive:
        files = [one for one in archive.infolist() if not one.is_dir() and not _is_of_macos(one.filename)]
        return tuple(Member(name_of(one), one.file_size) for one in files)


def write_osz(charts: Sequence[Chart], audio_path: Path, path: Path, background_path: Path | None = None) -> None:
    """Write charts with their audio as one set, all or nothing; equal input gives equal bytes.

    The audio is stored as `audio.<suffix>` and the background as `background.<suffix>`; the charts are made to name
    them. The order of the charts is kept.
    """
    audio_path, path = Path(audio_path), Path(path)
    if not charts:
        raise OutputError(f"{path}: not written: there is no chart to put in it")
    files = {f"audio{_audio_suffix(audio_path.name)}": audio_path}
    audio_name, background = next(iter(files)), ""
    if background_path is not None:
        background = f"background{_audio_suffix(Path(background_path).name)}"
        files[background] = Path(background_path)
    named = [replace(chart, audio_filename=audio_name, background=background) for chart in charts]
    texts = dict(zip(chart_file_names([chart.metadata for chart in named]), map(format_osu, named), strict=True))
    pack_set(path, files, texts)


def pack_set(path: Path, files: Mapping[str, Path], texts: Mapping[str, str]) -> None:
    """Write an archive of files, by the name in it, and of texts, all or nothing; equal input gives equal bytes."""
    for source in files.values():
        _require_source(source, path)
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, source in files.items():
            with source.open("rb") as data, archive.open(entry_of(name, zipfile.ZIP_STORED), "w") as member:
                shutil.copyfileobj(data, member, 1 << 20)
        for name, text in texts.items():
            archive.writestr(entry_of(name, zipfile.ZIP_DEFLATED), text.encode("utf-8"), compresslevel=9)


def chart_file_names(names: Sequence[Metadata], suffix: str = ".osu") -> list[str]:
    """`Artist - Title (Creator) [Version].osu` for each chart: legal on every system, short, no two alike."""
    taken: set[str] = set()
    result = []
    for metadata in names:
        head = _legal(f"{metadata.artist} - {metadata.title} ({metadata.creator})")
        version = _legal(metadata.version)
        number = 1
        while (name := _fit(head, version, number, suffix)).casefold() in taken:
            number += 1
        taken.add(name.casefold())
        result.append(name)
    return result


def _fit(head: str, version: str, number: int, suffix: str) -> str:
    """A name within the limits; the head is shortened first, then the version."""
    end = f" {number}{suffix}" if number > 1 else suffix
    while True:
        name = f"{head} [{version}]{end}".strip()
        name = f"_{name}" if _RESERVED.match(name) else name
        if len(name) <= MAX_NAME_CHARACTERS and len(name.encode("utf-8")) <= MAX_NAME_BYTES:
            return name
        if len(head) > len(version):
            head = head[:-1].rstrip()
        else:
            version = version[:-1].rstrip()


def _legal(text: str) -> str:
    """Text without what Windows forbids in file names, invisible characters and runs of white space."""
    spaced = " ".join(text.split())
    return "".join(character for character in spaced if character.isprintable() and character not in '<>:"/\\|?*')


def entry_of(name: str, compression: int) -> zipfile.ZipInfo:
    """An archive member with a fixed date: equal sets are equal bytes."""
    entry = zipfile.ZipInfo(name, WRITTEN_DATE)
    entry.compress_type = compression
    entry.create_system = 3  # the same bytes on every system
    entry.external_attr = 0o644 << 16
    return entry


def _require_source(source: Path, path: Path) -> None:
    """Refuse sources that cannot be packed before anything is written."""
    if not source.is_file():
        raise AudioFileError(f"{source}: no such file (check the name)")
    if not os.access(source, os.R_OK):
        raise AudioFileError(f"{source}: cannot be read (check its permissions)")
    if path.exists() and path.samefile(source):
        raise OutputError(f"{path}: not written: it is the audio itself (choose another name)")


def _audio_suffix(name: str) -> str:
    """The file name's suffix in lower case if it is plain ASCII, else nothing."""
    suffix = Path(name).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""


def _is_chart(name: str) -> bool:
    """Whether a member is a chart."""
    return key_of(name).endswith(".osu") and not _is_of_macos(name)


def _is_of_macos(name: str) -> bool:
    """Whether a member is a `__MACOSX/._name` entry, metadata that macOS adds."""
    return key_of(name).rpartition("/")[2].startswith("._")
