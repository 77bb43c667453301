"""One or more charts as flat arrays with derived values, computed once and read by every term and rule.

Charts stand one behind another. `flat_ms` is the chart's own time plus an offset that keeps charts apart, so that one
sorted array and one vectorised pass serve a whole batch; intervals that would reach into another chart are infinite.

Sections are musical phrases: four bars of four felt beats (`SECTION_BEATS`), counted from the first red line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chart.analysis.rows import ROW_TOLERANCE_MS, Rows, held_masks, row_starts
from chart.analysis.snap import DEFAULT_BEAT_MS, Beats, Snaps, beats_at, snap_beats
from chart.grid import felt_beat_ms
from chart.model import KEYS, Chart, TimingPoint

SECTION_BEATS = 16
"""Beats of a section: the musical phrase of the ranking criteria, usually four measures."""
MAX_SECTIONS = 2_000
"""Bound on a chart's sections; timing points come from strangers. Two hours at 260 BPM are 1,950."""
CHART_GAP_MS = 60_000.0
"""Silence between charts of a batch: longer than any interval a term looks at."""


@dataclass(frozen=True)
class View:
    """Charts as flat arrays. Index arrays point into the flat arrays; every array is read-only by convention."""

    charts: tuple[Chart, ...]
    offset_ms: NDArray[np.float64]  # [chart], flat time = chart time + offset
    # notes, sorted by (chart, time, column)
    note_chart: NDArray[np.int64]  # [note]
    note_ms: NDArray[np.float64]  # [note], flat time
    column: NDArray[np.int64]  # [note], 0–3
    end_ms: NDArray[np.float64]  # [note], flat time, nan = tap
    free_ms: NDArray[np.float64]  # [note], flat time from which its column is free again: end of a hold, else start
    note_row: NDArray[np.int64]  # [note], row it belongs to
    note_beats: Beats  # [note], phase and beat length of its head
    snaps: Snaps  # [note], snap of its head
    same_before: NDArray[np.int64]  # [note], previous note of its column, -1 = none
    column_gap_ms: NDArray[np.float64]  # [note], start − start of the note before in its column, inf = none
    column_idle_ms: NDArray[np.float64]  # [note], start − release of the note before in its column, inf = none
    # rows
    rows: Rows
    row_chart: NDArray[np.int64]  # [row]
    row_ms: NDArray[np.float64]  # [row], flat time
    row_first: NDArray[np.int64]  # [row], its first note
    row_section: NDArray[np.int64]  # [row], section of the whole batch
    # sections
    section_chart: NDArray[np.int64]  # [section]
    section_start_ms: NDArray[np.float64]  # [section], flat time
    section_end_ms: NDArray[np.float64]  # [section], flat time
    section_beat_ms: NDArray[np.float64]  # [section], felt beat there
    memo: dict[str, Any] = field(default_factory=dict)  # derived arrays that several rules share, by name

    @property
    def n_charts(self) -> int:
        """Charts in the batch."""
        return len(self.charts)

    @property
    def n_sections(self) -> int:
        """Sections of all charts."""
        return int(self.section_chart.size)

    @cached_property
    def note_section(self) -> NDArray[np.int64]:
        """[note] section each note belongs to."""
        return self.row_section[self.note_row]

    @cached_property
    def rows_in_section(self) -> NDArray[np.int64]:
        """[section] number of rows."""
        return np.bincount(self.row_section, minlength=self.n_sections)

    @property
    def notes_in_chart(self) -> NDArray[np.int64]:
        """[chart] number of notes."""
        return np.bincount(self.note_chart, minlength=self.n_charts)

    def per_chart(self, section_values: NDArray[np.float64], weight: NDArray | None = None) -> NDArray[np.float64]:
        """[chart] mean of [section] values, weighted (by default with rows), over sections that have a value."""
        weight = self.rows_in_section if weight is None else weight
        known = ~np.isnan(section_values)
        total = np.bincount(self.section_chart, np.where(known, weight, 0.0), minlength=self.n_charts)
        value = np.where(known, section_values, 0.0) * weight
        return _ratio(np.bincount(self.section_chart, value, minlength=self.n_charts), total)


