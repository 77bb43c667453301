"""Note data of a StepMania chart: measures of rows, read as StepMania reads them.

A tail without a head is ignored. A hold that never ends or contains a note is skipped, and the note is kept. A row that is too
short has no notes in its last columns. Skipped items are counted.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field

from chart.formats.parsing import MAX_NOTES, failure
from chart.formats.stepmania.timeline import TICKS_PER_MEASURE
from chart.model import KEYS

MAX_MEASURES = 50_000
"""Most measures of a chart: a day of music at 140 BPM."""

IGNORED = {"M": "mines", "L": "lifts", "F": "fake notes", "K": "key sounds"}
ODD_ROWS, LOST_TAILS, OPEN_HOLDS = "odd rows", "tails without a head", "holds without an end"
TAP, HEAD, TAIL, ROLL, NOTHING = "1", "2", "3", "4", "0"

_ATTRIBUTES = re.compile(r"\[[^\[\]\n]*\]|\{[^{}\n]*\}")  # key sounds and attacks that may follow a note


@dataclass(frozen=True, slots=True)
class StepNotes:
    """Notes of a chart by tick; `end` is nan for taps."""

    tick: list[float] = field(default_factory=list)
    column: list[int] = field(default_factory=list)
    end: list[float] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)  # skipped items, by plural name

    def without(self, gone: set[int]) -> StepNotes:
        """The notes without those at these indices."""
        kept = [at for at in range(len(self.tick)) if at not in gone]
        return StepNotes(
            [self.tick[at] for at in kept],
            [self.column[at] for at in kept],
            [self.end[at] for at in kept],
            self.ignored,
        )


def read_notes(data: str, where: str) -> StepNotes:
    """Notes of the note data: measures cut by commas, each a number of equal rows of four characters."""
    notes = StepNotes()
    if data.count(",") >= MAX_MEASURES:
        raise failure(where, None, f"more than {MAX_MEASURES:,} measures", "is it a chart to be played?")
    heads: dict[int, int] = {}  # column → number of the hold that is open there
    gone: set[int] = set()
    for measure, text in enumerate(_ATTRIBUTES.sub("", data).split(",")):
        rows = [row.strip().upper() for row in text.split("\n") if row.strip()]
        for index, row in enumerate(rows):
            if row != NOTHING * KEYS:
                tick = TICKS_PER_MEASURE * measure + TICKS_PER_MEASURE * index / len(rows)
                _read_row(row, tick, notes, heads, gone)
        if len(notes.tick) > MAX_NOTES:
            raise failure(where, None, f"more than {MAX_NOTES:,} notes", "is it a chart to be played?")
    gone.update(heads.values())
    notes.ignored[OPEN_HOLDS] += len(gone)
    return notes.without(gone) if gone else notes


def _read_row(row: str, tick: float, notes: StepNotes, heads: dict[int, int], gone: set[int]) -> None:
    """Add one row to `notes`; `heads` holds the open holds by column, `gone` those that a note has broken."""
    if len(row) != KEYS:
        notes.ignored[ODD_ROWS] += 1
    for column, kind in enumerate(row[:KEYS]):
        if kind == NOTHING:
            continue
        if kind == TAIL:
            if column in heads:
                notes.end[heads.pop(column)] = tick
            else:
                notes.ignored[LOST_TAILS] += 1
        elif kind in (TAP, HEAD, ROLL):
            if column in heads:
                gone.add(heads.pop(column))
            if kind != TAP:
                heads[column] = len(notes.tick)
            notes.tick.append(tick)
            notes.column.append(column)
            notes.end.append(math.nan)
        else:
            notes.ignored[IGNORED.get(kind, "unknown notes")] += 1
