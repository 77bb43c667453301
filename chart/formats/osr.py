"""osu! replays (`.osr`) of osu!mania 4K: key events in, key events out.

Format: https://osu.ppy.sh/wiki/en/Client/File_formats/osr_%28file_format%29. Frames carry the time since the frame before, and
the game judges a frame at the sum of all of them. Stable writes two frames at (256, −500) first, which press nothing but count with
their time: one at 0, and one a millisecond before the point to which the intro may be skipped, or at −1 where there is no intro.
The frame after them goes back to where the player began. Lazer writes neither. All times here are those of the judgement, in whole
ms of map time.
"""

from __future__ import annotations

import lzma
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chart.formats.parsing import failure, read_bytes
from chart.model import KEYS
from runtime.atomic_write import save_bytes
from runtime.errors import ConfigError

GAME_VERSION = 20251001
"""Date-like version of stable written into replays; lazer's start at 30,000,000."""
MAX_REPLAY_BYTES = 16_000_000
"""Largest replay read; real ones are below 1 MB."""
MAX_EVENT_BYTES = 64_000_000
"""Longest unpacked event list; LZMA packs a thousandfold, so a small file could ask for gigabytes."""
MAX_TIME_MS = 86_400_000
MANIA = 3
MARKER = (256, -500)
"""Place of the frames that mark the start and the end of the intro."""
INTRO_MS = 2_000
"""A first press later than this follows an intro that may be skipped up to so much before it."""
SEED_FRAME = -12345
"""Time of the last frame, which carries a seed and is no frame of the play."""
_SEED = 1
_STRINGS = 3  # beatmap, player, replay hash
_FIXED = struct.Struct("<6HIHBI")  # six counts, score, combo, perfect, mods
_LATE = struct.Struct("<qi")  # ticks, bytes of frames
_TICKS_AT_EPOCH, _TICKS_PER_S = 621_355_968_000_000_000, 10_000_000
_DAMAGE = (struct.error, IndexError, ValueError, OverflowError, EOFError, lzma.LZMAError)


@dataclass(frozen=True, eq=False)
class Replay:
    """A play as the game keeps it."""

    map_md5: str  # of the exact bytes of the .osu file
    player: str
    mods: int  # osu! bit mask
    counts: NDArray[np.int64]  # [6], MAX, 300, 200, 100, 50, MISS
    score: int
    max_combo: int
    time_ms: NDArray[np.int64]  # [event], non-decreasing; map time of the judgement
    column: NDArray[np.int8]  # [event], 0–3
    down: NDArray[np.bool_]  # [event], pressed or let go


def read_replay(path: Path) -> Replay:
    """The replay in an `.osr` file; raises `ChartFileError` when it is damaged or not osu!mania 4K."""
    path = Path(path)
    data = read_bytes(path, MAX_REPLAY_BYTES)
    if not data or data[0] != MANIA:
        raise failure(str(path), None, "is no osu!mania replay", "convert or choose another")
    try:
        strings, at = [], 5
        for _ in range(_STRINGS):
            text, at = _string(data, at)
            strings.append(text)
        great, ok, meh, perfect, good, miss, score, combo, _, mods = _FIXED.unpack_from(data, at)
        _, at = _string(data, at + _FIXED.size)  # the graph of health
        _, size = _LATE.unpack_from(data, at)
        text = _unpacked(data[at + _LATE.size : at + _LATE.size + max(size, 0)], str(path))
        times, masks = _frames_of(text)
    except _DAMAGE as error:
        raise failure(str(path), None, "is damaged or no osu!mania replay", "export it from osu! again") from error
    if masks.size and (masks.max() >= 1 << KEYS or masks.min() < 0):
        raise failure(str(path), None, "presses keys beyond the fourth", "only 4K replays can be read")
    time, column, down = _changes(np.maximum.accumulate(times) if times.size else times, masks)
    counts = np.array((perfect, great, good, ok, meh, miss), np.int64)
    return Replay(strings[0], strings[1], mods, counts, score, combo, time, column, down)


def write_replay(replay: Replay, path: Path, when: datetime | None = None) -> None:
    """Write `replay` so that osu! can play it back (import the map first); `when` is now by default."""
    save_bytes(Path(path), format_replay(replay, when))


