"""Compiled loops and where they are kept: `from runtime.loops import njit` in place of numba's own.

numba compiles a loop where it is first called. What it compiled is kept (`store`), and later processes call it without numba
(`machine_code`), whose import and set-up would take longer than most commands: a second and 75 MB. A loop holds the
code and the constants of every module that its own imports, so one that is kept is fresh only while the *contents* of all
of them are as they were (`sources`): after an update of one file no stale machine code runs. Contents, not dates: files
that were copied or installed anew need no compiling again.
"""

from runtime.loops.beside import compiling_beside, start_compiler
from runtime.loops.intrinsic import Intrinsic
from runtime.loops.loop import Loop, is_kept, njit

__all__ = ["Intrinsic", "Loop", "compiling_beside", "is_kept", "njit", "start_compiler"]
