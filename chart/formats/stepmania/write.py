"""Writing StepMania `.ssc` files: the difficulties of a song as dance-single charts, as StepMania 5 and Etterna read them.

A note stands on the nearest 1/48 of a beat, StepMania's grid: snapped notes keep their time, others move by at most half a tick,
60,000 / BPM / 96 ms. Source: the `.ssc` page of StepMania's wiki and its `NotesWriterSSC.cpp`.
"""

from __future__ import annotations

import io
import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from msdparser import MSDParameter
from numpy.typing import NDArray

from chart.analysis.star_rating import stars
from chart.formats.parsing import shown
from chart.formats.stepmania.files import STEPS_TYPE
from chart.formats.stepmania.grid import Grid, grid_of
from chart.formats.stepmania.notes import HEAD, MAX_MEASURES, NOTHING, TAIL, TAP
from chart.formats.stepmania.timeline import TICKS_PER_BEAT, TICKS_PER_MEASURE
from chart.model import KEYS, Chart
from chart.problems import require_valid
from runtime.errors import OutputError

logger = logging.getLogger(__name__)

SLOTS = ("Beginner", "Easy", "Medium", "Hard", "Challenge")
"""StepMania's difficulties, one chart each; any number of further charts are edits."""
EDIT = "Edit"
LEVEL_AT_0, LEVEL_A_STAR = 0.2, 4.3
"""Level of a chart, StepMania's METER, from its stars: least squares over 560 dance-single charts of the `train` songs."""
PREVIEW_S = 12.0
ROWS = (4, 8, 12, 16, 24, 32, 48, 64, 96, 192)
"""Rows that StepMania writes a measure with."""
EMPTY = "\n".join([NOTHING * KEYS] * ROWS[0])


@dataclass(frozen=True, eq=False)
class Rows:
    """Notes of a chart by tick; no tick and column occurs twice."""

    tick: NDArray[np.int64]  # [cell]
    column: NDArray[np.int64]  # [cell]
    kind: NDArray[np.str_]  # [cell], of TAP, HEAD, TAIL


def format_ssc(charts: Sequence[Chart]) -> str:
    """Charts of one song as the text of an `.ssc` file, the easiest first. Raises `ChartFileError` and `OutputError`.

    Names and song are those of the hardest chart; a chart whose red lines differ from its own gets a timing of its own.
    """
    for chart in charts:
        require_valid(chart, shown(chart.metadata.version or chart.metadata.title) or "chart")
    ordered = sorted(charts, key=stars)
    first_ms = min((float(chart.time_ms[0]) for chart in ordered if len(chart)), default=0.0)
    main = ordered[-1]
    timing = _timing(grid_of(main.red_lines, first_ms))
    parts = [*_tags([("VERSION", "0.83"), *_song(main), *timing])]
    for number, chart in enumerate(ordered):
        grid = grid_of(chart.red_lines, first_ms)
        own = _timing(grid)
        slot = number - len(ordered) + len(SLOTS)
        names = _steps(chart, SLOTS[slot] if slot >= 0 else EDIT)
        parts += _tags([("NOTEDATA", ""), *names, *(own if own != timing else []), ("NOTES", _note_data(chart, grid))])
    return "".join(parts)


