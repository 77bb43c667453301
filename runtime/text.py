"""Foreign text made fit for files and messages: names of files may hold bytes that are no text, titles line ends of all kinds."""

from __future__ import annotations

import json
from typing import Any

LINE_SEPARATORS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
"""What Unicode calls ends of lines besides CR and LF, and JSON does not."""


def printable(text: str) -> str:
    """Text on one line that can be written anywhere: “�” for what cannot be shown."""
    return "".join(char if char.isprintable() else "�" for char in text)


def one_line(text: str) -> str:
    """A name on one line: white space and invisible characters of all kinds become single spaces."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON for people to read, whatever is in its texts: each of its lines is one line in every program."""
    text = json.dumps(value, ensure_ascii=False, indent=indent).translate(LINE_SEPARATORS)
    return text.encode("utf-8", "replace").decode("utf-8")
