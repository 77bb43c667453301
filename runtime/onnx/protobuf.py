"""Writes `.onnx` files: the few messages of ONNX's protobuf schema that a network needs, without the onnx package.

Inference installs have onnxruntime alone: from any checkpoint they make the graph they run in memory. Field numbers are
those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto); the tests have the onnx package check files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

OPSET = 17
IR_VERSION = 8
"""The file format that came with opset 17."""
TYPES = {"float32": 1, "int64": 7, "bool": 9}
"""TensorProto.DataType."""
FLOAT, INT, STRING, INTS = 1, 2, 3, 7
"""AttributeProto.AttributeType."""
VARINT, BYTES, FIXED32 = 0, 2, 5
"""Wire types."""

Attribute = int | float | str | Sequence[int]
Shape = Sequence[int | str]
"""Sizes of a tensor; a name stands for any size."""


@dataclass
class Graph:
    """A graph that is being built; nodes in order of execution."""

    name: str
    inputs: list[bytes] = field(default_factory=list)
    outputs: list[bytes] = field(default_factory=list)
    nodes: list[bytes] = field(default_factory=list)
    constants: dict[str, bytes] = field(default_factory=dict)

    def input(self, name: str, dtype: str, shape: Shape) -> str:
        """Declare an input; returns its name."""
        self.inputs.append(_value_info(name, dtype, shape))
        return name

    def output(self, value: str, name: str, shape: Shape) -> None:
        """Declare a float32 value as an output of this name."""
        self.nodes.append(_node("Identity", [value], [name], {}))
        self.outputs.append(_value_info(name, "float32", shape))

    def op(self, kind: str, *inputs: str, **attributes: Attribute) -> str:
        """Add a node with one output; returns that output's name."""
        return self.split(kind, 1, *inputs, **attributes)[0]

    def split(self, kind: str, count: int, *inputs: str, **attributes: Attribute) -> tuple[str, ...]:
        """Add a node with several outputs; returns their names."""
        names = tuple(f"{kind}_{len(self.nodes)}_{number}" for number in range(count))
        self.nodes.append(_node(kind, inputs, names, attributes))
        return names

    def constant(self, values: NDArray | Sequence[int] | float, name: str = "") -> str:
        """A constant tensor, float32 unless it holds whole numbers; a name given twice is the same tensor."""
        array = np.asarray(values)
        array = np.asarray(array, np.int64 if array.dtype.kind == "i" else np.float32)
        name = name or f"constant_{len(self.constants)}"
        self.constants.setdefault(name, _tensor(name, array))
        return name

    def file(self, metadata: dict[str, str] | None = None) -> bytes:
        """The graph as the bytes of an `.onnx` file."""
        graph = b"".join(
            [_field(1, node) for node in self.nodes]
            + [_field(2, self.name)]
            + [_field(5, tensor) for tensor in self.constants.values()]
            + [_field(11, value) for value in self.inputs]
            + [_field(12, value) for value in self.outputs]
        )
        notes = [_field(14, _field(1, key) + _field(2, text)) for key, text in (metadata or {}).items()]
        head = _field(1, IR_VERSION) + _field(2, "mania4k")
        return b"".join([head, _field(7, graph), _field(8, _field(2, OPSET)), *notes])


def _node(kind: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Mapping[str, Attribute]) -> bytes:
    parts = [_field(1, name) for name in inputs] + [_field(2, name) for name in outputs]
    parts += [_field(3, outputs[0]), _field(4, kind)]
    return b"".join(parts + [_field(5, _attribute(name, value)) for name, value in attributes.items()])


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, str):
        return _field(1, name) + _field(4, value) + _field(20, STRING)
    if isinstance(value, int):
        return _field(1, name) + _field(3, value) + _field(20, INT)
    if isinstance(value, float):
        return _field(1, name) + _field(2, value) + _field(20, FLOAT)
    return _field(1, name) + b"".join(_field(8, one) for one in value) + _field(20, INTS)


def _tensor(name: str, array: NDArray) -> bytes:
    sizes = b"".join(_field(1, size) for size in array.shape)
    little_endian = array.astype(array.dtype.newbyteorder("<")).tobytes()
    return sizes + _field(2, TYPES[array.dtype.name]) + _field(8, name) + _field(9, little_endian)


def _value_info(name: str, dtype: str, shape: Shape) -> bytes:
    sizes = [_field(1, _field(2 if isinstance(size, str) else 1, size)) for size in shape]
    tensor = _field(1, TYPES[dtype]) + _field(2, b"".join(sizes))
    return _field(1, name) + _field(2, _field(1, tensor))


def _field(number: int, value: int | str | bytes | float) -> bytes:
    """One field of a message: a whole number, text, a message's bytes, or a 32-bit float."""
    if isinstance(value, int):
        return _varint(number << 3 | VARINT) + _varint(value & (2**64 - 1))  # negative numbers as 64 bits
    if isinstance(value, float):
        return _varint(number << 3 | FIXED32) + np.array(value, "<f4").tobytes()
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the high bit says that more follow."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
