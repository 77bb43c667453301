"""Decides whether an existing file may be replaced by default: only if this project wrote it and nobody changed it since."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from chart.formats.osu_read import read_osu
from chart.formats.osz import WRITTEN_DATE, read_osz
from chart.model import MACHINE_MADE_TAGS
from runtime.errors import ChartFileError, OutputError

PAGE_MARK = b"- mania4k</title>"
"""Marker in the head of every page that this project writes."""
PAGE_HEAD_BYTES = 4096


def require_replaceable(path: Path, overwrite: bool = False) -> None:
    """Raise OutputError where `path` is a map or page that is not as this project wrote it, unless `overwrite` says so."""
    if overwrite or not os.path.isfile(path):
        return
    checks = {".osz": _is_written_set, ".osu": _is_without_notes, ".html": _is_written_page, ".htm": _is_written_page}
    check = checks.get(path.suffix.lower())
    if check is not None and not check(path):
        raise OutputError(
            f"{path}: is there already and not as mania4k wrote it; name another file with -o, or replace it with --overwrite"
        )


def _is_written_set(path: Path) -> bool:
    """Whether every member has the fixed date of our archives; members that were added or edited have another."""
    try:
        with zipfile.ZipFile(path) as archive:
            if any(member.date_time != WRITTEN_DATE for member in archive.infolist()):
                return False
        return any(set(MACHINE_MADE_TAGS) <= set(chart.metadata.tags) for chart in read_osz(path).charts)
    except (ChartFileError, zipfile.BadZipFile, OSError, ValueError):
        return False


def _is_without_notes(path: Path) -> bool:
    """A difficulty that holds only timing, as `mania4k timing` writes it."""
    try:
        return not len(read_osu(path))
    except ChartFileError:
        return False


def _is_written_page(path: Path) -> bool:
    with path.open("rb") as file:
        return PAGE_MARK in file.read(PAGE_HEAD_BYTES)
