"""Guards of output paths: none may be an input, another output, or have the name of another kind of file.

`Command` calls `guarded` around every command, and `runtime.atomic_write.replacing` asks `require_not_input` before it replaces
anything, so that names that are made up on the way (a page beside a map, the song beside a page) are guarded as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from runtime.errors import OutputError

OUTPUT_NAMES = frozenset(
    {"out", "output", "replay", "plots", "plot", "figures", "report_path", "dump_dir", "dump", "projects"}
)
"""Names of command parameters that are output paths; all other paths of a command are inputs."""

AUDIO_SUFFIXES = frozenset({".mp3", ".ogg", ".opus", ".flac", ".wav", ".m4a", ".aac", ".wma"})
PROGRAM_SUFFIXES = frozenset(
    {".exe", ".com", ".bat", ".cmd", ".scr", ".msi", ".dll", ".so", ".ps1", ".vbs", ".js", ".lnk", ".sh", ".py", ".app"}
)

_inputs: ContextVar[frozenset[tuple[int, int]]] = ContextVar("inputs", default=frozenset())


@contextmanager
def guarded(inputs: Iterable[Path], outputs: Mapping[str, Path]) -> Iterator[None]:
    """Refuse outputs that are inputs or one another, now and for all that is written within the block.

    `outputs` are paths by the option that gave them. Raises OutputError.
    """
    files = {key: path for path in inputs if (key := _file_key(path)) is not None}
    check_outputs(list(files.values()), outputs)
    token = _inputs.set(_inputs.get() | files.keys())
    try:
        yield
    finally:
        _inputs.reset(token)


def check_outputs(inputs: Iterable[Path], outputs: Mapping[str, Path]) -> None:
    """Raise OutputError where an output is an input, another output, or has the suffix of a song or a program."""
    read = list(inputs)
    taken: dict[str, str] = {}
    for option, path in outputs.items():
        if path.suffix.lower() in AUDIO_SUFFIXES | PROGRAM_SUFFIXES:
            raise OutputError(f"{option} {path}: no result is a {path.suffix} file (choose another name)")
        for one in read:
            if _is_same(path, one):
                raise OutputError(f"{option} {path}: is a file that is read; it would be lost (choose another name)")
        place = os.path.normcase(os.path.realpath(path))
        if place in taken:
            raise OutputError(f"{option} {path}: is what {taken[place]} writes, too (choose another name)")
        taken[place] = option


def require_not_input(path: Path) -> None:
    """Raise OutputError where writing `path` would replace a file that the running command reads."""
    if _file_key(path) in _inputs.get():
        raise OutputError(f"{path}: not written: it is a file that is read (choose another name)")


def _file_key(path: Path) -> tuple[int, int] | None:
    """Device and number of a file, links followed; None where there is no file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if path.is_file() else None


def _is_same(one: Path, other: Path) -> bool:
    key = _file_key(one)
    return key is not None and key == _file_key(other)
