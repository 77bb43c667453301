"""Notes of a chart's text: read, changed and put back line by line, so that what is not changed stays to the byte.

A note is (time_ms, column, end_ms or None), whole ms on osu!'s clock, columns 0–3. A span is [start_ms, end_ms).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chart.formats.osu_read import parse_osu
from chart.hit_objects import PLAYFIELD_WIDTH
from chart.model import KEYS, Chart
from chart.problems import find_problems
from runtime.errors import ConfigError

Note = tuple[int, int, int | None]
Span = Sequence[float]

MAX_EDIT = 20_000
"""Notes of one change."""
MAX_NOTE_MS = 10 * 3_600_000
_NOTES = re.compile(r"^[^\S\r\n]*\[HitObjects\][^\S\r\n]*\r?$", re.MULTILINE)
_TIMING = re.compile(r"^\[TimingPoints\][^\S\r\n]*\r?\n(?:(?!\[).*\n?)*", re.MULTILINE)
_HEAD_FIELD = r"^(?P<key>{key}[^\S\r\n]*:).*$"


def notes_of(text: str) -> list[Note]:
    """The notes of a chart's text, by time and column."""
    return sorted(_lines_by_note(text))


def chart_of(text: str) -> Chart:
    """The chart of a text that this program stored."""
    return parse_osu(text, "chart")


def with_notes(text: str, notes: Iterable[Note]) -> str:
    """The text with these notes; lines of notes it had are kept as they are. Raises ConfigError for notes that clash."""
    known = _lines_by_note(text)
    head = text[: _hit_objects(text).end()].rstrip()
    ordered = sorted(set(notes), key=lambda note: (note[0], note[1]))
    lines = [known.get(note) or _line(note) for note in ordered]
    result = "\n".join([*head.splitlines(), *lines, ""])
    problems = find_problems(parse_osu(result, "chart"))
    if problems:
        raise ConfigError(f"notes: {problems[0].message}")
    return result


def _hit_objects(text: str) -> re.Match[str]:
    match = _NOTES.search(text)
    if match is None:
        raise ConfigError("chart: [HitObjects] is missing; save it in the osu! editor")
    return match


def _lines_by_note(text: str) -> dict[Note, str]:
    lines = {}
    for line in text[_hit_objects(text).end() :].splitlines():
        fields = line.split(",")
        if len(fields) < 5 or line.startswith("//"):
            continue
        column = min(max(int(float(fields[0])), 0), PLAYFIELD_WIDTH - 1) * KEYS // PLAYFIELD_WIDTH
        end = int(float(fields[5].split(":")[0])) if int(fields[3]) & 128 and len(fields) > 5 else None
        lines[(int(float(fields[2])), column, end)] = line.strip()
    return lines


def _line(note: Note) -> str:
    """As chart.formats.osu_write writes it."""
    time_ms, column, end_ms = note
    x = (column * 2 + 1) * PLAYFIELD_WIDTH // (2 * KEYS)
    return f"{x},192,{time_ms},1,0,0:0:0:0:" if end_ms is None else f"{x},192,{time_ms},128,0,{end_ms}:0:0:0:0:"


def checked_notes(values: Any) -> list[Note]:
    """Notes from the page's JSON; raises ConfigError for what are none."""
    if not isinstance(values, list) or len(values) > MAX_EDIT:
        raise ConfigError(f"notes: not a list of at most {MAX_EDIT:,}")
    return [_checked(value) for value in values]


def _checked(value: Any) -> Note:
    numbers = isinstance(value, list) and len(value) == 3 and all(isinstance(one, int) for one in value[:2])
    if not numbers or isinstance(value[1], bool) or not (value[2] is None or isinstance(value[2], int)):
        raise ConfigError("notes: each is [time in ms, column, end in ms or null]")
    time_ms, column, end_ms = value
    if not (0 <= column < KEYS and abs(time_ms) <= MAX_NOTE_MS):
        raise ConfigError(f"notes: column {column} at {time_ms} ms is outside the chart")
    if end_ms is not None and not time_ms < end_ms <= MAX_NOTE_MS:
        raise ConfigError(f"notes: the hold at {time_ms} ms ends before it starts")
    return time_ms, column, end_ms


def is_in(note: Note, span: Span) -> bool:
    """Whether any part of a note lies in the span."""
    return note[0] < span[1] and (note[0] if note[2] is None else note[2]) >= span[0]


def require_unlocked(before: Iterable[Note], after: Iterable[Note], locks: Sequence[Span]) -> None:
    """Raise ConfigError where a change touches a locked section."""
    for note in set(before) ^ set(after):
        if any(is_in(note, lock) for lock in locks):
            raise ConfigError(f"notes: {_clock(note[0])} lies in a locked section; unlock it first")


def merged(
    old: Sequence[Note], new: Sequence[Note], span: Span, locks: Sequence[Span], hand: Sequence[Note]
) -> list[Note]:
    """The notes of `old`, inside the span those of `new`; what is locked or made by hand stays."""
    kept = [
        note for note in old if not is_in(note, span) or note in set(hand) or any(is_in(note, one) for one in locks)
    ]
    inside = [note for note in new if span[0] <= note[0] and (note[2] or note[0]) < span[1]]
    return kept + [note for note in inside if not _clashes(note, kept) and not any(is_in(note, one) for one in locks)]


def _clashes(note: Note, others: Iterable[Note]) -> bool:
    """Whether another note of the column is down, or within a frame, at the same time."""
    start, column, end = note
    return any(
        column == other[1] and start <= (other[2] or other[0]) + 20 and (end or start) + 20 >= other[0]
        for other in others
    )


def edited(text: str, remove: Sequence[Note], add: Sequence[Note], locks: Sequence[Span]) -> str:
    """A chart's text with notes removed and added by hand."""
    before = notes_of(text)
    missing = set(remove) - set(before)
    if missing:
        raise ConfigError(f"notes: there is no note at {_clock(min(missing)[0])} any more")
    after = [note for note in before if note not in set(remove)] + list(add)
    require_unlocked(before, after, locks)
    return with_notes(text, after)


def with_fields(text: str, fields: Mapping[str, str]) -> str:
    """The text with other values in its head ("Title", "HPDrainRate" …); each on one line, fields it lacks left out."""
    at = _hit_objects(text).start()
    head, tail = text[:at], text[at:]
    for key, value in fields.items():
        line = " ".join(value.split())
        pattern = re.compile(_HEAD_FIELD.format(key=re.escape(key)), re.MULTILINE)
        head = pattern.sub(lambda match, line=line: match["key"] + line, head, count=1)  # type: ignore[misc]
    return head + tail


def with_timing(text: str, section: str) -> str:
    """The chart's text with its [TimingPoints] section replaced by that in the text `section`."""
    other = _TIMING.search(section)
    assert other is not None, "written by chart.formats.osu_write"
    return _TIMING.sub(lambda _: other[0], text, count=1)


def _clock(time_ms: float) -> str:
    return f"{int(time_ms // 60_000)}:{time_ms / 1000 % 60:06.3f}"
