"""The decoder's arithmetic beside matrix products, compiled: norms, activations, and attention over cached keys.

Each item's result depends on that item alone, to the last bit, however many are computed together: so charts do not
depend on those written beside them, nor on the number of threads. Shapes use: item (one row of one chart that is being
read), chart, head, position (in the cache).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mapper.network.compiled.product_blocks import LANES
from mapper.network.compiled.products import add_product
from mapper.network.interface import Floats, Ints
from runtime.loops import njit

EPSILON = 1e-5
"""As in `torch.nn.LayerNorm`."""
TABLE_REACH, STEPS_PER_UNIT = 6.0, 1024
"""Beyond ±6 the normal distribution's function is 0 or 1 to float32."""
NORMAL_CDF = np.array(
    [0.5 + 0.5 * math.erf((k / STEPS_PER_UNIT - TABLE_REACH) / 2**0.5) for k in range(2 * 6 * STEPS_PER_UNIT + 2)],
    dtype=np.float32,
)
LEAST_EXPONENT, HALVINGS = np.float32(-30.0), 7
"""e^-30 is 0 beside 1 in float32; e^x is taken as the 128th power of e^(x / 128)."""

Bools = NDArray[np.bool_]


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
    highest = weight[0]  # not -inf, which fastmath does not know
    for k in range(1, weight.size):
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
    heads, capacity, width = values.shape[1:]
    out = np.zeros((qkv.shape[0], heads * width), np.float32)
    query, key = np.empty(width, np.float32), np.empty(width, np.float32)
    matches = np.empty(capacity, np.float32)
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
            # Whole panels of keys: products with those behind the row mean nothing.
            read = matches[: min((at + LANES) // LANES * LANES, capacity)]
            read[:] = 0
            add_product(query, keys[who, head], read)
            seen = matches[: at + 1]
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
