"""Explain charts that the model wrote: onset evidence, repeated rows, target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eye.critique.types import clock

SHARE = 0.5
"""Share of a place's notes that must come from one earlier place for it to be called a repetition."""
NEAR_MS = 4_000.0


@dataclass(frozen=True)
class ModelReasons:
    """Attribution of each note; arrays are [note] in the chart's order, nan = unknown."""

    onset: NDArray[np.float64]  # evidence of an onset at the note, 0–1
    repeats_ms: NDArray[np.float64]  # time of the note it repeats, nan = it repeats none
    target: str = ""  # what it aimed at, such as "3.50 stars, 8.1 notes/s, 10 % holds"

    def __post_init__(self) -> None:
        assert self.onset.shape == self.repeats_ms.shape, "one entry a note in both arrays"


def why(reasons: ModelReasons | None, inside: NDArray[np.bool_]) -> str:
    """One sentence on the notes that `inside` [note] marks; empty when nothing is known."""
    if reasons is None or not inside.any():
        return ""
    parts = []
    onset = reasons.onset[inside]
    if np.isfinite(onset).any():
        parts.append(f"found onsets with {np.nanmean(onset):.0%} certainty")
    source = reasons.repeats_ms[inside]
    known = source[np.isfinite(source)]
    if known.size >= SHARE * source.size and known.size:
        middle = float(np.median(known))
        if np.mean(np.abs(known - middle) <= NEAR_MS) >= SHARE:
            parts.append(f"repeated {clock(float(known.min()))}")
    return f"The mapper {' and '.join(parts)} here." if parts else ""
