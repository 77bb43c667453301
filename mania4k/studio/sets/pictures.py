"""Pictures: those that are dropped, and the cover art that many songs carry, which becomes the set's background unless another is dropped."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from runtime.errors import ConfigError

MAX_IMAGE_BYTES = 10_000_000


def cover_art(song: Path) -> tuple[str, bytes] | None:
    """(suffix, bytes) of the front cover in an audio file's tags; None where there is none. Never raises."""
    import mutagen

    try:
        file = mutagen.File(song)
        pictures = list(_pictures(file)) if file is not None else []
    except Exception:  # tags are decoration: a damaged one must not cost the song
        return None
    for data in pictures:
        if 0 < len(data) <= MAX_IMAGE_BYTES:
            try:
                return check_image(data, "cover"), data
            except ConfigError:
                continue
    return None


def _pictures(file: Any) -> list[bytes]:
    """Pictures of ID3 (APIC), FLAC and Vorbis comments, front covers first."""
    from mutagen.flac import Picture

    tags = file.tags or {}
    found = [*getattr(file, "pictures", [])]
    texts = tags.get("metadata_block_picture", []) if hasattr(tags, "get") else []
    found += [Picture(base64.b64decode(text)) for text in texts]
    if hasattr(tags, "getall"):
        found += tags.getall("APIC")
    found.sort(key=lambda picture: picture.type != 3)
    return [picture.data for picture in found]


def check_image(data: bytes, name: str) -> str:
    """The suffix of a JPEG or PNG by its first bytes; raises ConfigError for everything else."""
    if data.startswith(b"\xff\xd8\xff"):
        return ".jpg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return ".png"
    raise ConfigError(f"{name}: is no JPEG or PNG picture")
