"""Training arrays of songs: features of the audio, and each chart as rows on the beat grid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from chart.analysis.pattern_mix import FAMILIES, pattern_mix
from chart.analysis.star_rating import stars
from chart.formats.rhythm import RhythmSong, read_rhythm
from chart.model import Chart
from ear.audio.decode import Audio, load_audio
from ear.audio.onset import WIDE_SEARCH_MS, estimate_lag_ms, onset_strength
from ear.song_timing import time_song
from mapper.data.corpus import ChartEntry, grid_of_song
from mapper.data.pattern_collection import read_collection
from mapper.data.read_song import only_other_games, read_song
from mapper.data.rhythm_collection import rhythm_rows, style_of
from mapper.tokens.log_mel import BANDS
from mapper.tokens.row_codes import rows_of
from mapper.tokens.song_features import song_features
from mapper.tokens.vocabulary import SIDE_CHANNELS
from runtime.errors import ChartFileError, OtherGameError

MIN_NOTES = 40
"""Charts with fewer notes are sketches."""
MAX_UNSNAPPED_SHARE = 0.1
"""Charts with more notes off the grid than this have broken timing or a gimmick."""
PAD_SOURCES = frozenset({"sm", "ssc", "stepmania", "itg", "ddr"})
"""Values of a map's Source field that mark charts made for feet."""
KEYBOARD, PAD = 1, 2
"""Indices into `mapper.network.model.STYLES`."""
MIN_LAG_CONFIDENCE = 0.5
MAX_PATTERN_STARS = 10.0
"""Charts without audio above this are jokes more often than charts."""


def song_arrays(path: Path, timing: str = "map", machine_made: bool = False) -> tuple[dict[str, Any], list[str]]:
    """A part of a dataset from a map with audio, and one line for each item skipped in it.

    Charts that are tagged as machine-made are left out unless `machine_made`.
    `timing` "map" keeps the charts' own red lines; "ear" lays the notes on the grid that the Ear finds.
    The part: `features` uint8 [frame, channel], `rows` int32 [row, 2], and `meta`, the JSON of a list of (song's entry, its
    charts' entries), whose frames and rows count from the part's first.
    Raises ChartFileError or AudioFileError when nothing is left of the song.
    """
    song_read = read_song(path, machine_made)
    charts, skipped = list(song_read.charts), list(song_read.skipped)
    if not charts and only_other_games(skipped):
        raise OtherGameError("\n".join(skipped))
    if not charts:
        raise ChartFileError(f"{path}: no 4K chart to learn from ({'; '.join(skipped) or 'none found'})")
    audio = load_audio(song_read.audio, name=path.name)
    lag_ms = _lag_ms(audio, charts)
    if timing == "ear":
        points = time_song(audio).timing.points
        charts = [replace(chart.shifted(lag_ms), timing_points=points) for chart in charts]
        lag_ms = 0.0
    entries: list[dict[str, Any]] = []
    rows: list[np.ndarray] = []
    for chart in charts:
        reason = _append_chart(chart, audio.duration_ms, lag_ms, entries, rows)
        if reason:
            skipped.append(f"{path.name} [{chart.metadata.version}]: {reason}")
    if not entries:
        raise ChartFileError(f"{path}: no usable chart ({'; '.join(skipped)})")
    features = song_features(audio)
    song = {
        "name": path.name,
        "title": charts[0].metadata.title,
        "artist": charts[0].metadata.artist,
        "frames": (0, len(features)),
        "duration_ms": audio.duration_ms,
        "lag_ms": lag_ms,
    }
    return {"features": features, "rows": np.concatenate(rows), "meta": json.dumps([(song, entries)])}, skipped


def rhythm_arrays(path: Path) -> tuple[dict[str, Any], list[str]]:
    """A part of a dataset from a song of a rhythm collection (chart.formats.rhythm); as `song_arrays`."""
    song = read_rhythm(path)
    audio = load_audio(song.audio)
    grid = grid_of_song(song.red_lines, audio.duration_ms, song.lag_ms)
    entries: list[dict[str, Any]] = []
    rows: list[np.ndarray] = []
    skipped: list[str] = []
    for chart in song.charts:
        found = rhythm_rows(chart, grid, song.lag_ms, audio.duration_ms)
        name = f"{chart['mode']} {chart['difficulty']}"
        if not isinstance(found, str) and any(np.array_equal(found.rows, other) for other in rows):
            found = "the same times as another difficulty"
        if isinstance(found, str):
            skipped.append(f"{path.name} [{name}]: {found}")
            continue
        start = sum(part.shape[0] for part in rows)
        entry = _rhythm_entry(name, style_of(chart), found.heads_per_s, song)
        entries.append(asdict(entry) | {"rows": (start, start + len(found.rows))})
        rows.append(found.rows)
    if not entries:
        raise ChartFileError(f"{path}: no usable chart ({'; '.join(skipped)})")
    features = song_features(audio)
    about: dict[str, Any] = {
        "name": song.audio.name,
        "title": song.title,
        "artist": song.artist,
        "frames": (0, len(features)),
    }
    about |= {"duration_ms": audio.duration_ms, "lag_ms": song.lag_ms, "excerpt": True}
    return {"features": features, "rows": np.concatenate(rows), "meta": json.dumps([(about, entries)])}, skipped