def mean_by(index: NDArray[np.int64], values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """[group] mean of the values whose `index` is the group, nan values left out; nan for an empty group."""
    known = ~np.isnan(values)
    total = np.bincount(index[known], values[known], minlength=size)
    return _ratio(total, np.bincount(index[known], minlength=size))


def _ratio(value: NDArray, total: NDArray) -> NDArray[np.float64]:
    result = np.full(total.shape, np.nan)
    np.divide(value, total, out=result, where=total > 0)
    return result


def view_of(charts: Sequence[Chart], span_ms: Sequence[tuple[float, float]] | None = None) -> View:
    """Lay out `charts`; `span_ms` per chart is where its song plays, so that empty sections count as sections.

    Without a span a chart's sections reach from its first to its last note.
    """
    offsets, sections = [], []
    at = 0.0
    for index, chart in enumerate(charts):
        span = span_ms[index] if span_ms is not None else (np.inf, -np.inf)
        first = min(span[0], float(chart.time_ms[0]) if len(chart) else np.inf)
        last = max(span[1], chart.last_ms if len(chart) else -np.inf)
        first, last = (first, last) if first <= last else (0.0, 0.0)
        offsets.append(at - first)
        sections.append(_sections(chart, first, last))
        at += last - first + CHART_GAP_MS
    return _assemble(tuple(charts), np.array(offsets), sections)


def _sections(chart: Chart, first_ms: float, last_ms: float) -> NDArray[np.float64]:
    """[4, section] start, end (chart time), beat length of the sections that cover first–last."""
    lines = chart.red_lines or (TimingPoint(0.0, DEFAULT_BEAT_MS),)
    line_ms = np.array([line.time_ms for line in lines])
    beat_ms = np.array([felt_beat_ms(line.beat_length_ms) for line in lines])
    line_beat = np.concatenate([[0.0], np.cumsum(np.diff(line_ms) / beat_ms[:-1])])

    def beat_at(time_ms: float) -> float:
        line = max(int(np.searchsorted(line_ms, time_ms, side="right")) - 1, 0)
        return float(line_beat[line] + (time_ms - line_ms[line]) / beat_ms[line])

    low = int(np.floor(beat_at(first_ms + ROW_TOLERANCE_MS) / SECTION_BEATS))
    high = int(np.floor(beat_at(last_ms + ROW_TOLERANCE_MS) / SECTION_BEATS)) + 1
    high = min(max(high, low + 1), low + MAX_SECTIONS)
    edge_beats = np.arange(low, high + 1, dtype=np.float64) * SECTION_BEATS
    line = np.maximum(np.searchsorted(line_beat, edge_beats, side="right") - 1, 0)
    edge_ms = line_ms[line] + (edge_beats - line_beat[line]) * beat_ms[line]
    return np.stack([edge_ms[:-1], edge_ms[1:], beat_ms[line[:-1]]])


def _assemble(charts: tuple[Chart, ...], offset_ms: NDArray, sections: list[NDArray]) -> View:
    sizes = np.array([len(chart) for chart in charts], np.int64)
    note_chart = np.repeat(np.arange(len(charts)), sizes)
    start = _join([chart.time_ms for chart in charts])
    beats = _join_beats([beats_at(chart.time_ms, chart.red_lines) for chart in charts])
    note_ms = start + offset_ms[note_chart]
    column = _join([chart.column for chart in charts]).astype(np.int64)
    end_ms = _join([chart.end_ms for chart in charts]) + offset_ms[note_chart]
    begins = row_starts(note_ms)  # the first note of a chart begins a row: charts stand far apart
    row_first, note_row = np.flatnonzero(begins), np.cumsum(begins) - 1
    row_chart, row_ms = note_chart[row_first], note_ms[row_first]
    joined = np.concatenate(sections, axis=1)
    section_chart = np.repeat(np.arange(len(charts)), [part.shape[1] for part in sections])
    section_start = joined[0] + offset_ms[section_chart]
    free_ms = np.where(np.isnan(end_ms), note_ms, end_ms)
    same_before = _same_before(np.lexsort((note_ms, column, note_chart)), column, note_chart)
    return View(
        charts=charts,
        offset_ms=offset_ms,
        note_chart=note_chart,
        note_ms=note_ms,
        column=column,
        end_ms=end_ms,
        free_ms=free_ms,
        note_row=note_row,
        note_beats=beats,
        snaps=snap_beats(beats.phase, beats.beat_ms),
        same_before=same_before,
        column_gap_ms=_since(note_ms, note_ms, same_before),
        column_idle_ms=_since(note_ms, free_ms, same_before),
        rows=_rows(row_ms, row_first, row_chart, note_row, note_ms, column, end_ms, beats),
        row_chart=row_chart,
        row_ms=row_ms,
        row_first=row_first,
        row_section=np.maximum(np.searchsorted(section_start - ROW_TOLERANCE_MS, row_ms, side="right") - 1, 0),
        section_chart=section_chart,
        section_start_ms=section_start,
        section_end_ms=joined[1] + offset_ms[section_chart],
        section_beat_ms=joined[2],
    )


def _join(parts: list[NDArray]) -> NDArray[np.float64]:
    return np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)


def _join_beats(parts: list[Beats]) -> Beats:
    return Beats(
        beat=_join([part.beat for part in parts]),
        phase=_join([part.phase for part in parts]),
        beat_ms=_join([part.beat_ms for part in parts]),
        meter=_join([part.meter for part in parts]).astype(np.int64),
    )


def _since(note_ms: NDArray, from_ms: NDArray, same_before: NDArray[np.int64]) -> NDArray[np.float64]:
    """[note] time since the note before in its column, counted from its `from_ms`; inf where there is none."""
    if not note_ms.size:
        return np.zeros(0)
    return np.where(same_before >= 0, note_ms - from_ms[same_before], np.inf)


def _same_before(by_column: NDArray[np.int64], column: NDArray, chart: NDArray) -> NDArray[np.int64]:
    """[note] the note before in the same chart and column, -1 for the first."""
    before = np.full(by_column.size, -1, np.int64)
    ahead, behind = by_column[1:], by_column[:-1]
    same = (column[ahead] == column[behind]) & (chart[ahead] == chart[behind])
    before[ahead[same]] = behind[same]
    return before


def _rows(
    row_ms: NDArray,
    row_first: NDArray,
    row_chart: NDArray,
    note_row: NDArray,
    note_ms: NDArray,
    column: NDArray,
    end_ms: NDArray,
    beats: Beats,
) -> Rows:
    bits = (1 << np.arange(KEYS))[column] if column.size else column
    mask = np.bitwise_or.reduceat(bits, row_first) if row_first.size else np.zeros(0, np.int64)
    new_chart = np.diff(row_chart, prepend=-1) != 0
    gap_ms = np.diff(row_ms, prepend=0.0)
    gap_beats = np.diff(beats.beat[row_first], prepend=0.0)
    return Rows(
        mask=mask,
        held=held_masks(row_ms, note_ms, column, end_ms),
        gap_ms=np.where(new_chart, np.inf, gap_ms),
        gap_beats=np.where(new_chart, np.inf, gap_beats),
    )
