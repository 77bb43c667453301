"""Products of few rows with a matrix, put together from blocks; the number of rows changes no result."""

from __future__ import annotations

import numpy as np

from mapper.network.compiled.product_blocks import (
    LANES,
    four_rows,
    one_row,
    one_row_four_panels,
    one_row_two_panels,
    three_rows,
    two_rows,
)
from mapper.network.interface import Floats
from runtime.loops import njit

TALLEST = 4
"""Rows of the tallest block; taller ones were not measured."""


def in_panels(matrix: Floats) -> Floats:
    """[panel, in, LANES] of a matrix [in, out]: a block reads it in one stretch. The last panel is filled up with 0."""
    size, width = matrix.shape
    panels = -(-width // LANES)
    padded = np.zeros((size, panels * LANES), np.float32)
    padded[:, :width] = matrix
    return np.ascontiguousarray(padded.reshape(size, panels, LANES).transpose(1, 0, 2))


@njit(nogil=True)
def multiply_add(x: Floats, weight: Floats, out: Floats) -> None:
    """Add the product of x [item, in] and a matrix `weight` [panel, in, LANES] to `out` [item, out]."""
    items, terms = x.shape
    width = out.shape[1]
    assert weight.shape[1] == terms
    assert out.shape[0] == items
    assert weight.shape[0] == (width + LANES - 1) // LANES
    panels, size = width // LANES, terms * LANES
    for p in range(panels):  # one panel stays in the nearest cache for all items
        weight_at, item = p * size, 0
        while items - item > 1:
            rows = min(items - item, TALLEST)
            at, out_at = item * terms, item * width + p * LANES
            if rows == TALLEST:
                four_rows(x, at, terms, terms, weight, weight_at, LANES, size, out, out_at, width)
            elif rows == TALLEST - 1:
                three_rows(x, at, terms, terms, weight, weight_at, LANES, size, out, out_at, width)
            else:
                two_rows(x, at, terms, terms, weight, weight_at, LANES, size, out, out_at, width)
            item += rows
    # One row takes several panels at a time: one panel's sums are too few to hide the latency of multiply-add.
    if items % TALLEST == 1:
        last = items - 1
        add_row(x, last * terms, terms, weight, LANES, size, out, last * width, panels)
    for k in range(terms if panels * LANES < width else 0):
        for item in range(items):
            for n in range(panels * LANES, width):
                out[item, n] += x[item, k] * weight[panels, k, n - panels * LANES]


@njit(nogil=True)
def add_row(
    x: Floats, x_at: int, terms: int,
    weight: Floats, row_step: int, panel_step: int,
    out: Floats, out_at: int, panels: int,
) -> None:  # fmt: skip
    """Add the product of one row with the first panels of a matrix, any number of them; arguments as those of a block."""
    done = 0
    while panels - done >= 4:
        at, place = done * panel_step, out_at + done * LANES
        one_row_four_panels(x, x_at, 0, terms, weight, at, row_step, panel_step, out, place, 0)
        done += 4
    if panels - done >= 2:
        at, place = done * panel_step, out_at + done * LANES
        one_row_two_panels(x, x_at, 0, terms, weight, at, row_step, panel_step, out, place, 0)
        done += 2
    if done < panels:
        at, place = done * panel_step, out_at + done * LANES
        one_row(x, x_at, 0, terms, weight, at, row_step, panel_step, out, place, 0)


@njit(nogil=True)
def add_product(x: Floats, matrix: Floats, out: Floats) -> None:
    """Add x @ `matrix` [in, out] to `out`, of one row; the matrix may have more rows and columns than there are."""
    terms, width, panels = x.size, out.size, out.size // LANES
    add_row(x, 0, terms, matrix, matrix.shape[1], LANES, out, 0, panels)
    for n in range(panels * LANES, width):
        for k in range(terms):
            out[n] += x[k] * matrix[k, n]
