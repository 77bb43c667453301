"""Charts for tests: a builder that makes a rule test five lines long, and a hypothesis strategy of valid charts.

ChartBuilder().note(0).hold(100, until=300, column=2).build()
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st

from chart.model import KEYS, Chart, Difficulty, Metadata, TimingPoint
from chart.problems import REFUSED_KINDS, find_problems
from runtime.errors import ChartFileError

RED = TimingPoint(0.0, 500.0)
"""120 BPM from the start of the audio."""


@dataclass
class ChartBuilder:
    """Collects notes in any order; every method but `build` returns the builder itself."""

    notes: list[tuple[float, int, float]] = field(default_factory=list)
    timing_points: list[TimingPoint] = field(default_factory=list)
    fields: dict[str, object] = field(default_factory=dict)

    def note(self, time_ms: float, column: int = 0) -> ChartBuilder:
        self.notes.append((time_ms, column, math.nan))
        return self

    def hold(self, time_ms: float, until: float, column: int = 0) -> ChartBuilder:
        self.notes.append((time_ms, column, until))
        return self

    def chord(self, time_ms: float, *columns: int) -> ChartBuilder:
        for column in columns:
            self.note(time_ms, column)
        return self

    def stream(self, start_ms: float, step_ms: float, columns: str) -> ChartBuilder:
        """One note a step; `columns` like "0123"."""
        for index, column in enumerate(columns):
            self.note(start_ms + index * step_ms, int(column))
        return self

    def bpm(self, bpm: float, offset_ms: float = 0.0, meter: int = 4) -> ChartBuilder:
        """A red line; without one, the chart has 120 BPM from 0."""
        self.timing_points.append(TimingPoint(offset_ms, 60_000.0 / bpm, meter))
        return self

    def green(self, time_ms: float, speed: float) -> ChartBuilder:
        """A green line with this scroll speed, 1 = normal."""
        self.timing_points.append(TimingPoint(time_ms, -100.0 / speed, uninherited=False))
        return self

    def having(self, **fields: object) -> ChartBuilder:
        """Other fields of the chart, such as `metadata` or `audio_filename`."""
        self.fields |= fields
        return self

    def build(self) -> Chart:
        time, column, end = zip(*self.notes, strict=True) if self.notes else ((), (), ())
        points = tuple(sorted(self.timing_points, key=lambda point: point.time_ms)) or (RED,)
        return Chart.from_notes(time, column, end, timing_points=points, **self.fields)


def charts(min_notes: int = 0, max_notes: int = 40) -> st.SearchStrategy[Chart]:
    """Valid charts that an `.osu` file holds exactly: `find_problems` is empty, notes lie on whole ms."""
    return st.builds(
        _chart,
        gaps=st.lists(_gaps(), min_size=min_notes, max_size=max_notes),
        start_ms=st.integers(-1_000, 600_000),
        timing_points=_timing_points(),
        metadata=_metadata(),
        difficulty=st.builds(Difficulty, hp=st.floats(0, 10), od=st.floats(0, 10)),
        audio_filename=names().filter(bool),
        audio_lead_in_ms=st.integers(0, 10_000),
        preview_ms=st.integers(-1, 600_000),
        background=names().filter(lambda name: '"' not in name),
        breaks=st.lists(_breaks(), max_size=2).map(tuple),
    )


def assert_charts_or_one_line(read: Callable[[], list[Chart]]) -> None:
    """Assert the contract of every reader for any input: valid charts, or a `ChartFileError` of one line and nothing else."""
    refusal = ""
    try:
        found = read()
    except ChartFileError as error:
        refusal, found = str(error), []
    assert "\n" not in refusal
    for chart in found:
        assert not {problem.kind for problem in find_problems(chart)} & REFUSED_KINDS


def names() -> st.SearchStrategy[str]:
    """Titles, artists and file names in any script: what a line of an `.osu` file can hold."""
    characters = st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")
    return st.text(characters, max_size=20).map(str.strip)


def _gaps() -> st.SearchStrategy[tuple[int, int, int]]:
    """(ms since the previous note of the chart, column, length of a hold or 0)."""
    return st.tuples(st.integers(0, 2_000), st.integers(0, KEYS - 1), st.one_of(st.just(0), st.integers(1, 3_000)))


def _chart(gaps: list[tuple[int, int, int]], start_ms: int, **fields: object) -> Chart:
    """Place notes one by one, each moved to after the end of what its column holds."""
    free_from = [-math.inf] * KEYS  # [column], the first ms that is free
    notes = []
    now = start_ms
    for gap, column, length in gaps:
        now += gap
        time = int(max(now, free_from[column]))
        notes.append((time, column, time + length if length else math.nan))
        free_from[column] = time + length + 1
    time, column, end = zip(*notes, strict=True) if notes else ((), (), ())
    return Chart.from_notes(time, column, end, **fields)


@st.composite
def _timing_points(draw: st.DrawFn) -> tuple[TimingPoint, ...]:
    """A red line first, then red and green ones in order, at any fraction of a ms."""
    times = sorted(draw(st.lists(st.floats(-10_000, 600_000), min_size=1, max_size=6)))
    return tuple(draw(_timing_point(time, red=index == 0)) for index, time in enumerate(times))


@st.composite
def _timing_point(draw: st.DrawFn, time_ms: float, red: bool) -> TimingPoint:
    red = red or draw(st.booleans())
    return TimingPoint(
        time_ms=time_ms,
        beat_length_ms=draw(st.floats(1.0, 60_000.0) if red else st.floats(-10_000.0, -0.001)),
        meter=draw(st.integers(1, 16)),
        uninherited=red,
        sample_set=draw(st.integers(0, 3)),
        sample_index=draw(st.integers(0, 9)),
        volume=draw(st.integers(0, 100)),
        effects=draw(st.sampled_from([0, 1, 8, 9])),
    )


def _metadata() -> st.SearchStrategy[Metadata]:
    tag = names().map(lambda text: text.replace(" ", "")).filter(lambda text: text and text == text.strip())
    return st.builds(
        Metadata,
        title=names(),
        title_unicode=names(),
        artist=names(),
        artist_unicode=names(),
        creator=names(),
        version=names(),
        source=names(),
        tags=st.lists(tag, max_size=4).map(tuple),
        beatmap_id=st.integers(0, 2**31 - 1),
        beatmap_set_id=st.integers(-1, 2**31 - 1),
    )


@st.composite
def _breaks(draw: st.DrawFn) -> tuple[float, float]:
    start = draw(st.integers(0, 600_000))
    return float(start), float(start + draw(st.integers(1, 60_000)))
