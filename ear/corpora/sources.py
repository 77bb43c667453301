"""Files to render, MIDI or tracker modules: from folders, zips and Doom WADs, with the beat annotations that lie beside them."""

from __future__ import annotations

import hashlib
import struct
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ear.corpora.midi import MidiError
from runtime.errors import ConfigError

MIDI_SUFFIXES = (".mid", ".midi")
MAX_SOURCE_BYTES = 20_000_000
MAX_ANNOTATION_BYTES = 5_000_000


@dataclass(frozen=True, slots=True, eq=False)
class MusicSource:
    """One music file of a corpus."""

    name: str  # `<set>_<folders>_<file>`
    data: bytes = field(repr=False)
    annotation: str | None = field(default=None, repr=False)
    work: str = ""  # the name without the performer, where files are performances of works

    def beats(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """(beat_ms, is_downbeat) of the annotation. Raises MidiError."""
        assert self.annotation is not None, "has no annotation"
        return read_annotation(self.annotation)


def read_sources(path: Path, name: str, suffixes: tuple[str, ...] = MIDI_SUFFIXES) -> list[MusicSource]:
    """All files of these kinds of a file, folder, zip or WAD, sorted by name."""
    suffix = path.suffix.lower()
    try:
        if path.is_dir():
            return [_from_file(file, path, name) for file in sorted(path.rglob("*")) if file.suffix.lower() in suffixes]
        if suffix == ".zip":
            return list(_from_zip(path, name, suffixes))
        if suffix == ".wad":
            return list(_from_wad(path, name))
        return [_from_file(path, path.parent, name)]
    except (OSError, zipfile.BadZipFile, struct.error) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from error


def without_test_pieces(sources: Sequence[MusicSource], test_names: Sequence[str]) -> list[MusicSource]:
    """The sources without those that are test pieces by name, by work or by content."""
    same = [source for source in sources if any(_is_same(source, test) for test in test_names)]
    contents = {hashlib.sha256(source.data).digest() for source in same}
    names = {source.name for source in same}
    return [
        source
        for source in sources
        if source.name not in names and hashlib.sha256(source.data).digest() not in contents
    ]


def _is_same(source: MusicSource, test_name: str) -> bool:
    """By name or by work, whatever the two sets are called: one piece too many does no harm, one too few does."""
    own = source.name.partition("_")[2] or source.name
    if source.name == test_name or f"_{test_name}".endswith(f"_{own}"):
        return True
    return bool(source.work) and (f"{test_name}_".startswith(f"{source.work}_"))


def read_annotation(text: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Beats of POP909 (`seconds bar_of_2_or_3 bar_of_4_or_6`) or ASAP (`seconds seconds db,4/4`). Raises MidiError."""
    rows = [line.split() for line in text.splitlines() if line.strip()]
    try:
        second = np.array([float(row[0]) for row in rows])
        if all(row[2].lstrip("d")[0] == "b" for row in rows):
            downbeat = np.array([row[2].startswith("db") for row in rows])
        else:
            downbeat = np.array([float(row[2]) > 0 for row in rows])
    except (IndexError, ValueError) as error:
        raise MidiError("its annotation cannot be read") from error
    keep = np.concatenate(([True], np.diff(second) > 0))
    return second[keep] * 1000, downbeat[keep]


def _name(set_name: str, parts: Sequence[str]) -> tuple[str, str]:
    """(name, work): `pop909/002/002.mid` is `pop_002`; `Bach/Fugue/bwv_846/Shi05M.mid` is a performance of a work."""
    *folders, file = parts
    stem = PurePosixPath(file).stem
    if folders and folders[-1] == stem:
        folders = folders[:-1]
    work = "_".join((set_name, *folders)) if len(folders) > 1 else ""
    return "_".join((set_name, *folders, stem)), work


def _from_file(file: Path, root: Path, set_name: str) -> MusicSource:
    if file.stat().st_size > MAX_SOURCE_BYTES:
        raise ConfigError(f"{file}: larger than {MAX_SOURCE_BYTES // 1_000_000} MB, so not a MIDI file or module")
    name, work = _name(set_name, file.relative_to(root).parts)
    beside = [file.with_name("beat_midi.txt"), file.with_name(f"{file.stem}_annotations.txt")]
    texts = [path.read_text(encoding="utf-8") for path in beside if path.is_file()]
    return MusicSource(name, file.read_bytes(), texts[0] if texts else None, work)


def _from_zip(path: Path, set_name: str, suffixes: tuple[str, ...]) -> Iterator[MusicSource]:
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
        for filename in sorted(members):
            member = PurePosixPath(filename)
            if member.suffix.lower() not in suffixes or members[filename].file_size > MAX_SOURCE_BYTES:
                continue
            beside = [str(member.with_name(name)) for name in ("beat_midi.txt", f"{member.stem}_annotations.txt")]
            texts = [
                archive.read(name).decode("utf-8", "replace")
                for name in beside
                if name in members and members[name].file_size <= MAX_ANNOTATION_BYTES
            ]
            name, work = _name(set_name, member.parts)
            yield MusicSource(name, archive.read(filename), texts[0] if texts else None, work)


def _from_wad(path: Path, set_name: str) -> Iterator[MusicSource]:
    """Music lumps (`D_…`) of a Doom WAD that are MIDI files."""
    data = path.read_bytes()
    count, directory = struct.unpack_from("<ii", data, 4)
    for index in range(count):
        start, size, raw = struct.unpack_from("<ii8s", data, directory + 16 * index)
        lump = raw.rstrip(b"\0").decode("ascii", "replace")
        content = data[start : start + size]
        if lump.startswith("D_") and content.startswith(b"MThd"):
            yield MusicSource(f"{set_name}_{lump}", content)