def _tags(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    for pair in pairs:
        text = io.StringIO()
        MSDParameter(pair).serialize(text)
        yield text.getvalue() + "\n"


def _song(chart: Chart) -> list[tuple[str, str]]:
    names = chart.metadata
    title, artist = names.title_unicode or names.title, names.artist_unicode or names.artist
    return [
        ("TITLE", title),
        ("ARTIST", artist),
        ("TITLETRANSLIT", names.title if names.title != title else ""),
        ("ARTISTTRANSLIT", names.artist if names.artist != artist else ""),
        ("CREDIT", names.creator),
        ("BACKGROUND", chart.background),
        ("MUSIC", chart.audio_filename),
        *([("SAMPLESTART", f"{chart.preview_ms / 1000:.6f}")] if chart.preview_ms >= 0 else []),
        ("SAMPLELENGTH", f"{PREVIEW_S:.6f}"),
        ("SELECTABLE", "YES"),
    ]


def _steps(chart: Chart, difficulty: str) -> list[tuple[str, str]]:
    names = chart.metadata
    return [
        ("CHARTNAME", names.version),
        ("STEPSTYPE", STEPS_TYPE),
        ("DESCRIPTION", names.version),
        ("DIFFICULTY", difficulty),
        ("METER", str(max(round(LEVEL_AT_0 + LEVEL_A_STAR * stars(chart)), 1))),
        ("CREDIT", names.creator),
    ]


def _timing(grid: Grid) -> list[tuple[str, str]]:
    """Every tag of the timing, so that nothing is inherited from the song where a chart has its own."""
    bpms = 60_000.0 / (grid.tick_ms * TICKS_PER_BEAT)
    changed = np.append(True, np.diff(bpms) != 0)
    signatures = zip(grid.line_tick.tolist(), grid.meter.tolist(), strict=True)
    bars = {0: int(grid.meter[0])} | dict(signatures)
    return [
        ("OFFSET", f"{-grid.time_ms[0] / 1000:.6f}"),
        ("BPMS", _list((tick, f"{bpm:.6f}") for tick, bpm in zip(grid.tick[changed], bpms[changed], strict=True))),
        ("STOPS", ""),
        ("DELAYS", ""),
        ("WARPS", ""),
        ("TIMESIGNATURES", _list((tick, f"{meter}=4") for tick, meter in bars.items())),
    ]


def _list(changes: Iterator[tuple[int, str]]) -> str:
    return ",\n".join(f"{tick / TICKS_PER_BEAT:.6f}={value}" for tick, value in changes)


def _note_data(chart: Chart, grid: Grid) -> str:
    """The measures, each with as few rows as its notes need."""
    rows = _rows(chart, grid)
    measures = int(rows.tick.max(initial=0)) // TICKS_PER_MEASURE + 1
    if measures > MAX_MEASURES:
        raise OutputError(f"{shown(chart.metadata.version)}: needs {measures:,} measures, more than {MAX_MEASURES:,}")
    found: dict[int, list[tuple[int, int, str]]] = defaultdict(list)
    for tick, column, kind in zip(rows.tick.tolist(), rows.column.tolist(), rows.kind.tolist(), strict=True):
        found[tick // TICKS_PER_MEASURE].append((tick % TICKS_PER_MEASURE, column, kind))
    return "\n" + "\n,\n".join(_measure(found[at]) if at in found else EMPTY for at in range(measures)) + "\n"


def _measure(cells: list[tuple[int, int, str]]) -> str:
    """One measure of cells: tick within it, column, kind."""
    count = next(rows for rows in ROWS if not any(tick * rows % TICKS_PER_MEASURE for tick, _, _ in cells))
    lines = [[NOTHING] * KEYS for _ in range(count)]
    for tick, column, kind in cells:
        lines[tick * count // TICKS_PER_MEASURE][column] = kind
    return "\n".join(map("".join, lines))


DOUBLED, MOVED, SHORTENED = (
    "doubled notes left out",
    "notes moved to the next 1/48 beat",
    "holds ended 1/48 beat before the next note",
)


def _rows(chart: Chart, grid: Grid) -> Rows:
    """Each note on its tick. Counts what a file cannot hold as it is in the log."""
    head = grid.tick_at(chart.time_ms)
    tail = np.maximum(grid.tick_at(np.where(chart.is_hold, chart.end_ms, chart.time_ms)), head + chart.is_hold)
    is_doubled = np.zeros(len(chart), bool)
    found: list[tuple[int, int, str]] = []
    counts: Counter[str] = Counter()
    for column in range(KEYS):
        notes = np.flatnonzero(chart.column == column)
        is_doubled[notes[1:]] = np.diff(chart.time_ms[notes]) == 0
        notes = notes[~is_doubled[notes]]
        for at, until in _placed(head[notes].tolist(), tail[notes].tolist(), counts):
            found += [(at, column, HEAD), (until, column, TAIL)] if until > at else [(at, column, TAP)]
    counts[DOUBLED] = int(is_doubled.sum())
    said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    if said:
        logger.warning("%s: %s", shown(chart.metadata.version), said)
    tick, columns, kind = zip(*found, strict=True) if found else ((), (), ())
    return Rows(np.array(tick, dtype=np.int64), np.array(columns, dtype=np.int64), np.array(kind, dtype="U1"))


def _placed(heads: list[int], tails: list[int], counts: Counter[str]) -> list[tuple[int, int]]:
    """Ticks of head and tail (equal for taps) of a column's notes, none in the place of another.

    A tick holds one thing: the later of two notes moves on, and a hold ends before the next note.
    """
    placed: list[tuple[int, int]] = []
    for at, until in zip(heads, tails, strict=True):
        if placed:
            before, busy_until = placed[-1]
            if at <= before:
                counts[MOVED] += 1
                at, until = before + 1, max(until, before + 1 + (until > at))
            if busy_until >= at:
                counts[SHORTENED] += 1
                placed[-1] = (before, at - 1)
        placed.append((at, until))
    return placed
