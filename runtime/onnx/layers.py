"""Layers of networks as nodes of an ONNX graph, made from a checkpoint's arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.onnx.protobuf import Graph

FLOAT, WHOLE = 1, 7
"""Types to cast to, as in runtime.onnx.protobuf.TYPES."""
EPSILON = 1e-5
"""As in `torch.nn.LayerNorm`."""


class Layers:
    """A graph with layers of one checkpoint; values are names of the graph's tensors."""

    def __init__(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.graph, self.arrays = Graph(name), arrays

    def add(self, *values: str) -> str:
        """Sum of the values."""
        total, *rest = values
        for value in rest:
            total = self.graph.op("Add", total, value)
        return total

    def times(self, value: str, factor: str | float) -> str:
        """The product with another value or with a number."""
        return self.graph.op("Mul", value, factor if isinstance(factor, str) else self.graph.constant(factor))

    def weight(self, name: str) -> str:
        """An array of the checkpoint."""
        return self.graph.constant(self.arrays[name], name)

    def linear(self, name: str, x: str, bias: bool = True) -> str:
        """A linear layer over the last axis."""
        out = self.graph.op("MatMul", x, self.graph.constant(self.arrays[f"{name}.weight"].T, f"{name}.weight"))
        return self.add(out, self.weight(f"{name}.bias")) if bias else out

    def look_up(self, name: str, index: str) -> str:
        """Rows of an embedding."""
        return self.graph.op("Gather", self.weight(f"{name}.weight"), index)

    def layer_norm(self, name: str, x: str) -> str:
        """A layer norm over the last axis."""
        weight, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.graph.op("LayerNormalization", x, weight, bias, axis=-1, epsilon=EPSILON)

    def gelu(self, x: str) -> str:
        """The exact GELU, in the form that onnxruntime fuses."""
        erf = self.graph.op("Erf", self.graph.op("Div", x, self.graph.constant(2.0**0.5)))
        return self.times(self.graph.op("Mul", x, self.add(erf, self.graph.constant(1.0))), 0.5)

    def reshape(self, x: str, *shape: int) -> str:
        """Reshape; 0 keeps a size, -1 is inferred."""
        return self.graph.op("Reshape", x, self.graph.constant(shape))

    def transpose(self, x: str, *axes: int) -> str:
        """Transpose to this order of axes."""
        return self.graph.op("Transpose", x, perm=axes)

    def unsqueeze(self, x: str, axis: int) -> str:
        """Insert an axis of size 1."""
        return self.graph.op("Unsqueeze", x, self.graph.constant([axis]))

    def squeeze(self, x: str, axis: int) -> str:
        """Remove an axis of size 1."""
        return self.graph.op("Squeeze", x, self.graph.constant([axis]))

    def size(self, x: str, axis: int) -> str:
        """Size of an axis, a scalar."""
        return self.squeeze(self.graph.op("Shape", x, start=axis, end=axis + 1), 0)

    def count(self, size: str) -> str:
        """[size], int64: 0, 1, 2, …"""
        zero, one = (self.graph.constant(np.array(number), f"number_{number}") for number in (0, 1))
        return self.graph.op("Range", zero, size, one)

    def in_heads(self, qkv: str, leading: int, heads: int, head_width: int) -> tuple[str, ...]:
        """[…, step, 3 · width] → queries, keys and values [head and step before the last axis]: […, head, step, head width].

        `leading` axes come before the steps.
        """
        parted = self.reshape(qkv, *[0] * (leading + 1), 3, heads, head_width)
        threes = self.transpose(parted, leading + 1, *range(leading), leading + 2, leading, leading + 3)
        return tuple(self.squeeze(part, 0) for part in self.graph.split("Split", 3, threes, axis=0))

    def turns(self, angle: str) -> tuple[str, str]:
        """Cosines and sines for `rotate`."""
        return self.graph.op("Cos", angle), self.graph.op("Sin", angle)

    def rotate(self, x: str, turns: tuple[str, str]) -> str:
        """Rotary position embedding over the last axis, whose halves belong together."""
        cos, sin = turns
        left, right = self.graph.split("Split", 2, x, axis=-1)
        turned_left = self.graph.op("Sub", self.times(left, cos), self.times(right, sin))
        turned_right = self.add(self.times(left, sin), self.times(right, cos))
        return self.graph.op("Concat", turned_left, turned_right, axis=-1)

    def match(self, query: str, key: str, leading: int, head_width: int) -> str:
        """[…, head, step, step] of […, head, step, head width]: attention scores before the softmax."""
        last = leading + 2
        turned = self.transpose(key, *range(leading + 1), last, last - 1)
        return self.graph.op("MatMul", self.times(query, head_width**-0.5), turned)

    def attention(self, query: str, key: str, value: str, leading: int, head_width: int) -> str:
        """[…, head, step, head width]: every step attends to all."""
        share = self.graph.op("Softmax", self.match(query, key, leading, head_width), axis=-1)
        return self.graph.op("MatMul", share, value)

    def out_of_heads(self, x: str, leading: int, width: int) -> str:
        """Join heads: […, head, step, head width] → […, step, width]."""
        parted = self.transpose(x, *range(leading), leading + 1, leading, leading + 2)
        return self.reshape(parted, *[0] * (leading + 1), width)
