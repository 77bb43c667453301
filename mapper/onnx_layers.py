"""Layers of the network as nodes of an ONNX graph."""

from __future__ import annotations

import numpy as np

from mapper.architecture import LONGEST_PERIOD_LOG2
from mapper.checkpoint import Checkpoint
from mapper.onnx_file import Graph

EPSILON = 1e-5
"""As in `torch.nn.LayerNorm`."""


class Layers:
    """A graph with the layers of one checkpoint."""

    def __init__(self, name: str, checkpoint: Checkpoint) -> None:
        self.graph = Graph(name)
        self.config, self.arrays = checkpoint.config, checkpoint.arrays
        self.head_width = self.config.width // self.config.heads

    def add(self, *values: str) -> str:
        """Their sum."""
        total, *rest = values
        for value in rest:
            total = self.graph.op("Add", total, value)
        return total

    def times(self, value: str, factor: str | float) -> str:
        """The product with another value or with a number."""
        return self.graph.op("Mul", value, factor if isinstance(factor, str) else self.graph.constant(factor))

    def linear(self, name: str, x: str, bias: bool = True) -> str:
        """A linear layer over the last axis."""
        out = self.graph.op("MatMul", x, self.graph.constant(self.arrays[f"{name}.weight"].T, f"{name}.weight"))
        return self.add(out, self.weight(f"{name}.bias")) if bias else out

    def weight(self, name: str) -> str:
        """An array of the checkpoint."""
        return self.graph.constant(self.arrays[name], name)

    def look_up(self, name: str, index: str) -> str:
        """Rows of an embedding."""
        return self.graph.op("Gather", self.weight(f"{name}.weight"), index)

    def norm(self, name: str, x: str) -> str:
        """A layer norm over the last axis."""
        weight, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.graph.op("LayerNormalization", x, weight, bias, axis=-1, epsilon=EPSILON)

    def gelu(self, x: str) -> str:
        """The exact GELU, in the form that onnxruntime fuses."""
        erf = self.graph.op("Erf", self.graph.op("Div", x, self.graph.constant(2.0**0.5)))
        return self.times(self.graph.op("Mul", x, self.add(erf, self.graph.constant(1.0))), 0.5)

    def reshape(self, x: str, *shape: int) -> str:
        """0 keeps a size, -1 is what is left."""
        return self.graph.op("Reshape", x, self.graph.constant(shape))

    def unsqueeze(self, x: str, axis: int) -> str:
        """A further axis of size 1."""
        return self.graph.op("Unsqueeze", x, self.graph.constant([axis]))

    def frequencies(self, positions: int) -> str:
        """[pair]: those of each of so many positions that share a head's width, in radians a beat (or a row)."""
        pairs = self.head_width // 2 // positions
        return self.graph.constant(2 * np.pi / 2 ** (np.arange(pairs) * (LONGEST_PERIOD_LOG2 / pairs)))

    def rotate(self, x: str, cos: str, sin: str) -> str:
        """Rotary position embedding over the last axis."""
        left, right = self.graph.split("Split", 2, x, axis=-1)
        turned_left = self.graph.op("Sub", self.times(left, cos), self.times(right, sin))
        turned_right = self.add(self.times(left, sin), self.times(right, cos))
        return self.graph.op("Concat", turned_left, turned_right, axis=-1)

    def feed_forward(self, name: str, x: str) -> str:
        """A block's second half, with its residual."""
        hidden = self.gelu(self.linear(f"{name}.feed_forward.0", self.norm(f"{name}.norm_feed_forward", x)))
        return self.add(x, self.linear(f"{name}.feed_forward.2", hidden))

    def query_key_value(self, name: str, x: str, *axes: int) -> tuple[str, ...]:
        """Three of the axes behind the first of [three, …, step, head, head width] in this order."""
        qkv = self.linear(f"{name}.query_key_value", self.norm(f"{name}.norm_attention", x), bias=False)
        parted = self.reshape(qkv, *[0] * (len(axes) - 3), 3, self.config.heads, self.head_width)
        threes = self.graph.op("Transpose", parted, perm=axes)
        return tuple(
            self.graph.op("Squeeze", part, self.graph.constant([0]))
            for part in self.graph.split("Split", 3, threes, axis=0)
        )

    def attend(self, query: str, key_transposed: str) -> str:
        """Weights of a head's attention before the softmax."""
        return self.graph.op("MatMul", self.times(query, self.head_width**-0.5), key_transposed)
