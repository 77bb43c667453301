"""The decoder's arithmetic, compiled: matrix products of few rows, norms, and attention over cached keys.

Each item's result depends on that item alone, to the last bit, however many are computed together: so charts do not
depend on those written beside them, nor on the number of threads. (A BLAS does not promise that, and is no faster for
fewer than 16 rows.) Shapes use: item (one row of one chart that is being read), chart, head, position (in the cache).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from runtime.loops import njit

EPSILON = 1e-5
"""As in `torch.nn.LayerNorm`."""
STEP = 8
"""Rows of a matrix that one pass takes up for one item: their products are summed in registers."""
TILE = 4
"""Items, and rows of a matrix, that one pass takes up where there are so many items."""

TABLE_REACH, STEPS_PER_UNIT = 6.0, 1024
"""Beyond ±6 the normal distribution's function is 0 or 1 to float32."""
NORMAL_CDF = np.array(
    [0.5 + 0.5 * math.erf((k / STEPS_PER_UNIT - TABLE_REACH) / 2**0.5) for k in range(2 * 6 * STEPS_PER_UNIT + 2)],
    dtype=np.float32,
)
LEAST_EXPONENT, HALVINGS = np.float32(-30.0), 7
"""e^-30 is 0 beside 1 in float32; e^x is taken as the 128th power of e^(x / 128)."""

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@njit(fastmath=True, nogil=True)
def multiply_add(x: Floats, weight: Floats, out: Floats) -> None:
    """Add x [item, in] @ weight [in, out] to `out` [item, out]; every sum runs over `in` in order, however many items."""
    items, size = x.shape
    tiled = items - items % TILE
    for k in range(0, size - size % STEP, TILE):
        for item in range(0, tiled, TILE):
            _add_tile(x, item, weight, k, out)
    for k in range(0, size - size % STEP, STEP):
        for item in range(tiled, items):
            _add_rows(x[item], weight, k, out[item])
    _add_last_rows(x, weight, out)


@njit(fastmath=True, nogil=True)
def _add_tile(x: Floats, i: int, weight: Floats, k: int, out: Floats) -> None:
    """Add the products of 4 values of 4 items with their rows: each weight is loaded once for 4 items."""
    a0, a1, a2, a3 = x[i, k], x[i, k + 1], x[i, k + 2], x[i, k + 3]
    b0, b1, b2, b3 = x[i + 1, k], x[i + 1, k + 1], x[i + 1, k + 2], x[i + 1, k + 3]
    c0, c1, c2, c3 = x[i + 2, k], x[i + 2, k + 1], x[i + 2, k + 2], x[i + 2, k + 3]
    d0, d1, d2, d3 = x[i + 3, k], x[i + 3, k + 1], x[i + 3, k + 2], x[i + 3, k + 3]
    for n in range(out.shape[1]):
        w0, w1, w2, w3 = weight[k, n], weight[k + 1, n], weight[k + 2, n], weight[k + 3, n]
        out[i, n] += a0 * w0 + a1 * w1 + a2 * w2 + a3 * w3
        out[i + 1, n] += b0 * w0 + b1 * w1 + b2 * w2 + b3 * w3
        out[i + 2, n] += c0 * w0 + c1 * w1 + c2 * w2 + c3 * w3
        out[i + 3, n] += d0 * w0 + d1 * w1 + d2 * w2 + d3 * w3


@njit(fastmath=True, nogil=True)
def _add_rows(x: Floats, weight: Floats, k: int, out: Floats) -> None:
    """Add the products of `STEP` values of `x` from k on with their rows, as far as `out` is wide."""
    a0, a1, a2, a3 = x[k], x[k + 1], x[k + 2], x[k + 3]
    a4, a5, a6, a7 = x[k + 4], x[k + 5], x[k + 6], x[k + 7]
    for n in range(out.size):
        low = a0 * weight[k, n] + a1 * weight[k + 1, n] + a2 * weight[k + 2, n] + a3 * weight[k + 3, n]
        high = a4 * weight[k + 4, n] + a5 * weight[k + 5, n] + a6 * weight[k + 6, n] + a7 * weight[k + 7, n]
        out[n] += low + high


@njit(fastmath=True, nogil=True)
def _add_last_rows(x: Floats, weight: Floats, out: Floats) -> None:
    """The remainder of `_add_rows` where the size is no multiple of `STEP`."""
    size = x.shape[1]
    for item in range(x.shape[0]):
        for k in range(size - size % STEP, size):
            for n in range(out.shape[1]):
                out[item, n] += x[item, k] * weight[k, n]


