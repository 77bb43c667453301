"""Machine code that numba compiled, called without numba: LLVM places it in memory, numba's C helpers are made known to it.

numba itself does the same when it loads from its cache, but first imports 250 modules and registers all that it could
compile. Machine code needs none of this: only the addresses of C functions in three of numba's extension modules, which are loaded here
under their own names, so that an import of numba later finds them. One of them asks a Python module of numba's for a
function that unpickles constants; it is given an equal one.
"""

from __future__ import annotations

import builtins
import ctypes
import pickle
import sys
import types
from collections.abc import Callable
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

import numpy as np

from runtime.loops.store import Kept, package_folder

__all__ = ["callable_of", "is_possible"]

DYNFUNC, HELPERS, MEMORY = "numba._dynfunc", "numba._helperlib", "numba.core.runtime._nrt_python"
UNPICKLER = "numba.core.serialize"


@cache
def is_possible() -> bool:
    """Whether machine code can be called without numba: not where this version of it has other helpers."""
    try:
        _helpers()
    except (ImportError, AttributeError, KeyError, StopIteration):
        return False
    return sys.implementation.name == "cpython"


def callable_of(kept: Kept, name: str, module: dict[str, Any]) -> Callable[..., Any]:
    """A function that calls the machine code, with arguments of just the types that it was compiled for.

    `module` are the globals of the function's module.
    """
    import llvmlite.binding as llvm

    dynfunc = _helpers()
    machine = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(kept.code))
    engine.finalize_object()
    environment = dynfunc.Environment(module)
    environment.consts.extend(np.dtype(one) for one in kept.dtypes)
    for symbol in (kept.environment, *kept.callees):
        if address := engine.get_global_value_address(symbol):
            ctypes.c_void_p.from_address(address).value = id(environment)
    keep_alive = (engine, machine, environment)
    home = sys.modules[module["__name__"]]
    made: Callable[..., Any] = dynfunc.make_function(
        home, name, "", engine.get_function_address(kept.wrapper), environment, keep_alive
    )
    return made


@cache
def _helpers() -> Any:
    """numba's module that makes Python functions of machine code; all its helpers are known to LLVM."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    dynfunc, helpers, memory = (_extension(name) for name in (DYNFUNC, HELPERS, MEMORY))
    memory.memsys_use_cpython_allocator()  # as numba: what one allocates the other may free
    for name, address in memory.c_helpers.items():
        llvm.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)
    for name, address in {**helpers.c_helpers, **dynfunc.c_helpers}.items():
        llvm.add_symbol(f"numba_{name}", address)
    for name, address in helpers.c_helpers.items():
        llvm.add_symbol(name, address)  # functions of C's library for mathematics, the ones that numba takes
    llvm.add_symbol("_Py_NoneStruct", id(None))
    for one in vars(builtins).values():
        if isinstance(one, type) and issubclass(one, BaseException):
            llvm.add_symbol(f"PyExc_{one.__name__}", id(one))
    _give_unpickler(helpers.c_helpers["unpickle"])
    return dynfunc


def _extension(name: str) -> Any:
    """An extension module of numba, by its file: its package is not imported."""
    if name in sys.modules:
        return sys.modules[name]
    *folders, last = name.split(".")[1:]
    place = package_folder("numba").joinpath(*folders)
    path = next(file for suffix in EXTENSION_SUFFIXES if (file := place / f"{last}{suffix}").is_file())
    spec = spec_from_file_location(name, path, loader=ExtensionFileLoader(name, str(path)))
    assert spec is not None, "the file was found"
    assert spec.loader is not None, "a loader is given"
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _give_unpickler(address: int) -> None:
    """Let the helper that unpickles constants look for its function now, and find ours; it looks once."""
    if UNPICKLER in sys.modules:
        return
    stand_ins = {name: types.ModuleType(name) for name in ("numba", UNPICKLER)}
    stand_ins[UNPICKLER]._numba_unpickle = _unpickle  # type: ignore[attr-defined]
    sys.modules.update(stand_ins)
    try:
        data = pickle.dumps(None)
        function = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p)(address)
        function(data, len(data), bytes(20))
    finally:
        for name in stand_ins:
            del sys.modules[name]


_unpickled: dict[tuple[int, bytes], Any] = {}


def _unpickle(address: int, data: bytes, digest: bytes) -> Any:
    """The object in machine code at this address: as numba's function of this name."""
    if (address, digest) not in _unpickled:
        _unpickled[address, digest] = pickle.loads(data)
    return _unpickled[address, digest]
