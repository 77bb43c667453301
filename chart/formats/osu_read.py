"""Reading osu!mania 4K `.osu` files: text → lines by section → `Chart`. Writing is in `chart.formats.osu_write`.

Format: https://osu.ppy.sh/wiki/en/Client/File_formats/osu_%28file_format%29. What makes a chart meaningless is refused
with its line; what the game plays all the same (doubled notes, overlapping holds) is read and left to `find_problems`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from chart.formats.osu_write import format_osu, write_osu
from chart.formats.parsing import (
    MAX_LINES,
    MAX_NOTES,
    MAX_TIMING_POINTS,
    decode_utf8,
    failure,
    finite,
    read_bytes,
    shown,
    split_lines,
    whole,
)
from chart.hit_objects import HOLD, NOTE, PLAYFIELD_WIDTH
from chart.model import KEYS, Chart, Difficulty, Metadata, TimingPoint
from chart.problems import MAX_METER, MAX_TIME_MS, MIN_TIME_MS, beat_length_problem

__all__ = ["format_osu", "parse_osu", "read_osu", "write_osu"]

MODES = {0: "osu!standard", 1: "osu!taiko", 2: "osu!catch", 3: "osu!mania"}
MANIA = 3

SLIDER, SPINNER = 2, 8  # bits of a hit object's type

_BACKGROUND = re.compile(r"\s*(?:0|Background)\s*,[^,]*,\s*(?:\"(?P<quoted>[^\"]*)\"|(?P<plain>[^,]*))")


def read_osu(path: Path) -> Chart:
    """The chart in an `.osu` file; raises `ChartFileError` with file, line and reason."""
    path = Path(path)
    return parse_osu(decode_utf8(read_bytes(path), str(path)), str(path))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a section, stripped, with its number in the file."""

    number: int  # from 1
    text: str


@dataclass(frozen=True, slots=True)
class Sections:
    """An `.osu` file cut into sections; key-value sections are looked up with `value`."""

    where: str
    lines: dict[str, list[Line]]

    def value(self, section: str, key: str) -> Line | None:
        """The last non-empty value of `key`, as the game takes it."""
        found = None
        for line in self.lines.get(section, ()):
            name, colon, value = line.text.partition(":")
            if colon and name.strip() == key and value.strip():
                found = Line(line.number, value.strip())
        return found

    def text(self, section: str, key: str) -> str:
        """The value as text; empty if absent."""
        line = self.value(section, key)
        return "" if line is None else line.text

    def number(self, section: str, key: str, default: float) -> float:
        """The value as a finite number."""
        line = self.value(section, key)
        return default if line is None else finite(line.text, key, self.where, line.number)

    def integer(self, section: str, key: str, default: int) -> int:
        """The value as a whole number."""
        line = self.value(section, key)
        return default if line is None else whole(line.text, key, self.where, line.number)


def parse_osu(text: str, where: str) -> Chart:
    """The chart in the text of an `.osu` file; `where` names it in errors."""
    sections = cut_sections(text, where)
    _require_mania_4k(sections)
    timing_points = timing_points_of(sections)
    time_ms, column, end_ms = _notes(sections)
    background, breaks = _events(sections)
    return Chart.from_notes(
        time_ms,
        column,
        end_ms,
        timing_points=timing_points,
        metadata=_metadata(sections),
        difficulty=Difficulty(
            hp=sections.number("Difficulty", "HPDrainRate", 5.0),
            od=sections.number("Difficulty", "OverallDifficulty", 5.0),
        ),
        audio_filename=sections.text("General", "AudioFilename"),
        audio_lead_in_ms=sections.integer("General", "AudioLeadIn", 0),
        preview_ms=sections.integer("General", "PreviewTime", -1),
        background=background,
        breaks=breaks,
    )


def cut_sections(text: str, where: str) -> Sections:
    """The lines that count, by section; comments and blank lines are dropped."""
    lines: dict[str, list[Line]] = {}
    current: list[Line] | None = None
    heading_seen = False
    if text.count("\n") + text.count("\r") > MAX_LINES:
        raise failure(where, None, f"more than {MAX_LINES:,} lines", "is it a chart to be played?")
    for number, raw in enumerate(split_lines(text), 1):
        stripped = raw.strip()
        if not stripped or stripped.startswith("//"):
            continue
        if not heading_seen:
            if not stripped.removeprefix("\ufeff").startswith("osu file format v"):
                raise failure(where, number, "not an .osu chart", "the first line must be “osu file format v14”")
            heading_seen = True
        elif stripped.startswith("[") and stripped.endswith("]"):
            current = lines.setdefault(stripped[1:-1], [])
        elif current is not None:
            current.append(Line(number, stripped))
    if not heading_seen:
        raise failure(where, None, "the file is empty")
    return Sections(where, lines)


