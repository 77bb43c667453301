"""The picture in a song's tags, for the set's background."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

PICTURES = ((b"\xff\xd8\xff", ".jpg"), (b"\x89PNG\r\n\x1a\n", ".png"))
"""First bytes of the pictures that the game shows, and the suffix of their files."""
MAX_PICTURE_BYTES = 20_000_000
FRONT_COVER = 3


def cover_of(song: Path, folder: Path) -> Path | None:
    """The front cover of a song as a file in `folder`, else any picture of its tags; None where there is none."""
    found = sorted(_pictures(song), key=lambda picture: picture[0] != FRONT_COVER)
    for _, data in found:
        for magic, suffix in PICTURES:
            if data.startswith(magic) and len(data) <= MAX_PICTURE_BYTES:
                path = folder / f"background{suffix}"
                path.write_bytes(data)
                return path
    return None


def _pictures(song: Path) -> Iterator[tuple[int, bytes]]:
    """(kind, bytes) of the pictures of mp3, FLAC, Ogg and wav files; never raises for what is in them."""
    import mutagen
    from mutagen.flac import Picture

    try:
        file = mutagen.File(song)
        tags = getattr(file, "tags", None) or {}
        for picture in getattr(file, "pictures", None) or ():
            yield int(picture.type), bytes(picture.data)
        for text in tags.get("metadata_block_picture", ()) if hasattr(tags, "get") else ():
            picture = Picture(base64.b64decode(str(text)))
            yield int(picture.type), bytes(picture.data)
        for frame in tags.getall("APIC") if hasattr(tags, "getall") else ():
            yield int(frame.type), bytes(frame.data)
    except Exception:  # tags are decoration: whatever a damaged file does to the parser, the song is still usable
        return
