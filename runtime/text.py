"""Sanitizes foreign text for files and messages: file names may hold undecodable bytes, titles any kind of line end."""

from __future__ import annotations

import json
from typing import Any

LINE_SEPARATORS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
"""Unicode line separators besides CR and LF, which JSON does not escape."""


def printable(text: str) -> str:
    """Text on one line that can be written anywhere: “�” for what cannot be shown."""
    return "".join(char if char.isprintable() else "�" for char in text)


def one_line(text: str) -> str:
    """A name on one line: white space and invisible characters of all kinds become single spaces."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON for people to read, with all Unicode line separators escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=indent).translate(LINE_SEPARATORS)
    return text.encode("utf-8", "replace").decode("utf-8")
