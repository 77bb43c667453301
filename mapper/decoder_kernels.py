"""The decoder's arithmetic between its matrix products, compiled: one call a layer for all charts.

Shapes use: item (one row of one chart that is being read), chart, head, position (in the cache), width, head width.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

EPSILON = 1e-5
"""As in `torch.nn.LayerNorm`."""

TABLE_REACH, STEPS_PER_UNIT = 6.0, 1024
"""Beyond ±6 the normal distribution's function is 0 or 1 to float32."""
NORMAL_CDF = np.array(
    [0.5 + 0.5 * math.erf((k / STEPS_PER_UNIT - TABLE_REACH) / 2**0.5) for k in range(2 * 6 * STEPS_PER_UNIT + 2)],
    dtype=np.float32,
)

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@njit(cache=True, fastmath=True)
def layer_norm(x: Floats, weight: Floats, bias: Floats, out: Floats) -> None:
    """[item, width] each brought to mean 0 and variance 1, then scaled and shifted."""
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


@njit(cache=True, fastmath=True)
def gelu(x: Floats) -> None:
    """The GELU of every value, in place, within 1e-6: the normal distribution's function is read off a table."""
    flat = x.reshape(-1)
    last = NORMAL_CDF.size - 2
    for k in range(flat.size):
        at = (flat[k] + np.float32(TABLE_REACH)) * np.float32(STEPS_PER_UNIT)
        at = min(max(at, np.float32(0)), np.float32(last))
        before = int(at)
        low = NORMAL_CDF[before]
        flat[k] *= low + (NORMAL_CDF[before + 1] - low) * (at - np.float32(before))


@njit(cache=True, fastmath=True)
def attend(
    qkv: Floats, cos: Floats, sin: Floats, chart: Ints, position: Ints, keys: Floats, values: Floats, out: Floats
) -> None:
    """Causal attention of new rows over each chart's cache, which takes them up.

    `qkv` [item, 3 · width] unrotated; `cos`, `sin` [item, head width / 2]; `chart`, `position` [item], positions of a
    chart rising; `keys`, `values` [chart, head, position, head width]; `out` [item, width].
    """
    heads, width = keys.shape[1], keys.shape[3]
    half = width // 2
    query = np.empty(width, np.float32)
    weight = np.empty(keys.shape[2], np.float32)
    scale = np.float32(1 / math.sqrt(width))
    for item in range(qkv.shape[0]):
        who, at = chart[item], position[item]
        for head in range(heads):
            start = head * width
            key_start, value_start = (heads + head) * width, (2 * heads + head) * width
            for k in range(half):
                c, s = cos[item, k], sin[item, k]
                left, right = qkv[item, start + k], qkv[item, start + half + k]
                query[k], query[half + k] = (left * c - right * s) * scale, (left * s + right * c) * scale
                left, right = qkv[item, key_start + k], qkv[item, key_start + half + k]
                keys[who, head, at, k], keys[who, head, at, half + k] = left * c - right * s, left * s + right * c
            for k in range(width):
                values[who, head, at, k] = qkv[item, value_start + k]
            highest = np.float32(-np.inf)
            for seen in range(at + 1):
                match = np.float32(0)
                for k in range(width):
                    match += query[k] * keys[who, head, seen, k]
                weight[seen] = match
                highest = max(highest, match)
            total = np.float32(0)
            for seen in range(at + 1):
                weight[seen] = math.exp(weight[seen] - highest)
                total += weight[seen]
            for k in range(width):
                out[item, start + k] = 0
            for seen in range(at + 1):
                share = weight[seen] / total
                for k in range(width):
                    out[item, start + k] += share * values[who, head, seen, k]
