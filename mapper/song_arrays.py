"""One song as training arrays: its audio's features, and each of its charts as rows on the beat grid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from chart.errors import ChartFileError
from chart.model import Chart
from chart.osu import read_osu
from chart.osz import read_osz
from chart.stars import stars
from ear.audio import Audio, load_audio
from ear.onset import WIDE_SEARCH_MS, estimate_lag_ms, onset_strength
from mapper.corpus import ChartEntry, grid_of_song
from mapper.features import song_features
from mapper.rows import rows_of

MIN_NOTES = 40
"""Charts with fewer notes are sketches."""
MAX_UNSNAPPED_SHARE = 0.1
"""Charts with more notes off the grid than this have broken timing or a gimmick."""
PAD_SOURCES = frozenset({"sm", "ssc", "stepmania", "itg", "ddr"})
"""Values of a map's Source field that mark charts made for feet."""
KEYBOARD, PAD = 1, 2
"""Indices into `mapper.model.STYLES`."""
MIN_LAG_CONFIDENCE = 0.5


def song_arrays(path: Path) -> tuple[dict[str, Any], list[str]]:
    """A part of a dataset, and what was skipped in it, one line each.

    The part: `mel` uint8 [frame, band], `rows` int32 [row, 2], `meta` (JSON of the song's and the charts' entries).
    Raises ChartFileError or AudioFileError when nothing is left of the song.
    """
    charts, audio_source, skipped = _read_song(path)
    if not charts:
        raise ChartFileError(f"{path}: no 4K chart to learn from ({'; '.join(skipped) or 'none found'})")
    audio = load_audio(audio_source, name=path.name)
    lag_ms = _lag_ms(audio, charts)
    entries: list[dict[str, Any]] = []
    rows: list[np.ndarray] = []
    seen: set[bytes] = set()
    for chart in charts:
        reason, entry, chart_rows = _chart_arrays(chart, audio.duration_ms, lag_ms)
        if not reason and chart_rows.tobytes() in seen:
            reason = "the same notes as another difficulty"
        if reason:
            skipped.append(f"{path.name} [{chart.metadata.version}]: {reason}")
            continue
        seen.add(chart_rows.tobytes())
        start = sum(part.shape[0] for part in rows)
        entries.append(entry | {"rows": (start, start + len(chart_rows))})
        rows.append(chart_rows)
    if not entries:
        raise ChartFileError(f"{path}: no usable chart ({'; '.join(skipped)})")
    song = {
        "name": path.name,
        "title": charts[0].metadata.title,
        "artist": charts[0].metadata.artist,
        "duration_ms": audio.duration_ms,
        "lag_ms": lag_ms,
    }
    arrays = {"mel": song_features(audio), "rows": np.concatenate(rows), "meta": json.dumps([song, entries])}
    return arrays, skipped


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
    )
    return "", asdict(entry), np.stack((rows.slot, rows.code), -1).astype(np.int32)


def _read_song(path: Path) -> tuple[list[Chart], bytes | Path, list[str]]:
    """(charts, audio, what was skipped) of an archive or of a folder with `.osu` files."""
    if path.is_dir():
        return _read_folder(path)
    beatmapset = read_osz(path)
    skipped = [f"{path.name} [{chart.name}]: {chart.reason}" for chart in beatmapset.skipped]
    audio = beatmapset.read_audio() if beatmapset.charts else b""
    same_audio = [chart for chart in beatmapset.charts if chart.audio_filename == beatmapset.audio_filename]
    return same_audio, audio, skipped


def _read_folder(folder: Path) -> tuple[list[Chart], bytes | Path, list[str]]:
    charts, skipped = [], []
    for file in sorted(folder.glob("*.osu")):
        try:
            charts.append(read_osu(file))
        except ChartFileError as error:
            skipped.append(str(error))
    if not charts:
        return [], b"", skipped
    audio = (folder / charts[0].audio_filename).resolve()
    if folder.resolve() not in audio.parents:
        raise ChartFileError(
            f"{folder}: the charts name an audio file outside their folder ({charts[0].audio_filename})"
        )
    return [chart for chart in charts if chart.audio_filename == charts[0].audio_filename], audio, skipped


def _lag_ms(audio: Audio, charts: Sequence[Chart]) -> float:
    """How long the song's sound comes after its notes as written, over all charts; 0 where it cannot be told."""
    strength = onset_strength(audio.samples, audio.sample_rate)
    notes_ms = np.unique(np.concatenate([chart.time_ms for chart in charts]))
    near = estimate_lag_ms(strength, notes_ms)
    if near.confidence >= MIN_LAG_CONFIDENCE:
        return near.lag_ms
    far = estimate_lag_ms(strength, notes_ms, search_ms=WIDE_SEARCH_MS)
    return far.lag_ms if far.confidence >= MIN_LAG_CONFIDENCE else 0.0
