"""WAV files whose header does not know the length: streamed ones (size 0 or all ones), and files that were cut off."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from ear.audio.containers.contents import Contents, Link

UNKNOWN_SIZES = (0, 0x7FFFFFFF, 0x80000000)
"""Data sizes that writers put down before they know the size."""
SLACK_BYTES = 4096
"""Sizes so far below all ones are unknown, too: some writers take off the header."""
MAX_CHUNKS = 1000
HEAD_BYTES = 1 << 16
"""Bytes of a file that hold everything before its sound."""
PLAIN_CODES = (1, 3, 0xFFFE)  # PCM, float and their extended form: the length follows from the bytes


@dataclass(frozen=True, slots=True)
class _Head:
    """Begin of the samples and their length by the header."""

    data_at: int  # byte of the data chunk's name
    size: int  # bytes of sound
    bytes_per_s: int


def wav_contents(head: bytes, file_bytes: int, read: Callable[[], bytes]) -> Contents | None:
    """Contents of a RIFF WAV file that begins with `head`, its sizes set right; None where its header is no use.

    `read` gives the whole file; it is called only when a decoder needs the mended one.
    """
    found = _read_head(head)
    if found is None:
        return None
    held = file_bytes - found.data_at - 8
    unknown = found.size in UNKNOWN_SIZES or found.size >= 0xFFFFFFFF - SLACK_BYTES
    if not unknown and found.size <= held:
        return Contents((), found.size / found.bytes_per_s, exact=True)
    declared = held if unknown else found.size

    def stream(_: int) -> tuple[BinaryIO, int]:
        mended = bytearray(read())
        struct.pack_into("<I", mended, 4, min(file_bytes - 8, 0xFFFFFFFF))
        struct.pack_into("<I", mended, found.data_at + 4, held)
        return io.BytesIO(mended), 1

    link = Link(np.zeros(2, np.int64), stream)
    return Contents((link,), declared / found.bytes_per_s, (declared - held) / found.bytes_per_s, plays_alike=False)


def _read_head(head: bytes) -> _Head | None:
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    at, bytes_per_s, code = 12, 0, 0
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(head):
            return None
        name, size = head[at : at + 4], struct.unpack_from("<I", head, at + 4)[0]
        if name == b"data":
            return _Head(at, size, bytes_per_s) if bytes_per_s and code in PLAIN_CODES else None
        if name == b"fmt " and at + 24 <= len(head):
            code, bytes_per_s = struct.unpack_from("<H", head, at + 8)[0], struct.unpack_from("<I", head, at + 16)[0]
        at += 8 + size + size % 2
    return None
