"""Tracker modules (.mod .xm .s3m .it .mptm) by libopenmpt: what they sound like and when each row plays.

libopenmpt (BSD licence, https://lib.openmpt.org) is a library of the system, used through ctypes; nothing but
`ear.corpora.render_modules` needs it.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ctypes import POINTER, c_char_p, c_double, c_int, c_int32, c_size_t, c_uint8, c_void_p
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ear.audio.decode import SAMPLE_RATE
from runtime.errors import ConfigError

MAX_MODULE_BYTES = 20_000_000
MAX_PLAYED_SECONDS = 1200.0
BLOCK = 8
"""Samples played between two looks at the row: its time is known to .2 ms on either side."""

NOTE, INSTRUMENT = 0, 1
"""openmpt_module_command_index: what a cell of a pattern holds."""

MAX_NOTE = 120
"""Notes above are note-offs, cuts and fades."""


class ModuleError(ValueError):
    """The bytes are not a tracker module that can be used."""


@dataclass(frozen=True, slots=True, eq=False)
class PlayedModule:
    """A stretch of a module as it sounds, and the rows played in it."""

    samples: NDArray[np.float32] = field(repr=False)  # [sample] at 22,050 Hz
    row_ms: NDArray[np.float64] = field(repr=False)  # [played row], from the start of `samples`
    row: NDArray[np.int64] = field(repr=False)  # [played row], its place in its pattern
    pattern: NDArray[np.int64] = field(repr=False)  # [played row]
    pattern_rows: dict[int, int]  # how many rows each pattern played has
    rows_per_beat: int  # as the format says; 4 where it does not
    notes: NDArray[np.int64] = field(repr=False)  # [note, (played row, instrument)]


@contextmanager
def opened_module(data: bytes) -> Iterator[c_void_p]:
    """A module to give to the other functions. Raises ModuleError where the bytes are none."""
    if len(data) > MAX_MODULE_BYTES:
        raise ModuleError(f"larger than {MAX_MODULE_BYTES // 1_000_000} MB")
    error, library = c_int(), _library()
    silent = ctypes.cast(library.openmpt_log_func_silent, c_void_p)
    handle = library.openmpt_module_create_from_memory2(
        data, len(data), silent, None, None, None, ctypes.byref(error), None, None
    )
    if not handle:
        raise ModuleError("libopenmpt cannot read it")
    try:
        yield c_void_p(handle)
    finally:
        library.openmpt_module_destroy(handle)


def module_seconds(module: c_void_p) -> float:
    """Duration of one playthrough."""
    return float(_library().openmpt_module_get_duration_seconds(module))


def play_module(module: c_void_p, seconds: float, start_s: float = 0.0) -> PlayedModule:
    """The module from about `start_s` on (a row's start) for at most so long; it does not repeat."""
    library = _library()
    library.openmpt_module_set_repeat_count(module, 0)
    library.openmpt_module_set_position_seconds(module, start_s)
    samples = np.zeros(int(min(seconds, MAX_PLAYED_SECONDS) * SAMPLE_RATE) // BLOCK * BLOCK, np.float32)
    at, rows, last = 0, [], None
    estimated_bpm = []
    while at < samples.size:
        got = library.openmpt_module_read_float_mono(module, SAMPLE_RATE, BLOCK, samples[at:].ctypes.data)
        if not got:
            break
        place = (library.openmpt_module_get_current_order(module), library.openmpt_module_get_current_row(module))
        if place != last:
            rows.append((at - BLOCK / 2 if at else 0.0, place[1], library.openmpt_module_get_current_pattern(module)))
            estimated_bpm.append(library.openmpt_module_get_current_estimated_bpm(module))
            last = place
        at += got
    if len(rows) < 2:
        raise ModuleError("plays fewer than two rows")
    sample, row, pattern = (np.array(column) for column in zip(*rows, strict=True))
    row_ms = sample * (1000 / SAMPLE_RATE)
    pattern_rows = {int(one): library.openmpt_module_get_pattern_num_rows(module, int(one)) for one in set(pattern)}
    return PlayedModule(
        samples[:at],
        row_ms,
        row.astype(np.int64),
        pattern.astype(np.int64),
        pattern_rows,
        _rows_per_beat(row_ms, np.array(estimated_bpm)),
        _notes(module, row.astype(np.int64), pattern.astype(np.int64)),
    )


def _rows_per_beat(row_ms: NDArray[np.float64], bpm: NDArray[np.float64]) -> int:
    """From the library's estimate of the tempo at each row, which counts the song's rows per beat."""
    return max(1, round(float(np.median(60_000 / np.diff(row_ms) / np.maximum(bpm[:-1], 1.0)))))


def _notes(module: c_void_p, row: NDArray[np.int64], pattern: NDArray[np.int64]) -> NDArray[np.int64]:
    """[note, (played row, instrument)] of the rows played; a note without instrument is its channel's last."""
    library = _library()
    command = library.openmpt_module_get_pattern_row_channel_command
    found = []
    for channel in range(library.openmpt_module_get_num_channels(module)):
        instrument = 0
        for index, (one, of) in enumerate(zip(row.tolist(), pattern.tolist(), strict=True)):
            instrument = command(module, of, one, channel, INSTRUMENT) or instrument
            if 1 <= command(module, of, one, channel, NOTE) <= MAX_NOTE:
                found.append((index, instrument))
    return np.array(found, np.int64).reshape(-1, 2)


@cache
def _library() -> Any:
    """The library with its functions' types. Raises ConfigError where it is not installed."""
    library = _loaded()
    create = library.openmpt_module_create_from_memory2
    create.restype = c_void_p
    create.argtypes = [c_char_p, c_size_t, *[c_void_p] * 4, POINTER(c_int), POINTER(c_char_p), c_void_p]
    for what in ("duration_seconds", "current_estimated_bpm"):
        _declare(library, f"get_{what}", c_double)
    for what in ("get_current_order", "get_current_pattern", "get_current_row", "get_num_channels"):
        _declare(library, what, c_int32)
    _declare(library, "get_pattern_num_rows", c_int32, c_int32)
    _declare(library, "get_pattern_row_channel_command", c_uint8, c_int32, c_int32, c_int32, c_int)
    _declare(library, "set_repeat_count", c_int, c_int32)
    _declare(library, "set_position_seconds", c_double, c_double)
    _declare(library, "read_float_mono", c_size_t, c_int32, c_size_t, c_void_p)
    _declare(library, "destroy", None)
    return library


def _loaded() -> Any:
    for name in (ctypes.util.find_library("openmpt"), "libopenmpt.so.0", "libopenmpt.dll", "libopenmpt.dylib"):
        if name is not None:
            with suppress(OSError):
                return ctypes.CDLL(name)
    raise ConfigError("libopenmpt is not installed; install it to render modules (Debian: libopenmpt0)")


def _declare(library: Any, name: str, result: Any, *arguments: Any) -> None:
    function = getattr(library, f"openmpt_module_{name}")
    function.restype, function.argtypes = result, [c_void_p, *arguments]
