"""Reading StepMania `.sm` and `.ssc` files: their dance-single charts, which have four columns.

Parsed with msdparser (the parser under simfile, which itself needs a package that new setuptools no longer has).
Carried: notes, holds, rolls (as holds), BPM changes, stops and delays (as red lines), names, preview. Not carried:
mines, lifts, fakes and key sounds, which are counted in a log line, scroll speeds and time signatures.
"""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msdparser
import numpy as np

from chart.formats.parsing import MAX_NOTES, decode_utf8, failure, finite, read_bytes, shown
from chart.formats.stepmania_timing import TICKS_PER_MEASURE, read_timeline
from chart.model import KEYS, Chart, Metadata
from chart.problems import require_valid
from runtime.errors import ChartFileError

logger = logging.getLogger(__name__)

STEPS_TYPE = "dance-single"
MAX_CHARTS = 100
"""Most charts of one file; StepMania has six difficulties and any number of edits."""

MAX_MARKS = 100_000
"""Most of the characters that structure a file (`#:;` and the like); the parser takes some 10 µs for each."""

MAX_MEASURES = 50_000
"""Most measures of a chart: a day of music at 140 BPM."""

IGNORED = {"M": "mines", "L": "lifts", "F": "fake notes", "K": "key sounds"}
TIMING_TAGS = ("BPMS", "STOPS", "DELAYS", "WARPS")

_ATTRIBUTES = re.compile(r"\[[^\[\]\n]*\]|\{[^{}\n]*\}")  # key sounds and attacks that may follow a note
_ROW = re.compile(rf"[01234MLFK]{{{KEYS}}}")


@dataclass(frozen=True, slots=True)
class Steps:
    """One chart of a file, as text: its tags (those of the song included) and its note data."""

    steps_type: str
    name: str  # difficulty and level, as in "Hard 9"
    author: str
    tags: Mapping[str, str]
    data: str


@dataclass(frozen=True, slots=True)
class StepNotes:
    """Notes of a chart by tick; `end` is nan for taps."""

    tick: list[float]
    column: list[int]
    end: list[float]
    ignored: Counter[str]


def read_stepmania(path: Path) -> list[Chart]:
    """The dance-single charts of a `.sm` or `.ssc` file."""
    path = Path(path)
    data = read_bytes(path)
    try:
        text = decode_utf8(data, str(path))
    except ChartFileError:
        # Files from before StepMania 4 are in a Western code page; only their names can suffer.
        text = data.decode("cp1252", errors="replace")
    return parse_stepmania(text, str(path))


def parse_stepmania(text: str, where: str) -> list[Chart]:
    """The dance-single charts in the text of a `.sm` or `.ssc` file; `where` names it in errors."""
    steps = cut_steps(text, where)
    singles = [item for item in steps if item.steps_type == STEPS_TYPE]
    if not singles:
        found = ", ".join(sorted({shown(item.steps_type) for item in steps})[:5]) or "no chart at all"
        raise failure(where, None, f"no {STEPS_TYPE} (4K) chart", f"found: {found}")
    if len(singles) > MAX_CHARTS:
        raise failure(where, None, f"{len(singles):,} charts, more than {MAX_CHARTS}")
    return [_chart(item, f"{where}: {shown(item.name)}") for item in singles]


def cut_steps(text: str, where: str) -> list[Steps]:
    """Every chart of the file, in either format: `#NOTES` with six fields (.sm), or tags after `#NOTEDATA` (.ssc)."""
    song: dict[str, str] = {}
    own: dict[str, str] | None = None  # tags of the .ssc chart being read
    steps = []
    for parameter in _parameters(text, where):
        key = parameter[0].strip().upper()
        if key == "NOTEDATA":
            own = {}
        elif key in ("NOTES", "NOTES2") and own is not None:
            steps.append(_ssc_steps(song, own, parameter[1] if len(parameter) > 1 else ""))
            own = None
        elif key in ("NOTES", "NOTES2"):
            if len(parameter) < 7:
                raise failure(
                    where, None, "#NOTES has too few fields", "type:author:difficulty:level:radar:notes is expected"
                )
            kind, author, difficulty, level = (_text(parameter, index) for index in range(1, 5))
            steps.append(Steps(kind.lower(), f"{difficulty} {level}".strip(), author, song, parameter[6]))
        elif own is not None:
            own[key] = ":".join(parameter[1:])
        else:
            song[key] = ":".join(parameter[1:])
    return steps


def _parameters(text: str, where: str) -> list[tuple[str, ...]]:
    if sum(text.count(mark) for mark in ("#", ":", ";", "\\", "//")) > MAX_MARKS:
        raise failure(where, None, f"more than {MAX_MARKS:,} tags and separators", "is it a StepMania file?")
    try:
        found = [tuple(item.components) for item in msdparser.parse_msd(string=text, ignore_stray_text=True)]
    except (msdparser.MSDParserError, IndexError, AssertionError) as error:
        raise failure(where, None, f"not a StepMania file: {shown(str(error))}") from error
    if not found:
        raise failure(where, None, "not a StepMania file", "no #TAG:value; in it")
    return found


