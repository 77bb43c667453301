"""Types of arguments, as far as machine code depends on them: a loop has machine code for each combination.

As numba's types, but found without numba: dtype, dimensions and layout of arrays, kinds of numbers, fields of tuples.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["key_of", "text_of"]

C_ORDER, FORTRAN_ORDER, ALIGNED, WRITEABLE = 0x1, 0x2, 0x100, 0x400
FLAGS = C_ORDER | FORTRAN_ORDER | ALIGNED | WRITEABLE
"""The flags of `numpy.ndarray.flags.num` that numba's type of an array holds."""
LARGEST_INT = 2**63
NUMBERS: dict[Any, str] = {bool: "bool", float: "float64", type(None): "none"} | {
    np.dtype(name).type: name
    for name in ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
}
"""Type of a number → name; a Python number is the widest of its kind."""


def key_of(value: Any) -> Any:
    """Hashable key of the value's type; equal for values that the same machine code takes. None: not known."""
    kind = type(value)
    if kind is np.ndarray:
        return value.dtype, value.ndim, value.flags.num & FLAGS
    if kind is int:
        return "int64" if -LARGEST_INT <= value < LARGEST_INT else None
    if isinstance(value, tuple):
        return (kind, *[key_of(one) for one in value])
    return NUMBERS.get(kind)


def text_of(key: Any) -> str:
    """A key as text that other processes understand; "" if a part of it is not known.

    >>> text_of(key_of((np.zeros((2, 3), np.float32)[:, 1:], 1)))
    'builtins.tuple(<f4 2 A | int64)'
    """
    if isinstance(key, str) or key is None:
        return key or ""
    first, *rest = key
    if isinstance(first, np.dtype):
        return _array_text(first, *rest) if first.isbuiltin == 1 else ""
    parts = [text_of(one) for one in rest]
    return f"{first.__module__}.{first.__qualname__}({' | '.join(parts)})" if all(parts) else ""


def _array_text(dtype: np.dtype[Any], dimensions: int, flags: int) -> str:
    """Such as `<f8 2 C`; an array that is neither in C's nor in Fortran's order is A."""
    layout = "C" if flags & C_ORDER else "F" if flags & FORTRAN_ORDER else "A"
    return f"{dtype.str} {dimensions} {layout}{'' if flags & WRITEABLE else 'r'}{'' if flags & ALIGNED else 'u'}"
