"""Data of the page: charts, players and reviews, packed small enough for one HTML file."""

from __future__ import annotations

import gzip
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chart.model import Chart, Metadata
from eye.critique.types import Review
from eye.rendering.page_players import LevelPlays
from runtime.errors import ConfigError

MAX_CHARTS = 24
"""Difficulties of one page; of larger sets the page shows the first by stars and says so."""
MAX_NOTES = 50_000
"""Notes of one chart: ten minutes at 80 notes a second. Charts come from strangers, and a browser draws them."""
MAX_LINES = 4_000
"""Tempo changes of one chart that are drawn as beat lines."""
MAX_FINDINGS = 200
"""Findings of one chart that are listed, the weightiest."""
MIN_SECTION_MS = 500.0
"""Shorter sections are what rounding left at the song's ends."""
MAX_DATA_BYTES = 200_000
"""Compressed data beyond which fewer simulated players are shown."""


@dataclass(frozen=True, eq=False)
class PageChart:
    """A difficulty with all that is shown of it."""

    chart: Chart
    review: Review
    levels: tuple[LevelPlays, ...]  # rising; empty for an empty chart


def check_size(chart: Chart) -> None:
    """Raise `ConfigError` for a chart that no browser should be asked to draw."""
    if len(chart) > MAX_NOTES:
        name = chart.metadata.version
        raise ConfigError(f"“{name}” has {len(chart):,} notes; a page shows charts of up to {MAX_NOTES:,}")


def page_data(
    items: Sequence[PageChart], lag_ms: float, marks: Sequence[Mapping[str, Any]] = (), song_ms: float = np.inf
) -> dict[str, Any]:
    """Everything the page's scripts read, JSON-able; `lag_ms` is how much later than a note its sound comes.

    `marks`: of eye.rendering.sound_marks; `song_ms`: the song's length, where it is known.
    """
    charts = [_chart(item, song_ms - lag_ms) for item in items]
    return {"lagMs": round(lag_ms, 2), "soundMarks": list(marks), "charts": charts}


def pack(data: dict[str, Any]) -> bytes:
    """The data as compressed JSON; the players of the outer levels are left out where it would grow too large."""
    packed = _gzip(data)
    while len(packed) > MAX_DATA_BYTES and any(len(chart["levels"]) > 1 for chart in data["charts"]):
        data = {**data, "charts": [{**chart, "levels": _fewer(chart["levels"])} for chart in data["charts"]]}
        packed = _gzip(data)
    return packed


def language_of(text: str) -> str:
    """The language tag that makes a browser choose fitting glyphs: kana and lone Han are taken for Japanese."""
    names = {unicodedata.name(character, "").split(" ")[0] for character in text}
    if names & {"HIRAGANA", "KATAKANA", "HALFWIDTH"}:
        return "ja"
    if "HANGUL" in names:
        return "ko"
    return "ja" if "CJK" in names else ""


def title_of(metadata: Metadata) -> str:
    """The title in its own script."""
    return metadata.title_unicode or metadata.title or "Untitled"


def artist_of(metadata: Metadata) -> str:
    """The artist in their own script."""
    return metadata.artist_unicode or metadata.artist or "Unknown artist"


def _gzip(data: dict[str, Any]) -> bytes:
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return gzip.compress(text.encode("utf-8", "replace"), 6, mtime=0)


def _fewer(levels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Two levels less, the middle kept."""
    return levels[1:-1] if len(levels) > 2 else levels[:1]


def _chart(item: PageChart, end_ms: float) -> dict[str, Any]:
    chart, review = item.chart, item.review
    plain = review.to_json()
    return {
        "name": chart.metadata.version or "Unnamed",
        "stars": round(review.stars, 2),
        "required": round(review.required_skill, 2),
        "ratings": [[name, one.level, one.sd] for name, one in review.ratings.items()],
        "od": chart.difficulty.od,
        "hp": chart.difficulty.hp,
        "notes": _notes(chart),
        "lines": [[line.time_ms, line.beat_length_ms, line.meter] for line in chart.red_lines[:MAX_LINES]],
        "aimedAt": review.aimed_at,
        "findings": plain["findings"][:MAX_FINDINGS],
        "sections": _within(plain["sections"], max(end_ms, chart.last_ms if len(chart) else 0.0)),
        "curves": plain["curves"],
        "accuracyBySkill": plain["accuracy_by_skill"],
        "levels": [_level(level, review.accuracy_by_skill) for level in item.levels],
    }


def _level(level: LevelPlays, curve: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """A level's plays; its accuracy is that of the review's curve, so that table, curve and sentence say the same."""
    plain = level.to_json()
    if curve:
        levels, accuracy = zip(*curve, strict=True)
        plain["accuracy"] = round(float(np.interp(level.level, levels, accuracy)), 5)
    return plain


def _within(sections: list[dict[str, Any]], end_ms: float) -> list[dict[str, Any]]:
    """The sections inside the song, from 0 to `end_ms`; those of less than `MIN_SECTION_MS` are no sections."""
    inside = [{**one, "start_ms": max(one["start_ms"], 0.0), "end_ms": min(one["end_ms"], end_ms)} for one in sections]
    return [one for one in inside if one["end_ms"] - one["start_ms"] >= MIN_SECTION_MS]


def _notes(chart: Chart) -> dict[str, Any]:
    """Whole ms, rounded as `agents.judgement.judge.notes_of` rounds; `gap` to the note before, `length` 0 for taps."""
    start = np.rint(chart.time_ms).astype(np.int64)
    end = np.rint(np.where(chart.is_hold, chart.end_ms, 0.0)).astype(np.int64)
    length = np.where(chart.is_hold, np.maximum(end - start, 1), 0)
    return {
        "gap": np.diff(start, prepend=0).tolist(),
        "column": "".join(map(str, chart.column.tolist())),
        "length": length.tolist(),
    }
