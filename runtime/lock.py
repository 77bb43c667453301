"""Lock of a folder for one process; the system releases it when the process ends, however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.errors import OutputError

LOCK_NAME = ".mania4k-lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` until the block ends. Raises OutputError where another process holds it."""
    try:
        file = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror or error} (choose another folder)") from error
    try:
        if not _hold(file):
            raise OutputError(f"{folder}: another run is writing there; wait for it or choose another folder")
        yield
    finally:
        os.close(file)


def _hold(file: int) -> bool:
    """Try to take the lock without waiting; returns whether it was free."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
