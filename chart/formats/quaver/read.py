"""Reading Quaver `.qua` files (YAML) of four keys.

Carried: notes, holds, timing points, names, preview, background. Not carried: scroll velocities, hit sounds, layers, mines.
Entries that cannot be read are left out and named in the log.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import yaml

from chart.formats.parsing import (
    MAX_NOTES,
    MAX_TIMING_POINTS,
    LeftOut,
    counted,
    decode_as_the_game,
    failure,
    finite,
    read_bytes,
    shown,
    whole,
)
from chart.model import KEYS, Chart, Metadata, TimingPoint
from chart.problems import MAX_METER, MAX_TIME_MS, MIN_TIME_MS, beat_length_problem, require_valid
from runtime.errors import ChartFileError

logger = logging.getLogger(__name__)

T = TypeVar("T")

MODE = "Keys4"
DEFAULT_METER = 4
MINES = frozenset({"mine", "1"})  # values of an object's Type
METERS = {"": DEFAULT_METER, "Quadruple": 4, "Triple": 3}  # Quaver's names of time signatures
MAX_DEPTH = 16
"""Deepest nesting read; a chart needs four levels."""

MAX_EVENTS = 600_000
"""Most YAML keys, values and brackets read; a chart of 20,000 notes has some 260,000."""

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # every scalar stays text: no dates, no objects


class Table:
    """A YAML mapping with the lines of its values, for errors that say where."""

    def __init__(self, node: yaml.Node, where: str) -> None:
        if not isinstance(node, yaml.MappingNode):
            raise failure(where, node.start_mark.line + 1, "not a list of “Name: value” lines", "is it a Quaver chart?")
        self.where = where
        self.line: int = node.start_mark.line + 1
        self.nodes = {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}

    def text(self, key: str) -> str:
        """The value on one line; empty if absent."""
        node = self.nodes.get(key)
        return " ".join(node.value.split()) if isinstance(node, yaml.ScalarNode) else ""

    def number(self, key: str, default: float) -> float:
        text = self.text(key)
        return finite(text, key, self.where, self.line_of(key)) if text else default

    def integer(self, key: str, default: int) -> int:
        text = self.text(key)
        return whole(text, key, self.where, self.line_of(key)) if text else default

    def line_of(self, key: str) -> int:
        return self.nodes[key].start_mark.line + 1 if key in self.nodes else self.line

    def rows(self, key: str, limit: int) -> Iterator[Table]:
        """The mappings of a list."""
        node = self.nodes.get(key)
        if node is None or (isinstance(node, yaml.ScalarNode) and not node.value.strip()):
            return
        if not isinstance(node, yaml.SequenceNode):
            raise failure(self.where, self.line_of(key), f"{key} is not a list")
        if len(node.value) > limit:
            raise failure(self.where, self.line_of(key), f"{key} has {len(node.value):,} entries, more than {limit:,}")
        for item in node.value:
            yield Table(item, self.where)


def read_quaver(path: Path) -> Chart:
    """The chart of a four-key `.qua` file."""
    path = Path(path)
    return parse_quaver(decode_as_the_game(read_bytes(path)), str(path))


def parse_quaver(text: str, where: str) -> Chart:
    """The chart in the text of a `.qua` file; `where` names it in errors."""
    root = Table(_compose(text, where), where)
    if root.text("Mode") != MODE:
        what = f"this is a chart of mode “{shown(root.text('Mode'))}”, not {MODE}"
        raise failure(where, root.line_of("Mode"), what, "only 4K charts are read")
    left_out = LeftOut(where)
    rows = list(root.rows("HitObjects", MAX_NOTES))
    mines = [row.text("Type").casefold() in MINES for row in rows]
    played = [row for row, is_mine in zip(rows, mines, strict=True) if not is_mine]
    notes = list(_readable(_note, played, left_out))
    points = list(_readable(_timing_point, root.rows("TimingPoints", MAX_TIMING_POINTS), left_out))
    if left_out.first is not None and not (points and (notes or not played)):
        raise left_out.first
    if any(mines):
        logger.warning("%s: left out %s", where, counted(sum(mines), "mines"))
    time, column, end = zip(*notes, strict=True) if notes else ((), (), ())
    chart = Chart.from_notes(
        time,
        column,
        end,
        timing_points=tuple(sorted(points, key=lambda point: point.time_ms)),
        metadata=_metadata(root),
        audio_filename=root.text("AudioFile"),
        preview_ms=_preview_ms(root, left_out),
        background=root.text("BackgroundFile").replace('"', ""),
    )
    left_out.report("entries")
    require_valid(chart, where)
    return chart


def _readable(read: Callable[[Table], T], rows: Iterable[Table], left_out: LeftOut) -> Iterator[T]:
    """Values parsed from the rows; rows that cannot be parsed go to `left_out`."""
    for row in rows:
        try:
            yield read(row)
        except ChartFileError as error:
            left_out.add(error)


def _preview_ms(root: Table, left_out: LeftOut) -> int:
    try:
        return round(root.number("SongPreviewTime", -1))
    except ChartFileError as error:
        left_out.add(error)
        return -1


def _compose(text: str, where: str) -> yaml.Node:
    """The YAML tree; aliases and deep nesting, which can cost far more than their text, are refused beforehand."""
    try:
        _check_events(text, where)
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = f"not YAML: {shown(getattr(error, 'problem', None) or str(error))}"
        raise failure(where, mark.line + 1 if mark else None, what, "is it a Quaver chart?") from error
    except (ValueError, OverflowError) as error:
        raise failure(where, None, f"not YAML: {shown(str(error))}", "is it a Quaver chart?") from error
    if node is None:
        raise failure(where, None, "the file is empty")
    return node


def _check_events(text: str, where: str) -> None:
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        if count > MAX_EVENTS:
            raise failure(where, event.start_mark.line + 1, f"more than {MAX_EVENTS:,} values", "is it a Quaver chart?")
        if isinstance(event, yaml.AliasEvent):
            raise failure(where, event.start_mark.line + 1, "a YAML alias, which no Quaver chart has", "refused")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise failure(where, event.start_mark.line + 1, f"nested deeper than {MAX_DEPTH} levels", "refused")


def _note(row: Table) -> tuple[float, int, float]:
    """Time in ms, column and end (nan = tap) of a hit object; Quaver leaves out values of 0."""
    time_ms, end_ms = row.number("StartTime", 0.0), row.number("EndTime", 0.0)
    lane = row.integer("Lane", 0)
    if not 1 <= lane <= KEYS:
        raise failure(row.where, row.line_of("Lane"), f"lane {lane} is not 1–{KEYS}")
    for value, key in ((time_ms, "StartTime"), (end_ms, "EndTime")):
        if not MIN_TIME_MS <= value <= MAX_TIME_MS:
            raise failure(row.where, row.line_of(key), f"{key} {value:g} lies outside the longest song supported")
    # Quaver takes ends of 0 and before for none, also of notes before the song begins.
    return time_ms, lane - 1, end_ms if end_ms > max(time_ms, 0.0) else math.nan


def _timing_point(row: Table) -> TimingPoint:
    bpm, start_ms = row.number("Bpm", 0.0), row.number("StartTime", 0.0)
    problem = "a tempo must be above 0" if bpm <= 0 else beat_length_problem(60_000.0 / max(bpm, 1e-9))
    if problem:
        raise failure(row.where, row.line_of("Bpm"), f"BPM is {bpm:g}", problem)
    if not MIN_TIME_MS <= start_ms <= MAX_TIME_MS:
        raise failure(row.where, row.line_of("StartTime"), f"StartTime {start_ms:g} lies outside the longest song")
    signature = row.text("Signature")
    meter = METERS[signature] if signature in METERS else row.integer("Signature", DEFAULT_METER)
    return TimingPoint(start_ms, 60_000.0 / bpm, min(meter, MAX_METER) if meter >= 1 else DEFAULT_METER)


def _metadata(root: Table) -> Metadata:
    title, artist = root.text("Title"), root.text("Artist")
    return Metadata(
        title=title,
        title_unicode=title,
        artist=artist,
        artist_unicode=artist,
        creator=root.text("Creator"),
        version=root.text("DifficultyName"),
        source=root.text("Source"),
        tags=tuple(root.text("Tags").replace(",", " ").split()),
    )
