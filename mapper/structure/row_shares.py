"""Chords and repeated columns that go with a pattern mix: what the sampler keeps to, so that a requested mix comes about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapper.sampling.conditioning import ChartTarget
from mapper.structure.settings import settings

RECALL = 0.17
"""Share of rows that press a column of the row before again in people's charts of any stars; the network's own is .03."""
SIZES = (2, 3, 4)
"""Notes of a chord."""
MOST_CHORDS, MOST_REPEATS = 0.95, 0.95


@dataclass(frozen=True)
class RowShares:
    """Shares of the rows of a chart."""

    chords: tuple[float, ...] = (np.nan,) * len(SIZES)  # with so many notes, by `SIZES`; nan: as the network writes
    repeats: float = RECALL  # that press a column of the row before again

    @staticmethod
    def of(target: ChartTarget) -> RowShares:
        """Rows of the requested families as in people's charts of these stars, the others as the other rows there."""
        return RowShares() if target.is_free else RowShares._from(_expected(target, _requested(target)))

    def corrected(self, target: ChartTarget, mix: NDArray[np.float64]) -> RowShares:
        """The shares for the next candidates, when candidates with these had such a pattern mix [family]."""
        if target.is_free:
            return self
        missing = _expected(target, _requested(target)) - _expected(target, mix)
        return RowShares._from(np.array([*self.chords, self.repeats]) + missing)

    def varied(self, chords: float, repeats: float) -> RowShares:
        """With a factor e^`chords` to all chords and e^`repeats` to repeated columns."""
        return RowShares._from(np.array([*self.chords, self.repeats]) * np.exp([chords] * len(SIZES) + [repeats]))

    @staticmethod
    def mean(some: list[RowShares]) -> RowShares:
        """Of each share."""
        return RowShares._from(np.mean([[*one.chords, one.repeats] for one in some], axis=0))

    @staticmethod
    def _from(shares: NDArray[np.float64]) -> RowShares:
        *chords, repeats = np.maximum(shares, 0.0)
        kept = min(MOST_CHORDS / max(sum(chords), 1e-9), 1.0)
        return RowShares(tuple(float(kept * one) for one in chords), float(min(repeats, MOST_REPEATS)))


def _requested(target: ChartTarget) -> NDArray[np.float64]:
    return np.array(target.patterns)


def _expected(target: ChartTarget, mix: NDArray[np.float64]) -> NDArray[np.float64]:
    """[size and repeats], shares of a chart in which the requested families have the shares `mix` [family]."""
    fitted = settings()
    place = np.interp(target.stars, fitted.row_stars, np.arange(fitted.row_stars.size))
    low = min(int(place), fitted.row_stars.size - 2)
    inside, outside = fitted.row_shares[low] + (place - low) * (fitted.row_shares[low + 1] - fitted.row_shares[low])
    asked = np.isfinite(_requested(target))
    rest = max(1.0 - float(mix[asked].sum()), 0.0)
    return np.asarray(mix[asked] @ inside[asked] + rest * outside[asked].mean(axis=0))
