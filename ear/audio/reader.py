"""Read audio block by block: by libsndfile alone where it can read all of it, else piece by piece past the damage."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
import soundfile
from numpy.typing import NDArray

from ear.audio.containers.contents import MAX_FILE_BYTES, Contents, Link
from ear.audio.containers.flac import flac_contents, flac_declared_s
from ear.audio.containers.mp3 import mp3_contents
from ear.audio.containers.ogg import ogg_contents
from ear.audio.containers.wav import HEAD_BYTES, wav_contents

T = TypeVar("T")

DECODER_ERRORS = (soundfile.LibsndfileError, RuntimeError, OSError, ValueError)
"""Exceptions of decoders for damaged files."""
BLOCK_SAMPLES = 1 << 18
"""Samples over all channels decoded at a time: 1 MB of float32."""
STDERR = 2  # file descriptor
CAREFUL_FRAMES = 1024
"""Frames decoded at a time where an error would lose the rest of a block."""
MAX_RESTARTS = 2000
"""Most times that decoding is taken up again behind damage."""
MAX_SILENCE_S = 30
"""Longer gaps are damage of the times rather than of the sound: what follows is joined on."""
EARLY_S = 0.005
"""A decoder that stops so long before the end of the file has not read all of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some sound of one link."""

    samples: NDArray[np.float32]  # [frame, channel]
    rate: int  # Hz
    link: int  # number of the link it belongs to


class SoundReader:
    """Reads one file's sound, from its start as often as wanted.

    `plays_alike` is false where players differ about what the file holds: damage, chained or cut streams.
    """

    def __init__(self, source: Path | bytes) -> None:
        self._source = source
        self.contents = contents_of(source)
        self._direct = self.contents is None or self.contents.exact
        self.read_s = 0.0  # length of the sound found by the last reading

    @property
    def declared_s(self) -> float:
        """Length by the file's own account; that of its sound where it says nothing."""
        return max(self.contents.declared_s, self.read_s) if self.contents else self.read_s

    @property
    def lost_s(self) -> float:
        """Seconds of the file that the last reading did not find."""
        if self.contents is None:
            return 0.0
        missing = self.contents.declared_s - self.read_s
        return max(missing if missing > EARLY_S else 0.0, self.contents.lost_s)

    @property
    def plays_alike(self) -> bool:
        """Whether every player gives the same sound at the same time."""
        return self.contents is None or self.contents.plays_alike

    def check_header(self) -> tuple[int, float]:
        """(sample rate, seconds by the header); opens the file, decodes nothing."""
        if not self._direct and self.contents is not None:
            file, _ = self.contents.links[0].stream(0)
            with _sound_file(file) as sound:
                return sound.samplerate, self.contents.declared_s
        with open_sound(self._source) as sound:
            return sound.samplerate, sound.frames / sound.samplerate

    def mend(self) -> bool:
        """Read piece by piece from now on, where that is possible; whether it was not done already."""
        if not self._direct:
            return False
        if self.contents is not None and not self.contents.links:
            data = _all_bytes(self._source)
            self.contents = flac_contents(data) if data[:4] == b"fLaC" else None
        self._direct = self.contents is None or not self.contents.links
        return not self._direct

    def needs_mending(self) -> bool:
        """Whether a decoder alone stopped before the end that the file tells."""
        declared = self.contents.declared_s if self.contents else 0.0
        return self._direct and self.read_s < declared - EARLY_S

    def blocks(self) -> Iterator[Block]:
        """The sound in order. Raises what the decoder raises (`DECODER_ERRORS`) where nothing can be mended."""
        self.read_s = 0.0
        for block in self._direct_blocks() if self._direct else self._mended_blocks():
            self.read_s += block.samples.shape[0] / block.rate
            yield block

    def _direct_blocks(self) -> Iterator[Block]:
        with open_sound(self._source) as sound:
            frames = max(1, BLOCK_SAMPLES // sound.channels)
            while (samples := _read(sound, frames)).shape[0]:
                yield Block(samples, sound.samplerate, 0)

    def _mended_blocks(self) -> Iterator[Block]:
        assert self.contents is not None, "mended without contents"
        for number, link in enumerate(self.contents.links):
            for samples, rate in _of_link(link):
                yield Block(samples, rate, number)


def with_mending(reader: SoundReader, use: Callable[[SoundReader], T]) -> T:
    """Result of `use`, which reads all blocks; again, past the damage, where a decoder fails or stops early."""
    try:
        found = use(reader)
        if not (reader.needs_mending() and reader.mend()):
            return found
    except DECODER_ERRORS:
        if not reader.mend():
            raise
    return use(reader)


def contents_of(source: Path | bytes) -> Contents | None:
    """Contents of a file by its first bytes; None for kinds that libsndfile reads by itself."""
    head, size = _head(source)
    if size > MAX_FILE_BYTES:
        return None
    if head[:4] == b"RIFF":
        return wav_contents(head, size, lambda: _all_bytes(source))
    if head[:4] == b"OggS":
        return ogg_contents(_all_bytes(source))
    if head[:4] == b"fLaC":
        return Contents((), flac_declared_s(head), exact=True)
    if head[:4] in (b"FORM", b".snd", b"RF64", b"caff"):
        return None
    return mp3_contents(_all_bytes(source))


def _head(source: Path | bytes) -> tuple[bytes, int]:
    """(first bytes, size in bytes)."""
    if isinstance(source, bytes):
        return source[:HEAD_BYTES], len(source)
    with source.open("rb") as file:
        return file.read(HEAD_BYTES), os.fstat(file.fileno()).st_size


def _all_bytes(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else source.read_bytes()


def open_sound(source: Path | bytes) -> soundfile.SoundFile:
    """A file opened by libsndfile, whatever its name."""
    return _sound_file(_opened(source))


def _sound_file(source: BinaryIO | Path) -> soundfile.SoundFile:
    with muted_decoder():
        return soundfile.SoundFile(source)


def _read(sound: soundfile.SoundFile, frames: int) -> NDArray[np.float32]:
    """[frame, channel] of at most so many frames; none at the end."""
    with muted_decoder():
        samples: NDArray[np.float32] = sound.read(frames, dtype="float32", always_2d=True)
    return samples


_MUTE = threading.RLock()


@contextmanager
def muted_decoder() -> Iterator[None]:
    """Keep lines that libsndfile's mp3 decoder writes to standard error off the terminal."""
    with _MUTE:
        try:
            kept = os.dup(STDERR)
        except OSError:  # the process has no standard error
            kept = -1
        if kept < 0:
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, STDERR)
            yield
        finally:
            os.dup2(kept, STDERR)
            os.close(kept)
            os.close(nowhere)


def _opened(source: Path | bytes) -> BinaryIO | Path:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        str(source).encode("utf-8")
    except UnicodeEncodeError:  # a name that is no text: soundfile cannot open it
        return io.BytesIO(source.read_bytes())
    return source


def _of_link(link: Link) -> Iterator[tuple[NDArray[np.float32], int]]:
    """(samples [frame, channel], rate) of a link; lost units are silence where others follow at a known time."""
    at, unit, shape = 0, 0, (0, 1)
    rate = 0
    for _ in range(MAX_RESTARTS):
        if unit >= link.units:
            return
        silence = int(link.starts[unit]) - at
        if 0 < silence <= MAX_SILENCE_S * rate:
            yield np.zeros((silence, shape[1]), np.float32), rate
            at += silence
        begun, file_end = at, unit
        try:
            file, file_end = link.stream(unit)
            with _sound_file(file) as sound:
                rate = sound.samplerate
                while (samples := _read(sound, CAREFUL_FRAMES)).shape[0]:
                    at, shape = at + samples.shape[0], samples.shape
                    yield samples, rate
            unit = file_end
        except DECODER_ERRORS:
            broken = int(np.searchsorted(link.starts, int(link.starts[unit]) + at - begun, side="right")) - 1
            unit = max(unit, broken) + 1
