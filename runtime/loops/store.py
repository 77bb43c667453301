"""Files of compiled loops: machine code of one function for one combination of argument types each.

A file is a line of JSON, then the object code. It is used only where its stamp fits: the same sources, versions of Python,
numba and LLVM, settings of numba and processor. Files lie in `NUMBA_CACHE_DIR` where that is set, else in `__pycache__`
beside the module, else in a folder of the user's.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from runtime.atomic_write import save_bytes
from runtime.errors import OutputError
from runtime.loops.sources import ROOT, sources_digest

__all__ = ["Kept", "folders_of", "load", "package_folder", "save", "settings"]

SUFFIX = ".loop"
DIGEST_LENGTH = 20
INDIFFERENT = frozenset({"NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS"})
"""Settings of numba on which machine code does not depend."""


@dataclass(frozen=True)
class Kept:
    """Machine code of a loop for one combination of argument types."""

    wrapper: str  # symbol of the function that takes Python's objects
    environment: str  # symbol of the pointer to the constants it uses
    dtypes: tuple[str, ...]  # these constants: types of the arrays that it returns
    callees: tuple[str, ...]  # symbols of such pointers of the functions it calls
    code: bytes  # an object file


def folders_of(source: Path) -> list[Path]:
    """Folders in which machine code of a module may lie, the preferred one first; none for modules that are not ours."""
    if not source.is_relative_to(ROOT):
        return []
    name = hashlib.sha256(os.fsencode(source.parent)).hexdigest()[:DIGEST_LENGTH]
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        return [Path(chosen) / f"{source.parent.name}_{name}"]
    users = os.environ.get("LOCALAPPDATA") if os.name == "nt" else os.environ.get("XDG_CACHE_HOME")
    return [source.parent / "__pycache__", Path(users or Path.home() / ".cache") / "mania4k" / name]


def save(source: Path, function: str, types: str, kept: Kept) -> None:
    """Keep machine code in the first folder that can be written; in none where none can."""
    for folder in folders_of(source):
        with suppress(OSError, OutputError):
            head = {**asdict(kept), "stamp": _stamp(source, types), "code": hashlib.sha256(kept.code).hexdigest()}
            folder.mkdir(parents=True, exist_ok=True)
            save_bytes(folder / _name(source, function, types), json.dumps(head).encode() + b"\n" + kept.code)
            return


def load(source: Path, function: str, types: str) -> Kept | None:
    """The machine code that is kept; None where there is none, or none from these sources."""
    for folder in folders_of(source):
        with suppress(OSError, ValueError, KeyError):
            line, _, code = (folder / _name(source, function, types)).read_bytes().partition(b"\n")
            head = json.loads(line)
            if head["stamp"] == _stamp(source, types) and head["code"] == hashlib.sha256(code).hexdigest():
                return Kept(head["wrapper"], head["environment"], tuple(head["dtypes"]), tuple(head["callees"]), code)
    return None


def kept_files(source: Path, function: str) -> Iterator[Path]:
    """Files of a function, fresh or not."""
    for folder in folders_of(source):
        yield from folder.glob(f"{_prefix(source, function)}*{SUFFIX}")


def _prefix(source: Path, function: str) -> str:
    return f"{source.stem}.{function.replace('<', '').replace('>', '')}-"


def _name(source: Path, function: str, types: str) -> str:
    return f"{_prefix(source, function)}{hashlib.sha256(types.encode()).hexdigest()[:DIGEST_LENGTH]}{SUFFIX}"


def _stamp(source: Path, types: str) -> str:
    """What machine code depends on."""
    return hashlib.sha256(f"{sources_digest(source)}\n{settings()}\n{types}".encode()).hexdigest()


@cache
def package_folder(package: str) -> Path:
    """Folder of an installed package, which is not imported. Raises ImportError where it is not installed."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"{package} is not installed")
    return Path(next(iter(spec.submodule_search_locations)))


@cache
def settings() -> str:
    """Versions, settings of numba and processor. Raises ImportError where numba is not installed."""
    import llvmlite.binding as llvm

    versions = [(package_folder(name) / "_version.py").read_text("utf-8") for name in ("numba", "llvmlite")]
    chosen = [f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith("NUMBA_") and k not in INDIFFERENT]
    processor = llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    return "\n".join([sys.version, *versions, *chosen, *processor])