def format_replay(replay: Replay, when: datetime | None = None) -> bytes:
    """The bytes of an `.osr` file: the markers, then one frame for each time at which keys change."""
    if replay.time_ms.size and not (np.abs(replay.time_ms) <= MAX_TIME_MS).all():
        raise ConfigError("the replay holds a key event more than a day from the start of the song")
    times, masks = _key_frames(replay)
    intro_end = max(int(times[0]) - INTRO_MS, 0) if times.size else 0
    steps = np.diff(times, prepend=intro_end - 1)
    x, y = MARKER
    frames = [f"0|{x}|{y}|0", f"{intro_end - 1}|{x}|{y}|0"]
    frames += [f"{step}|{mask}|0|0" for step, mask in zip(steps.tolist(), masks.tolist(), strict=True)]
    packed = lzma.compress(",".join([*frames, f"{SEED_FRAME}|0|0|{_SEED}", ""]).encode(), format=lzma.FORMAT_ALONE)
    perfect, great, good, ok, meh, miss = (min(int(count), 0xFFFF) for count in replay.counts)
    moment = when or datetime.now(UTC)
    ticks = _TICKS_AT_EPOCH + round(moment.timestamp()) * _TICKS_PER_S
    return b"".join(
        (
            struct.pack("<BI", MANIA, GAME_VERSION),
            *(_packed_string(text) for text in (replay.map_md5, replay.player, "")),
            _FIXED.pack(
                great, ok, meh, perfect, good, miss, replay.score, min(replay.max_combo, 0xFFFF), miss == 0, replay.mods
            ),
            _packed_string(""),
            _LATE.pack(ticks, len(packed)),
            packed,
            struct.pack("<q", 0),
        )
    )


def _frames_of(text: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Time of the judgement and keys held of each frame but the markers and the seed."""
    steps: list[int] = []
    masks: list[int] = []
    played: list[bool] = []
    for frame in text.split(","):
        if not frame:
            continue
        step, x, y, _ = frame.split("|")
        if int(step) == SEED_FRAME:
            break
        mask = int(float(x))
        steps.append(int(step))
        masks.append(mask)
        played.append((mask, int(float(y))) != MARKER)
    times = np.cumsum(np.array(steps, np.int64))
    if times.size and not (np.abs(times) <= MAX_TIME_MS).all():
        raise ValueError("a frame lies more than a day from the start of the song")
    return times[played], np.array(masks, np.int64)[played]


def _key_frames(replay: Replay) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Times at which keys change, and the keys held from then on."""
    order = np.lexsort((replay.down, replay.time_ms))  # letting go comes before pressing
    bits = np.where(replay.down, 1, -1) * (1 << replay.column.astype(np.int64))
    held = np.cumsum(bits[order])
    time = replay.time_ms[order]
    last = np.append(np.diff(time) > 0, True)[: time.size]
    return time[last], held[last]


def _changes(
    time: NDArray[np.int64], masks: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int8], NDArray[np.bool_]]:
    """Key events from the keys held at each frame, column after column at one time."""
    before = np.concatenate([[0], masks[:-1]]) if masks.size else masks
    keys = 1 << np.arange(KEYS)
    frame, column = np.nonzero(((masks ^ before)[:, None] & keys) > 0)
    down = (masks[frame] & keys[column]) > 0
    return time[frame], column.astype(np.int8), down


def _unpacked(packed: bytes, where: str) -> str:
    """The decompressed text of the frames. Raises ChartFileError for lists longer than any real play."""
    if not packed:
        return ""
    data = lzma.LZMADecompressor(format=lzma.FORMAT_AUTO, memlimit=1 << 28).decompress(packed, MAX_EVENT_BYTES + 1)
    if len(data) > MAX_EVENT_BYTES:
        raise failure(where, None, f"unpacks to more than {MAX_EVENT_BYTES:,} bytes", "no real replay does")
    return data.decode("ascii")


def _string(data: bytes, at: int) -> tuple[str, int]:
    """The string that starts at `at` and its end: 0, or 11 with a length in groups of seven bits."""
    if data[at] != 11:
        return "", at + 1
    at, length, shift = at + 1, 0, 0
    while True:
        length |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            break
        if shift > 35:
            raise ValueError("a string is longer than any replay")
    if at + length > len(data):
        raise ValueError("a string goes on beyond the file")
    return data[at : at + length].decode("utf-8"), at + length


def _packed_string(text: str) -> bytes:
    """The string as `_string` reads it."""
    data = text.encode("utf-8")
    if not data:
        return b"\0"
    length, size = b"", len(data)
    while True:
        length += bytes([size & 0x7F | (0x80 if size > 0x7F else 0)])
        size >>= 7
        if not size:
            return b"\x0b" + length + data
