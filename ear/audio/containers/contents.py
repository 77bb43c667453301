"""Contents of an audio file as runs that a decoder can read from their start, with the places where it may start again."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

MAX_FILE_BYTES = 500_000_000
"""Largest file whose container is parsed, which needs its bytes in memory: 40 minutes of 16-bit stereo are 420 MB."""

CLAIM = 64
"""Factor by which the size that a `LongFile` claims exceeds its own: more than the highest bit rate is of the lowest, 320 kbit/s of 8."""


@dataclass(frozen=True, slots=True)
class Link:
    """A stream of one sample rate, cut into units (frames, or runs of packets) at which decoding can begin."""

    starts: NDArray[np.int64]  # [unit + 1], sample within the link at which each unit begins; the last is the end
    stream: Callable[[int], tuple[BinaryIO, int]]  # first unit → (file for the decoder, unit after its last)

    @property
    def units(self) -> int:
        """Number of places at which decoding can begin."""
        return self.starts.size - 1


@dataclass(frozen=True, slots=True)
class Contents:
    """Actual and declared contents of a file."""

    links: tuple[Link, ...]
    declared_s: float  # length by the file's own account, lost parts included
    lost_s: float = 0.0  # part of it that is known to be missing before anything is decoded
    exact: bool = False  # libsndfile alone reads all of it, at the right times
    plays_alike: bool = True  # every player gives the same sound at the same time


class LongFile(io.BytesIO):
    """Bytes that claim to go on: libsndfile ends an mp3 at a length it guesses from the file's size."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._bytes, self._claimed_bytes = len(data), CLAIM * len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """As `io.BytesIO.seek`, with the claimed end where `whence` is 2."""
        return super().seek(self._claimed_bytes + offset) if whence == 2 else super().seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        """As `io.BytesIO.readinto`; zeros beyond the real end, where the decoder looks for a tag."""
        if self._bytes < self.tell() < self._claimed_bytes:
            size = len(memoryview(buffer))
            buffer[:] = bytes(size)
            self.seek(size, 1)
            return size
        return super().readinto(buffer)
