"""Charts of other games and modes (`chart.formats.rhythm`) as rows: times without 4K columns, from which the encoder learns onsets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chart.formats.rhythm import ENDS
from chart.grid import Grid
from mapper.tokens.vocabulary import STYLES

MIN_HEADS = 30
"""Charts with fewer notes are sketches."""
SNAP_MS = 8.0
MIN_SNAPPED_SHARE = 0.85
"""Charts with fewer notes within `SNAP_MS` of a slot have no usable timing."""
FADE_MS = 1500.0
"""The end of an excerpt fades out: nothing is scored there."""
STYLE_BY_MODE = (
    *(("drums", "drums"), ("guitar", "guitar"), ("saber", "saber"), ("arcaea", "arcaea"), ("syllable", "syllables")),
    *(("7k", "keyboard"), ("5k", "keyboard"), ("bms", "keyboard"), ("standard", "standard"), ("catch", "catch")),
    *(("taiko", "taiko"), ("osu!", "standard")),
)
"""Style by the first of these words in a chart's mode (or, for drums, its difficulty)."""
NOT_SCORED, BEGINS = 0, 1
"""Codes of `mapper.data.corpus` for charts without columns."""


@dataclass(frozen=True)
class RhythmRows:
    """A chart's events on a grid."""

    rows: NDArray[np.int32]  # [row, 2], slot and `BEGINS` or `NOT_SCORED`
    heads_per_s: float
    span_ms: tuple[float, float]  # first and last head


def rhythm_rows(chart: dict[str, Any], grid: Grid, lag_ms: float, duration_ms: float) -> RhythmRows | str:
    """The chart on the song's grid, or why it was left out."""
    time_ms = np.asarray(chart["times_ms"], np.float64)
    ends = np.isin(np.asarray(chart["kinds"]), list(ENDS))
    inside = np.isfinite(time_ms) & (time_ms > -lag_ms) & (time_ms < duration_ms - lag_ms)
    heads = np.unique(time_ms[~ends & inside])
    if heads.size < MIN_HEADS:
        return f"only {heads.size} notes"
    slot = grid.nearest_slot(heads)
    snapped = np.abs(grid.slot_ms[slot] - heads) <= SNAP_MS
    if snapped.mean() < MIN_SNAPPED_SHARE:
        return f"{1 - snapped.mean():.0%} of its notes lie on no snap"
    begins = np.unique(slot[snapped])
    unknown = np.union1d(slot[~snapped], grid.nearest_slot(time_ms[ends & inside]))
    unknown = np.setdiff1d(unknown, begins)
    slots = np.concatenate((begins, unknown))
    codes = np.repeat([BEGINS, NOT_SCORED], [begins.size, unknown.size])
    order = np.argsort(slots)
    span_ms = float(heads[0]), float(heads[-1])
    per_s = begins.size / max((span_ms[1] - span_ms[0]) / 1000, 1.0)
    return RhythmRows(np.stack((slots, codes), -1)[order].astype(np.int32), per_s, span_ms)


def style_of(chart: dict[str, Any]) -> int:
    """Index into STYLES of the chart's style."""
    mode, difficulty = str(chart["mode"]).lower(), str(chart["difficulty"]).lower()
    if "guitar" in mode:  # such files hold charts of both
        mode = "drums" if "drum" in difficulty else "guitar"
    return STYLES.index(next((style for part, style in STYLE_BY_MODE if part in mode), "other"))
