"""Compiled loops and where they are kept: `from runtime.loops import njit` in place of numba's own.

numba keeps what it compiled beside the module, and compiles again when that module's file changes. A loop also holds
the code and the constants of every module that its own imports, so a loop kept here is fresh only while the *contents* of all
of them are as they were: after an update of one file no stale machine code runs. Contents, not dates: files that were
copied or installed anew need no compiling again.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit
from numba.core import caching

__all__ = ["SourcesLocator", "compiling_beside", "is_kept", "njit", "sources_digest", "start_compiler"]

COMPILER = "mania4k.compile"
"""The module that compiles loops when it is run; it knows all packages, so it is named here, not imported."""

ROOT = Path(__file__).resolve().parents[1]
"""The folder in which our packages lie."""
IMPORTS = re.compile(r"^(?:from ([\w.]+) import (\([^)]*\)|.*)|import ([\w.]+))", re.MULTILINE)
"""Imports at the top level of a module."""


class SourcesLocator(caching._CacheLocator):
    """Finds the folder of a loop's cache, and the digest of the sources that the loop is compiled from.

    The folder is `NUMBA_CACHE_DIR` where that is set, else `__pycache__` beside the module, else one of the user's.
    """

    def __init__(self, py_func: Any, path: str, folder: str) -> None:
        self._py_file, self._line, self._folder = path, py_func.__code__.co_firstlineno, folder

    def get_cache_path(self) -> str:
        """The folder in which compiled loops are kept."""
        return self._folder

    def get_source_stamp(self) -> str:
        """The digest that a kept loop must have been compiled from."""
        return sources_digest(Path(self._py_file))

    def get_disambiguator(self) -> str:
        """The line of the function, which tells functions of one name apart."""
        return str(self._line)

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> SourcesLocator | None:
        """A locator for a function of ours; None for others, and where no folder can be written."""
        if not Path(py_file).is_relative_to(ROOT):
            return None
        name = cls.get_suitable_cache_subpath(py_file)
        if chosen := os.environ.get("NUMBA_CACHE_DIR"):
            folders = [os.path.join(chosen, name)]
        else:
            users = caching.AppDirs(appname="numba", appauthor=False).user_cache_dir
            folders = [os.path.join(os.path.dirname(py_file), "__pycache__"), os.path.join(users, name)]
        return next((cls(py_func, py_file, folder) for folder in folders if _is_writable(folder)), None)


@cache
def _is_writable(folder: str) -> bool:
    """Whether the folder is there, or can be made, and takes files."""
    try:
        os.makedirs(folder, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


@cache
def sources_digest(path: Path) -> str:
    """Digest of a module's source and of all modules of ours that it imports, directly or not."""
    known: dict[Path, bytes] = {}
    todo = [path]
    while todo:
        one = todo.pop()
        if one not in known:
            known[one], imported = _read(one)
            todo += imported
    digest = hashlib.sha256()
    for one in sorted(known):
        digest.update(known[one])
    return digest.hexdigest()


@cache
def _read(path: Path) -> tuple[bytes, tuple[Path, ...]]:
    """(digest of a source, the sources of ours that it imports at its top level)."""
    content = path.read_bytes()
    found: list[Path] = []
    for package, names, module in IMPORTS.findall(content.decode("utf-8")):
        parts = [
            package or module,
            *(f"{package}.{name.split()[0]}" for name in names.strip("()").split(",") if name.strip()),
        ]
        for name in parts if package else parts[:1]:
            place = ROOT.joinpath(*name.split("."))
            found += [file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()]
    found = [file for file in found if file != Path(__file__)]  # compiles loops, but is no part of them
    return hashlib.sha256(content).digest(), tuple(found)


def is_kept(loop: Any) -> bool:
    """Whether machine code of a loop is kept; False where numba is set to interpret."""
    return hasattr(loop, "_cache") and bool(loop._cache._cache_file._load_index())


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
    """While the block runs, another core compiles a part of the loops, unless `loop`, the last of the part, is kept."""
    if is_kept(loop) or (os.cpu_count() or 1) < 2:
        yield
        return
    with start_compiler(part) as process:
        try:
            yield
        finally:
            process.kill()


caching.CacheImpl._locator_classes.insert(0, SourcesLocator)  # type: ignore[arg-type]
