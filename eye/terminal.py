"""A chart in the terminal: the strain of the whole as one line, and a piano-roll of a few bars, in colours or plain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from chart.model import KEYS
from eye.critique.pattern_rows import NAMES
from eye.rendering.scene import COLOURS, MARKS, STRAIN, Scene, clock_text

BARS = " ▁▂▃▄▅▆▇█"
CELL_MS = 60.0
"""Time of one character: two rows of 16 a second stay apart."""
MOST_ROLLS = 12
"""Lines of piano-roll shown; --start and --end choose others."""
MARGIN = 6
NOTE, HOLD, EMPTY = "█", "─", "·"
PLAIN_NOTE = "#"


def show(scene: Scene, title: str, plain: bool = False, console: Console | None = None) -> None:
    """Print the picture; `plain` has no colours, so patterns look alike."""
    console = console or Console(highlight=False, no_color=plain or None)
    width = max(min(console.width, 120) - MARGIN - 1, 20)
    console.print(Text(title, style="bold"))
    console.print(_strain(scene, width))
    window_ms = width * CELL_MS
    start, end = scene.start_ms, scene.end_ms
    if end - start > MOST_ROLLS * window_ms:
        start = _hardest(scene, window_ms * 2)
        end = start + window_ms * 2
        console.print(Text(f"the hardest {(end - start) / 1000:.0f} s (choose others with --start and --end):"))
    while start < end:
        console.print(_roll(scene, start, min(start + window_ms, end), plain))
        start += window_ms
    if not plain:
        console.print(_legend(scene))


def _strain(scene: Scene, width: int) -> Text:
    """The whole span's strain in `width` characters, and the marks of findings below it."""
    edges = np.linspace(scene.start_ms, scene.end_ms, width + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    height = np.interp(middle, scene.strain_ms, scene.strain) if scene.strain_ms.size else np.zeros(width)
    text = Text("strain".ljust(MARGIN))
    text.append("".join(BARS[round(value * (len(BARS) - 1))] for value in height.tolist()), style=STRAIN)
    marks = [(" ", "")] * width
    for finding in reversed(scene.findings):
        at = int(np.clip(np.searchsorted(edges, finding.start_ms) - 1, 0, width - 1))
        marks[at] = ("^", MARKS[finding.severity])
    if scene.findings:
        text.append("\n" + " " * MARGIN)
        for mark, colour in marks:
            text.append(mark, style=colour)
    return text


def _hardest(scene: Scene, window_ms: float) -> float:
    """Start of the window with most strain."""
    if not scene.strain_ms.size:
        return scene.start_ms
    inside = [
        scene.strain[(scene.strain_ms >= at) & (scene.strain_ms < at + window_ms)].sum()
        for at in scene.strain_ms.tolist()
    ]
    best = float(scene.strain_ms[int(np.argmax(inside))])
    return min(max(best, scene.start_ms), max(scene.end_ms - window_ms, scene.start_ms))


def _roll(scene: Scene, start: float, end: float, plain: bool) -> Text:
    """Four lanes of one window."""
    cells = max(int(np.ceil((end - start) / CELL_MS)), 1)
    text = Text()
    for key in range(KEYS):
        text.append((clock_text(start) if key == 0 else "").ljust(MARGIN))
        for character, colour in _lane(scene, key, start, cells):
            text.append(PLAIN_NOTE if plain and character == NOTE else character, style=colour)
        text.append("\n")
    return text


def _lane(scene: Scene, key: int, start: float, cells: int) -> list[tuple[str, str]]:
    """(character, colour) of each cell of a column."""
    lane = [(EMPTY, "bright_black")] * cells
    chart = scene.chart
    last = np.where(chart.is_hold, chart.end_ms, chart.time_ms)
    first_cell: NDArray[np.int64] = np.floor((chart.time_ms - start) / CELL_MS).astype(np.int64)
    last_cell: NDArray[np.int64] = np.floor((last - start) / CELL_MS).astype(np.int64)
    for note in np.flatnonzero((chart.column == key) & (last_cell >= 0) & (first_cell < cells)).tolist():
        colour = COLOURS[NAMES[int(scene.family[note])]]
        for cell in range(max(int(first_cell[note]), 0), min(int(last_cell[note]) + 1, cells)):
            lane[cell] = (HOLD, colour)
        if first_cell[note] >= 0:
            lane[int(first_cell[note])] = (NOTE, colour)
    return lane


def _legend(scene: Scene) -> Text:
    text = Text(" " * MARGIN)
    for index in np.unique(scene.family).tolist():
        text.append(NOTE + " ", style=COLOURS[NAMES[index]])
        text.append(NAMES[index] + "  ")
    return text
