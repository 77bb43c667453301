"""Offset of a grid from a chart's notes: the shift at which most of them lie on quarters of a beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chart.analysis.snap import beats_at
from chart.model import TimingPoint
from runtime.errors import ConfigError

SEARCH_MS = 40.0
"""Largest shift of the grid; further off is another phase of the beat."""

STEP_MS = 0.5
WIDTH_MS = 4.0
"""Standard deviation of notes about the grid while it is sought."""

DIVISOR = 4
"""Notes are sought on quarters of a beat."""

NEAR_MS = 8.0
"""Notes this near to the shifted grid say where exactly it lies."""

MIN_NOTES, MIN_SHARE = 8, 0.5
"""This many notes, and this share of all, must be near."""


@dataclass(frozen=True, slots=True)
class NoteOffset:
    """Offset of notes on a grid."""

    shift_ms: float  # add it to the grid's times
    share: float  # 0–1, of the notes that lie near the shifted grid


def offset_of_notes(points: Sequence[TimingPoint], note_ms: NDArray[np.float64]) -> NoteOffset:
    """The shift of `points` that fits notes [note] on the same clock. Raises ConfigError where they fit none."""
    notes = np.unique(note_ms)
    beats = beats_at(notes, tuple(points))
    step_ms = beats.beat_ms / DIVISOR  # [note]
    late_ms = beats.phase * beats.beat_ms  # since the ruling red line
    reach = min(SEARCH_MS, float(step_ms.min(initial=2 * SEARCH_MS)) / 2)
    shifts = np.arange(-reach, reach + STEP_MS / 2, STEP_MS)
    fit = np.array([np.exp(-0.5 * (_distance(late_ms - shift, step_ms) / WIDTH_MS) ** 2).sum() for shift in shifts])
    rough = float(shifts[int(fit.argmax())]) if notes.size else 0.0
    apart = _distance(late_ms - rough, step_ms)
    near = np.abs(apart) <= NEAR_MS
    if near.sum() < MIN_NOTES or near.mean() < MIN_SHARE:
        raise ConfigError(
            f"{int(near.sum())} of {notes.size} notes lie on this song's beats: too few to place them by; "
            "is it a chart of another song, or of another tempo?"
        )
    return NoteOffset(rough + float(np.median(apart[near])), float(near.mean()))


def _distance(late_ms: NDArray[np.float64], step_ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signed distance [note] to the nearest whole step."""
    return late_ms - np.round(late_ms / step_ms) * step_ms
