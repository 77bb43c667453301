"""Compiling in another process, while this one has other work."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from runtime.limits import threads
from runtime.loops.loop import is_kept

__all__ = ["compiling_beside", "start_compiler"]

COMPILER = "mania4k.compile"
"""The module that compiles loops when it is run; it knows all packages, so it is named here, not imported."""


def start_compiler(part: str) -> subprocess.Popen[bytes]:
    """Start a process that compiles a part of the loops; it ends when its standard input is closed, so with this one."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-P", "-m", COMPILER, "--part", part],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )


@contextmanager
def compiling_beside(loop: Any, part: str) -> Iterator[None]:
    """While the block runs, another core compiles a part of the loops, unless `loop`, the last of the part, is kept.

    Only where the command may use two threads.
    """
    if is_kept(loop) or threads() < 2:
        yield
        return
    with start_compiler(part) as process:
        try:
            yield
        finally:
            process.kill()
