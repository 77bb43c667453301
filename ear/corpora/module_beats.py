"""Rows of a tracker module that are beats and downbeats.

Formats leave it open. What tells: an instrument that plays on every second beat and hardly elsewhere (a snare); without
one, the rows a beat that the format says, doubled or halved into one octave of tempi. Patterns are whole bars.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ear.corpora.openmpt import ModuleError, PlayedModule

BPM_RANGE = (70.0, 190.0)
PLAIN_BPM_RANGE = (85.0, 170.0)
"""The octave of tempi that is believed without an instrument on every second beat."""

BACKBEAT_SHARE, MIN_BACKBEATS = 0.7, 24
"""An instrument marks the backbeat where so much of what it plays is there, and it plays so often."""

BEATS_A_BAR = 4
MAX_BROKEN_SHARE = 0.1
"""Share of the rows that may lie in patterns of another length (an ending, a break)."""

MIN_BEATS = 48
MAX_CHANGE = 0.25
"""A beat that differs from the typical one by more is a jump: the music stands still, or a pattern is left within a beat."""


@dataclass(frozen=True, slots=True, eq=False)
class ModuleBeats:
    """The longest stretch of a module without a jump."""

    beat_ms: NDArray[np.float64]  # [beat]
    is_downbeat: NDArray[np.bool_]  # [beat]; all false where bars are not clear


def module_beats(played: PlayedModule) -> ModuleBeats:
    """The beats of what was played. Raises ModuleError where they are not clear."""
    pair_ms = played.row_ms[2:] - played.row_ms[:-2]  # in pairs, for swing is in unequal rows
    played = _rows(played, _longest_alike(pair_ms, MAX_CHANGE))
    rows_per_beat = choose_rows_per_beat(played)
    lengths = np.array([played.pattern_rows[int(one)] for one in played.pattern])
    if np.mean(lengths % rows_per_beat > 0) > MAX_BROKEN_SHARE:
        raise ModuleError(f"its patterns are not whole beats of {rows_per_beat} rows")
    if rows_per_beat % 3 and np.mean(lengths % 3 == 0) > MAX_BROKEN_SHARE:
        raise ModuleError("its patterns could hold threes or fours")
    on_beat = played.row % rows_per_beat == 0
    beat_ms, place = played.row_ms[on_beat], played.row[on_beat] // rows_per_beat
    steady = _longest_alike(np.diff(beat_ms), MAX_CHANGE) if beat_ms.size > MIN_BEATS else slice(0, 0)
    if steady.stop - steady.start < MIN_BEATS:
        raise ModuleError(f"plays fewer than {MIN_BEATS} beats without a jump")
    whole_bars = bool(np.all(lengths % (rows_per_beat * BEATS_A_BAR) == 0))
    return ModuleBeats(beat_ms[steady], (place[steady] % BEATS_A_BAR == 0) & whole_bars)


def _longest_alike(interval_ms: NDArray[np.float64], change: float) -> slice:
    """The longest stretch of times whose intervals [time − 1, or less] are near the typical one."""
    jumps = np.abs(interval_ms / np.median(interval_ms) - 1) > change
    edges = np.concatenate(([0], np.flatnonzero(jumps) + 1, [interval_ms.size + 1]))
    longest = int(np.diff(edges).argmax())
    return slice(int(edges[longest]), int(edges[longest + 1]))


def _rows(played: PlayedModule, kept: slice) -> PlayedModule:
    """Only these of the rows played."""
    index = played.notes[:, 0]
    notes = played.notes[(index >= kept.start) & (index < kept.stop)] - [kept.start, 0]
    return replace(played, row_ms=played.row_ms[kept], row=played.row[kept], pattern=played.pattern[kept], notes=notes)


def choose_rows_per_beat(played: PlayedModule) -> int:
    """The rows of a beat. Raises ModuleError where it is not clear."""
    row_ms = float(np.mean(np.diff(played.row_ms)))
    plain = list(_octaves(played.rows_per_beat, row_ms, PLAIN_BPM_RANGE))
    votes = {rows: _backbeats(played, rows) for rows in _octaves(played.rows_per_beat, row_ms, BPM_RANGE)}
    marked = [rows for rows in votes if votes[rows] >= MIN_BACKBEATS]
    chosen = [rows for rows in marked if rows in plain] or sorted(marked, key=lambda rows: -votes[rows]) or plain
    if not chosen:
        raise ModuleError("nothing tells which of its rows are beats")
    return chosen[0]


def _octaves(rows_per_beat: int, row_ms: float, bpm_range: tuple[float, float]) -> Iterator[int]:
    """`rows_per_beat`, doubled and halved while whole, whose tempo lies within the range."""
    odd = rows_per_beat
    while odd % 2 == 0:
        odd //= 2
    for doubled in range(6):
        rows = odd << doubled
        if bpm_range[0] <= 60_000 / (row_ms * rows) < bpm_range[1]:
            yield rows


def _backbeats(played: PlayedModule, rows_per_beat: int) -> int:
    """Notes on every second beat by instruments that play hardly anything else."""
    index, instrument = played.notes.T
    row = played.row[index]
    back = row % (2 * rows_per_beat) == rows_per_beat
    found = 0
    for one in np.unique(instrument):
        own = back[instrument == one]
        if own.mean() >= BACKBEAT_SHARE and own.sum() >= MIN_BACKBEATS:
            found += int(own.sum())
    return found
