"""Static pictures of a chart: a piano-roll in pattern colours with the strain curve below.

    python -m eye.pictures map.osz -o picture.png            # or .svg
    python -m eye.pictures map.osz --start 1:05 --end 1:20   # in the terminal

Time runs to the right, in lines one below another; the left-most column is on top. Findings of the review are marked above the roll.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from eye.rendering.canvas import Drawing, to_png, to_svg
from eye.rendering.scene import (
    BACKGROUND,
    BAR,
    BEAT,
    COLOURS,
    FAINT,
    INK,
    LANE,
    MARKS,
    STRAIN,
    Scene,
    clock_text,
    scene_of,
)
from runtime.command import Command, use_utf8
from runtime.errors import ConfigError

if TYPE_CHECKING:
    from chart.model import Chart

WIDTH, MARGIN, LEFT_MARGIN = 1200.0, 16.0, 52.0
LANE_HEIGHT, STRAIN_HEIGHT, LINE_GAP, MARK_HEIGHT = 13.0, 26.0, 14.0, 5.0
NOTE_WIDTH = 3.6
HOLD_HEIGHT = 0.5
LINE_S = 16.0
"""Seconds a line shows: notes of 16 a second stand 4 units apart."""
MAX_LINES = 60
"""Lines of a picture: 20 minutes."""
MAX_BARS = 2_000


def draw(scene: Scene, title: str) -> Drawing:
    """Draw the scene as a picture under a title."""
    from chart.model import KEYS

    line_ms = min(max(LINE_S * 1000.0, (scene.end_ms - scene.start_ms) / MAX_LINES), scene.end_ms - scene.start_ms)
    lines = int(np.ceil((scene.end_ms - scene.start_ms) / line_ms - 1e-9))
    line_height = MARK_HEIGHT + KEYS * LANE_HEIGHT + STRAIN_HEIGHT + LINE_GAP
    head = 58.0
    drawing = Drawing(WIDTH, head + lines * line_height + MARGIN / 2, BACKGROUND)
    drawing.text(MARGIN, 10.0, title, 17.0, INK)
    _legend(drawing, scene, 36.0)
    for line in range(lines):
        start = scene.start_ms + line * line_ms
        _line(drawing, scene, start, min(start + line_ms, scene.end_ms), line_ms, head + line * line_height)
    return drawing


def _legend(drawing: Drawing, scene: Scene, y: float) -> None:
    from eye.critique.pattern_rows import NAMES

    x = MARGIN
    inside = (scene.chart.time_ms >= scene.start_ms) & (scene.chart.time_ms <= scene.end_ms)
    for index in np.unique(scene.family[inside]).tolist():
        drawing.rectangle(x, y + 1, 10, 10, COLOURS[NAMES[index]])
        drawing.text(x + 15, y, NAMES[index], 12.0, FAINT)
        x += 33 + 7.2 * len(NAMES[index])
    drawing.area([(x, y + 12), (x + 7, y + 3), (x + 14, y + 12)], STRAIN)
    drawing.text(x + 19, y, "strain", 12.0, FAINT)


def _line(drawing: Drawing, scene: Scene, start: float, end: float, line_ms: float, y: float) -> None:
    from chart.model import KEYS

    def across(time_ms: float) -> float:
        share = (min(max(time_ms, start), end) - start) / line_ms
        return LEFT_MARGIN + share * (WIDTH - LEFT_MARGIN - MARGIN)

    top = y + MARK_HEIGHT
    for key in range(KEYS):
        lane_y = top + key * LANE_HEIGHT
        drawing.rectangle(LEFT_MARGIN, lane_y, across(end) - LEFT_MARGIN, LANE_HEIGHT - 1, LANE)
    for time, is_bar in _grid(scene.chart, start, end):
        drawing.rectangle(across(time), top, 1.0, KEYS * LANE_HEIGHT - 1, BAR if is_bar else BEAT)
    drawing.text(MARGIN / 2, top + 1, clock_text(start), 12.0, FAINT)
    _notes(drawing, scene, start, end, top, across)
    _strain(drawing, scene, start, end, top + KEYS * LANE_HEIGHT + STRAIN_HEIGHT, across)
    for finding in scene.findings:
        if finding.end_ms >= start and finding.start_ms <= end:
            left = across(finding.start_ms)
            drawing.rectangle(
                left, y, max(across(finding.end_ms) - left, 6.0), MARK_HEIGHT - 1, MARKS[finding.severity]
            )


def _notes(drawing: Drawing, scene: Scene, start: float, end: float, top: float, across) -> None:  # type: ignore[no-untyped-def]
    from eye.critique.pattern_rows import NAMES

    chart = scene.chart
    last = np.where(chart.is_hold, chart.end_ms, chart.time_ms)
    for note in np.flatnonzero((last >= start) & (chart.time_ms < end)).tolist():
        colour = COLOURS[NAMES[int(scene.family[note])]]
        x, lane_y = across(float(chart.time_ms[note])), top + int(chart.column[note]) * LANE_HEIGHT
        if chart.is_hold[note]:
            body = (LANE_HEIGHT - 1) * HOLD_HEIGHT
            width = across(float(last[note])) - x
            drawing.rectangle(x, lane_y + (LANE_HEIGHT - 1 - body) / 2, max(width, 1.0), body, _shaded(colour))
        if chart.time_ms[note] >= start:
            drawing.rectangle(x, lane_y + 1, min(NOTE_WIDTH, across(end) - x), LANE_HEIGHT - 3, colour)


def _shaded(colour: str) -> str:
    """The colour half way to the background."""
    parts = [(int(colour[k : k + 2], 16) + int(BACKGROUND[k : k + 2], 16)) // 2 for k in (1, 3, 5)]
    return "#" + "".join(f"{part:02x}" for part in parts)


def _strain(drawing: Drawing, scene: Scene, start: float, end: float, bottom: float, across) -> None:  # type: ignore[no-untyped-def]
    inside = (scene.strain_ms > start) & (scene.strain_ms < end)
    time = np.concatenate([[start], scene.strain_ms[inside], [end]])
    height = np.interp(time, scene.strain_ms, scene.strain, 0.0, 0.0) if scene.strain_ms.size else np.zeros(time.size)
    points = [
        (across(t), bottom - h * (STRAIN_HEIGHT - 4)) for t, h in zip(time.tolist(), height.tolist(), strict=True)
    ]
    drawing.area([(across(start), bottom), *points, (across(end), bottom)], STRAIN)


def _grid(chart: Chart, start: float, end: float) -> list[tuple[float, bool]]:
    """(time, whether it is a bar line) of the beats between; none where they would stand too close to tell."""
    found: list[tuple[float, bool]] = []
    lines = chart.red_lines
    for index, line in enumerate(lines):
        until = min(end, lines[index + 1].time_ms) if index + 1 < len(lines) else end
        low = int(np.ceil((max(start, line.time_ms) - line.time_ms) / line.beat_length_ms - 1e-6))
        high = int(np.ceil((until - line.time_ms) / line.beat_length_ms - 1e-6))
        if high - low + len(found) > MAX_BARS:
            return found
        meter = max(line.meter, 1)
        found += [(line.time_ms + k * line.beat_length_ms, k % meter == 0) for k in range(low, high)]
    return found


def title_of(chart: Chart) -> str:
    """Artist, title, difficulty and stars in one line, in Latin letters where the map has them: PNG fonts are poor."""
    from chart.analysis.star_rating import stars

    names = " – ".join(part for part in (chart.metadata.artist, chart.metadata.title) if part) or "untitled"
    return f"{names} [{chart.metadata.version}]  {stars(chart):.2f} stars"


def time_option(text: str | None, name: str) -> float | None:
    """Parse a time given as m:ss.mmm, m:ss or seconds; returns ms."""
    if text is None:
        return None
    minutes, _, seconds = text.rpartition(":")
    try:
        value = (float(minutes or 0) * 60 + float(seconds)) * 1000.0
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise ConfigError(f"--{name} {text}: give a time such as 1:05.250 or 65.25")
    return value


@click.command(cls=Command)
@click.argument("path", metavar="MAP", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Picture to write, .png or .svg (default: terminal)."
)
@click.option("--difficulty", help="Name of the difficulty (default: the hardest).")
@click.option("--start", help="First moment shown, such as 1:05 (default: the first note).")
@click.option("--end", help="Last moment shown (default: the last note).")
@click.option("--plain", is_flag=True, help="In the terminal, no colours.")
@click.option("--no-review", is_flag=True, help="Do not mark the review's findings.")
def main(
    path: Path,
    output: Path | None,
    difficulty: str | None,
    start: str | None,
    end: str | None,
    plain: bool,
    no_review: bool,
) -> None:
    """Draw a difficulty of MAP: notes in pattern colours, and the strain below."""
    from eye.review import chart_of, review_chart
    from runtime.atomic_write import save_bytes

    use_utf8()
    suffix = "" if output is None else output.suffix.lower()
    if output is not None and suffix not in (".png", ".svg"):
        raise ConfigError(f"-o {output}: pictures are .png or .svg")
    chart = chart_of(path, difficulty)
    findings = () if no_review else review_chart(chart).findings
    scene = scene_of(chart, time_option(start, "start"), time_option(end, "end"), findings)
    if output is None:
        from eye.terminal import show

        show(scene, title_of(chart), plain)
        return
    drawing = draw(scene, title_of(chart))
    save_bytes(output, to_png(drawing) if suffix == ".png" else to_svg(drawing).encode())
    click.echo(f"wrote {output}")


if __name__ == "__main__":
    main()
