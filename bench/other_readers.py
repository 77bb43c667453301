"""Charts as other people's readers have them: fosu, rosu-pp, osu-parsers (Node), simfile and reamber (a Python with old setuptools).

npm install --prefix FOLDER osu-parsers@4.1.7 osu-classes@3.1.0
python3 -m venv FOLDER && FOLDER/bin/pip install setuptools==80.9.0 simfile==2.1.1 msdparser==2.0.0 reamber==1.0.0
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import fosu
import numpy as np
import rosu_pp_py as rosu
from numpy.typing import NDArray

from chart.hit_objects import PLAYFIELD_WIDTH
from chart.model import KEYS, Chart

NODE = """
const { BeatmapDecoder } = require('osu-parsers');
require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const map = new BeatmapDecoder().decodeFromString(JSON.parse(line));
  const notes = map.hitObjects.map((note) => [note.startTime, note.startPosition.x, note.endTime ?? note.startTime, note.hitType]);
  const lines = map.controlPoints.timingPoints.map((point) => [point.startTime, point.beatLengthUnlimited, point.timeSignature]);
  console.log(JSON.stringify({ notes, lines }));
});
"""
SIMFILE = """
import json, sys, simfile
from simfile.notes import NoteData
from simfile.notes.timed import time_notes
from simfile.timing import TimingData
for line in sys.stdin:
    song = simfile.loads(json.loads(line), strict=True)
    charts = []
    for chart in song.charts:
        timing = TimingData(song, chart)
        notes = [(float(one.time) * 1000, one.note.column, one.note.note_type.name) for one in time_notes(NoteData(chart), timing)]
        charts.append({"name": chart.get("CHARTNAME", ""), "notes": notes})
    print(json.dumps(charts), flush=True)
"""
REAMBER = """
import json, sys, warnings
from reamber.quaver.QuaMap import QuaMap
warnings.simplefilter("error")
for line in sys.stdin:
    chart = QuaMap.read(json.loads(line).split("\\n"))
    notes = [(float(one.offset), int(one.column), None) for one in chart.hits.df.itertuples()]
    notes += [(float(one.offset), int(one.column), float(one.offset + one.length)) for one in chart.holds.df.itertuples()]
    print(json.dumps(notes), flush=True)
