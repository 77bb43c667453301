"""Reading Malody `.mc` charts (JSON) of mode Key with four keys.

A beat is [whole, numerator, denominator]; the song is a note of type 1, whose `offset` says how many ms after beat 0 it begins.
Carried: notes, holds, BPM changes, names, preview, background. Not carried: scroll speeds, key sounds.
Entries that cannot be read are left out and named in the log. Source: `MalodyFile.cs` of Quaver.API, Quaver's own converter.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from chart.formats.imports.tempo_map import TempoMap
from chart.formats.parsing import (
    MAX_NOTES,
    MAX_TIMING_POINTS,
    LeftOut,
    decode_as_the_game,
    failure,
    other_game,
    read_bytes,
    shown,
)
from chart.model import KEYS, Chart, Metadata
from chart.problems import beat_length_problem, require_valid
from runtime.errors import ChartFileError

T = TypeVar("T")

KEY_MODE = 0
MODES = {1: "Step", 2: "DJ", 3: "Catch", 4: "Pad", 5: "Taiko", 6: "Ring", 7: "Slide"}
SONG_TYPE = 1
"""Type of the note that starts the music; it is in no column."""
MAX_BEAT = 10_000_000
MAX_DEPTH = 64
"""Deepest nesting read; a chart needs four levels, and Python's reader of JSON ends at some thousand."""


def read_malody(path: Path) -> Chart:
    """The chart of a four-key `.mc` file."""
    path = Path(path)
    return parse_malody(decode_as_the_game(read_bytes(path)), str(path))


def parse_malody(text: str, where: str) -> Chart:
    """The chart in the text of a `.mc` file; `where` names it in errors."""
    root = _table(_loaded(text, where))
    meta = _table(root.get("meta"))
    _require_four_keys(root, meta, where)
    left_out = LeftOut(where)
    entries = [_table(entry) for entry in _list(root, "note", MAX_NOTES, where)]
    song = next((entry for entry in entries if entry.get("type") == SONG_TYPE), {})
    tempos = dict(_readable(_tempo, _list(root, "time", MAX_TIMING_POINTS, where), left_out))
    if not tempos:
        raise left_out.first or failure(where, None, "no BPM", "“time” is empty")
    tempo_map = TempoMap.of(tempos, {}, -_number(song.get("offset", 0), "offset", where))
    played = [entry for entry in entries if entry.get("type") != SONG_TYPE]
    notes = list(_readable(_note, played, left_out))
    if played and not notes and left_out.first is not None:
        raise left_out.first
    chart = tempo_map.chart(
        notes,
        where,
        metadata=_metadata(meta),
        audio_filename=_text(song, "sound"),
        preview_ms=_preview_ms(meta),
        background=_text(meta, "background").replace('"', ""),
    )
    left_out.report("entries")
    require_valid(chart, where)
    return chart


def _loaded(text: str, where: str) -> Any:
    """The JSON value; deep nesting, which would end Python's reader, is refused beforehand."""
    depth = deepest = 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise failure(where, None, f"nested deeper than {MAX_DEPTH} levels", "is it a Malody chart?")
    try:
        return json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", None)
        raise failure(where, line, f"not JSON: {shown(str(error))}", "is it a Malody chart?") from error


def _require_four_keys(root: dict[str, Any], meta: dict[str, Any], where: str) -> None:
    if not meta or "note" not in root:
        raise failure(where, None, "no “meta” and “note”", "is it a Malody chart?")
    mode = meta.get("mode")
    if mode != KEY_MODE:
        name = MODES.get(mode, shown(str(mode))) if isinstance(mode, int) else shown(str(mode))
        raise other_game(where, None, f"this is a chart of mode {name}, not Key", "only 4K charts are read")
    keys = _table(meta.get("mode_ext")).get("column")
    if keys != KEYS:
        raise other_game(
            where, None, f"this is a chart for {shown(str(keys))} keys, not {KEYS}", "only 4K charts are read"
        )


def _readable(read: Callable[[dict[str, Any], str], T], entries: Iterable[Any], left_out: LeftOut) -> Iterator[T]:
    """Results of reading the entries; those that cannot be read go to `left_out`."""
    for entry in entries:
        try:
            yield read(_table(entry), left_out.where)
        except ChartFileError as error:
            left_out.add(error)


def _tempo(entry: dict[str, Any], where: str) -> tuple[float, float]:
    """Beat and length of a beat in ms."""
    bpm = _number(entry.get("bpm"), "bpm", where)
    problem = "a tempo must be above 0" if bpm <= 0 else beat_length_problem(60_000.0 / max(bpm, 1e-9))
    if problem:
        raise failure(where, None, f"BPM is {bpm:g}", problem)
    return _beat(entry.get("beat"), where), 60_000.0 / bpm


def _note(entry: dict[str, Any], where: str) -> tuple[float, int, float]:
    """Beat, column and beat of the end (nan = tap)."""
    column = _number(entry.get("column"), "column", where)
    if column not in range(KEYS):
        raise failure(where, None, f"column {column:g} is not 0–{KEYS - 1}")
    end = math.nan if entry.get("endbeat") is None else _beat(entry["endbeat"], where)
    return _beat(entry.get("beat"), where), int(column), end


def _beat(value: Any, where: str) -> float:
    """A beat of the form [whole, numerator, denominator]."""
    if not isinstance(value, list) or len(value) != 3:
        raise failure(where, None, f"beat “{shown(str(value))}” is not [whole, numerator, denominator]")
    whole, numerator, denominator = (_number(part, "beat", where) for part in value)
    if denominator <= 0:
        raise failure(where, None, f"beat “{shown(str(value))}” has no denominator above 0")
    beat = whole + numerator / denominator
    if not 0 <= beat <= MAX_BEAT:
        raise failure(where, None, f"beat {beat:g} is not 0–{MAX_BEAT:,}")
    return beat


def _number(value: Any, what: str, where: str) -> float:
    """A finite number of moderate size; JSON knows integers of any length, and Python's reader NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise failure(
            where,
            None,
            f"{what} is “{shown(str(value)[:99] if isinstance(value, str) else type(value).__name__)}”, not a finite number",
        )
    return float(value)


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(root: dict[str, Any], key: str, limit: int, where: str) -> list[Any]:
    found = root.get(key, [])
    if not isinstance(found, list):
        raise failure(where, None, f"“{key}” is not a list", "is it a Malody chart?")
    if len(found) > limit:
        raise failure(where, None, f"“{key}” has {len(found):,} entries, more than {limit:,}")
    return found


def _text(table: dict[str, Any], key: str) -> str:
    """The text on one line; empty if absent. Lone surrogates, which JSON can spell, become “�”."""
    value = table.get(key)
    if not isinstance(value, str):
        return ""
    return " ".join(value.encode("utf-8", "replace").decode("utf-8").split())


def _metadata(meta: dict[str, Any]) -> Metadata:
    song = _table(meta.get("song"))
    title, artist = _text(song, "title"), _text(song, "artist")
    return Metadata(
        title=title,
        title_unicode=_text(song, "titleorg") or title,
        artist=artist,
        artist_unicode=_text(song, "artistorg") or artist,
        creator=_text(meta, "creator"),
        version=_text(meta, "version"),
    )


def _preview_ms(meta: dict[str, Any]) -> int:
    value = meta.get("preview")
    return int(value) if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1e8 else -1
