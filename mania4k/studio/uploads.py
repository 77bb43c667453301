"""Uploads of the page: bounded in size and time, stored under names of our own, recognised by contents."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from mania4k.studio.sets.pictures import MAX_IMAGE_BYTES
from runtime.atomic_write import save_bytes
from runtime.errors import ConfigError

MAX_JSON_BYTES = 2_000_000
MAX_SONG_BYTES = 64_000_000
MAX_SET_BYTES = 128_000_000
UPLOAD_S = 120.0
"""A slower upload is given up."""
SONGS = (".mp3", ".ogg", ".opus", ".flac", ".wav")
DECODED_BY_PAGE = (".m4a", ".aac", ".mp4")
"""Songs that arrive as wav, decoded by the browser; `ear.audio.decode.BROWSER_SUFFIXES` and wav.js have the same."""
SETS = (".osz",)
IMAGES = (".jpg", ".jpeg", ".png")
LIMITS = (
    dict.fromkeys(SONGS, MAX_SONG_BYTES) | dict.fromkeys(SETS, MAX_SET_BYTES) | dict.fromkeys(IMAGES, MAX_IMAGE_BYTES)
)


async def read_body(stream: AsyncIterator[bytes], limit: int) -> bytes:
    """The whole body; raises ConfigError where it is larger than `limit` bytes or takes too long."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(UPLOAD_S):
            async for part in stream:
                size += len(part)
                if size > limit:
                    raise ConfigError(f"the file is larger than {limit / 1e6:g} MB")
                parts.append(part)
    except TimeoutError as error:
        raise ConfigError(f"the file did not arrive within {UPLOAD_S:g} s") from error
    return b"".join(parts)


def parse_json(body: bytes) -> dict[str, Any]:
    """The body as a JSON object."""
    try:
        values = json.loads(body or b"{}", parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the request is no JSON ({error})") from error
    if not isinstance(values, dict):
        raise ConfigError("the request is no JSON object")
    return values


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def shown_name(header: str) -> str:
    """The name a file had on the user's disk, for showing only: never a path."""
    name = unquote(header)[:300].replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(letter for letter in name if letter.isprintable())[:120] or "file"


def suffix_of(name: str, allowed: tuple[str, ...]) -> str:
    """The suffix of a name, if it is one of those; raises ConfigError that says which can be dropped."""
    suffix = Path(name).suffix.lower()
    if suffix not in allowed:
        if suffix in DECODED_BY_PAGE:
            raise ConfigError(
                f"{name}: only a browser decodes it; start `mania4k studio` and drop the song on its page"
            )
        kinds = ", ".join(one.lstrip(".") for one in allowed)
        raise ConfigError(f"{name}: cannot be used here; drop {kinds}")
    return suffix


def save_upload(folder: Path, stem: str, suffix: str, data: bytes) -> Path:
    """Write an upload as `stem` + suffix; both are ours."""
    if not data:
        raise ConfigError("the file is empty")
    path = folder / f"{stem}{suffix}"
    save_bytes(path, data)
    return path
