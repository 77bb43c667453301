"""Look-up of a set's files by the names in its charts, whatever their case, path separator or Unicode normalization."""

from __future__ import annotations

import unicodedata
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TypeVar

T = TypeVar("T")

UTF8_NAME = 0x800
"""Flag of a zip member whose name is UTF-8; without it, zip names are in the code page of whoever packed them."""
CODE_PAGES = ("utf-8", "cp932")
"""Encodings tried for such names: UTF-8 of macOS and old tools, Shift-JIS of Japan, where most such sets come from."""
AUDIO_SUFFIXES = frozenset({".ogg", ".mp3", ".wav", ".flac", ".opus", ".m4a"})


def name_of(member: zipfile.ZipInfo) -> str:
    """The member's name as the game reads it."""
    if member.flag_bits & UTF8_NAME or member.filename.isascii():
        return member.filename
    try:
        raw = member.filename.encode("cp437")  # zipfile decodes such names as cp437
    except UnicodeEncodeError:
        return member.filename
    for encoding in CODE_PAGES:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return member.filename


def key_of(name: str) -> str:
    """Key under which all spellings of a name are equal."""
    plain = name.replace("\\", "/").removeprefix("./")
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", plain).casefold())


def find(name: str, files: Iterable[tuple[str, T]]) -> T | None:
    """The file that a chart names: matched by its path, else by a path that ends so, else by the file name alone."""
    wanted = key_of(name)
    if not wanted:
        return None
    keyed = [(key_of(path), file) for path, file in files]
    for matches in (
        lambda key: key == wanted,
        lambda key: key.endswith("/" + wanted),
        lambda key: key.rpartition("/")[2] == wanted.rpartition("/")[2],
    ):
        found = [file for key, file in keyed if matches(key)]
        if found:
            return found[0]
    return None


def is_audio(name: str) -> bool:
    """Whether the suffix is that of an audio file."""
    return PurePosixPath(key_of(name)).suffix in AUDIO_SUFFIXES


def find_on_disk(folder: Path, name: str) -> Path | None:
    """The file of a folder, or below it, that a chart calls `name`, in any case; its largest audio file where there is none."""
    exact = folder / name.replace("\\", "/")
    if exact.is_file():
        return exact
    place = folder
    *parents, last = key_of(name).split("/")
    for part in parents:
        place = next((one for one in _listed(place) if one.is_dir() and key_of(one.name) == part), place)
    files = [one for one in _listed(place) if one.is_file()]
    found = next((one for one in files if key_of(one.name) == last), None)
    if found is not None:
        return found
    audio = [one for one in files if is_audio(one.name)]
    return max(audio, key=lambda one: (one.stat().st_size, one.name)) if is_audio(last) and audio else None


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
