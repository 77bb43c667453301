"""Which sources a loop is compiled from: its module's and those of all modules of ours that this one imports."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

__all__ = ["ROOT", "sources_digest"]

ROOT = Path(__file__).resolve().parents[2]
"""The folder in which our packages lie."""
OWN = Path(__file__).resolve().parent
"""The folder that compiles loops, but is no part of them."""
IMPORTS = re.compile(r"^(?:from ([\w.]+) import (\([^)]*\)|.*)|import ([\w.]+))", re.MULTILINE)
"""Imports at the top level of a module."""


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
        own = _files_of(package or module)
        found += own
        if package and own:  # what is imported from another's package is no module of ours
            for name in names.strip("()").split(","):
                if name.strip():
                    found += _files_of(f"{package}.{name.split()[0]}")
    return hashlib.sha256(content).digest(), tuple(file for file in found if file.parent != OWN)


@cache
def _files_of(module: str) -> tuple[Path, ...]:
    """The source of a module or package of ours; nothing for a name that is neither."""
    place = ROOT.joinpath(*module.split("."))
    return tuple(file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file())
