"""What a difficulty carries besides its notes: names, settings, preview point, breaks, tags."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from chart.model import MACHINE_MADE_TAGS, Chart, Difficulty, Metadata
from mapper.features import MS_PER_FRAME
from reward.criteria import Level, level_of

LEVEL_NAMES = {
    Level.EASY: "Easy",
    Level.NORMAL: "Normal",
    Level.HARD: "Hard",
    Level.INSANE: "Insane",
    Level.EXPERT: "Expert",
    Level.EXPERT_PLUS: "Expert+",
}
SETTINGS = {
    Level.EASY: Difficulty(hp=6.0, od=6.0),
    Level.NORMAL: Difficulty(hp=7.0, od=7.0),
    Level.HARD: Difficulty(hp=7.5, od=7.5),
    Level.INSANE: Difficulty(hp=8.0, od=8.0),
    Level.EXPERT: Difficulty(hp=8.5, od=8.5),
    Level.EXPERT_PLUS: Difficulty(hp=8.5, od=8.5),
}
"""HP and OD as ranked maps of the level have them, below the caps of the ranking criteria (7, 7.5, 8)."""

BREAK_MS = 5_000.0
"""Rests at least this long become breaks."""
BREAK_AFTER_MS, BREAK_BEFORE_MS = 200.0, 1_000.0
"""A break starts this long after the last note and ends this long before the next, as osu!'s editor places it."""
PREVIEW_S = 15.0
"""The preview point is the downbeat before the loudest stretch of this length."""


def metadata_of(title: str, artist: str, creator: str) -> Metadata:
    """Names of a generated set; the romanised forms lose their accents, other scripts stay as they are."""
    return Metadata(
        title=_romanised(title),
        title_unicode=title,
        artist=_romanised(artist),
        artist_unicode=artist,
        creator=creator,
        tags=MACHINE_MADE_TAGS,
    )


def _romanised(text: str) -> str:
    plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return plain if plain.isascii() else text


def finish(charts: Sequence[Chart], stars: Sequence[float], metadata: Metadata, preview_ms: int) -> list[Chart]:
    """Charts of one set, easiest first, named after their level; equal names get their stars behind."""
    levels = [level_of(value) for value in stars]
    finished = []
    for chart, value, level in zip(charts, stars, levels, strict=True):
        alone = levels.count(level) == 1
        version = LEVEL_NAMES[level] if alone else f"{LEVEL_NAMES[level]} {value:.2f}*"
        finished.append(
            replace(
                chart,
                metadata=replace(metadata, version=version),
                difficulty=SETTINGS[level],
                preview_ms=preview_ms,
                breaks=breaks_of(chart),
            )
        )
    return _with_unique_names(finished)


def _with_unique_names(charts: list[Chart]) -> list[Chart]:
    names = [chart.metadata.version for chart in charts]
    numbered = [
        f"{name} ({names[:index].count(name) + 1})" if names.count(name) > 1 else name
        for index, name in enumerate(names)
    ]
    return [
        replace(chart, metadata=replace(chart.metadata, version=name))
        for chart, name in zip(charts, numbered, strict=True)
    ]


def breaks_of(chart: Chart) -> tuple[tuple[float, float], ...]:
    """(start_ms, end_ms) of the rests worth a break, in whole ms."""
    if len(chart) < 2:
        return ()
    ends = np.maximum.accumulate(np.fmax(chart.time_ms, chart.end_ms))
    rests = np.flatnonzero(chart.time_ms[1:] - ends[:-1] >= BREAK_MS)
    return tuple(
        (float(round(ends[at] + BREAK_AFTER_MS)), float(round(chart.time_ms[at + 1] - BREAK_BEFORE_MS))) for at in rests
    )


def preview_point_ms(features: NDArray[np.uint8], downbeats_ms: NDArray[np.float64]) -> int:
    """Whole ms of the last downbeat before the song's loudest `PREVIEW_S` seconds."""
    window = min(int(PREVIEW_S * 1000 / MS_PER_FRAME), features.shape[0])
    loudness = np.concatenate(([0.0], np.cumsum(features.mean(axis=1, dtype=np.float64))))
    start_ms = float(np.argmax(loudness[window:] - loudness[:-window])) * MS_PER_FRAME
    before = downbeats_ms[(downbeats_ms <= start_ms + 1) & (downbeats_ms >= 0)]
    return round(float(before[-1])) if before.size else round(start_ms)
