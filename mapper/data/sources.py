"""The songs of a dataset before they are read: where they lie, and which are kept for validation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chart.formats.rhythm import song_files
from runtime.errors import ConfigError

COLLECTIONS = (".npz", ".json")
"""Suffixes of collections of charts, which are for training unless a split is given."""
VAL_HASHES_OF_256 = 26
"""Without a given split, songs whose name hashes below this (about a tenth) are for validation."""
MIN_SONGS_TO_VALIDATE = 3
"""Songs of which one is for validation even where no name hashes so; of fewer, all are needed to train."""


@dataclass(frozen=True)
class Source:
    """One song to build: an archive, or a folder of `.osu` files with their audio."""

    path: str
    split: str
    machine_made: bool = False  # whether charts that are tagged so are learnt from, too
    by_chance: bool = False  # whether the split is that of the name's hash

    @property
    def stamp(self) -> str:
        """Changes with the source's files, whose names, times and sizes it holds."""
        path = Path(self.path)
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        found = ((file.name, file.stat() if file.exists() else file.lstat()) for file in files)
        return f"{path.resolve()} {[(name, one.st_mtime_ns, one.st_size) for name, one in found]}"


def find_sources(folders: Sequence[Path], splits: dict[str, str] | None) -> list[Source]:
    """Every song under the folders, sorted by path so that a dataset does not depend on the file system's order."""
    found: set[Path] = set()
    for folder in folders:
        if not folder.exists():
            raise ConfigError(f"{folder}: no such file or folder")
        if folder.is_file():
            found.add(folder)
            continue
        found.update(folder.rglob("*.osz"))
        found.update(folder.rglob("*.npz"))
        found.update(song_files(folder))
        found.update(path.parent for path in folder.rglob("*.osu"))
    if not found:
        raise ConfigError(f"no .osz, .osu or .npz files under {', '.join(map(str, folders))}")
    return [
        Source(str(path), _split_of(path.name, splits), by_chance=splits is None and path.suffix not in COLLECTIONS)
        for path in sorted(found)
    ]


def for_validation(sources: Sequence[Source]) -> Source | None:
    """The source to validate on where chance gave none: the one whose name hashes lowest.

    None where one is chosen already, where the split was given, and of fewer than `MIN_SONGS_TO_VALIDATE` songs.
    """
    by_chance = [source for source in sources if source.by_chance]
    if len(by_chance) < MIN_SONGS_TO_VALIDATE or any(source.split == "val" for source in sources):
        return None
    return min(by_chance, key=lambda source: _hash_of(Path(source.path).name))


def _split_of(name: str, splits: dict[str, str] | None) -> str:
    if splits is not None or name.endswith(COLLECTIONS):
        return (splits or {}).get(name, "train")
    return "val" if _hash_of(name)[0] < VAL_HASHES_OF_256 else "train"


def _hash_of(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()


def read_splits(path: Path) -> dict[str, str]:
    """File name → split, from a JSON list of objects with `file` and `split`."""
    try:
        return {song["file"]: song["split"] for song in json.loads(path.read_text(encoding="utf-8"))}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not a JSON list of objects with file and split ({error})") from error
