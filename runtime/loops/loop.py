"""A loop: a function that runs as machine code, which is kept, or compiled by numba where none is."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import cached_property, update_wrapper
from pathlib import Path
from typing import Any

import numpy as np

from runtime.loops.arguments import key_of, text_of
from runtime.loops.machine_code import callable_of, is_possible
from runtime.loops.store import Kept, kept_files, load, save

__all__ = ["Loop", "is_kept", "njit"]

ENVIRONMENT = "_ZN08NumbaEnv"
"""Begin of the symbols of the pointers to constants."""
COMPILING = threading.RLock()
"""One thread at a time compiles or loads."""


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorator that makes a function a `Loop`, by the options of `numba.njit`; with NUMBA_DISABLE_JIT=1 it stays as it is."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return lambda function: function
    return lambda function: Loop(function, options)


class Loop:
    """A compiled function. Loops may call each other: numba then sees its own dispatcher."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        update_wrapper(self, function)
        self.py_func, self.targetoptions = function, options
        self.source = Path(function.__code__.co_filename)
        self._for_types: dict[tuple[Any, ...], Callable[..., Any]] = {}

    def __call__(self, *args: Any) -> Any:
        found = self._for_types.get(tuple([key_of(one) for one in args]))
        return (found or self._found(args))(*args)

    def __reduce__(self) -> str:
        return self.py_func.__qualname__

    def _found(self, args: tuple[Any, ...]) -> Callable[..., Any]:
        """Machine code for arguments of these types."""
        key = tuple([key_of(one) for one in args])
        types = text_of((tuple, *key))
        with COMPILING:
            if key not in self._for_types:
                made = (self._loaded(types) if types else None) or self._compiled(args, types)
                if not types:  # numba tells apart what we do not
                    return made
                self._for_types[key] = made
            return self._for_types[key]

    def _loaded(self, types: str) -> Callable[..., Any] | None:
        """Machine code that is kept; None where there is none."""
        kept = load(self.source, self.py_func.__qualname__, types) if is_possible() else None
        return None if kept is None else callable_of(kept, self.py_func.__name__, self.py_func.__globals__)

    def _compiled(self, args: tuple[Any, ...], types: str) -> Callable[..., Any]:
        """Machine code that numba compiles now, and that is kept where that can be."""
        dispatcher = self._dispatcher
        signature = tuple(dispatcher.typeof_pyval(one) for one in args)
        dispatcher.compile(signature)
        result = dispatcher.overloads[signature]
        if types and is_possible() and (kept := _to_keep(result)) is not None:  # else numba keeps it
            save(self.source, self.py_func.__qualname__, types, kept)
        made: Callable[..., Any] = result.entry_point if types else dispatcher
        return made

    @cached_property
    def _dispatcher(self) -> Any:
        """numba's own object for the function as Python calls it."""
        return _dispatcher(self.py_func, no_cfunc_wrapper=True, **self.targetoptions)

    @cached_property
    def _numba_type_(self) -> Any:
        """numba's type of the function as other loops call it: without the code that takes Python's objects."""
        from numba import types

        return types.Dispatcher(self._called)

    @cached_property
    def _called(self) -> Any:
        """numba's own object for the function as other loops call it."""
        return _dispatcher(self.py_func, no_cfunc_wrapper=True, no_cpython_wrapper=True, **self.targetoptions)


def _dispatcher(function: Callable[..., Any], **options: Any) -> Any:
    import numba

    return numba.njit(**options, cache=not is_possible())(function)  # by numba's own means where ours do not do


def _to_keep(result: Any) -> Kept | None:
    """What numba compiled, as it is kept; None where it has constants of other kinds than the types of arrays."""
    from numba.core.environment import lookup_environment

    description, constants = result.fndesc, result.environment.consts
    symbols = {one.name for one in result.library._final_module.global_variables}
    own = {description.env_name}
    called = {one: lookup_environment(one) for one in symbols - own if one.startswith(ENVIRONMENT)}
    if not all(isinstance(one, np.dtype) for one in constants) or any(one and one.consts for one in called.values()):
        return None
    code = result.library.serialize_using_object_code()[2][0]
    dtypes = tuple(one.str for one in constants)
    return Kept(description.llvm_cpython_wrapper_name, description.env_name, dtypes, tuple(sorted(called)), code)


def is_kept(loop: Any) -> bool:
    """Whether machine code of a loop was kept, from sources old or new; False where numba is set to interpret."""
    return isinstance(loop, Loop) and any(True for _ in kept_files(loop.source, loop.py_func.__qualname__))