def _rhythm_entry(name: str, style: int, heads_per_s: float, song: RhythmSong) -> ChartEntry:
    """Entry of a chart without columns; stars, holds and patterns are unknown."""
    return ChartEntry(
        song=0,
        name=name,
        stars=np.nan,
        style=style,
        notes_per_s=heads_per_s,
        hold_share=np.nan,
        rows=(0, 0),
        red_lines=song.red_lines,
        unsnapped=0,
        patterns=(np.nan,) * len(FAMILIES),
        has_columns=False,
        weight=song.weight,
    )


def collection_arrays(path: Path) -> tuple[dict[str, Any], list[str]]:
    """A part of a dataset from a collection of charts without audio (mapper.data.pattern_collection); as `song_arrays`."""
    songs: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    rows: list[np.ndarray] = []
    skipped: list[str] = []
    for number, chart in enumerate(read_collection(path)):
        if isinstance(chart, str):
            skipped.append(f"{path.name} {chart}")
            continue
        entries: list[dict[str, Any]] = []
        duration_ms = chart.last_ms + 1000
        reason = _append_chart(chart, duration_ms, 0.0, entries, rows, MAX_PATTERN_STARS)
        if reason:
            skipped.append(f"{path.name} chart {number}: {reason}")
            continue
        song = {"name": f"{path.name} {number}", "title": "", "artist": "", "frames": (0, 0)}
        songs.append((song | {"duration_ms": duration_ms, "lag_ms": 0.0}, entries))
    if not songs:
        raise ChartFileError(f"{path}: no usable chart ({'; '.join(skipped[:5])})")
    nothing = np.zeros((0, BANDS + SIDE_CHANNELS), np.uint8)
    return {"features": nothing, "rows": np.concatenate(rows), "meta": json.dumps(songs)}, skipped


def _append_chart(
    chart: Chart,
    duration_ms: float,
    lag_ms: float,
    entries: list[dict[str, Any]],
    rows: list[np.ndarray],
    max_stars: float = np.inf,
) -> str:
    """Add the chart's entry and rows; returns why not, or an empty string."""
    reason, entry, chart_rows = _chart_arrays(chart, duration_ms, lag_ms)
    if not reason and entry["stars"] > max_stars:
        reason = f"{entry['stars']:.1f} stars: a joke"
    start = sum(part.shape[0] for part in rows)
    if not reason and any(np.array_equal(chart_rows, part) for part in rows[len(rows) - len(entries) :]):
        reason = "the same notes as another difficulty"
    if reason:
        return reason
    entries.append(entry | {"rows": (start, start + len(chart_rows))})
    rows.append(chart_rows)
    return ""


def _chart_arrays(chart: Chart, duration_ms: float, lag_ms: float) -> tuple[str, dict[str, Any], np.ndarray]:
    """(reason to skip it or "", its `ChartEntry` fields, rows [row, 2])."""
    empty = np.empty((0, 2), np.int32)
    if len(chart) < MIN_NOTES:
        return f"only {len(chart)} notes", {}, empty
    red_lines = [(line.time_ms, line.beat_length_ms, line.meter) for line in chart.red_lines]
    try:
        grid = grid_of_song(red_lines, duration_ms, lag_ms)
    except ChartFileError as error:
        return str(error), {}, empty
    rows = rows_of(chart, grid)
    if rows.unsnapped > MAX_UNSNAPPED_SHARE * len(chart):
        return f"{rows.unsnapped} of {len(chart)} notes lie on no snap", {}, empty
    style = PAD if chart.metadata.source.strip().lower() in PAD_SOURCES else KEYBOARD
    span_s = max(chart.time_ms[-1] - chart.time_ms[0], 1.0) / 1000
    entry = ChartEntry(
        song=0,
        name=chart.metadata.version,
        stars=stars(chart),
        style=style,
        notes_per_s=len(chart) / span_s,
        hold_share=float(chart.is_hold.mean()),
        rows=(0, 0),
        red_lines=tuple(red_lines),
        unsnapped=rows.unsnapped,
        patterns=tuple(pattern_mix(chart).tolist()),
        snap_error_ms=float(np.mean(np.abs(grid.slot_ms[grid.nearest_slot(chart.time_ms)] - chart.time_ms))),
    )
    return "", asdict(entry), np.stack((rows.slot, rows.code), -1).astype(np.int32)


def _lag_ms(audio: Audio, charts: Sequence[Chart]) -> float:
    """Lag of the song's sound after its notes as written, ms, over all charts; 0 where it cannot be measured."""
    strength = onset_strength(audio.samples, audio.sample_rate)
    notes_ms = np.unique(np.concatenate([chart.time_ms for chart in charts]))
    near = estimate_lag_ms(strength, notes_ms)
    if near.confidence >= MIN_LAG_CONFIDENCE:
        return near.lag_ms
    far = estimate_lag_ms(strength, notes_ms, search_ms=WIDE_SEARCH_MS)
    return far.lag_ms if far.confidence >= MIN_LAG_CONFIDENCE else 0.0
