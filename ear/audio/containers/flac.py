"""FLAC frame by frame, so that damage costs the frames it hit and not the song. Source: RFC 9639."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ear.audio.containers.contents import Contents, Link

HEAD_BYTES = 42  # "fLaC", the header of STREAMINFO and its 34 bytes
MAX_BLOCKS = 1000
MAX_FRAME_SAMPLES = 4096  # of silence
MAX_SILENCE_S = 30
"""Longer gaps are damage of the frame numbers: what follows is joined on."""
MAX_HEADER_BYTES = 16
_SYNC = re.compile(rb"\xff[\xf8\xf9]")
_BLOCK_SIZES = {1: 192, 2: 576, 3: 1152, 4: 2304, 5: 4608, **{code: 256 << (code - 8) for code in range(8, 16)}}


def _crc_table(polynomial: int, bits: int) -> NDArray[np.uint16]:
    """[byte] remainders for a CRC whose highest bit comes first."""
    crc = np.arange(256, dtype=np.int64) << (bits - 8)
    for _ in range(8):
        crc = np.where(crc >> (bits - 1), crc << 1 ^ polynomial, crc << 1) & (1 << bits) - 1
    return crc.astype(np.uint16)


_CRC8 = _crc_table(0x07, 8).tolist()
_CRC16 = _crc_table(0x8005, 16)


def flac_declared_s(head: bytes) -> float:
    """Seconds of sound by the head of a file; 0 where it does not say."""
    rate, total = _rate_and_total(head)
    return total / rate if rate else 0.0


def _rate_and_total(head: bytes) -> tuple[int, int]:
    """(sample rate, samples; 0 = unknown)."""
    if len(head) < HEAD_BYTES or head[4] & 0x7F:
        return 0, 0
    bits = int.from_bytes(head[18:26], "big")
    return bits >> 44, bits & (1 << 36) - 1


def flac_contents(data: bytes) -> Contents | None:
    """Contents of a FLAC file, lost frames as silent ones; None where it has no head or no sound frame."""
    rate, total = _rate_and_total(data)
    block, at = int.from_bytes(data[8:10], "big"), _behind_metadata(data)
    if not rate or not block or at is None:
        return None
    frames = [frame for frame in _frames(data, at, block) if not total or frame.sample < total]
    edges = np.array([*(frame.at for frame in frames), len(data)])
    sound = _sound_frames(data, edges)
    if not sound.any():
        return None
    pieces: list[bytes] = []
    begin = end = 0 if total else frames[0].sample
    for frame, behind, is_sound in zip(frames, edges[1:].tolist(), sound.tolist(), strict=True):
        if not is_sound:
            continue
        if 0 < frame.sample - end <= MAX_SILENCE_S * rate:
            pieces += _silence(data, end, frame.sample, block if frame.is_fixed else 0)
        pieces.append(data[frame.at : behind])
        end = frame.sample + frame.samples
    mended = _head(data, end - begin) + b"".join(pieces)
    declared_s = (max(end, total) - begin) / rate
    lost = declared_s - sum(f.samples for f, is_sound in zip(frames, sound, strict=True) if is_sound) / rate
    link = Link(np.array([0, end - begin]), lambda _: (io.BytesIO(mended), 1))
    return Contents((link,), declared_s, max(lost, 0.0), plays_alike=False)


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame by its header."""

    at: int  # byte
    sample: int  # its first
    samples: int
    is_fixed: bool  # every frame of the file but the last has the same length


def _frames(data: bytes, at: int, block: int) -> Iterator[_Frame]:
    """Frames in order of their samples; what looks like a header and is none breaks the order."""
    end = 0
    for match in _SYNC.finditer(data, at):
        frame = _read_header(data, match.start(), block)
        if frame is not None and frame.sample >= end:
            end = frame.sample + frame.samples
            yield frame


