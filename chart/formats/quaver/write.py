"""Writing Quaver `.qua` charts and `.qp` sets (a zip archive of `.qua` charts with their song).

Notes are whole ms, as Quaver holds them; timing points keep their digits, of which Quaver keeps those of a 32-bit float.
Source: `Qua.cs`, `HitObjectInfo.cs` and `TimingPointInfo.cs` of Quaver.API.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml

from chart.formats.osz import chart_file_names, pack_set
from chart.formats.parsing import shown
from chart.formats.quaver.read import DEFAULT_METER, METERS, MODE
from chart.model import Chart
from chart.problems import require_valid

logger = logging.getLogger(__name__)

_SIGNATURES = {meter: name for name, meter in METERS.items() if name}


def format_quaver(chart: Chart) -> str:
    """The chart as the text of a `.qua` file; raises `ChartFileError` for what no file can hold (`REFUSED_KINDS`)."""
    where = shown(chart.metadata.version or chart.metadata.title) or "chart"
    require_valid(chart, where)
    head = yaml.safe_dump(_head(chart), allow_unicode=True, sort_keys=False, width=float("inf"))
    return "".join(
        [
            head,
            *_section("TimingPoints", _timing_points(chart)),
            *_section("SliderVelocities", _scroll_velocities(chart)),
            *_section("HitObjects", _hit_objects(chart, where)),
        ]
    )


def write_quaver_set(charts: Sequence[Chart], files: Mapping[str, Path], path: Path) -> None:
    """Write charts and the files they name as a `.qp`; `files` maps the name in the set to the file on disk."""
    names = chart_file_names([chart.metadata for chart in charts], ".qua")
    pack_set(path, files, dict(zip(names, map(format_quaver, charts), strict=True)))


def _head(chart: Chart) -> dict[str, object]:
    """Everything above the lists."""
    names = chart.metadata
    return {
        "AudioFile": chart.audio_filename,
        "SongPreviewTime": max(chart.preview_ms, 0),
        "BackgroundFile": chart.background,
        "MapId": -1,
        "MapSetId": -1,
        "Mode": MODE,
        "Title": names.title_unicode or names.title,
        "Artist": names.artist_unicode or names.artist,
        "Source": names.source,
        "Tags": " ".join(names.tags),
        "Creator": names.creator,
        "DifficultyName": names.version,
        "BPMDoesNotAffectScrollVelocity": False,  # as in osu!, the tempo moves the scroll
        "InitialScrollVelocity": 1,
    }


def _section(name: str, lines: Iterator[str]) -> Iterator[str]:
    """A list of the file; an empty one is `[]`."""
    first = next(lines, None)
    if first is None:
        yield f"{name}: []\n"
        return
    yield f"{name}:\n{first}"
    yield from lines


def _timing_points(chart: Chart) -> Iterator[str]:
    for point in chart.red_lines:
        signature = (
            "" if point.meter == DEFAULT_METER else f"  Signature: {_SIGNATURES.get(point.meter, point.meter)}\n"
        )
        yield f"- StartTime: {point.time_ms!r}\n  Bpm: {point.bpm!r}\n{signature}"


def _scroll_velocities(chart: Chart) -> Iterator[str]:
    """Changes of the scroll speed; a red line sets it back to 1 unless a green line of its time follows."""
    speed_at: dict[float, float] = {}
    for point in chart.timing_points:
        speed_at[point.time_ms] = 1.0 if point.uninherited else -100.0 / point.beat_length_ms
    now = 1.0
    for time_ms, speed in speed_at.items():
        if speed != now:
            yield f"- StartTime: {time_ms!r}\n  Multiplier: {speed!r}\n"
        now = speed


def _hit_objects(chart: Chart, where: str) -> Iterator[str]:
    """Notes at whole ms, holds at least 1 ms long; an end of 0 and before means none."""
    start = np.rint(chart.time_ms).astype(np.int64)
    end = np.where(chart.is_hold, np.maximum(np.rint(chart.end_ms), start + 1), 0).astype(np.int64)
    early = int((chart.is_hold & (end <= 0)).sum())
    if early:
        logger.warning("%s: %d holds that end before the song begins become notes", where, early)
    for begin, lane, until in zip(start.tolist(), (chart.column + 1).tolist(), end.tolist(), strict=True):
        yield f"- StartTime: {begin}\n  Lane: {lane}\n" + (f"  EndTime: {until}\n" if until > 0 else "")
