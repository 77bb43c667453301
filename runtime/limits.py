"""Limits that a user sets: how many threads a command may use, and how much memory.

The number of threads is kept in `OMP_NUM_THREADS`, which the libraries for networks read too, and workers inherit. Memory is
limited by the system: what asks for more gets a MemoryError, which a command prints as one line.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from runtime.errors import ConfigError

THREADS = "OMP_NUM_THREADS"
MAX_THREADS = 256
LEAST_MB = 64
C = TypeVar("C", bound=Callable[..., Any])


def threads() -> int:
    """Threads that work may be shared among, 1 or more: what the user said, else the cores that this process may use."""
    said = os.environ.get(THREADS, "")
    if said.isdecimal() and int(said) > 0:
        return int(said)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_options(command: C) -> C:
    """Give a command `--threads` and `--memory`, which act before it begins."""
    for option in (
        click.option("--memory", "_", type=int, expose_value=False, is_eager=True, callback=_limit_memory,
                     help="MB of memory that may be used; what needs more ends with an error."),
        click.option("--threads", "_", type=int, expose_value=False, is_eager=True, callback=_limit_threads,
                     help="Threads that may be used; default: one a core."),
    ):  # fmt: skip
        command = option(command)
    return command


def _limit_threads(context: click.Context, option: click.Parameter, number: int | None) -> None:
    if number is None:
        return
    if not 1 <= number <= MAX_THREADS:
        raise click.BadParameter(f"{number}: give 1 to {MAX_THREADS}", context, option, "--threads")
    os.environ[THREADS] = str(number)
    if "torch" in sys.modules:  # it has read the variable already
        sys.modules["torch"].set_num_threads(number)


def _limit_memory(context: click.Context, option: click.Parameter, megabytes: int | None) -> None:
    if megabytes is None:
        return
    if megabytes < LEAST_MB:
        raise click.BadParameter(f"{megabytes}: give {LEAST_MB} or more", context, option, "--memory")
    limit_memory(megabytes)
    context.meta[MEMORY] = megabytes


MEMORY = "mania4k.memory"
"""Where a command's context keeps the limit, MB."""


def limit_memory(megabytes: int) -> None:
    """Let this process and those that it starts take no more than so many MB each. Raises ConfigError on Windows and macOS."""
    if not sys.platform.startswith("linux"):
        raise ConfigError("--memory: this system cannot limit the memory of a process; Linux can")
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = megabytes << 20
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
