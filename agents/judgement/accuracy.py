"""Accuracy and letter grade from counts, as each client shows them.

| rules | MAX is worth | of | source |
|---|---|---|---|
| stable | 300 | 300 | osu! wiki, Gameplay/Accuracy: MAX and 300 count alike |
| scorev2, lazer | 305 | 305 | osu! wiki, Gameplay/Accuracy; ppy/osu, ManiaScoreProcessor |
| this project's measures | 320 | 320 | tells a MAX from a 300 best; the scale of `data/players/accuracy.csv` |

Letters by accuracy: SS 100 %, S from 95 %, A from 90 %, B from 80 %, C from 70 %, D below (osu! wiki, Gameplay/Grade), the same in
both clients for osu!mania. Stable gives SS for nothing but MAX and 300, ScoreV2 and lazer for nothing but MAX.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

GRADES = ("MAX", "300", "200", "100", "50", "MISS")
Counts = Sequence[float] | NDArray
LETTERS = ((0.95, "S"), (0.9, "A"), (0.8, "B"), (0.7, "C"))


def accuracy_stable(counts: Counts) -> float | NDArray:
    """[...] accuracy in 0–1 as stable shows it, from counts [..., 6]; 1 of nothing."""
    return _accuracy(counts, 300)


def accuracy_scorev2(counts: Counts) -> float | NDArray:
    """[...] accuracy in 0–1 as stable shows it under ScoreV2, from counts [..., 6]; 1 of nothing."""
    return _accuracy(counts, 305)


def accuracy_lazer(counts: Counts) -> float | NDArray:
    """[...] accuracy in 0–1 as lazer shows it, from counts [..., 6]; 1 of nothing."""
    return _accuracy(counts, 305)


def accuracy_320(counts: Counts) -> float:
    """Accuracy in 0–1 with a MAX worth 320 of 320, the scale of all measures in this project; 1 of nothing."""
    return float(_accuracy(counts, 320))


LETTER_NAMES = ("SS", *(name for _, name in LETTERS), "D")
SHOWN = {"stable": accuracy_stable, "scorev2": accuracy_scorev2, "lazer": accuracy_lazer}
"""Accuracy as it is shown under each set of rules."""


def letter(accuracy: float) -> str:
    """The letter grade that both clients give for a shown accuracy (without the silver of Hidden)."""
    if accuracy >= 1.0:
        return "SS"
    return next((name for least, name in LETTERS if accuracy >= least), "D")


def _accuracy(counts: Counts, top: int) -> NDArray:
    counts = np.asarray(counts, np.float64)[..., :6]
    total = counts.sum(axis=-1)
    points = counts @ np.array([top, 300, 200, 100, 50, 0], np.float64)
    return np.where(total > 0, points / (top * np.maximum(total, 1)), 1.0)