@njit(fastmath=True, nogil=True)
def add_product(x: Floats, weight: Floats, out: Floats) -> None:
    """Add x @ weight to `out`, of one row; `weight` may have more rows and columns than there are."""
    for k in range(0, x.size - x.size % STEP, STEP):
        _add_rows(x, weight, k, out)
    for k in range(x.size - x.size % STEP, x.size):
        for n in range(out.size):
            out[n] += x[k] * weight[k, n]


@njit(fastmath=True, nogil=True)
def layer_norm(x: Floats, weight: Floats, bias: Floats) -> Floats:
    """[item, width] each brought to mean 0 and variance 1, then scaled and shifted."""
    out = np.empty_like(x)
    items, width = x.shape
    for item in range(items):
        mean = np.float32(0)
        for k in range(width):
            mean += x[item, k]
        mean /= width
        variance = np.float32(0)
        for k in range(width):
            difference = x[item, k] - mean
            variance += difference * difference
        scale = np.float32(1 / math.sqrt(variance / width + EPSILON))
        for k in range(width):
            out[item, k] = (x[item, k] - mean) * scale * weight[k] + bias[k]
    return out


@njit(fastmath=True, nogil=True)
def gelu(x: Floats) -> None:
    """The GELU of every value, in place, within 1e-6: the normal distribution function is looked up in a table."""
    flat = x.reshape(-1)
    last = NORMAL_CDF.size - 2
    for k in range(flat.size):
        at = (flat[k] + np.float32(TABLE_REACH)) * np.float32(STEPS_PER_UNIT)
        at = min(max(at, np.float32(0)), np.float32(last))
        before = int(at)
        low = NORMAL_CDF[before]
        flat[k] *= low + (NORMAL_CDF[before + 1] - low) * (at - np.float32(before))


@njit(fastmath=True, nogil=True)
def soften(weight: Floats) -> None:
    """The softmax of the values, in place, to 1e-5; e^x is a polynomial, which is computed eight at a time."""
    highest = np.float32(-np.inf)
    for k in range(weight.size):
        highest = max(highest, weight[k])
    one, total = np.float32(1), np.float32(0)
    for k in range(weight.size):
        x = max(weight[k] - highest, LEAST_EXPONENT) * np.float32(1 / 2**HALVINGS)
        power = one + x * (one + x * (np.float32(1 / 2) + x * (np.float32(1 / 6) + x * np.float32(1 / 24))))
        for _ in range(HALVINGS):
            power *= power
        weight[k] = power
        total += power
    for k in range(weight.size):
        weight[k] /= total


@njit(fastmath=True, nogil=True)
def attend(
    qkv: Floats, cos: Floats, sin: Floats, chart: Ints, position: Ints, keys: Floats, values: Floats, needed: Bools
) -> Floats:
    """Causal attention of new rows over each chart's cache, which takes them up; zeros for rows that are not `needed`.

    `qkv` [item, 3 · width] unrotated; `cos`, `sin` [item, head width / 2]; `chart`, `position` [item], positions of a
    chart rising; `keys` [chart, head, head width, position], `values` [chart, head, position, head width].
    """
    heads, width = values.shape[1], values.shape[3]
    out = np.zeros((qkv.shape[0], heads * width), np.float32)
    query, key, matches = (
        np.empty(width, np.float32),
        np.empty(width, np.float32),
        np.empty(values.shape[2], np.float32),
    )
    scale = np.float32(1 / math.sqrt(width))
    for item in range(qkv.shape[0]):
        who, at = chart[item], position[item]
        for head in range(heads):
            start, key_start, value_start = head * width, (heads + head) * width, (2 * heads + head) * width
            _rotate(qkv[item, start : start + width], cos[item], sin[item], scale, query)
            _rotate(qkv[item, key_start : key_start + width], cos[item], sin[item], np.float32(1), key)
            for k in range(width):
                keys[who, head, k, at] = key[k]
                values[who, head, at, k] = qkv[item, value_start + k]
            if not needed[item]:
                continue
            seen = matches[: at + 1]
            seen[:] = 0
            add_product(query, keys[who, head], seen)
            soften(seen)
            add_product(seen, values[who, head], out[item, start : start + width])
    return out


@njit(fastmath=True, nogil=True)
def _rotate(x: Floats, cos: Floats, sin: Floats, scale: np.float32, out: Floats) -> None:
    """Rotary position embedding of one head's vector, as `mapper.network.model.rotate`."""
    half = cos.size
    for k in range(half):
        left, right = x[k], x[half + k]
        out[k] = (left * cos[k] - right * sin[k]) * scale
        out[half + k] = (left * sin[k] + right * cos[k]) * scale
