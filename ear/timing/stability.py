"""Stability of a tempo: the windows of a song whose onsets agree with one fitted beat."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ear.timing.grid.tempo import FOLD_BINS, FOLD_WINDOW_S, fold_windows

SPAN_WINDOWS = 2
"""Windows of `FOLD_WINDOW_S` compared together: 8 s hold enough onsets to locate the beat."""

AGREE_MS = 8.0
"""A window agrees when its onsets are within this distance of those of the whole song's fold,"""

AGREE_SHARE = 0.85
"""and this share as well as at their best shift: repeated notes fit at every quarter of a beat."""

QUIET_SHARE = 0.25
"""Windows with less onset energy than this share of the median are not counted."""

OFF_MS, OFF_TICKS, OFF_REACH = 20.0, 0.25, 2
"""A beat is off a grid by more than this time or share of a tick, as the median of it and so many beats on each side."""

SAME_RATE = 0.05
"""Relative difference from a whole ratio up to which two beat rates are multiples."""

HARMONICS = 40
"""Harmonics of the beat that are compared."""


@dataclass(frozen=True, slots=True, eq=False)
class Steadiness:
    """Agreement of each window of a song with one tempo and phase."""

    agrees: NDArray[np.bool_] = field(repr=False)  # [window]
    rhythmic: NDArray[np.bool_] = field(repr=False)  # [window], false where the onsets are too few to compare

    @property
    def share(self) -> float:
        """Share of the rhythmic windows that agree, 0–1; 0 without any."""
        return float(self.agrees[self.rhythmic].mean()) if self.rhythmic.any() else 0.0

    def longest_run(self) -> tuple[int, int]:
        """First window and the one after the last of the longest run with no two disagreeing windows in a row."""
        bad = self.rhythmic & ~self.agrees
        breaks = np.flatnonzero(bad[:-1] & bad[1:]) if bad.size > 1 else np.zeros(0, np.int64)
        broken = np.zeros(bad.size, bool)
        broken[breaks] = broken[breaks + 1] = True
        best, start = (0, 0), 0
        for end in [*np.flatnonzero(broken).tolist(), bad.size]:
            if end - start > best[1] - best[0]:
                best = (start, end)
            start = end + 1
        return best


def steadiness(total: NDArray[np.float32], frame_ms: float, hz: float) -> Steadiness:
    """Agreement of the windows of `total` [frame] with beats at `hz`, at the phase of the whole."""
    folded = fold_windows(total, frame_ms, hz)
    harmonics = np.fft.rfft(folded - folded.mean(axis=1, keepdims=True), axis=1)
    harmonics[:, HARMONICS + 1 :] = 0.0
    whole = harmonics.sum(axis=0)
    ends = np.minimum(np.arange(len(folded)) + SPAN_WINDOWS, len(folded))
    span = np.array([harmonics[max(0, end - SPAN_WINDOWS) : end].sum(axis=0) for end in ends])
    match = np.fft.irfft(span * np.conj(whole), FOLD_BINS, axis=1)  # [window, shift]
    bin_ms = 1000 / hz / FOLD_BINS
    near = round(AGREE_MS / bin_ms)
    at_zero = np.maximum(match[:, : near + 1].max(axis=1), match[:, -near:].max(axis=1) if near else -np.inf)
    energy = np.sqrt((np.abs(span) ** 2).sum(axis=1))
    rhythmic = energy > QUIET_SHARE * np.median(energy)
    return Steadiness((at_zero >= AGREE_SHARE * match.max(axis=1)) & (at_zero > 0), rhythmic)


def share_off(beat_ms: NDArray[np.float64], support: NDArray[np.float64], grid_ms: NDArray[np.float64]) -> float:
    """0–1: share of the supported tracked beats that a grid misses by more than `OFF_MS`, apart from level and phase.

    Beats [beat] are compared with the halves of the grid's beats [grid beat ≥ 2] after their typical distance is taken
    out, so that another metrical level or phase of the same grid does not count.
    """
    if beat_ms.size < 2 or not (support > 0).any():
        return 0.0
    at = np.clip(np.searchsorted(grid_ms, beat_ms, side="right") - 1, 0, grid_ms.size - 2)
    period_ms = grid_ms[at + 1] - grid_ms[at]  # [beat]
    tick_ms = period_ms / _ticks(float(np.median(period_ms) / np.median(np.diff(beat_ms))))
    turn = (beat_ms - grid_ms[at]) / tick_ms
    typical = np.angle((support * np.exp(2j * np.pi * turn)).sum()) / (2 * np.pi)
    late_ms = ((turn - typical + 0.5) % 1 - 0.5) * tick_ms
    around = np.lib.stride_tricks.sliding_window_view(np.pad(late_ms, OFF_REACH, mode="edge"), 2 * OFF_REACH + 1)
    limit_ms = np.minimum(OFF_MS, OFF_TICKS * tick_ms)
    return float((np.abs(np.median(around, axis=1)) > limit_ms)[support > 0].mean())


def _ticks(beats_per_grid_beat: float) -> int:
    """Ticks a grid beat on which tracked beats can lie: halves where one rate is a multiple of the other, else sixths."""
    ratio = max(beats_per_grid_beat, 1 / max(beats_per_grid_beat, 1e-6))
    if abs(ratio / round(ratio) - 1) > SAME_RATE:
        return 6
    return 2 * max(1, round(beats_per_grid_beat))


def window_ms(window: int) -> float:
    """Start of a window in ms."""
    return window * FOLD_WINDOW_S * 1000
