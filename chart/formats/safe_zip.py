"""Zip archives from strangers: opened and read within bounds, never extracted under the names they carry."""

from __future__ import annotations

import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chart.formats.parsing import shown
from runtime.errors import ChartFileError

MAX_MEMBERS = 10_000
"""Most files in an archive; storyboards with thousands of pictures exist."""

MAX_TOTAL_BYTES = 2_000_000_000
"""Most bytes an archive may claim to unpack to; sets with video stay below 500 MB."""

MAX_DIRECTORY_BYTES = 8_000_000
"""Largest table of contents, checked before it is loaded: each entry costs ten times its size in memory."""

MAX_RATIO = 200
"""Most bytes unpacked for one byte packed, in files above `RATIO_FREE_BYTES`; deflate ends near 1,030, text near 10."""

RATIO_FREE_BYTES = 4_000_000
"""Files up to this size are harmless at any ratio."""

_END_RECORD = b"PK\x05\x06"
_ZIP64_LOCATOR = b"PK\x06\x07"
_END_RECORD_BYTES = 22
_LOCATOR_BYTES = 20
_COMMENT_BYTES = 65_535
_BROKEN = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
    OverflowError,
)
"""Exceptions of `zipfile` on damaged files, found by fuzzing."""


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, its contents checked by `check_members`; raises `ChartFileError` in one line."""
    if not os.path.isfile(path):
        what = "is a folder, not a file" if os.path.isdir(path) else "no such file (check the name)"
        raise ChartFileError(f"{path}: {what}")
    try:
        _check_directory_size(path)
        archive = zipfile.ZipFile(path)
    except _BROKEN as error:
        raise ChartFileError(
            f"{path}: not a readable .osz (zip) file: {shown(str(error))} (download it again)"
        ) from error
    with archive:
        check_members(path, archive.infolist())
        yield archive


def read_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int) -> bytes:
    """All bytes of one member of at most `limit` bytes."""
    place = f"{path}/{shown(member.filename)}"
    if member.file_size > limit:
        raise ChartFileError(f"{place}: larger than {limit / 1e6:g} MB, the most that is read")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ChartFileError(f"{place}: packed by a method the game does not read (pack it again with deflate)")
    try:
        with archive.open(member) as file:
            return file.read(limit)
    except _BROKEN as error:
        raise ChartFileError(f"{place}: damaged: {shown(str(error))} (download it again)") from error


def check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Refuse archives that are encrypted, escape their folder or cost too much to unpack."""
    if len(members) > MAX_MEMBERS:
        raise ChartFileError(f"{path}: {len(members):,} files in the archive, more than {MAX_MEMBERS:,}")
    total = sum(member.file_size for member in members)
    if total > MAX_TOTAL_BYTES:
        raise ChartFileError(
            f"{path}: unpacks to {total / 1e9:.1f} GB, more than {MAX_TOTAL_BYTES / 1e9:g} GB (a zip bomb?)"
        )
    for member in members:
        name = shown(member.filename)
        if escapes(member.orig_filename):
            raise ChartFileError(f"{path}: the path “{name}” leads out of the archive; refused")
        if member.flag_bits & 1:
            raise ChartFileError(f"{path}: “{name}” is encrypted (pack it again without a password)")
        if member.file_size > max(RATIO_FREE_BYTES, MAX_RATIO * member.compress_size):
            ratio = member.file_size / max(1, member.compress_size)
            raise ChartFileError(f"{path}: “{name}” unpacks to {ratio:,.0f} times its size; refused as a zip bomb")


def escapes(name: str) -> bool:
    """Whether a path could lead out of its folder on any system; backslashes count as separators."""
    parts = re.split(r"[/\\]", name)
    return ".." in (part.strip() for part in parts) or name[:1] in ("/", "\\") or ":" in parts[0] or "\0" in name


def _check_directory_size(path: Path) -> None:
    """Refuse an oversized table of contents before it is loaded, by the size its end record states."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _END_RECORD_BYTES - _COMMENT_BYTES - _LOCATOR_BYTES))
        tail = file.read()
    for match in re.finditer(re.escape(_END_RECORD), tail):
        record = tail[match.start() : match.start() + _END_RECORD_BYTES]
        if len(record) < _END_RECORD_BYTES:
            continue
        if tail[: match.start()][-_LOCATOR_BYTES:].startswith(_ZIP64_LOCATOR):
            raise zipfile.BadZipFile("zip64, which is for archives above 4 GB")
        directory_bytes = struct.unpack_from("<L", record, 12)[0]
        if directory_bytes > MAX_DIRECTORY_BYTES:
            raise zipfile.BadZipFile(f"its table of contents has {directory_bytes:,} bytes")