def _silence(data: bytes, begin: int, end: int, block: int) -> Iterator[bytes]:
    """Silent frames from a sample to another; `block` is the fixed length of frames, 0 where each frame states its own."""
    channels, bits = (data[20] >> 1 & 7) + 1, ((data[20] & 1) << 4 | data[21] >> 4) + 1
    for first in range(begin, end, block or MAX_FRAME_SAMPLES):
        samples = min(block or MAX_FRAME_SAMPLES, end - first)
        number = _coded(first // block if block else first)
        head = bytes([0xFF, 0xF8 | (not block), 0x70, (channels - 1) << 4]) + number + (samples - 1).to_bytes(2, "big")
        frame = head + bytes([_crc8(head)]) + bytes((channels * (8 + bits) + 7) // 8)
        yield frame + _crc16(frame).to_bytes(2, "big")


def _behind_metadata(data: bytes) -> int | None:
    at = 4
    for _ in range(MAX_BLOCKS):
        if at + 4 > len(data):
            return None
        last, size = data[at] & 0x80, int.from_bytes(data[at + 1 : at + 4], "big")
        at += 4 + size
        if last:
            return at
    return None


def _read_header(data: bytes, at: int, block: int) -> _Frame | None:
    """The frame whose header stands at a byte and has the right CRC-8; None where there is none."""
    head = data[at : at + MAX_HEADER_BYTES]
    if len(head) < 6:
        return None
    first = head[4]
    more = 0 if first < 0x80 else 8 - (first ^ 0xFF).bit_length() - 1  # bytes that follow, as in UTF-8
    if first >= 0x80 and not 1 <= more <= 6:
        return None
    number = first if first < 0x80 else first & (0x3F >> more)
    for byte in head[5 : 5 + more]:
        number = number << 6 | byte & 0x3F
    size_code, rate_code = head[2] >> 4, head[2] & 15
    end = 5 + more
    size = _BLOCK_SIZES.get(size_code, 0)
    if size_code in (6, 7):
        width = size_code - 5
        size, end = int.from_bytes(head[end : end + width], "big") + 1, end + width
    end += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if not size or rate_code == 15 or end >= len(head) or _crc8(head[:end]) != head[end]:
        return None
    is_fixed = not head[1] & 1
    return _Frame(at, number * block if is_fixed else number, size, is_fixed)


def _coded(number: int) -> bytes:
    """A number as frame headers have it: UTF-8's scheme, carried on to 36 bits."""
    if number < 0x80:
        return bytes([number])
    more = next(count for count in range(1, 7) if number < 1 << (5 * count + 6))
    first = (0xFF00 >> (more + 1) & 0xFF) | number >> 6 * more
    return bytes([first, *(0x80 | number >> 6 * left & 0x3F for left in range(more - 1, -1, -1))])


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc = _CRC8[crc ^ byte]
    return crc


def _crc16(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc = int(_CRC16[crc >> 8 ^ byte]) ^ crc << 8 & 0xFFFF
    return crc


def _sound_frames(data: bytes, edges: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[frame] whether its CRC-16 is right; all frames are summed side by side, a byte of each at a time."""
    values = np.frombuffer(data, np.uint8)
    length = np.diff(edges)
    order = np.argsort(-length, kind="stable")
    start, length = edges[:-1][order], length[order]
    crc = np.zeros(order.size, np.uint16)
    for at in range(int(length[0]) if order.size else 0):
        live = int(np.searchsorted(-length, -at, side="left"))  # frames longer than `at`
        crc[:live] = _CRC16[crc[:live] >> 8 ^ values[start[:live] + at]] ^ crc[:live] << 8
    right = np.zeros(order.size, bool)
    right[order] = crc == 0
    return right


def _head(data: bytes, samples: int) -> bytes:
    """The file's head as the only block before so many samples, without a checksum of them."""
    head = bytearray(data[:HEAD_BYTES])
    head[4] |= 0x80
    head[18:26] = (int.from_bytes(head[18:26], "big") >> 36 << 36 | samples).to_bytes(8, "big")
    head[26:HEAD_BYTES] = bytes(HEAD_BYTES - 26)
    return bytes(head)
