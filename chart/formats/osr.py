"""osu! replays (`.osr`) of osu!mania 4K: key events in, key events out, by osrparse.

Format: https://osu.ppy.sh/wiki/en/Client/File_formats/osr_%28file_format%29. The game stamps frames 1 ms later than it
judges them; here all times are those of the judgement, in whole ms of map time.
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

FRAME_LAG_MS = 1
"""Frames are stamped this much later than the game judged them."""
GAME_VERSION = 20251001
"""Date-like version of stable written into replays; lazer's start at 30,000,000."""
MAX_REPLAY_BYTES = 16_000_000
"""Largest replay read; real ones are below 1 MB."""
MAX_EVENT_BYTES = 64_000_000
"""Longest unpacked event list; LZMA packs a thousandfold, so a small file could ask for gigabytes."""
MAX_TIME_MS = 86_400_000
MANIA = 3
_STRINGS = 3  # beatmap, player, replay hash
_FIXED = struct.Struct("<6HIHBI")  # six counts, score, combo, perfect, mods
_SECRET = 1  # seed of the last frame; osrparse leaves the frame out when it is 0


@dataclass(frozen=True, eq=False)
class Replay:
    """A play as the game keeps it."""

    map_md5: str  # of the exact bytes of the .osu file
    player: str  # ASCII
    mods: int  # osu! bit mask
    counts: NDArray[np.int64]  # [6], MAX, 300, 200, 100, 50, MISS
    score: int
    max_combo: int
    time_ms: NDArray[np.int64]  # [event], never falling; map time of the judgement
    column: NDArray[np.int8]  # [event], 0–3
    down: NDArray[np.bool_]  # [event], pressed or let go


def read_replay(path: Path) -> Replay:
    """The replay in an `.osr` file; raises `ChartFileError` when it is damaged or not osu!mania 4K."""
    from osrparse import Replay as Parsed

    path = Path(path)
    data = read_bytes(path, MAX_REPLAY_BYTES)
    try:
        _check_size(data, str(path))
        parsed = Parsed.from_string(data)
        times = np.cumsum([event.time_delta for event in parsed.replay_data], dtype=np.int64) - FRAME_LAG_MS
        masks = np.array([int(event.keys) for event in parsed.replay_data], np.int64)
    except (struct.error, IndexError, ValueError, OverflowError, EOFError, lzma.LZMAError, AttributeError) as error:
        raise failure(str(path), None, "is damaged or no osu!mania replay", "export it from osu! again") from error
    if masks.size and (masks.max() >= 1 << KEYS or masks.min() < 0):
        raise failure(str(path), None, "presses keys beyond the fourth", "only 4K replays can be read")
    time, column, down = _changes(np.maximum.accumulate(times) if times.size else times, masks)
    counts = (
        parsed.count_geki,
        parsed.count_300,
        parsed.count_katu,
        parsed.count_100,
        parsed.count_50,
        parsed.count_miss,
    )
    return Replay(
        parsed.beatmap_hash or "",
        parsed.username or "",
        int(parsed.mods.value),
        np.array(counts, np.int64),
        int(parsed.score),
        int(parsed.max_combo),
        time,
        column,
        down,
    )


def write_replay(replay: Replay, path: Path, when: datetime | None = None) -> None:
    """Write `replay` so that osu! can play it back (import the map first); `when` is now unless told."""
    save_bytes(Path(path), format_replay(replay, when))


def format_replay(replay: Replay, when: datetime | None = None) -> bytes:
    """The bytes of an `.osr` file: one frame for each time at which keys change."""
    from osrparse import GameMode, Mod
    from osrparse import Replay as Parsed
    from osrparse.utils import KeyMania, ReplayEventMania

    if not replay.player.isascii():  # osrparse counts characters where the format counts bytes
        raise ConfigError(f"player name {replay.player!r} cannot be written into a replay; use ASCII letters")
    if replay.time_ms.size and not (np.abs(replay.time_ms) <= MAX_TIME_MS).all():
        raise ConfigError("the replay holds a key event more than a day from the start of the song")
    frames, masks = _frames(replay)
    steps = np.diff(frames, prepend=0)
    events = [ReplayEventMania(int(step), KeyMania(int(mask))) for step, mask in zip(steps, masks, strict=True)]
    perfect, great, good, ok, meh, miss = (min(int(count), 0xFFFF) for count in replay.counts)
    parsed = Parsed(
        mode=GameMode.MANIA,
        game_version=GAME_VERSION,
        beatmap_hash=replay.map_md5,
        username=replay.player,
        replay_hash="",
        count_300=great,
        count_100=ok,
        count_50=meh,
        count_geki=perfect,
        count_katu=good,
        count_miss=miss,
        score=replay.score,
        max_combo=min(replay.max_combo, 0xFFFF),
        perfect=miss == 0,
        mods=Mod(replay.mods),
        life_bar_graph=None,
        timestamp=when or datetime.now(UTC),
        replay_data=events,
        replay_id=0,
        rng_seed=_SECRET,
    )
    data: bytes = parsed.pack()
    return data


def _frames(replay: Replay) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Times at which keys change, and the keys held from then on."""
    order = np.lexsort((replay.down, replay.time_ms))  # letting go comes before pressing
    bits = np.where(replay.down, 1, -1) * (1 << replay.column.astype(np.int64))
    held = np.cumsum(bits[order])
    time = replay.time_ms[order]
    last = np.append(np.diff(time) > 0, True)[: time.size]
    return time[last] + FRAME_LAG_MS, held[last]


def _changes(
    time: NDArray[np.int64], masks: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int8], NDArray[np.bool_]]:
    """Key events from the keys held at each frame, column after column at one time."""
    before = np.concatenate([[0], masks[:-1]]) if masks.size else masks
    keys = 1 << np.arange(KEYS)
    frame, column = np.nonzero(((masks ^ before)[:, None] & keys) > 0)
    down = (masks[frame] & keys[column]) > 0
    return time[frame], column.astype(np.int8), down


def _check_size(data: bytes, where: str) -> None:
    """Refuse other modes, and event lists that would unpack to more than anybody ever played."""
    if not data or data[0] != MANIA:
        raise failure(where, None, "is no osu!mania replay", "convert or choose another")
    at = 5
    for _ in range(_STRINGS):
        at = _after_string(data, at)
    at = _after_string(data, at + _FIXED.size) + 8
    (length,) = struct.unpack_from("<I", data, at)
    unpacker = lzma.LZMADecompressor(format=lzma.FORMAT_AUTO, memlimit=1 << 28)
    if len(unpacker.decompress(data[at + 4 : at + 4 + length], MAX_EVENT_BYTES + 1)) > MAX_EVENT_BYTES:
        raise failure(where, None, f"unpacks to more than {MAX_EVENT_BYTES:,} bytes", "no real replay does")


def _after_string(data: bytes, at: int) -> int:
    """Where the string that starts at `at` ends: 0, or 11 with a length in groups of seven bits."""
    if data[at] != 11:
        return at + 1
    at, length, shift = at + 1, 0, 0
    while True:
        length |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return at + length
        if shift > 35:
            raise ValueError("a string is longer than any replay")
