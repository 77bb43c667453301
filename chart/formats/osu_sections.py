"""Splits the text of an `.osu` file into sections as the game does: line by line, skipping lines that it cannot read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from chart.formats.osu_plain_notes import Notes, split_plain_notes
from chart.formats.parsing import MAX_LINES, MAX_NOTES, LeftOut, failure, finite, whole, with_line_feeds
from runtime.errors import ChartFileError

LATEST_VERSION = 14
EARLY_VERSION = 5
"""Formats below this one are played `EARLY_OFFSET_MS` later."""
EARLY_OFFSET_MS = 24.0

_HEADER = re.compile(r"osu file format v(\d{1,3})")
_SECTIONS = frozenset(
    {"General", "Editor", "Metadata", "Difficulty", "Events", "TimingPoints", "Colours", "HitObjects", "Variables"}
)


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
    version: int = LATEST_VERSION
    left_out: LeftOut = field(default_factory=lambda: LeftOut(""))
    plain_notes: Notes | None = None  # read all at once; their lines are then not among `lines`

    @property
    def offset_ms(self) -> float:
        """Offset, ms, that the game adds to every time of this file."""
        return EARLY_OFFSET_MS if self.version < EARLY_VERSION else 0.0

    def value(self, section: str, key: str) -> Line | None:
        """The last non-empty value of `key`; the game takes the same."""
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
        """The value as a finite number; the default where it is absent or not a number."""
        line = self.value(section, key)
        try:
            return default if line is None else finite(line.text, key, self.where, line.number)
        except ChartFileError as error:
            self.left_out.add(error)
            return default

    def integer(self, section: str, key: str, default: int) -> int:
        """The value as a whole number; the default where it is absent or none."""
        line = self.value(section, key)
        try:
            return default if line is None else whole(line.text, key, self.where, line.number)
        except ChartFileError as error:
            self.left_out.add(error)
            return default


def cut_sections(text: str, where: str) -> Sections:
    """The lines with content, by section; comments and blank lines are dropped.

    The line that names the format may be missing or stand behind other characters, as long as a section follows.
    """
    lines: dict[str, list[Line]] = {}
    current: list[Line] | None = None
    name, version, first = "", LATEST_VERSION, None
    if text.count("\n") + text.count("\r") > MAX_LINES:
        raise failure(where, None, f"more than {MAX_LINES:,} lines", "is it a chart to be played?")
    head, plain_notes = split_plain_notes(with_line_feeds(text), MAX_NOTES)
    for number, raw in enumerate(head.split("\n"), 1):
        stripped = raw.strip()
        if not stripped or stripped.startswith("//"):
            continue
        if first is None:
            first = number
            version = int(match[1]) if (match := _HEADER.search(stripped)) else version
        if stripped.startswith("[") and stripped.endswith("]"):
            name = stripped[1:-1]
            current = lines.setdefault(name, [])
        elif current is not None:
            current.append(Line(number, stripped if name == "Metadata" else _without_comment(stripped)))
    if first is None:
        raise failure(where, None, "the file is empty")
    if not _SECTIONS & lines.keys():
        raise failure(where, first, "not an .osu chart", "the first line must be “osu file format v14”")
    return Sections(where, lines, version, LeftOut(where), plain_notes)


def _without_comment(line: str) -> str:
    """A line up to `//`, which the game takes for a comment everywhere but in names."""
    return line.partition("//")[0].rstrip()
