"""Packing a set: the song's audio in a form that every osu! client plays, and charts added to a set that exists."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from chart.formats.osu_read import format_osu, is_note, parse_osu
from chart.formats.osu_sections import cut_sections
from chart.formats.osz import chart_file_names, entry_of
from chart.formats.parsing import decode_as_the_game, shown, split_lines
from chart.formats.safe_zip import open_archive, read_member
from chart.hit_objects import PLAYFIELD_WIDTH, format_notes
from chart.model import KEYS, MACHINE_MADE_TAGS, Chart
from ear.audio.encode import write_vorbis
from ear.audio.reader import SoundReader, open_sound
from runtime.atomic_write import replacing
from runtime.errors import AudioFileError, ChartFileError, OutputError

PLAYED_BY_OSU = frozenset({".mp3", ".ogg", ".wav"})
"""Audio formats that osu!stable plays; FLAC and Opus are for lazer alone."""
PLAYED_OGG = "VORBIS"
MAX_MEMBER_BYTES = 500_000_000
"""Largest file that is copied from a set."""
_TAGS = re.compile(r"^Tags:(?P<tags>[^\r\n]*)", re.MULTILINE)
_NOTES = re.compile(r"^[^\S\r\n]*\[HitObjects\][^\S\n]*$", re.MULTILINE)


def playable_audio(song: Path, folder: Path) -> Path:
    """The song itself where osu! plays all of it, else a Vorbis copy in `folder`, sample for sample in the same place.

    Damaged, chained and cut files are copied, too: players differ about them.
    """
    copy = folder / "audio.ogg"
    try:
        if song.suffix.lower() in PLAYED_BY_OSU and _is_played(song) and SoundReader(song).plays_alike:
            return song
        write_vorbis(song, copy)
        return copy
    except soundfile.LibsndfileError as error:
        raise AudioFileError(f"{song}: cannot be turned into Vorbis for osu! ({error}); convert it to mp3") from error
    except OSError as error:
        raise OutputError(f"{folder}: no room for a Vorbis copy of the song ({error})") from error


def _is_played(song: Path) -> bool:
    """Whether osu!stable has a decoder for the file's contents, whatever its suffix."""
    with open_sound(song) as source:
        return bool(source.format != "OGG" or source.subtype == PLAYED_OGG)


def add_to_osz(source: Path, charts: Sequence[Chart], section: tuple[float, float] | None, out: Path) -> None:
    """A copy of the set `source` with charts added, or with a section, those of its charts exchanged for them.

    Every other file of the set is kept as it is, and so is every line of an exchanged chart but those of new notes.
    """
    with open_archive(source) as archive, replacing(out) as file, zipfile.ZipFile(file, "w") as copy:
        members = [member for member in archive.infolist() if not member.is_dir()]
        changed = {} if section is None else {chart.metadata.version: chart for chart in charts}
        for member in members:
            data = read_member(source, archive, member, MAX_MEMBER_BYTES)
            if changed and member.filename.lower().endswith(".osu"):
                data = _with_notes_of(data, changed, f"{source}/{shown(member.filename)}")
            copy.writestr(entry_of(member.filename, member.compress_type), data)
        if section is None:
            _write_new(copy, charts, {member.filename.casefold() for member in members})


def _write_new(copy: zipfile.ZipFile, charts: Sequence[Chart], taken: set[str]) -> None:
    for chart, name in zip(charts, chart_file_names([chart.metadata for chart in charts]), strict=True):
        number = 2
        free = name
        while free.casefold() in taken:
            free, number = f"{name.removesuffix('.osu')} {number}.osu", number + 1
        copy.writestr(entry_of(free, zipfile.ZIP_DEFLATED), format_osu(chart).encode("utf-8"))


def _with_notes_of(data: bytes, changed: dict[str, Chart], where: str) -> bytes:
    """The `.osu` file with the notes of the changed chart of its name; lines of notes it had are kept verbatim."""
    try:
        old = parse_osu(decode_as_the_game(data), where)
    except ChartFileError:
        return data  # another mode, or broken: not ours to change
    chart = changed.get(old.metadata.version)
    if chart is None:
        return data
    is_utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = decode_as_the_game(data) if is_utf16 else data.decode("utf-8-sig", "surrogateescape")  # bad bytes are kept
    head, *parts = _NOTES.split(text)
    lines = [line for line in split_lines("".join(parts)) if line.strip() and not line.strip().startswith("//")]
    unread = [line for line in lines if not is_note(line)]  # the game passes over them; they are kept behind the notes
    lines = [line for line in lines if is_note(line)]
    if len(parts) != 1 or len(lines) != len(old) or any(line.strip().startswith("[") for line in unread):
        raise ChartFileError(f"{where}: [HitObjects] is not its last section; save it in the osu! editor first")
    known = dict(zip(_keys(old), _lines_by_note(lines), strict=True))
    new = format_notes(chart.shifted(-cut_sections(text, where).offset_ms))
    notes = [known.get(key, line) for key, line in zip(_keys(chart), new, strict=True)] + unread
    tagged = _TAGS.sub(_with_our_tags, head, count=1)
    return "\r\n".join([*split_lines(tagged.removesuffix("\n").removesuffix("\r")), "[HitObjects]", *notes, ""]).encode(
        "utf-8", "surrogateescape"
    )


def _with_our_tags(line: re.Match[str]) -> str:
    tags = dict.fromkeys((*line["tags"].split(), *MACHINE_MADE_TAGS))  # in order, each once
    return f"Tags:{' '.join(tags)}"


def _lines_by_note(lines: list[str]) -> list[str]:
    """Lines in the order of `Chart` notes: by time, then column."""
    fields = [line.split(",") for line in lines]
    x = [min(max(float(field[0]), 0), PLAYFIELD_WIDTH - 1) * KEYS // PLAYFIELD_WIDTH for field in fields]
    order = sorted(range(len(lines)), key=lambda at: (float(fields[at][2]), x[at]))
    return [lines[at].strip() for at in order]


def _keys(chart: Chart) -> list[tuple[float, int, float]]:
    """(time, column, end or -1) of each note."""
    end_ms = np.where(chart.is_hold, chart.end_ms, -1.0)
    return list(zip(chart.time_ms.tolist(), chart.column.tolist(), end_ms.tolist(), strict=True))