def _require_mania_4k(sections: Sections) -> None:
    mode = sections.value("General", "Mode")
    number = sections.integer("General", "Mode", 0)
    if number != MANIA:
        what = f"this is a chart for {MODES.get(number, f'mode {number}')}, not osu!mania"
        raise failure(
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
        raise failure(sections.where, size.number, what, "only osu!mania 4K charts are read")


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
            fields = line.text.split(",")
            if len(fields) < 3:
                raise failure(sections.where, line.number, "a break needs a start and an end", "2,start,end")
            breaks.append(
                (
                    _time(fields[1], "break start", sections.where, line.number),
                    _time(fields[2], "break end", sections.where, line.number),
                )
            )
    return background, tuple(breaks)


def _time(text: str, what: str, where: str, line: int) -> float:
    """A time in ms within the longest song supported."""
    value = finite(text, what, where, line)
    if not MIN_TIME_MS <= value <= MAX_TIME_MS:
        hint = f"times are {MIN_TIME_MS:.0f} to {MAX_TIME_MS:.0f} ms"
        raise failure(where, line, f"{what} {value:g} ms lies outside the longest song supported", hint)
    return value


def timing_points_of(sections: Sections) -> tuple[TimingPoint, ...]:
    """Red and green lines by time; lines of one time keep their order, which has a meaning."""
    lines = sections.lines.get("TimingPoints", [])
    if len(lines) > MAX_TIMING_POINTS:
        raise failure(sections.where, None, f"{len(lines):,} timing points, more than {MAX_TIMING_POINTS:,}")
    points = sorted((_timing_point(line, sections.where) for line in lines), key=lambda point: point.time_ms)
    if not any(point.uninherited for point in points):
        hint = "a line like 0,500,4,2,0,100,1,0 under [TimingPoints] is missing"
        raise failure(sections.where, None, "no red line: the tempo is unknown", hint)
    return tuple(points)


def _timing_point(line: Line, where: str) -> TimingPoint:
    fields = [text.strip() for text in line.text.split(",")]
    if len(fields) < 2:
        raise failure(where, line.number, "a timing point needs a time and a beat length", "time,beatLength,meter,…")
    time_ms = _time(fields[0], "timing point time", where, line.number)
    uninherited = len(fields) < 7 or fields[6] == "1"

    def integer(index: int, what: str, default: int) -> int:
        given = len(fields) > index and fields[index]
        return whole(fields[index], what, where, line.number) if given else default

    beat_length = finite(fields[1], "beat length", where, line.number)
    meter = integer(2, "metre", 4)
    if uninherited:
        if problem := beat_length_problem(beat_length):
            raise failure(where, line.number, problem)
        if not 1 <= meter <= MAX_METER:
            raise failure(where, line.number, f"{meter} beats a bar, not 1–{MAX_METER}", "field 3 is the metre")
    return TimingPoint(
        time_ms=time_ms,
        beat_length_ms=beat_length,
        meter=meter,
        uninherited=uninherited,
        sample_set=integer(3, "sample set", 1),
        sample_index=integer(4, "sample index", 0),
        volume=integer(5, "volume", 100),
        effects=integer(7, "effects", 0),
    )


def _notes(sections: Sections) -> tuple[list[float], list[int], list[float]]:
    """Times, columns and hold ends (nan = tap) in the order of the file, which must be by time."""
    lines = sections.lines.get("HitObjects", [])
    where = sections.where
    if len(lines) > MAX_NOTES:
        raise failure(where, None, f"{len(lines):,} notes, more than {MAX_NOTES:,}", "is it a chart to be played?")
    times, columns, ends = [], [], []
    previous = -math.inf
    for line in lines:
        fields = line.text.split(",")
        if len(fields) < 4:
            raise failure(where, line.number, f"“{shown(line.text)}” is no note", "x,y,time,type,… is expected")
        time_ms = _time(fields[2], "note time", where, line.number)
        if time_ms < previous:
            what = f"note at {time_ms:g} ms comes after one at {previous:g} ms"
            raise failure(
                where, line.number, what, "notes must be in order of time; open and save it in the osu! editor"
            )
        previous = time_ms
        x = finite(fields[0], "x", where, line.number)
        times.append(time_ms)
        columns.append(int(min(max(x, 0), PLAYFIELD_WIDTH - 1) * KEYS // PLAYFIELD_WIDTH))
        ends.append(_hold_end(fields, time_ms, line.number, where))
    return times, columns, ends


def _hold_end(fields: list[str], time_ms: float, line: int, where: str) -> float:
    """End of a hold in ms, nan for a tap."""
    kind = whole(fields[3], "type", where, line)
    if kind & HOLD:
        if len(fields) < 6:
            raise failure(where, line, "a hold without an end", "end time is field 6; is a field missing?")
        end_ms = _time(fields[5].partition(":")[0], "hold end", where, line)
        if end_ms <= time_ms:
            what = f"hold ends at {end_ms:g} ms, not after its start at {time_ms:g} ms"
            raise failure(where, line, what, "end time is field 6; is a field missing?")
        return end_ms
    if not kind & NOTE:
        names = {SLIDER: "a slider", SPINNER: "a spinner"}
        found = next((name for bit, name in names.items() if kind & bit), f"of unknown type {kind}")
        raise failure(where, line, f"the object is {found}, not a note or a hold", "osu!mania charts have only those")
    return math.nan
