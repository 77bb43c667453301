"""Terms of the reward: a measure with a unit, and the band in which its values lie for human charts.

A measure gives a number per section and per chart (nan where there is nothing to measure). `Band` turns it into a score
in 0–1: 1 inside the band, falling smoothly and saturating outside. The bands depend on the target's stars, since what
is dense for 2 stars is sparse for 6; they are percentiles of human charts (`reward.calibration.fit_bands`, `reward.band_table`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reward.core.batch_view import View
from reward.core.inputs import Inputs

STAR_KNOTS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.5)
"""Stars at which bands are given; between them they are interpolated, beyond them held."""


@dataclass(frozen=True)
class Measured:
    """A measure's values."""

    section: NDArray[np.float64]  # [section], nan = nothing to measure
    chart: NDArray[np.float64]  # [chart], nan = nothing to measure


@dataclass(frozen=True)
class Band:
    """Limits by stars, each [knot]; a side without a limit is ±inf."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    soft_low: tuple[float, ...]  # distance below `low` at which the score is one half
    soft_high: tuple[float, ...]  # distance above `high` at which the score is one half


FAR = 1e9
"""Stands for an absent limit: beyond any measure, yet finite, so that limits interpolate."""


@dataclass(frozen=True)
class Bands:
    """Bands of several terms as arrays, to score them at once."""

    limits: NDArray[np.float64]  # [4, term, knot]: low, high, softness below, softness above

    @staticmethod
    def of(table: Mapping[str, Band], names: Sequence[str]) -> Bands:
        """The bands of these terms in this order."""
        rows = [[getattr(table[name], side) for name in names] for side in ("low", "high", "soft_low", "soft_high")]
        return Bands(np.clip(np.array(rows, np.float64), -FAR, FAR))

    def score(self, values: NDArray[np.float64], stars: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores in 0–1 of `values` [term, item] whose charts aim at `stars` [item]; nan stays nan."""
        at = np.clip(np.interp(stars, STAR_KNOTS, np.arange(len(STAR_KNOTS))), 0, len(STAR_KNOTS) - 1 - 1e-9)
        knot = at.astype(np.int64)
        share = at - knot
        low, high, soft_low, soft_high = (
            (1 - share) * rows[:, knot] + share * rows[:, knot + 1] for rows in self.limits
        )
        outside = np.maximum(np.maximum((low - values) / soft_low, (values - high) / soft_high), 0.0)
        return 1.0 / (1.0 + outside**2)


@dataclass(frozen=True)
class Term:
    """One part of the reward."""

    name: str  # "group/name"
    unit: str  # of the measure
    side: str  # "high": too high is bad; "low": too low is bad; "both"
    measure: Callable[[View, Inputs], Measured]
    source: str  # where the idea or number comes from
    least_soft: float  # smallest softness of the band: smaller differences are not noticeable
    needs: str = ""  # "", "songs" or "plays"


def ratio(view: View, part: NDArray[np.float64], whole: NDArray[np.float64], least: float = 1.0) -> Measured:
    """Sum of `part` over sum of `whole` [row], per section and per chart; nan where the whole is below `least`."""
    parts = np.bincount(view.row_section, part, minlength=view.n_sections)
    wholes = np.bincount(view.row_section, whole, minlength=view.n_sections)
    chart_parts = np.bincount(view.section_chart, parts, minlength=view.n_charts)
    chart_wholes = np.bincount(view.section_chart, wholes, minlength=view.n_charts)
    return Measured(_divide(parts, wholes, least), _divide(chart_parts, chart_wholes, least))


def _divide(part: NDArray, whole: NDArray, least: float) -> NDArray[np.float64]:
    result = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=result, where=whole >= max(least, 1e-12))
    return result


def mean_of_sections(view: View, section: NDArray[np.float64], weight: NDArray | None = None) -> Measured:
    """A measure of sections alone; the chart's value is their mean, weighted with rows."""
    return Measured(section, view.per_chart(section, weight))
