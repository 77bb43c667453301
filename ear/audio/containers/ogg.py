"""Ogg pages: chained links one by one, lost pages, and streams whose page times libsndfile does not take.

libsndfile reads the first link of a chain only, ends an Opus stream at a page that is shorter than its time says, and drops up to
1,024 samples of a Vorbis stream that was cut without decoding. A link is therefore checked against the lengths of its own
packets, and laid into new pages where the two differ. Source: RFC 3533.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import BinaryIO

import numpy as np

from ear.audio.containers.contents import Contents, Link
from ear.audio.containers.ogg_packets import Codec, OpusCodec, VorbisCodec

HEAD_BYTES = 27
CONTINUED, FIRST, LAST = 1, 2, 4  # flags of a page
PAGE_PACKETS = 40
"""Packets of a new page, well below the 255 segments it can have."""
MAX_SEGMENTS = 255
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a file."""

    flags: int
    granule: int  # samples of the stream at the page's end, -1: no packet ends in it
    serial: int
    number: int
    sizes: bytes  # of its segments
    body: bytes


@dataclass(slots=True)
class Run:
    """Packets in a row, none missing between them."""

    packets: list[bytes] = field(default_factory=list)
    ends: list[tuple[int, int]] = field(default_factory=list)  # (packets so far, granule) at the end of each page


def ogg_contents(data: bytes) -> Contents | None:
    """Contents of an Ogg Vorbis or Opus file; None where it holds neither."""
    pages, holes = _read_pages(data)
    streams = [codec_and_runs for chain in _links(pages) if (codec_and_runs := _open(chain)) is not None]
    if not streams:
        return None
    links, declared_s, lost_s, exact = [], 0.0, 0.0, len(streams) == 1 and not holes
    for codec, headers, runs in streams:
        starts, declared = _starts(codec, runs)
        exact = exact and len(runs) == 1 and _is_even(codec, runs[0])
        lengths = [sum(codec.samples(run.packets)) for run in runs]
        links.append(_link(codec, headers, runs, starts))
        declared_s += max(declared - codec.skipped, 0) / codec.rate
        lost_s += max(declared - sum(lengths), 0) / codec.rate if len(runs) > 1 else 0.0
    return Contents(tuple(links), declared_s, lost_s, exact, plays_alike=exact)


def _read_pages(data: bytes) -> tuple[list[Page], bool]:
    """The sound pages of a file, and whether bytes between them belong to none."""
    pages: list[Page] = []
    holes, at, last_end = False, 0, 0
    while (at := data.find(b"OggS", at)) >= 0:
        page, end = _read_page(data, at)
        if page is None:
            holes, at = True, at + 4
            continue
        holes = holes or (bool(pages) and at != last_end)
        pages.append(page)
        at = last_end = end
    return pages, holes


def _read_page(data: bytes, at: int) -> tuple[Page | None, int]:
    """The page at a byte and the byte behind it; None where it is cut off or its checksum is wrong."""
    if at + HEAD_BYTES > len(data):
        return None, at
    count = data[at + 26]
    sizes = data[at + HEAD_BYTES : at + HEAD_BYTES + count]
    end = at + HEAD_BYTES + count + sum(sizes)
    if data[at + 4] or len(sizes) < count or end > len(data):
        return None, at
    blank = data[at : at + 22] + b"\0\0\0\0" + data[at + 26 : end]
    if checksum(blank) != int.from_bytes(data[at + 22 : at + 26], "little"):
        return None, at
    granule = int.from_bytes(data[at + 6 : at + 14], "little", signed=True)
    serial, number = (int.from_bytes(data[at + k : at + k + 4], "little") for k in (14, 18))
    return Page(data[at + 5], granule, serial, number, sizes, data[at + HEAD_BYTES + count : end]), end


def checksum(page: bytes) -> int:
    """Ogg's CRC-32 (not reflected, from 0) by way of zlib's, which is the same on mirrored bits."""
    mirrored = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_REVERSED), "big")


def _links(pages: list[Page]) -> Iterator[list[Page]]:
    """Pages of each link's first Vorbis or Opus stream; other streams beside it (pictures, video) are left out."""
    chain: list[Page] = []
    serial: int | None = None
    for page in pages:
        if page.flags & FIRST and (chain or serial is None):
            if chain and not all(one.flags & FIRST for one in chain[-1:]):
                yield chain
                chain, serial = [], None
            if serial is None and (page.body.startswith((b"\x01vorbis", b"OpusHead"))):
                serial = page.serial
        if page.serial == serial:
            chain.append(page)
    if chain:
        yield chain


def _open(pages: list[Page]) -> tuple[Codec, list[bytes], list[Run]] | None:
    """Codec, header packets and sound of a link; None where its headers are damaged or nothing follows them."""
    runs = _runs(pages)
    if not runs or not runs[0].packets:
        return None
    codec: Codec
    head = runs[0].packets
    try:
        codec = OpusCodec(head[0]) if head[0].startswith(b"OpusHead") else VorbisCodec(head[0], head[2])
    except (ValueError, IndexError):
        return None
    headers = head[: codec.headers]
    runs[0] = _without(runs[0], codec.headers)
    runs = [run for run in runs if run.packets]
    return (codec, headers, runs) if runs and codec.rate else None


