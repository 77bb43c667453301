"""Blocks of a matrix product in LLVM code of our own: their sums stay in registers from the first term to the last.

A loop that numba compiles loads and stores every sum each few terms, and takes two to three times as long. A block is some rows
of x times some *panels* of `LANES` columns. Every sum runs over its terms in order, one by one, in any block: an item's result
depends on that item alone, to the last bit, however many are computed together. (A BLAS does not promise that.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mapper.network.interface import Floats
from runtime.loops import Intrinsic

LANES = 16
"""Columns of a panel: two vectors of AVX2, one of AVX-512, four of NEON."""


def _block(rows: int, panels: int) -> Intrinsic:
    """An intrinsic that adds to `out` the products of `rows` rows of `x` with `panels` panels of `weight`.

    All arrays are contiguous and float32. Offsets and strides count elements: row r of x begins at
    `x_at + r * x_step` and has `terms` numbers; panel p of the matrix's row k begins at `weight_at + p * panel_step + k * row_step`;
    their sum in row r lies at `out_at + r * out_step + p * LANES`. Bounds are not checked.
    """

    def add_block(
        x: Floats, x_at: int, x_step: int, terms: int,
        weight: Floats, weight_at: int, row_step: int, panel_step: int,
        out: Floats, out_at: int, out_step: int,
    ) -> None:  # fmt: skip
        for one in (x, weight, out):
            assert one.dtype == np.float32, f"a block needs float32, got {one.dtype}"
            assert one.flags.c_contiguous, "a block needs contiguous arrays"
        flat_x, flat_weight, flat_out = x.reshape(-1), weight.reshape(-1), out.reshape(-1)
        for r in range(rows):
            for p in range(panels):
                first = out_at + r * out_step + p * LANES
                for k in range(terms):
                    row = weight_at + p * panel_step + k * row_step
                    flat_out[first : first + LANES] += flat_x[x_at + r * x_step + k] * flat_weight[row : row + LANES]

    def define(
        _context: Any,
        x: Any, x_at: Any, x_step: Any, terms: Any,
        weight: Any, weight_at: Any, row_step: Any, panel_step: Any,
        out: Any, out_at: Any, out_step: Any,
    ) -> Any:  # fmt: skip
        from numba.core import types

        for one in (x, weight, out):
            assert isinstance(one, types.Array), f"a block needs an array, got {one}"
            assert (one.layout, one.dtype) == ("C", types.float32), f"a block needs contiguous float32, got {one}"
        assert out.mutable, "a block writes into `out`, which is read-only"
        integer = types.intp
        signature = types.void(x, integer, integer, integer, weight, integer, integer, integer, out, integer, integer)
        return signature, lambda context, builder, signature, arguments: _emit(
            rows, panels, context, builder, signature, arguments
        )

    return Intrinsic(add_block, define)


def _emit(rows: int, panels: int, context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Emit the LLVM code of a block: its sums as variables, which LLVM keeps in registers, and one loop over the terms."""
    from numba.core import cgutils
    from numba.np.arrayobj import make_array

    x, weight, out = (make_array(signature.args[n])(context, builder, arguments[n]).data for n in (0, 4, 8))
    _, x_at, x_step, terms, _, weight_at, row_step, panel_step, _, out_at, out_step = arguments
    vector = _vector_type()
    row_of = [_pointer(builder, x, x_at, x_step, r) for r in range(rows)]
    panel_of = [_pointer(builder, weight, weight_at, panel_step, p) for p in range(panels)]
    block = [(r, p) for r in range(rows) for p in range(panels)]
    out_of = {(r, p): _pointer(builder, out, out_at, out_step, r, p * LANES) for r, p in block}
    sums = {one: cgutils.alloca_once(builder, vector) for one in block}
    for one in block:
        builder.store(_load(builder, out_of[one]), sums[one])
    with cgutils.for_range(builder, terms) as loop:
        offset = builder.mul(loop.index, row_step)
        factors = [_load(builder, builder.gep(panel, [offset])) for panel in panel_of]
        values = [_broadcast(builder, builder.load(builder.gep(row, [loop.index]))) for row in row_of]
        for r, p in block:
            product = builder.fmul(values[r], factors[p], flags=("contract",))  # with the sum, one instruction
            builder.store(builder.fadd(builder.load(sums[r, p]), product, flags=("contract",)), sums[r, p])
    for one in block:
        builder.store(builder.load(sums[one]), builder.bitcast(out_of[one], vector.as_pointer()), align=4)
    return context.get_dummy_value()


def _vector_type() -> Any:
    from llvmlite import ir

    return ir.VectorType(ir.FloatType(), LANES)


def _pointer(builder: Any, array: Any, first: Any, step: Any, index: int, more: int = 0) -> Any:
    """Pointer to `array[first + step * index + more]`."""
    offset = builder.add(first, builder.mul(step, step.type(index)))
    return builder.gep(array, [builder.add(offset, step.type(more))])


def _load(builder: Any, pointer: Any) -> Any:
    """The `LANES` numbers at a pointer to the first, which lies at a number's boundary."""
    return builder.load(builder.bitcast(pointer, _vector_type().as_pointer()), align=4)


def _broadcast(builder: Any, number: Any) -> Any:
    """A vector with the number in every lane."""
    from llvmlite import ir

    lane = ir.IntType(32)
    anything = ir.Constant(_vector_type(), ir.Undefined)
    first = builder.insert_element(anything, number, lane(0))
    return builder.shuffle_vector(first, anything, ir.Constant(ir.VectorType(lane, LANES), [0] * LANES))


four_rows, three_rows, two_rows = _block(4, 1), _block(3, 1), _block(2, 1)
one_row_four_panels, one_row_two_panels, one_row = _block(1, 4), _block(1, 2), _block(1, 1)
