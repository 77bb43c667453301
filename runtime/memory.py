"""Memory of this process that is free, handed back to the system."""

from __future__ import annotations

import ctypes
from contextlib import suppress


def give_back() -> None:
    """Hand freed memory back; does nothing where the C library is not glibc, which else keeps what threads have freed."""
    with suppress(OSError, AttributeError, TypeError):  # no such library or function, or Windows, which wants a name
        ctypes.CDLL(None).malloc_trim(0)