def _runs(pages: list[Page]) -> list[Run]:
    """Packets put together from their segments; a missing page ends a run."""
    runs, open_packet, expected = [Run()], None, pages[0].number
    for page in pages:
        if page.number != expected:
            runs.append(Run())
            open_packet = None
        expected = page.number + 1
        run = runs[-1]
        at = 0
        pending = open_packet if page.flags & CONTINUED else b""
        for size in page.sizes:
            pending = None if pending is None else pending + page.body[at : at + size]
            at += size
            if size < 255:
                if pending is not None:
                    run.packets.append(pending)
                pending = b""
        open_packet = pending if page.sizes and page.sizes[-1] == 255 else None
        if page.granule >= 0:
            run.ends.append((len(run.packets), page.granule))
    return runs


def _without(run: Run, count: int) -> Run:
    return Run(run.packets[count:], [(at - count, granule) for at, granule in run.ends if at > count])


def _starts(codec: Codec, runs: list[Run]) -> tuple[np.ndarray, int]:
    """[run + 1] sample at which each run begins, the first at 0, and the samples of the whole link by its last page."""
    begins = []
    for run in runs:
        lengths = np.cumsum([0, *codec.samples(run.packets)])
        whole = run.ends[:-1] or run.ends  # the last page of a stream may be cut short
        offsets = [granule - int(lengths[at]) for at, granule in whole]
        begins.append(int(np.median(offsets)) if offsets else 0)
    starts = np.maximum.accumulate(np.array(begins, np.int64) - begins[0])
    last = runs[-1]
    spoken = last.ends[-1][1] - begins[0] if last.ends else 0
    computed = int(starts[-1]) + sum(codec.samples(last.packets))
    declared = spoken if starts[-1] < spoken <= computed else computed
    return np.append(starts, declared), declared


def _is_even(codec: Codec, run: Run) -> bool:
    """Whether every page but the first and the last is as long as its packets: libsndfile reads such streams right."""
    total = np.cumsum([0, *codec.samples(run.packets)])
    spans = [(int(total[b] - total[a]), after - before) for (a, before), (b, after) in pairwise(run.ends)]
    if any(packets != declared for packets, declared in spans[:-1]) or not run.ends:
        return False
    first_at, first_granule = run.ends[0]
    if not spans:
        return first_granule <= int(total[first_at])
    return first_granule == int(total[first_at]) and spans[-1][1] <= spans[-1][0]


def _link(codec: Codec, headers: list[bytes], runs: list[Run], starts: np.ndarray) -> Link:
    """The runs in new pages, whose times are those of their packets."""

    def stream(unit: int) -> tuple[BinaryIO, int]:
        last = unit == len(runs) - 1
        limit = int(starts[-1] - starts[unit]) if last else None
        return io.BytesIO(write_pages(headers, runs[unit].packets, codec.samples(runs[unit].packets), limit)), unit + 1

    return Link(starts, stream)


def write_pages(headers: list[bytes], packets: list[bytes], samples: list[int], limit: int | None) -> bytes:
    """A stream of these packets; `limit` cuts its end to so many samples."""
    pieces, number = [], 0
    for group in ([headers[0]], headers[1:]):
        written = _pages(group, 0, number, FIRST if number == 0 else 0)
        pieces += written
        number += len(written)
    granule = 0
    for at in range(0, len(packets), PAGE_PACKETS):
        granule += sum(samples[at : at + PAGE_PACKETS])
        last = at + PAGE_PACKETS >= len(packets)
        end = min(granule, limit) if last and limit is not None else granule
        written = _pages(packets[at : at + PAGE_PACKETS], end, number, LAST if last else 0)
        pieces += written
        number += len(written)
    return b"".join(pieces)


def _pages(packets: list[bytes], granule: int, number: int, flags: int) -> list[bytes]:
    """Packets in as many pages as their segments need; the flags count for the first (FIRST) or last of them (LAST)."""
    sizes = b"".join(bytes([255] * (len(packet) // 255) + [len(packet) % 255]) for packet in packets)
    body = b"".join(packets)
    pages, at, continued = [], 0, 0
    chunks = [sizes[k : k + MAX_SEGMENTS] for k in range(0, len(sizes), MAX_SEGMENTS)]
    for index, chunk in enumerate(chunks):
        is_last = index == len(chunks) - 1
        own = continued | (flags & FIRST if index == 0 else 0) | (flags & LAST if is_last else 0)
        position = granule if is_last else -1
        head = b"OggS\0" + bytes([own]) + position.to_bytes(8, "little", signed=True) + b"\1\0\0\0"
        part = body[at : at + sum(chunk)]
        at += len(part)
        tail = bytes([len(chunk)]) + chunk + part
        page = head + (number + index).to_bytes(4, "little")
        pages.append(page + checksum(page + bytes(4) + tail).to_bytes(4, "little") + tail)
        continued = CONTINUED if chunk[-1] == 255 else 0
    return pages
