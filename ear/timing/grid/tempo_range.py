"""Songs slower than 40 BPM or faster than 320: they get a multiple of their tempo within the range, and no confidence.

Signs of them are onsets all further apart than the slowest beat, or spectral lines of the onsets only above the fastest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ear.timing.grid.tempo import MAX_BPM, MIN_BPM, onset_spectrum

BLOCK_MS = 50.0
"""Length of the blocks in which onsets are counted once."""

ONSET_PERCENTILE, ONSET_SHARE = 98.0, 0.25
"""A block holds an onset if it reaches this share of a strong block's rise."""

APART_FROM, APART_FULLY = 0.5, 0.9
"""Share of the time in gaps longer than the slowest beat at which the confidence begins to fall, and at which it is 0. It
is at most .25 in 120 electronic pieces with breaks, .16 in 32 of rubato piano, .05 in 192 `train` songs."""

FLAT_FULLY, FLAT_FROM = 0.06, 0.12
"""Ratio of the strongest spectral line within the beat range to the strongest above it (best band): ≤ .06 gives confidence
0, ≥ .12 confidence 1. Measured minima: .32 over `train` songs and rendered pieces, .14 for clicks at 600 BPM with every
second at half the level, 1.06 for clicks up to 320 BPM; maximum .06 for clicks from 340 BPM on."""

SLOWEST_HZ, FASTEST_HZ = 0.3, 40.0
"""Range of spectral lines compared."""


@dataclass(frozen=True, slots=True)
class TempoRange:
    """Evidence that a song's tempo is within the range."""

    share: float  # 0–1
    doubt: str  # reason against it, for the user, or ""


def tempo_range(strength: NDArray[np.float32], frame_ms: float) -> TempoRange:
    """Evidence that locally normalized onset strength [band, frame] has a rhythm within `MIN_BPM`–`MAX_BPM`."""
    together = _below(share_apart(strength, frame_ms), APART_FROM, APART_FULLY)
    slow_enough = 1 - _below(slow_line(strength, frame_ms), FLAT_FULLY, FLAT_FROM)
    if together < slow_enough:
        return TempoRange(together, f"its onsets are further apart than beats at {MIN_BPM:.0f} BPM")
    if slow_enough < 1:
        return TempoRange(slow_enough, f"its onsets repeat faster than beats at {MAX_BPM:.0f} BPM")
    return TempoRange(1.0, "")


def share_apart(strength: NDArray[np.float32], frame_ms: float) -> float:
    """0–1: share of the time between the first and the last onset that is in gaps longer than the slowest beat."""
    block = max(1, round(BLOCK_MS / frame_ms))
    total = strength.sum(axis=0)
    highest = total[: total.size // block * block].reshape(-1, block).max(axis=1)
    if not highest.size:
        return 0.0
    onset = np.flatnonzero(highest > ONSET_SHARE * np.percentile(highest, ONSET_PERCENTILE))
    gap_ms = np.diff(onset) * (block * frame_ms)
    return float(gap_ms[gap_ms > 60_000 / MIN_BPM].sum() / max(gap_ms.sum(), 1.0))


def slow_line(strength: NDArray[np.float32], frame_ms: float) -> float:
    """Strongest line of the spectrum up to `MAX_BPM` over the strongest above, in the band where that is greatest."""
    spectrum = onset_spectrum(strength, frame_ms)
    hz = np.arange(spectrum.magnitude.shape[1]) * spectrum.bin_hz
    edge_hz = MAX_BPM / 60 + spectrum.bin_hz
    slow = spectrum.magnitude[:, (hz >= SLOWEST_HZ) & (hz <= edge_hz)].max(axis=1, initial=0.0)
    fast = spectrum.magnitude[:, (hz > edge_hz) & (hz <= FASTEST_HZ)].max(axis=1, initial=0.0)
    return float((slow / (fast + 1e-6)).max())


def _below(value: float, low: float, high: float) -> float:
    """1 up to `low`, 0 from `high` on."""
    return float(np.clip((high - value) / (high - low), 0.0, 1.0))
