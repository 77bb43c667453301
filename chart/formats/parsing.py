"""What every reader shares: bounded bytes, strict UTF-8, finite numbers, errors as `where:line: what (hint)`."""

from __future__ import annotations

import math
import re
from pathlib import Path

from runtime.errors import ChartFileError

MAX_TEXT_BYTES = 16_000_000
"""Largest chart text read. The largest of 666 real charts is 94 kB; marathons stay below 3 MB."""

MAX_NOTES = 200_000
"""Most notes read from one chart. The longest ranked marathons have about 30,000."""

MAX_TIMING_POINTS = 200_000
"""Most red and green lines read from one chart. Scroll-speed gimmick maps reach some 50,000."""

MAX_LINES = 500_000
"""Most lines read from one `.osu` file: every note and timing point allowed, and a large storyboard."""

_SHOWN_CHARACTERS = 60
_NUMBER_CHARACTERS = 400  # the longest float64 written out in full has fewer
_PLAIN_DIGITS = 16  # whole numbers with fewer digits are exact in float64
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)


def shown(text: str) -> str:
    """Foreign text fit for a one-line message: printable and short."""
    clean = "".join(character if character.isprintable() else "�" for character in text[: _SHOWN_CHARACTERS + 1])
    return clean if len(clean) <= _SHOWN_CHARACTERS else clean[:_SHOWN_CHARACTERS] + "…"


def failure(where: str, line: int | None, what: str, hint: str = "") -> ChartFileError:
    """The error `where:line: what (hint)`; `line` counts from 1."""
    place = where if line is None else f"{where}:{line}"
    return ChartFileError(f"{place}: {what}" + (f" ({hint})" if hint else ""))


def read_bytes(path: Path, limit: int = MAX_TEXT_BYTES) -> bytes:
    """All bytes of a file of at most `limit` bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError as error:
        raise ChartFileError(f"{path}: no such file (check the name)") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
        raise ChartFileError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > limit:
        raise ChartFileError(f"{path}: larger than {limit / 1e6:g} MB, the most that is read (is it a chart?)")
    return data


def decode_utf8(data: bytes, where: str) -> str:
    """The text of a UTF-8 file, with or without byte order mark; the game writes nothing else."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise failure(where, line, what, "save the file as UTF-8; is it a text file?") from error


def split_lines(text: str) -> list[str]:
    """Lines ended by LF, CRLF or CR only: `str.splitlines` would also cut titles at U+2028 and the like."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def finite(text: str, what: str, where: str, line: int | None) -> float:
    """The finite decimal number in `text`; NaN, infinity and other spellings are refused."""
    if len(text) < _PLAIN_DIGITS and text.isascii() and text.isdigit():
        return float(text)  # nearly all numbers of a chart; three times faster than the pattern
    stripped = text.strip()
    if len(stripped) <= _NUMBER_CHARACTERS and _NUMBER.fullmatch(stripped):
        value = float(stripped)
        if math.isfinite(value):
            return value
    raise failure(where, line, f"{what} is “{shown(stripped)}”, not a finite number")


def whole(text: str, what: str, where: str, line: int | None) -> int:
    """The whole number in `text`; `4.0` counts as 4."""
    value = finite(text, what, where, line)
    if value != int(value) or abs(value) > 2**31:
        raise failure(where, line, f"{what} is “{shown(text.strip())}”, not a whole number of at most 2^31")
    return int(value)
