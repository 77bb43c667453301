"""Limits that a user sets: how many threads a command may use, and how much memory.

The number of threads is kept in `OMP_NUM_THREADS`, which the libraries for networks read too, and workers inherit. Memory is
watched: a thread looks at the most that the process has held, and interrupts the command when that is above the limit, so that
it ends as after Ctrl-C, with nothing half-written. The system's own limits would let libraries abort the process instead.
"""

from __future__ import annotations

import _thread
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import click

THREADS = "OMP_NUM_THREADS"
MAX_THREADS = 256
MEMORY = "MANIA4K_MEMORY_MB"
LEAST_MB = 64
LOOK_EVERY_S, PATIENCE_S = 0.02, 10.0
IS_MEASURED = find_spec("resource") is not None
"""Whether the memory of this process is known: not on Windows."""
_exceeded = threading.Event()
C = TypeVar("C", bound=Callable[..., Any])


def threads() -> int:
    """Threads that work may be shared among, 1 or more: what the user said, else the cores that this process may use."""
    said = os.environ.get(THREADS, "")
    if said.isdecimal() and int(said) > 0:
        return int(said)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_libraries(arguments: Sequence[str]) -> None:
    """Let libraries that read the number of threads when they are imported know `--threads`, before it is checked."""
    for option, value in pairwise(arguments):
        if option == "--threads" and value.isdecimal() and 1 <= int(value) <= MAX_THREADS:
            os.environ[THREADS] = value


def memory_option(command: C) -> C:
    """Give a command `--memory`, which acts before it begins."""
    text = "MB of memory that the command may take; it ends with an error where that is too little."
    return click.option(
        "--memory", "memory_limit", type=int, expose_value=False, is_eager=True, callback=_limit_memory, help=text
    )(command)


def limit_options(command: C) -> C:
    """Give a command `--threads` and `--memory`, which act before it begins."""
    text = "Threads that the command may use; default: one a core."
    return click.option(
        "--threads", "threads_limit", type=int, expose_value=False, is_eager=True, callback=_limit_threads, help=text
    )(memory_option(command))


def _limit_threads(context: click.Context, option: click.Parameter, number: int | None) -> None:
    if number is None:
        return
    if not 1 <= number <= MAX_THREADS:
        raise click.BadParameter(f"{number}: give 1 to {MAX_THREADS}", context, option)
    os.environ[THREADS] = str(number)
    if "torch" in sys.modules:  # it has read the variable already
        sys.modules["torch"].set_num_threads(number)


def _limit_memory(context: click.Context, option: click.Parameter, megabytes: int | None) -> None:
    if megabytes is None:
        return
    if megabytes < LEAST_MB:
        raise click.BadParameter(f"{megabytes}: give {LEAST_MB} or more", context, option)
    if not IS_MEASURED:
        raise click.BadParameter("the memory of a process is not known on this system", context, option)
    os.environ[MEMORY] = str(megabytes)
    watch_memory(_thread.interrupt_main)


def watch_memory(end: Callable[[], None]) -> None:
    """Call `end` once when this process has held more memory than `--memory` allows; does nothing where it was not given."""
    limit_mb = os.environ.get(MEMORY, "")
    if IS_MEASURED and limit_mb.isdecimal():
        threading.Thread(target=_watch, args=(int(limit_mb), end), daemon=True).start()


def _watch(limit_mb: int, end: Callable[[], None]) -> None:
    while peak_mb() <= limit_mb:
        time.sleep(LOOK_EVERY_S)
    _exceeded.set()
    end()
    time.sleep(PATIENCE_S)  # the command ends meanwhile, or is held up where it cannot be interrupted
    with suppress(OSError, ValueError):
        os.write(2, f"error: {excess()}\n".encode())
    os._exit(1)


def peak_mb() -> float:
    """The most memory that this process has held, MB."""
    with suppress(
        OSError, StopIteration
    ):  # on Linux `getrusage` counts the memory of the process that started this one, too
        lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / (1 << 10)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def excess() -> str:
    """What to tell the user where this process has been ended for its memory; "" where it has not."""
    if not _exceeded.is_set():
        return ""
    limit_mb = os.environ[MEMORY]
    return f"--memory {limit_mb}: more is needed ({peak_mb():.0f} MB were held); allow more, or ask for less at a time"