def _text(parameter: tuple[str, ...], index: int) -> str:
    return " ".join(parameter[index].split()) if len(parameter) > index else ""


def _ssc_steps(song: Mapping[str, str], own: Mapping[str, str], data: str) -> Steps:
    """A chart with timing of its own does not use the song's."""
    song_tags = song
    if any(tag in own for tag in TIMING_TAGS):
        song_tags = {key: value for key, value in song.items() if key not in TIMING_TAGS}
    name = f"{own.get('DIFFICULTY', '').strip()} {own.get('METER', '').strip()}".strip()
    author = own.get("CREDIT", "").strip() or own.get("DESCRIPTION", "").strip()
    return Steps(own.get("STEPSTYPE", "").strip().lower(), name, author, {**song_tags, **own}, data)


def _chart(steps: Steps, where: str) -> Chart:
    timeline = read_timeline(steps.tags, where)
    notes = read_notes(steps.data, where)
    if notes.ignored:
        counts = ", ".join(f"{count} {IGNORED[kind]}" for kind, count in sorted(notes.ignored.items()))
        logger.warning("%s: ignored %s", where, counts)
    end = np.array(notes.end, dtype=np.float64)
    end_ms = timeline.time_at(np.where(np.isnan(end), 0.0, end))
    chart = Chart.from_notes(
        timeline.time_at(np.array(notes.tick, dtype=np.float64)),
        notes.column,
        np.where(np.isnan(end), math.nan, end_ms),
        timing_points=timeline.red_lines(),
        metadata=_metadata(steps),
        audio_filename=_tag(steps, "MUSIC"),
        preview_ms=_preview_ms(steps, where),
        background=_tag(steps, "BACKGROUND").replace('"', ""),
    )
    require_valid(chart, where)
    return chart


def _tag(steps: Steps, key: str) -> str:
    return " ".join(steps.tags.get(key, "").split())


def _metadata(steps: Steps) -> Metadata:
    title, artist = _tag(steps, "TITLE"), _tag(steps, "ARTIST")
    subtitle = _tag(steps, "SUBTITLE")
    full = f"{title} {subtitle}".strip()
    return Metadata(
        title=_tag(steps, "TITLETRANSLIT") or full,
        title_unicode=full,
        artist=_tag(steps, "ARTISTTRANSLIT") or artist,
        artist_unicode=artist,
        creator=" ".join(steps.author.split()) or _tag(steps, "CREDIT"),
        version=" ".join(steps.name.split()),
    )


def _preview_ms(steps: Steps, where: str) -> int:
    text = _tag(steps, "SAMPLESTART")
    if not text:
        return -1
    return round(min(max(finite(text, "SAMPLESTART", where, None), -0.001), 1e6) * 1000.0)


def read_notes(data: str, where: str) -> StepNotes:
    """Notes of the note data: measures cut by commas, each a number of equal rows of four characters."""
    notes = StepNotes([], [], [], Counter())
    if data.count(",") >= MAX_MEASURES:
        raise failure(where, None, f"more than {MAX_MEASURES:,} measures", "is it a chart to be played?")
    heads: dict[int, int] = {}  # column → index of the hold that is open there
    for measure, text in enumerate(_ATTRIBUTES.sub("", data).split(","), 1):
        rows = [row.strip().upper() for row in text.split("\n") if row.strip()]
        for index, row in enumerate(rows):
            place = f"{where}, measure {measure}, row {index + 1}"
            if not _ROW.fullmatch(row):
                raise failure(place, None, f"“{shown(row)}” is no row of four notes", "0–4, M, L, F and K are known")
            if row != "0000":
                tick = TICKS_PER_MEASURE * (measure - 1) + TICKS_PER_MEASURE * index / len(rows)
                _read_row(row, tick, notes, heads, place)
        if len(notes.tick) > MAX_NOTES:
            raise failure(where, None, f"more than {MAX_NOTES:,} notes", "is it a chart to be played?")
    if heads:
        raise failure(where, None, f"a hold in column {min(heads)} never ends", "its tail, a 3, is missing")
    return notes


def _read_row(row: str, tick: float, notes: StepNotes, heads: dict[int, int], place: str) -> None:
    """Add one row to `notes`; `heads` holds the open holds by column."""
    for column, kind in enumerate(row):
        if kind in IGNORED:
            notes.ignored[kind] += 1
        elif kind == "3":
            if column not in heads:
                raise failure(place, None, f"a hold's tail in column {column} without its head")
            notes.end[heads.pop(column)] = tick
        elif kind != "0":
            if column in heads:
                raise failure(place, None, f"a note in column {column} while a hold is held there", "a 3 ends a hold")
            if kind != "1":
                heads[column] = len(notes.tick)
            notes.tick.append(tick)
            notes.column.append(column)
            notes.end.append(math.nan)
