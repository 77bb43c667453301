"""Helpers of every reader: size limits, text decoding, finite numbers, and errors as `where:line: what (hint)`."""

from __future__ import annotations

import logging
import math
import re
from pathlib import Path

from runtime.errors import ChartFileError, OtherGameError

logger = logging.getLogger(__name__)

BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))

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
_PLURAL = re.compile(r"(?<=\w)s\b")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)


def shown(text: str) -> str:
    """Foreign text fit for a one-line message: printable and short."""
    clean = "".join(character if character.isprintable() else "�" for character in text[: _SHOWN_CHARACTERS + 1])
    return clean if len(clean) <= _SHOWN_CHARACTERS else clean[:_SHOWN_CHARACTERS] + "…"


def failure(where: str, line: int | None, what: str, hint: str = "") -> ChartFileError:
    """The error `where:line: what (hint)`; `line` counts from 1."""
    place = where if line is None else f"{where}:{line}"
    return ChartFileError(f"{place}: {what}" + (f" ({hint})" if hint else ""))


def other_game(where: str, line: int | None, what: str, hint: str) -> OtherGameError:
    """As `failure`, for a sound chart of another mode or number of keys."""
    return OtherGameError(str(failure(where, line, what, hint)))


def read_bytes(path: Path, limit: int = MAX_TEXT_BYTES) -> bytes:
    """All bytes of a file of at most `limit` bytes."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise ChartFileError(f"{path}: is a pipe or device, not a file (save what it gives first)")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError as error:
        raise ChartFileError(f"{path}: no such file (check the name)") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
        raise ChartFileError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > limit:
        raise ChartFileError(f"{path}: larger than {limit / 1e6:g} MB, the most that is read (is it a chart?)")
    return data


def decode_as_the_game(data: bytes) -> str:
    """Text of an `.osu` file as .NET reads it: by its byte order mark, else UTF-8 in which bad bytes become “�”."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace")
    return data.decode("utf-8", errors="replace")


class LeftOut:
    """Count of the lines or entries of a file that are skipped as unreadable, while the rest is read."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.count = 0
        self.first: ChartFileError | None = None

    def add(self, error: ChartFileError) -> None:
        """Count a skipped line or entry; the first one is named in the log."""
        self.count += 1
        self.first = self.first or error

    def report(self, what: str = "lines") -> None:
        """Log one line if anything was skipped."""
        if self.first is not None:
            more = f" (and {self.count - 1} more {what})" if self.count > 1 else ""
            logger.warning("left out: %s%s", self.first, more)


def counted(count: int, things: str) -> str:
    """`1 tail without a head`, `2 tails without a head`: the count with its noun, the first plural among `things`."""
    return f"{count} {things if count != 1 else _PLURAL.sub('', things, count=1)}"


def split_lines(text: str) -> list[str]:
    """Lines ended by LF, CRLF or CR only: `str.splitlines` would also cut titles at U+2028 and the like."""
    return with_line_feeds(text).split("\n")


def with_line_feeds(text: str) -> str:
    """The text with LF at the end of every line in place of CRLF and CR."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


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
