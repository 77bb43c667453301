"""Reading osu!mania 4K `.osu` files: text → lines by section → `Chart`. Writing is in `chart.formats.osu_write`.

Format: https://osu.ppy.sh/wiki/en/Client/File_formats/osu_%28file_format%29. Files are read as the game reads them: lines that
it passes over are left out and named in the log, values beyond its bounds are set to them, holds without a length are taps.
Doubled notes and overlapping holds are read and left to `find_problems`.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from chart.formats.osu_plain_notes import Notes, within_the_song
from chart.formats.osu_sections import Line, Sections, cut_sections
from chart.formats.osu_write import format_osu, write_osu
from chart.formats.parsing import (
    MAX_NOTES,
    MAX_TIMING_POINTS,
    decode_as_the_game,
    failure,
    finite,
    other_game,
    read_bytes,
    shown,
    whole,
)
from chart.hit_objects import HOLD, NOTE, PLAYFIELD_WIDTH
from chart.model import KEYS, Chart, Difficulty, Metadata, TimingPoint
from chart.problems import MAX_BEAT_MS, MAX_METER, MAX_TIME_MS, MIN_BEAT_MS, MIN_TIME_MS
from runtime.errors import ChartFileError

__all__ = ["format_osu", "is_note", "parse_osu", "parse_timing", "read_osu", "write_osu"]

MODES = {0: "osu!standard", 1: "osu!taiko", 2: "osu!catch", 3: "osu!mania"}
MANIA = 3

NO_NOTES = Notes(np.empty(0), np.empty(0, np.int64), np.empty(0))
SLIDER, SPINNER = 2, 8  # bits of a hit object's type
DEFAULT_METER = 4
NORMAL_SPEED = -100.0
"""Beat length of a green line that leaves the scroll speed as it is; the game takes NaN for it."""
SHORTEST_PLAYED_BEAT_MS = 6.0
"""Beat length, ms, that the game uses for red lines whose own is 0 or less."""

_BACKGROUND = re.compile(r"\s*(?:0|Background)\s*,[^,]*,\s*(?:\"(?P<quoted>[^\"]*)\"|(?P<plain>[^,]*))")


def read_osu(path: Path) -> Chart:
    """The chart in an `.osu` file; raises `ChartFileError` with file, line and reason."""
    path = Path(path)
    return parse_osu(decode_as_the_game(read_bytes(path)), str(path))


def parse_osu(text: str, where: str) -> Chart:
    """The chart in the text of an `.osu` file; `where` names it in errors."""
    sections = cut_sections(text, where)
    _require_mania_4k(sections)
    chart = _chart(sections, _notes(sections))
    sections.left_out.report()
    return chart


def parse_timing(text: str, where: str) -> Chart:
    """The red lines, song and names of a chart of any mode and key count, without its notes."""
    sections = cut_sections(text, where)
    return _chart(sections, NO_NOTES)


def _chart(sections: Sections, notes: Notes) -> Chart:
    """The chart of these notes."""
    background, breaks = _events(sections)
    preview_ms = sections.integer("General", "PreviewTime", -1)
    return Chart.from_notes(
        notes.time_ms,
        notes.column,
        notes.end_ms,
        timing_points=timing_points_of(sections),
        metadata=_metadata(sections),
        difficulty=Difficulty(
            hp=sections.number("Difficulty", "HPDrainRate", 5.0),
            od=sections.number("Difficulty", "OverallDifficulty", 5.0),
        ),
        audio_filename=sections.text("General", "AudioFilename"),
        audio_lead_in_ms=sections.integer("General", "AudioLeadIn", 0),
        preview_ms=preview_ms if preview_ms == -1 else preview_ms + round(sections.offset_ms),
        background=background,
        breaks=breaks,
    )


def _require_mania_4k(sections: Sections) -> None:
    mode = sections.value("General", "Mode")
    number = sections.integer("General", "Mode", 0)
    if number != MANIA:
        what = f"this is a chart for {MODES.get(number, f'mode {number}')}, not osu!mania"
        raise other_game(
            sections.where, mode.number if mode else None, what, "only osu!mania 4K charts (Mode: 3) are read"
        )
    size = sections.value("Difficulty", "CircleSize")
    if size is None:
        raise failure(
            sections.where, None, "no CircleSize, the number of keys", "osu!mania 4K charts have CircleSize:4"
        )
    keys = finite(size.text, "CircleSize", sections.where, size.number)
    if round(keys) != KEYS:
        what = f"this is a chart for {keys:g} keys, not {KEYS}"
        raise other_game(sections.where, size.number, what, "only osu!mania 4K charts are read")


def _metadata(sections: Sections) -> Metadata:
    def text(key: str) -> str:
        return sections.text("Metadata", key)

    return Metadata(
        title=text("Title"),
        title_unicode=text("TitleUnicode"),
        artist=text("Artist"),
        artist_unicode=text("ArtistUnicode"),
        creator=text("Creator"),
        version=text("Version"),
        source=text("Source"),
        tags=tuple(tag for tag in text("Tags").split(" ") if tag),
        beatmap_id=sections.integer("Metadata", "BeatmapID", 0),
        beatmap_set_id=sections.integer("Metadata", "BeatmapSetID", -1),
    )


def _events(sections: Sections) -> tuple[str, tuple[tuple[float, float], ...]]:
    """Background file name and breaks; storyboards, videos and samples are not carried."""
    background = ""
    breaks: list[tuple[float, float]] = []
    for line in sections.lines.get("Events", ()):
        if match := _BACKGROUND.match(line.text):
            background = (match["quoted"] or match["plain"] or "").strip()
        elif line.text.startswith(("2,", "Break,")):
            try:
                breaks.append(_break(line, sections))
            except ChartFileError as error:
                sections.left_out.add(error)
    return background, tuple(breaks)


def _break(line: Line, sections: Sections) -> tuple[float, float]:
    """(start, end) in ms."""
    fields = line.text.split(",")
    if len(fields) < 3:
        raise failure(sections.where, line.number, "a break needs a start and an end", "2,start,end")
    start, end = (
        _time(text, f"break {what}", sections.where, line.number) + sections.offset_ms
        for text, what in zip(fields[1:3], ("start", "end"), strict=True)
    )
    return start, end


def _time(text: str, what: str, where: str, line: int) -> float:
    """A time in ms within the longest song supported."""
    value = finite(text, what, where, line)
    if not MIN_TIME_MS <= value <= MAX_TIME_MS:
        hint = f"times are {MIN_TIME_MS:.0f} to {MAX_TIME_MS:.0f} ms"
        raise failure(where, line, f"{what} {value:g} ms lies outside the longest song supported", hint)
    return value


def timing_points_of(sections: Sections) -> tuple[TimingPoint, ...]:
    """Red and green lines by time; lines of one time keep their order, which matters to the game."""
    lines = sections.lines.get("TimingPoints", [])
    if len(lines) > MAX_TIMING_POINTS:
        raise failure(sections.where, None, f"{len(lines):,} timing points, more than {MAX_TIMING_POINTS:,}")
    points = []
    for line in lines:
        try:
            points.append(_timing_point(line, sections))
        except ChartFileError as error:
            sections.left_out.add(error)
    if not any(point.uninherited for point in points):
        if sections.left_out.first is not None:
            raise sections.left_out.first
        hint = "a line like 0,500,4,2,0,100,1,0 under [TimingPoints] is missing"
        raise failure(sections.where, None, "no red line: the tempo is unknown", hint)
    return tuple(sorted(points, key=lambda point: point.time_ms))


def _timing_point(line: Line, sections: Sections) -> TimingPoint:
    """A red or green line, its values set to the bounds of what a chart may hold."""
    where = sections.where
    fields = [text.strip() for text in line.text.split(",")]
    if len(fields) < 2:
        raise failure(where, line.number, "a timing point needs a time and a beat length", "time,beatLength,meter,…")
    uninherited = len(fields) < 7 or fields[6] == "1"

    def integer(index: int, what: str, default: int) -> int:
        given = len(fields) > index and fields[index]
        return whole(fields[index], what, where, line.number) if given else default

    if fields[1].casefold() == "nan" and not uninherited:
        beat_length = NORMAL_SPEED
    else:
        beat_length = finite(fields[1], "beat length", where, line.number)
    meter = integer(2, "metre", DEFAULT_METER)
    if uninherited:
        beat_length = min(max(beat_length, MIN_BEAT_MS), MAX_BEAT_MS) if beat_length > 0 else SHORTEST_PLAYED_BEAT_MS
    return TimingPoint(
        time_ms=_time(fields[0], "timing point time", where, line.number) + sections.offset_ms,
        beat_length_ms=beat_length,
        meter=min(meter, MAX_METER) if meter >= 1 else DEFAULT_METER,
        uninherited=uninherited,
        sample_set=integer(3, "sample set", 1),
        sample_index=integer(4, "sample index", 0),
        volume=integer(5, "volume", 100),
        effects=integer(7, "effects", 0),
    )


def _notes(sections: Sections) -> Notes:
    """The notes in the order of the file."""
    if sections.plain_notes is not None:
        return within_the_song(sections.plain_notes, sections.offset_ms)
    lines = sections.lines.get("HitObjects", [])
    if len(lines) > MAX_NOTES:
        what = f"{len(lines):,} notes, more than {MAX_NOTES:,}"
        raise failure(sections.where, None, what, "is it a chart to be played?")
    notes = []
    for line in lines:
        try:
            notes.append(_note(line, sections.where))
        except ChartFileError as error:
            sections.left_out.add(error)
    if lines and not notes and sections.left_out.first is not None:
        raise sections.left_out.first
    time_ms, column, end_ms = np.array(notes, np.float64).reshape(-1, 3).T
    return within_the_song(Notes(time_ms, column.astype(np.int64), end_ms), sections.offset_ms)


def is_note(text: str) -> bool:
    """Whether a line under [HitObjects] is read as a note."""
    try:
        _note(Line(0, text.strip()), "")
    except ChartFileError:
        return False
    return True


def _note(line: Line, where: str) -> tuple[float, int, float]:
    """Time in ms, column and hold end (nan = tap)."""
    fields = line.text.split(",")
    if len(fields) < 4:
        raise failure(where, line.number, f"“{shown(line.text)}” is no note", "x,y,time,type,… is expected")
    time_ms = _time(fields[2], "note time", where, line.number)
    x = finite(fields[0], "x", where, line.number)
    column = int(min(max(x, 0), PLAYFIELD_WIDTH - 1) * KEYS // PLAYFIELD_WIDTH)
    return time_ms, column, _hold_end(fields, line.number, where)


def _hold_end(fields: list[str], line: int, where: str) -> float:
    """End of a hold in ms as written, nan for a tap."""
    kind = whole(fields[3], "type", where, line)
    if kind & HOLD:
        return finite(fields[5].partition(":")[0], "hold end", where, line) if len(fields) > 5 else math.nan
    if not kind & NOTE:
        names = {SLIDER: "a slider", SPINNER: "a spinner"}
        found = next((name for bit, name in names.items() if kind & bit), f"of unknown type {kind}")
        raise failure(where, line, f"the object is {found}, not a note or a hold", "osu!mania charts have only those")
    return math.nan
