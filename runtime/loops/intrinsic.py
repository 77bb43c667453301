"""Intrinsics: functions that loops call and whose LLVM code we write ourselves, where numba's own is far slower."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, update_wrapper
from typing import Any

__all__ = ["Intrinsic"]


class Intrinsic:
    """A function of loops with LLVM code of its own; called by Python it runs its plain form.

    `define` is as for `numba.extending.intrinsic`: it gets numba's typing context and the types of the arguments, and returns
    the signature and a function that writes the code. It is called, and numba imported, only when a loop is compiled.
    """

    def __init__(self, plain: Callable[..., None], define: Callable[..., Any]) -> None:
        update_wrapper(self, plain)
        self.plain, self.define = plain, define

    def __call__(self, *args: Any) -> None:
        self.plain(*args)

    @cached_property
    def _numba_type_(self) -> Any:
        """numba's type of the function."""
        from numba.core.types import Function
        from numba.core.typing.templates import make_intrinsic_template

        return Function(make_intrinsic_template(self, self.define, self.plain.__name__))
