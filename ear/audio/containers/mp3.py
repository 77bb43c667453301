"""MPEG audio (mp3) frame by frame: what libsndfile's decoder skips, cuts off or gives up on, is found by frame headers.

Source of the header's fields: ISO 11172-3 and 13818-3; of the Xing and LAME tags: http://gabriel.mp3-tech.org/mp3infotag.html
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from ear.audio.containers.contents import Contents, Link, LongFile

V1_KBPS = {
    1: (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
"""Layer → bit rates of MPEG 1 by index."""
V2_KBPS = {
    1: (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    3: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Layer → bit rates of MPEG 2 and 2.5 by index."""
RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""Version bits → sample rates by index."""
MONO = 3  # channel mode
HAS_FRAMES, HAS_BYTES = 1, 2  # flags of a Xing or Info tag
CONFIRMING_FRAMES = 3
"""Frames in a row that make sure of the first one: pictures in tags hold what looks like a header."""
SEARCH_BYTES = 1 << 20
"""Bytes after the tags in which the first frame is searched."""
WORTH_A_WORD = 0.05
"""Missing frames below which a file counts as whole."""
TAIL_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN")


@dataclass(frozen=True, slots=True)
class Frame:
    """Fields of a frame header that matter here."""

    kind: tuple[int, int, int, bool]  # version, layer, sample rate, mono: one stream has one kind
    size: int  # bytes, the header's four included
    samples: int


@dataclass(frozen=True, slots=True)
class Scan:
    """The frames of a file in order."""

    kind: tuple[int, int, int, bool]
    starts: list[int]  # [frame], byte
    ends: list[int]  # [frame], byte after its last
    samples: int  # a frame
    lost_bytes: int  # of the audio, in no frame


def read_frame(data: bytes, at: int) -> Frame | None:
    """The frame whose header stands at a byte; None where there is none."""
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return None
    version, layer = data[at + 1] >> 3 & 3, 4 - (data[at + 1] >> 1 & 3)
    rate_index, kbps_index = data[at + 2] >> 2 & 3, data[at + 2] >> 4
    if version == 1 or layer == 4 or rate_index == 3 or kbps_index in (0, 15):
        return None
    rate = RATES[version][rate_index]
    kbps, padding = (V1_KBPS if version == 3 else V2_KBPS)[layer][kbps_index], data[at + 2] >> 1 & 1
    samples = 384 if layer == 1 else 1152 if layer == 2 or version == 3 else 576
    size = (12_000 * kbps // rate + padding) * 4 if layer == 1 else samples * 125 * kbps // rate + padding
    return Frame((version, layer, rate, data[at + 3] >> 6 == MONO), size, samples)


def mp3_contents(data: bytes) -> Contents | None:
    """Contents of an mp3 file; None where no frames are found."""
    scan = scan_frames(data)
    if scan is None:
        return None
    rate, first = scan.kind[2], data[scan.starts[0] : scan.ends[0]]
    tag = max(first.find(b"Xing"), first.find(b"Info"))
    has_count = tag > 0 and len(first) >= tag + 12 and bool(first[tag + 7] & HAS_FRAMES)
    counted = int.from_bytes(first[tag + 8 : tag + 12], "big") if has_count else 0
    lame = tag > 0 and first[tag + 120 : tag + 124] in (b"LAME", b"Lavf", b"Lavc", b"GOGO", b"L3.9")
    audio_frames = len(scan.starts) - (tag > 0)
    lost = scan.lost_bytes * len(scan.starts) / max(sum(scan.ends) - sum(scan.starts), 1)
    declared = max(audio_frames + lost, counted)
    s_per_frame = scan.samples / rate
    exact = not scan.lost_bytes and has_count and lame and counted == audio_frames
    drop_first = tag > 0 and not lame
    missing = declared - audio_frames
    return Contents(
        (_link(data, scan, int(drop_first), tag if lame and has_count else 0),),
        declared * s_per_frame - (_skipped(first, tag) / rate if lame else 0.0),
        missing * s_per_frame if missing >= WORTH_A_WORD else 0.0,
        exact,
        plays_alike=not scan.lost_bytes,
    )


def _skipped(info: bytes, tag: int) -> int:
    """Samples of encoder delay and padding by a LAME tag, which decoders leave out."""
    both = int.from_bytes(info[tag + 141 : tag + 144], "big")
    return (both >> 12) + (both & 0xFFF)


def scan_frames(data: bytes) -> Scan | None:
    """All frames of the kind of the first one; None without a first one that others confirm."""
    at = _behind_tags(data, 0)
    begin = _next_frame(data, at, None, min(len(data), at + SEARCH_BYTES))
    first = None if begin is None else read_frame(data, begin)
    if begin is None or first is None:
        return None
    starts, ends, lost, at = [], [], 0, begin
    while at < len(data):
        frame = read_frame(data, at)
        if frame is not None and frame.kind == first.kind:
            starts.append(at)
            at = min(at + frame.size, len(data))
            ends.append(at)
            continue
        if data.startswith(TAIL_TAGS, at):
            break
        behind = _behind_tags(data, at)
        if behind == at:
            found = _next_frame(data, at + 1, first.kind, len(data))
            behind = len(data) if found is None else found
            lost += behind - at
        at = behind
    return Scan(first.kind, starts, ends, first.samples, lost)


def _behind_tags(data: bytes, at: int) -> int:
    """The byte behind ID3v2 tags that stand at `at`."""
    while data[at : at + 3] == b"ID3" and len(data) >= at + 10:
        size = 0
        for byte in data[at + 6 : at + 10]:
            size = size << 7 | byte & 0x7F
        at += 10 + size + (10 if data[at + 5] & 0x10 else 0)
    return at


def _next_frame(data: bytes, at: int, kind: tuple[int, int, int, bool] | None, stop: int) -> int | None:
    """The next byte where a frame begins that others follow; after damage one more is enough, at the end none."""
    needed = CONFIRMING_FRAMES if kind is None else 2
    at = data.find(b"\xff", at, stop)
    while at >= 0:
        position, frames, wanted = at, 0, kind
        while frames < needed and (frame := read_frame(data, position)) and wanted in (None, frame.kind):
            position, frames, wanted = position + frame.size, frames + 1, frame.kind
            if position >= len(data) and kind is not None:
                frames = needed
        if frames >= needed:
            return at
        at = data.find(b"\xff", at + 1, stop)
    return None


def _link(data: bytes, scan: Scan, first: int, tag: int) -> Link:
    """The frames without what lies between them; a LAME tag at `tag` of the first is set to the frames there are."""
    starts, ends = scan.starts[first:], scan.ends[first:]

    def stream(unit: int) -> tuple[BinaryIO, int]:
        sound = b"".join(
            data[a:b] for a, b in zip(starts[max(unit, tag > 0) :], ends[max(unit, tag > 0) :], strict=True)
        )
        if not tag:
            return LongFile(sound), len(starts)
        info = bytearray(data[starts[0] : ends[0]])
        info[tag + 8 : tag + 12] = (len(starts) - max(unit, 1)).to_bytes(4, "big")
        if info[tag + 7] & HAS_BYTES:
            info[tag + 12 : tag + 16] = (len(info) + len(sound)).to_bytes(4, "big")
        return io.BytesIO(bytes(info) + sound), len(starts)

    return Link(np.arange(len(starts) + 1, dtype=np.int64) * scan.samples, stream)