"""


ROSU_BEAT_MS = 0.00051
"""rosu-pp rounds beat lengths to 1/1000 ms before it names the commonest."""


@dataclass(frozen=True, eq=False)
class Reading:
    """Notes of a chart by time and column, and its red lines."""

    time_ms: NDArray[np.float64]  # [note]
    column: NDArray[np.int64]  # [note]
    end_ms: NDArray[np.float64]  # [note], nan = tap
    lines: tuple[tuple[float, float, int], ...] = ()  # time in ms, beat length in ms, metre

    @classmethod
    def of(cls, notes: Sequence[tuple[float, int, float]], lines: Sequence[tuple[float, float, int]] = ()) -> Reading:
        """From notes in any order."""
        time, column, end = (np.array([note[field] for note in notes], dtype=np.float64) for field in range(3))
        order = np.lexsort((column, time))
        return cls(time[order], column[order].astype(np.int64), end[order], tuple(lines))

    @property
    def is_hold(self) -> NDArray[np.bool_]:
        """[note]"""
        return ~np.isnan(self.end_ms)

    def by_column(self) -> Reading:
        """The notes column by column: times that are off by a little do not change this order."""
        order = np.lexsort((self.time_ms, self.column))
        return replace(self, time_ms=self.time_ms[order], column=self.column[order], end_ms=self.end_ms[order])

    def off_ms(self, other: Reading) -> NDArray[np.float64]:
        """[note] column by column: distance of its start or end, whichever is farther, of a reading of the same notes."""
        one, two = self.by_column(), other.by_column()
        return np.fmax(np.abs(one.time_ms - two.time_ms), np.abs(one.end_ms - two.end_ms))

    def same_notes(self, other: Reading, within_ms: float = 0.0) -> str:
        """The first difference; empty without one."""
        if self.time_ms.size != other.time_ms.size:
            return f"{other.time_ms.size} notes of {self.time_ms.size}"
        one, two = self.by_column(), other.by_column()
        if not np.array_equal(one.column, two.column):
            counts = [np.bincount(notes.column, minlength=KEYS) for notes in (one, two)]
            return f"{int(np.abs(counts[0] - counts[1]).sum()) // 2} notes in another column"
        if not np.array_equal(one.is_hold, two.is_hold):
            if one.is_hold.sum() == two.is_hold.sum():
                return f"{int((one.is_hold != two.is_hold).sum())} notes that are holds there and taps here, or the other way"
            return f"{int(two.is_hold.sum())} holds of {int(one.is_hold.sum())}"
        off = self.off_ms(other)
        return f"notes up to {off.max():.2f} ms off" if off.max(initial=0.0) > within_ms else ""


def of_ours(chart: Chart) -> Reading:
    """As our reader has it."""
    lines = tuple((point.time_ms, point.beat_length_ms, point.meter) for point in chart.red_lines)
    return Reading(chart.time_ms, chart.column.astype(np.int64), chart.end_ms, lines)


def of_fosu(text: str) -> Reading:
    """As fosu has it."""
    found = fosu.parse(text.encode())
    return Reading.of(
        [(note.time, _column(note.x), note.end_time if note.is_hold else np.nan) for note in found.hit_objects],
        [(line.time, line.beat_length, line.meter) for line in found.timing_points if line.uninherited],
    )


def of_osu_parsers(texts: Sequence[str], folder: Path) -> list[Reading]:
    """As osu-parsers has each of the texts; `folder` holds its node_modules."""
    command = ["node", "-e", NODE]
    return [
        Reading.of(
            [(time, _column(x), end if kind & 128 else np.nan) for time, x, end, kind in found["notes"]],
            [(time, length, meter) for time, length, meter in found["lines"]],
        )
        for found in _answers(command, texts, folder)
    ]


def rosu_differs(text: str, reading: Reading) -> str:
    """The first difference in the counts and the commonest tempo, which are all that rosu-pp gives; empty without one."""
    found = rosu.Beatmap(content=text)
    counts = (found.n_objects, found.n_holds)
    ours = (reading.time_ms.size, int((~np.isnan(reading.end_ms)).sum()))
    if counts != ours:
        return f"{counts[0]} notes, {counts[1]} of them holds, of {ours[0]} and {ours[1]}"
    if not any(abs(length - 60_000 / found.bpm) <= ROSU_BEAT_MS for _, length, _ in reading.lines):
        return f"{found.bpm:g} BPM, which no red line has"
    return ""


def of_simfile(texts: Sequence[str], python: Path) -> list[dict[str, Reading]]:
    """Charts of each `.ssc` text by name, as simfile has them."""
    command = [str(python), "-W", "ignore", "-c", SIMFILE]
    return [{chart["name"]: _of_steps(chart["notes"]) for chart in found} for found in _answers(command, texts)]


def of_reamber(texts: Sequence[str], python: Path) -> list[Reading]:
    """Charts of `.qua` texts as reamber has them; its warnings are errors."""
    command = [str(python), "-W", "ignore", "-c", REAMBER]
    return [
        Reading.of([(time, column, np.nan if end is None else end) for time, column, end in notes])
        for notes in _answers(command, texts)
    ]


def _of_steps(steps: Sequence[tuple[float, int, str]]) -> Reading:
    """Notes of heads and tails."""
    notes: list[tuple[float, int, float]] = []
    heads: dict[int, float] = {}
    for time_ms, column, kind in steps:
        if kind == "TAIL":
            notes.append((heads.pop(column), column, time_ms))
        elif kind == "HOLD_HEAD":
            heads[column] = time_ms
        else:
            assert kind == "TAP", f"a note of kind {kind}"
            notes.append((time_ms, column, np.nan))
    assert not heads, "a hold without an end"
    return Reading.of(notes)


def _answers(command: list[str], texts: Sequence[str], folder: Path | None = None) -> list:
    """One JSON value a text from a program that reads one JSON text a line."""
    given = "".join(json.dumps(text) + "\n" for text in texts)
    ended = subprocess.run(
        command, input=given, capture_output=True, text=True, cwd=folder, check=False, encoding="utf-8"
    )
    if ended.returncode:
        raise RuntimeError(f"{command[0]}: {ended.stderr.strip()[-800:]}")
    answers = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(answers) == len(texts), f"{len(answers)} answers to {len(texts)} texts"
    return answers


def _column(x: float) -> int:
    return int(min(max(x, 0), PLAYFIELD_WIDTH - 1) * KEYS // PLAYFIELD_WIDTH)
