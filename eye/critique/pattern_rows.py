"""Pattern of each row: one name a row, for section texts and for colours."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from chart.analysis.patterns import RECOGNISERS
from chart.analysis.rows import Rows

FAMILIES: dict[str, tuple[str, ...]] = {
    "jack": ("longjack", "jack"),
    "chordjack": ("chordjack",),
    "trill": ("trill", "jumptrill", "split-jumptrill"),
    "roll": ("roll", "split roll"),
    "handstream": ("handstream",),
    "jumpstream": ("jumpstream",),
    "stream": ("stream",),
    "minijack": ("minijack",),
    "chord": ("jump", "hand", "quad"),
    "single": (),
}
"""Family → recognisers of `chart.analysis.patterns`; a row belongs to the first that covers it, else it is a single note."""
NAMES = tuple(FAMILIES)
SINGLE = NAMES.index("single")


def families_of(rows: Rows) -> NDArray[np.int64]:
    """[row] index into NAMES."""
    family = np.full(rows.mask.size, SINGLE)
    for index in range(SINGLE - 1, -1, -1):
        for name in FAMILIES[NAMES[index]]:
            runs = RECOGNISERS[name](rows)
            depth = np.zeros(rows.mask.size + 1, np.int64)
            np.add.at(depth, runs.first, 1)
            np.add.at(depth, runs.last + 1, -1)
            family[np.cumsum(depth[:-1]) > 0] = index
    return family


def commonest(family: NDArray[np.int64], least: float = 0.15, most: int = 2) -> list[str]:
    """The names that cover at least a share `least` of these rows, commonest first, single notes last."""
    found = Counter(family.tolist())
    names = [NAMES[index] for index, count in found.most_common() if count >= least * family.size and index != SINGLE]
    return names[:most]
