"""Reading StepMania `.sm` and `.ssc` files: their dance-single charts, which have four columns.

Parsed with msdparser (the parser under simfile, which itself needs a package that new setuptools no longer has).
Carried: notes, holds, rolls (as holds), BPM changes, stops, delays and warps (as red lines), names, preview. Not carried:
mines, lifts, fakes, key sounds and notes that are warped over, which are counted in a log line, scroll speeds and time signatures.
A chart that cannot be read is named in the log, and the others of its file are read.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msdparser
import numpy as np

from chart.formats.parsing import (
    BYTE_ORDER_MARKS,
    LeftOut,
    counted,
    decode_as_the_game,
    failure,
    finite,
    read_bytes,
    shown,
)
from chart.formats.stepmania.notes import IGNORED, StepNotes, read_notes
from chart.formats.stepmania.timeline import Timeline, read_regions, read_timeline
from chart.model import Chart, Metadata
from chart.problems import require_valid
from runtime.errors import ChartFileError

logger = logging.getLogger(__name__)

STEPS_TYPE = "dance-single"
MAX_CHARTS = 100
"""Most charts of one file; StepMania has six difficulties and any number of edits."""

MAX_MARKS = 100_000
"""Most of the characters that structure a file (`#:;` and the like) or might (`/`); the parser takes some 10 µs for each."""

TIMING_TAGS = ("BPMS", "STOPS", "FREEZES", "DELAYS", "WARPS")


@dataclass(frozen=True, slots=True)
class Steps:
    """One chart of a file, as text: its tags (those of the song included) and its note data."""

    steps_type: str
    name: str  # difficulty and level, as in "Hard 9"
    author: str
    tags: Mapping[str, str]
    data: str


def read_stepmania(path: Path) -> list[Chart]:
    """The dance-single charts of a `.sm` or `.ssc` file."""
    path = Path(path)
    data = read_bytes(path)
    if data.startswith(tuple(mark for mark, _ in BYTE_ORDER_MARKS)):
        return parse_stepmania(decode_as_the_game(data), str(path))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
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
    charts, left_out = [], LeftOut(where)
    for item in singles:
        try:
            charts.append(_chart(item, f"{where}: {shown(item.name)}"))
        except ChartFileError as error:
            left_out.add(error)
    if not charts and left_out.first is not None:
        raise left_out.first
    left_out.report("charts")
    return charts


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
    if sum(text.count(mark) for mark in ("#", ":", ";", "\\", "/")) > MAX_MARKS:
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
    """The tags and notes of an .ssc chart; timing of its own replaces the song's."""
    song_tags = song
    if any(tag in own for tag in TIMING_TAGS):
        song_tags = {key: value for key, value in song.items() if key not in TIMING_TAGS}
    level = f"{own.get('DIFFICULTY', '').strip()} {own.get('METER', '').strip()}"
    name = (own.get("CHARTNAME", "").strip() or level).strip()
    author = own.get("CREDIT", "").strip() or own.get("DESCRIPTION", "").strip()
    return Steps(own.get("STEPSTYPE", "").strip().lower(), name, author, {**song_tags, **own}, data)


def _chart(steps: Steps, where: str) -> Chart:
    timeline = read_timeline(steps.tags, where)
    notes = _playable(read_notes(steps.data, where), timeline, steps, where)
    end = np.array(notes.end, dtype=np.float64)
    end_ms = timeline.time_at(np.where(np.isnan(end), 0.0, end))
    time_ms = timeline.time_at(np.array(notes.tick, dtype=np.float64))
    end_ms = np.where(end_ms > time_ms, end_ms, math.nan)  # a hold that is warped over from head to tail is a tap
    chart = Chart.from_notes(
        time_ms,
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


def _playable(notes: StepNotes, timeline: Timeline, steps: Steps, where: str) -> StepNotes:
    """The notes that can be hit: outside warps and fake regions; the others are counted in the log."""
    tick = np.array(notes.tick, dtype=np.float64)
    fake = np.zeros(tick.size, bool)
    for start, length in read_regions(steps.tags.get("FAKES", ""), "fake region", where).items():
        fake |= (tick >= start) & (tick < start + length)
    warped = ~timeline.is_hittable(tick) & ~fake
    notes.ignored[IGNORED["F"]] += int(fake.sum())
    notes.ignored["notes within warps"] += int(warped.sum())
    counts = ", ".join(counted(count, what) for what, count in sorted(notes.ignored.items()) if count)
    if counts:
        logger.warning("%s: left out %s", where, counts)
    return notes.without(set(np.flatnonzero(fake | warped).tolist()))


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
    try:
        return round(min(max(finite(text, "SAMPLESTART", where, None), -0.001), 1e6) * 1000.0)
    except ChartFileError:  # absent, or no number: the game chooses
        return -1
