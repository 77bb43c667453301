"""Atomic writes: a file is replaced whole or not at all, and failures are one-line OutputErrors."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from runtime.errors import OutputError
from runtime.outputs import require_not_input


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A temporary binary file that replaces `path` if the block succeeds and is removed if it raises."""
    if os.path.isdir(path):
        raise OutputError(f"{path}: cannot be written: it is a folder (give a file name)")
    require_not_input(path)
    temporary = path.parent / f".mania4k-{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("xb") as file:
            yield file
        os.replace(temporary, path)
    except FileNotFoundError as error:
        raise OutputError(f"{path}: cannot be written: the folder {path.parent} does not exist (create it)") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{path}: cannot be written: {reason} (choose another folder)") from error
    finally:
        _remove(temporary)


def save_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` through a temporary file beside it, so that no half-written file is ever seen."""
    with replacing(path) as file:
        file.write(data)


def _remove(temporary: Path) -> None:
    """Remove the temporary file of a failed write, if there is one."""
    try:
        temporary.unlink(missing_ok=True)
    except (OSError, ValueError):
        return


def check_writable(path: Path) -> None:
    """Raise the error that writing `path` would raise, so that nobody waits a minute for it; `path` is untouched."""
    if os.path.isdir(path):
        raise OutputError(f"{path}: cannot be written: it is a folder (give a file name)")
    with suppress(_OnlyTryingError), replacing(path) as file:
        file.write(b"\0")
        raise _OnlyTryingError


class _OnlyTryingError(Exception):
    """Raised by `check_writable` to leave `replacing` before anything is replaced."""
