"""F-measure of beats within ±20 ms, by one-to-one matches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ear.tracker.peak_picking import PickedBeats

WINDOW_MS = 20.0


@dataclass(frozen=True, slots=True)
class BeatScore:
    """F-measures in 0–1, and the distance of matched beats from the truth."""

    beat_f: float
    downbeat_f: float  # nan where the truth has no downbeats
    error_ms: float  # median distance of matched beats, sign kept; nan without any


def score_beats(
    picked: PickedBeats, beat_ms: NDArray[np.float64], is_downbeat: NDArray[np.bool_], window_ms: float = WINDOW_MS
) -> BeatScore:
    """Score picked beats against the true ones."""
    pairs = match(picked.beat_ms, beat_ms, window_ms)
    errors = picked.beat_ms[pairs[:, 0]] - beat_ms[pairs[:, 1]]
    return BeatScore(
        f_measure(picked.beat_ms, beat_ms, window_ms),
        f_measure(picked.beat_ms[picked.is_downbeat], beat_ms[is_downbeat], window_ms) if is_downbeat.any() else np.nan,
        float(np.median(errors)) if errors.size else np.nan,
    )


def f_measure(found: NDArray[np.float64], true: NDArray[np.float64], window_ms: float = WINDOW_MS) -> float:
    """Harmonic mean of precision and recall; 1 where both are empty."""
    if not found.size and not true.size:
        return 1.0
    return 2 * len(match(found, true, window_ms)) / (found.size + true.size)


def match(found: NDArray[np.float64], true: NDArray[np.float64], window_ms: float) -> NDArray[np.int64]:
    """The most pairs (index in `found`, index in `true`) [pair, 2] within `window_ms`; both must be sorted."""
    pairs, at = [], 0
    for index, time_ms in enumerate(found):
        while at < true.size and true[at] < time_ms - window_ms:
            at += 1
        if at < true.size and abs(true[at] - time_ms) <= window_ms:
            pairs.append((index, at))
            at += 1
    return np.array(pairs, np.int64).reshape(-1, 2)
