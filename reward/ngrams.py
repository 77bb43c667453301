"""n-gram model of row sequences, counted on human charts; an auditor, never a reward.

A row is its mask and the class of its interval (1/4 beat and faster at 180 BPM, 1/2, 1/1, slower). The model predicts the
mask from the interval's class and the two masks before, backing off to one and to none, with mirrored charts counted
too. `bits(view)` gives bits a row: random columns cost more, and so do sequences that no human writes.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chart.analysis.rows import previous
from chart.model import KEYS
from reward.core.batch_view import View
from runtime.errors import CheckpointError

TABLE = Path(__file__).with_name("ngrams.npz")
GAP_EDGES_MS = (110.0, 220.0, 440.0)
"""Classes of intervals: about 1/4, 1/2 and 1/1 at 180 BPM and what lies between."""
GAPS = len(GAP_EDGES_MS) + 1
MASKS = 1 << KEYS
SHAPE = (GAPS, MASKS, MASKS, MASKS)
"""[gap class, mask before last, last mask, mask]"""
BACKOFF = 4.0
"""Weight of a shorter context, in observations."""
MIRROR = np.array([int(f"{mask:04b}"[::-1], 2) for mask in range(MASKS)])


def has_context(view: View) -> NDArray[np.bool_]:
    """[row] true where two rows of the same chart stand before the row."""
    starts = ~np.isfinite(view.rows.gap_ms)
    return ~starts & ~previous(starts)


def contexts(view: View) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """[row] gap class, mask before last, last mask, mask, of rows that have two rows before them."""
    mask, known = view.rows.mask, has_context(view)
    gap = np.digitize(view.rows.gap_ms, GAP_EDGES_MS)
    return gap[known], previous(mask, 2)[known], previous(mask)[known], mask[known]


def count_rows(view: View) -> NDArray[np.int64]:
    """Counts of one batch in the table's shape, each chart also mirrored."""
    counts = np.zeros(SHAPE, np.int64)
    gap, before, last, mask = contexts(view)
    np.add.at(counts, (gap, before, last, mask), 1)
    np.add.at(counts, (gap, MIRROR[before], MIRROR[last], MIRROR[mask]), 1)
    return counts


@lru_cache(maxsize=1)
def _log2_table() -> NDArray[np.float32]:
    """log2 probability in the table's shape."""
    if not TABLE.is_file():
        raise CheckpointError(
            f"{TABLE} is missing: reinstall the package, or make it with python -m reward.calibration.count_ngrams"
        )
    with np.load(TABLE, allow_pickle=False) as data:
        counts = data["counts"].astype(np.float64)
    assert counts.shape == SHAPE, "n-gram table of another version"
    total = counts.sum(axis=(0, 1, 2)) + 1.0
    probability = np.broadcast_to(total / total.sum(), SHAPE)
    for axes in ((1, 2), (1,), ()):  # gap class alone, last mask, both masks
        seen = counts.sum(axis=axes, keepdims=True) if axes else counts
        probability = (seen + BACKOFF * probability) / (seen.sum(axis=-1, keepdims=True) + BACKOFF)
    return np.log2(probability).astype(np.float32)


def bits(view: View) -> NDArray[np.float64]:
    """[chart] mean bits a row; nan for charts of fewer than three rows."""
    gap, before, last, mask = contexts(view)
    cost = -_log2_table()[gap, before, last, mask].astype(np.float64)
    chart = view.row_chart[has_context(view)]
    total = np.bincount(chart, cost, minlength=view.n_charts)
    number = np.bincount(chart, minlength=view.n_charts)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)
