"""Files that nobody should send to the studio: junk, empty ones, zip bombs, HTML and path names in every name."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

import numpy as np


def hostile_uploads() -> Iterator[tuple[str, bytes]]:
    """(name, bytes): fifty that must each get one clear line."""
    junk = np.random.default_rng(1).bytes(50_000)
    bomb = b"PK\x03\x04" + bytes(2_000)
    names = ["", "noname", "x.exe", "x.html", "../../evil.sh", "a.mp3.php", "x.m4a", "x.svg", "con", "x.osu"]
    yield from ((name, junk) for name in names)
    yield from ((f"junk{suffix}", junk) for suffix in (".osz", ".jpg", ".png", ".jpeg"))
    yield from ((f"empty{suffix}", b"") for suffix in (".mp3", ".ogg", ".opus", ".flac", ".wav", ".osz", ".png"))
    yield from ((f"..\\..\\{n}\x00<b>\u202e.osz", junk[:n]) for n in range(1, 10))
    yield from ((f"<script>alert({n})</script>.osz", bomb + junk[:n]) for n in range(10))
    yield from ((f"{'long' * 200}{n}.osz", b"PK\x05\x06" + bytes(18 + n)) for n in range(6))
    yield "page.png", b"<html><script>1</script></html>"
    yield "page.jpg", b"GIF89a" + junk
    yield "zip.osz", zip_of({"../../evil.osu": b"x", "a.osu": b"osu file format v14\n"})
    yield "bomb.osz", zip_of({"a.osu": bytes(60_000_000)})


def zip_of(members: dict[str, bytes]) -> bytes:
    """A zip archive of these."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()
