"""One self-contained HTML file: template, styles and scripts inlined, data compressed, the song's bytes beside them.

The song goes in as bytes, not as base64, which would make it a third larger. For that the file says that it is
windows-1252, an encoding in which every byte is a character; all else in it is ASCII. Four bytes mean something to an
HTML parser and are escaped (1.6 % more): NUL, carriage return, "<", and "=" which marks an escape. Where a web server
insists on another encoding, the page says that the music is lost, and everything else still works.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

TEMPLATES = Path(__file__).parents[1] / "templates"
SCRIPTS = (
    "play/judgement.js",
    "sound/alignment.js",
    "sound/stretch.js",
    "sound/sound.js",
    "sound/clock.js",
    "chart.js",
    "play/outcome.js",
    "settings.js",
    "theme.js",
    "stage.js",
    "timeline.js",
    "curve.js",
    "panels.js",
    "play/hit_sounds.js",
    "play/wizard.js",
    "play/playing.js",
    "controls.js",
    "app.js",
)
"""The player, in the order in which its parts need each other."""
START = "begin.js"
"""Script that starts the player in a page that holds everything."""

_ESCAPES = ((b"=", b"=}"), (b"\0", b"=@"), (b"\r", b"=M"), (b"<", b"=|"))  # "=" first; each is the byte + 64
_TYPES = {".ogg": "audio/ogg", ".opus": "audio/ogg", ".mp3": "audio/mpeg", ".wav": "audio/wav", ".flac": "audio/flac"}


def html_page(names: Mapping[str, Any], data: bytes, audio: bytes | None, audio_name: str, beside: str = "") -> bytes:
    """The whole file. `names`: what the template shows; `data`: see `page_data.pack`.

    `audio` is embedded; None with the name of a file `beside` refers to that; None without leaves the page silent.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    style = read_template("page.css")
    script = "\n".join(read_template(name) for name in (*SCRIPTS, START))
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    mark = secrets.token_hex(16)  # stands for the song until the text is bytes
    text = environment.get_template("page.html").render(
        **names,
        policy=content_policy(style, script, bool(beside)),
        style=Markup(style),
        script=Markup(script),
        data=base64.b64encode(data).decode("ascii"),
        audio_mark=mark if audio is not None else "",
        audio_type=audio_type(audio_name),
        audio_beside=quote(beside),
    )
    page = text.encode("ascii", "xmlcharrefreplace")
    return page.replace(mark.encode("ascii"), escaped(audio), 1) if audio is not None else page


def read_template(name: str) -> str:
    """A style sheet or script, with \\n line ends on every system, so that its hash holds in the browser."""
    text = (TEMPLATES / name).read_text(encoding="ascii")
    assert "</" not in text, f"{name}: '</' would end the element it is inlined in"
    return text


def content_policy(style: str, script: str, beside: bool) -> str:
    """Nothing may be fetched; only our own script and style run; music comes from the file or from beside it."""
    media = "'self' file:" if beside else "'none'"
    return (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; media-src {media}; "
        "base-uri 'none'; form-action 'none'"
    )


def escaped(data: bytes) -> bytes:
    """Bytes that survive an HTML parser's reading of a script element as windows-1252."""
    for byte, escape in _ESCAPES:
        data = data.replace(byte, escape)
    return data


def audio_type(name: str) -> str:
    """The media type of an audio file by its name."""
    return _TYPES.get(Path(name).suffix.lower(), "audio/mpeg")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('ascii')).digest()).decode('ascii')}'"
