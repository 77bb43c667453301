"""Lengths of Vorbis and Opus packets in samples, without decoding them. Sources: Vorbis I specification; RFC 6716, 7845."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

OPUS_RATE = 48_000
OPUS_SAMPLES = (480, 960, 1920, 2880) * 3 + (480, 960) * 2 + (120, 240, 480, 960) * 4
"""Samples of one frame by configuration number: SILK, hybrid, CELT."""
MAX_OPUS_SAMPLES = 5760
_MODE_BITS, _MODES_MAX, _COUNT_BITS = 41, 64, 6


class Codec(Protocol):
    """Knows how long the packets of one stream are."""

    rate: int  # Hz, of granule positions
    headers: int  # packets before the sound
    skipped: int  # samples at the start that decoders leave out

    def samples(self, packets: Sequence[bytes]) -> list[int]:
        """[packet] samples that each gives to a decoder which starts with the first."""
        ...


class OpusCodec:
    """Opus: the first byte of a packet says how many frames of which length it holds."""

    rate, headers = OPUS_RATE, 2

    def __init__(self, head: bytes) -> None:
        self.skipped = int.from_bytes(head[10:12], "little")

    def samples(self, packets: Sequence[bytes]) -> list[int]:
        """[packet] number of samples that each packet decodes to."""
        return [self._samples(packet) for packet in packets]

    def _samples(self, packet: bytes) -> int:
        if not packet:
            return 0
        code = packet[0] & 3
        frames = (1, 2, 2)[code] if code < 3 else packet[1] & 63 if len(packet) > 1 else 0
        return min(frames * OPUS_SAMPLES[packet[0] >> 3], MAX_OPUS_SAMPLES)


class VorbisCodec:
    """Vorbis: a packet is a quarter of its block and a quarter of the block before it long."""

    headers, skipped = 3, 0

    def __init__(self, identification: bytes, setup: bytes) -> None:
        """Raises ValueError for headers that are none."""
        if len(identification) < 29 or identification[:7] != b"\x01vorbis" or setup[:7] != b"\x05vorbis":
            raise ValueError("not the headers of a Vorbis stream")
        self.rate = int.from_bytes(identification[12:16], "little")
        blocks = 1 << (identification[28] & 15), 1 << (identification[28] >> 4)
        self._block = [blocks[flag] for flag in _mode_flags(setup)]
        self._mask = (1 << (len(self._block) - 1).bit_length()) - 1

    def samples(self, packets: Sequence[bytes]) -> list[int]:
        """[packet] samples; the first gives none, since every block overlaps with the one before it."""
        found, before = [], 0
        for packet in packets:
            mode = packet[0] >> 1 & self._mask if packet else len(self._block)
            if not packet or packet[0] & 1 or mode >= len(self._block):
                found.append(0)  # no packet of sound: decoders skip it
                continue
            block = self._block[mode]
            found.append((before + block) // 4 if before else 0)
            before = block
        return found


def _mode_flags(setup: bytes) -> list[int]:
    """[mode] 1 for long blocks. The modes end the setup header, so they are read from its end backwards.

    Each has 41 bits: block flag, window type (0), transform type (0), mapping; their number, less one, comes before them.
    """
    bits = int.from_bytes(setup, "little")
    end = bits.bit_length() - 1  # the framing bit is the last one that is set
    flags: list[int] = []
    found: list[int] = []
    at = end
    while at - _MODE_BITS - _COUNT_BITS > 0 and len(flags) < _MODES_MAX:
        at -= _MODE_BITS
        mode = bits >> at & (1 << _MODE_BITS) - 1
        if mode >> 1 & 0xFFFFFFFF or mode >> 33 >= _MODES_MAX:
            break
        flags.append(mode & 1)
        if (bits >> (at - _COUNT_BITS) & 63) + 1 == len(flags):
            found = flags[::-1]
    if not found:
        raise ValueError("no modes in the setup header")
    return found
