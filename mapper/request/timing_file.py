"""Timing given by the user: the text that `mania4k timing` writes, or any chart."""

from __future__ import annotations

from pathlib import Path

from chart.formats.osu_read import timing_points_of
from chart.formats.osu_sections import Line, Sections
from chart.formats.parsing import decode_as_the_game, read_bytes, split_lines
from chart.formats.read import CHART_SUFFIXES, read_timing_charts
from chart.model import TimingPoint
from runtime.errors import ChartFileError

HEADING = "[TimingPoints]"


def read_timing(path: Path) -> tuple[TimingPoint, ...]:
    """Red lines of a chart file, or of a text with lines as under [TimingPoints]; times are on osu!'s clock.

    Raises ChartFileError with file, line and reason.
    """
    if path.suffix.lower() in CHART_SUFFIXES:
        return read_timing_charts(path)[0].red_lines
    text = decode_as_the_game(read_bytes(path))
    lines = [
        Line(number, stripped)
        for number, line in enumerate(split_lines(text), 1)
        if (stripped := line.strip()) and stripped != HEADING and not stripped.startswith("//")
    ]
    if not lines:
        raise ChartFileError(f"{path}: no timing in it; `mania4k timing SONG -o {path.name}` writes one")
    return tuple(point for point in timing_points_of(Sections(str(path), {HEADING[1:-1]: lines})) if point.uninherited)
