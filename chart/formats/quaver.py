"""Reading Quaver `.qua` files (YAML) of four keys.

Carried: notes, holds, timing points, names, preview, background. Not carried: scroll velocities, hit sounds, layers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import yaml

from chart.formats.parsing import MAX_NOTES, MAX_TIMING_POINTS, decode_utf8, failure, finite, read_bytes, shown, whole
from chart.model import KEYS, Chart, Metadata, TimingPoint
from chart.problems import beat_length_problem, require_valid

MODE = "Keys4"
METERS = {"": 4, "Quadruple": 4, "Triple": 3}  # Quaver's names of time signatures
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
    return parse_quaver(decode_utf8(read_bytes(path), str(path)), str(path))


def parse_quaver(text: str, where: str) -> Chart:
    """The chart in the text of a `.qua` file; `where` names it in errors."""
    root = Table(_compose(text, where), where)
    if root.text("Mode") != MODE:
        what = f"this is a chart of mode “{shown(root.text('Mode'))}”, not {MODE}"
        raise failure(where, root.line_of("Mode"), what, "only 4K charts are read")
    notes = [_note(row) for row in root.rows("HitObjects", MAX_NOTES)]
    points = [_timing_point(row) for row in root.rows("TimingPoints", MAX_TIMING_POINTS)]
    time, column, end = zip(*notes, strict=True) if notes else ((), (), ())
    chart = Chart.from_notes(
        time,
        column,
        end,
        timing_points=tuple(sorted(points, key=lambda point: point.time_ms)),
        metadata=_metadata(root),
        audio_filename=root.text("AudioFile"),
        preview_ms=root.integer("SongPreviewTime", -1),
        background=root.text("BackgroundFile").replace('"', ""),
    )
    require_valid(chart, where)
    return chart


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
    if end_ms and end_ms <= time_ms:
        what = f"hold ends at {end_ms:g} ms, not after its start at {time_ms:g} ms"
        raise failure(row.where, row.line_of("EndTime"), what)
    return time_ms, lane - 1, end_ms or math.nan


def _timing_point(row: Table) -> TimingPoint:
    bpm = row.number("Bpm", 0.0)
    problem = "a tempo must be above 0" if bpm <= 0 else beat_length_problem(60_000.0 / max(bpm, 1e-9))
    if problem:
        raise failure(row.where, row.line_of("Bpm"), f"BPM is {bpm:g}", problem)
    signature = row.text("Signature")
    meter = METERS[signature] if signature in METERS else row.integer("Signature", 4)
    return TimingPoint(row.number("StartTime", 0.0), 60_000.0 / bpm, meter)


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
