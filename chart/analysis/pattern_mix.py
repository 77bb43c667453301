"""The pattern mix of a chart: share of its rows in each pattern family that can be requested."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chart.analysis.patterns import RECOGNISERS
from chart.analysis.rows import rows_of
from chart.model import Chart

FAMILIES: dict[str, tuple[str, ...]] = {
    "stream": ("stream",),
    "jumpstream": ("jumpstream",),
    "handstream": ("handstream",),
    "jack": ("minijack", "jack", "longjack"),
    "chordjack": ("chordjack",),
    "trill": ("trill", "jumptrill", "split-jumptrill"),
}
"""Family → the patterns of `chart.analysis.patterns` that count for it, in the order of `Controls.patterns`."""


def pattern_mix(chart: Chart) -> NDArray[np.float64]:
    """[family], share of the chart's rows that take part in a pattern of the family, 0–1; a row may be in several."""
    member = family_rows(chart)
    return member.mean(1) if member.shape[1] else np.zeros(len(FAMILIES))


def family_rows(chart: Chart) -> NDArray[np.bool_]:
    """[family, row], whether a row of the chart (`chart.analysis.rows.rows_of`) takes part in a pattern of the family."""
    if not len(chart):
        return np.zeros((len(FAMILIES), 0), bool)
    rows = rows_of(chart)
    depth = np.zeros((len(FAMILIES), rows.mask.size + 1), np.int64)
    for family, names in enumerate(FAMILIES.values()):
        for name in names:
            runs = RECOGNISERS[name](rows)
            np.add.at(depth[family], runs.first, 1)
            np.add.at(depth[family], runs.last + 1, -1)
    member: NDArray[np.bool_] = np.cumsum(depth[:, :-1], 1) > 0
    return member
