"""n-gram models of row codes: baselines of the mapper's row head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]
CODE_BITS = 8
MAX_ORDER = 7
"""Contexts are packed into 63 bits."""


class RowNGrams:
    """Interpolated Witten-Bell estimates of P(row code | the codes before it in its chart).

    The weight of each order's own counts is high for contexts with few distinct continuations; the rest goes to the next
    lower order, the lowest being uniform over the codes.
    """

    def __init__(self, charts: list[Codes], order: int, codes: int = 256) -> None:
        assert 1 <= order <= MAX_ORDER
        self.codes = codes
        self.tables = [_Table(charts, length) for length in range(1, order + 1)]

    def probability(self, chart: Codes) -> NDArray[np.float64]:
        """[row] probability of each of the chart's codes, given those before it."""
        found = np.full(chart.size, 1 / self.codes)
        for table in self.tables:
            context, whole = packed(chart, table.length)
            seen, kinds = table.context_counts(context)
            found = np.where(seen > 0, (table.counts(whole) + kinds * found) / np.maximum(seen + kinds, 1), found)
        return found

    def guesses(self, chart: Codes) -> Codes:
        """[row] likeliest code of each row by the longest context that was seen."""
        guess = np.zeros(chart.size, np.int64)
        for table in self.tables:
            context, _ = packed(chart, table.length)
            best, known = table.likeliest(context)
            guess = np.where(known, best, guess)
        return guess


class _Table:
    """Counts of the sequences of one length, sorted by their packed codes."""

    def __init__(self, charts: list[Codes], length: int) -> None:
        self.length = length
        whole = np.concatenate([packed(chart, length)[1] for chart in charts])
        self.sequences, self.count = np.unique(whole, return_counts=True)
        context = self.sequences >> CODE_BITS
        self.contexts, first = np.unique(context, return_index=True)
        self.seen = np.add.reduceat(self.count, first)
        self.kinds = np.diff(np.append(first, context.size))
        order = np.lexsort((self.count, context))
        self.best = self.sequences[order][np.append(first[1:], context.size) - 1] & (2**CODE_BITS - 1)

    def counts(self, whole: Codes) -> NDArray[np.int64]:
        return _looked_up(self.sequences, self.count, whole)

    def context_counts(self, context: Codes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(count, number of distinct continuations) of each context."""
        return _looked_up(self.contexts, self.seen, context), _looked_up(self.contexts, self.kinds, context)

    def likeliest(self, context: Codes) -> tuple[Codes, NDArray[np.bool_]]:
        """The commonest continuation of each context, and whether the context was seen."""
        return _looked_up(self.contexts, self.best, context), _looked_up(self.contexts, self.seen, context) > 0


def packed(chart: Codes, length: int) -> tuple[Codes, Codes]:
    """([row] the length - 1 codes before, [row] those and the row's own), newest in the lowest bits; 0 before the first."""
    context = np.zeros(chart.size, np.int64)
    for back in range(length - 1, 0, -1):
        earlier = np.concatenate(
            (np.zeros(min(back, chart.size), np.int64), chart[:-back] if back < chart.size else [])
        )
        context = context << CODE_BITS | earlier.astype(np.int64)
    return context, context << CODE_BITS | chart


def _looked_up(keys: NDArray[np.int64], values: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    at = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
    return np.where(keys[at] == wanted, values[at], 0)
