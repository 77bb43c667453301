"""A timing as files: red lines, a `.osu` to start mapping in, JSON, and the network's activations for debugging."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from chart.formats.osu_write import format_osu, number
from chart.model import Chart, Metadata, TimingPoint
from ear.audio.clock import OSU_CLOCK_MS
from runtime.atomic_write import save_bytes

if TYPE_CHECKING:
    from ear.audio.decode import Tags
    from ear.song_timing import TimedSong
    from ear.timing.model import Timing

Clock = Literal["osu", "audio"]


def red_lines(timing: Timing, clock: Clock) -> tuple[TimingPoint, ...]:
    """The timing's red lines on the clock of `osu` maps or of the `audio`; the first starts at 0 or later."""
    shift_ms = OSU_CLOCK_MS if clock == "osu" else 0.0
    points = [replace(point, time_ms=point.time_ms + shift_ms) for point in timing.points]
    while points[0].time_ms < 0:
        later = points[0].time_ms + points[0].beat_length_ms * points[0].meter
        if len(points) > 1 and later > points[1].time_ms - points[0].beat_length_ms / 2:
            del points[0]
        else:
            points[0] = replace(points[0], time_ms=later)
    return tuple(points)


def as_text(points: Sequence[TimingPoint]) -> str:
    """Red lines as an `.osu` file has them; whole ms would cost half a millisecond, so times keep three decimals."""
    lines = [
        f"{number(round(point.time_ms, 3))},{number(point.beat_length_ms)},{point.meter},{point.sample_set},"
        f"{point.sample_index},{point.volume},1,{point.effects}"
        for point in points
    ]
    return "\n".join(["[TimingPoints]", *lines, ""])


def as_osu(points: Sequence[TimingPoint], song: Path, tags: Tags) -> str:
    """A difficulty without notes, for osu!'s editor; it belongs into a folder with the song."""
    title, artist = tags.title or song.stem, tags.artist or "unknown artist"
    metadata = Metadata(title=title, title_unicode=title, artist=artist, artist_unicode=artist, version="timing")
    rounded = tuple(replace(point, time_ms=round(point.time_ms, 3)) for point in points)
    return format_osu(Chart.from_notes([], [], timing_points=rounded, metadata=metadata, audio_filename=song.name))


def as_json(timing: Timing, points: Sequence[TimingPoint], clock: Clock) -> str:
    """The whole timing, times in ms on the clock named."""
    found = {
        "clock": clock,
        "profile": timing.profile,
        "bpm": timing.bpm,
        "offset_ms": points[0].time_ms,
        "meter": timing.meter,
        "confidence": timing.confidence,
        "doubt": timing.doubt,
        "alternatives": [
            {"bpm": other.bpm if other.is_tempo else None, "chance": other.chance} for other in timing.alternatives
        ],
        "red_lines": [
            {
                "time_ms": point.time_ms,
                "beat_length_ms": point.beat_length_ms,
                "meter": point.meter,
                "effects": point.effects,
            }
            for point in points
        ],
    }
    return json.dumps(found, indent=2) + "\n"


def summary(timing: Timing, points: Sequence[TimingPoint]) -> str:
    """The timing in one line."""
    lines = "1 red line" if len(points) == 1 else f"{len(points)} red lines"
    others = ", ".join(
        f"{other.bpm:.2f} ({other.chance:.0%})" if other.is_tempo else f"none of these ({other.chance:.0%})"
        for other in timing.alternatives
    )
    live = ", live" if timing.profile == "live" else ""
    return (
        f"{timing.bpm:.3f} BPM{live}, first downbeat at {points[0].time_ms:.1f} ms, {timing.meter}/4, {lines}, "
        f"confidence {timing.confidence:.0%}" + (f"; else {others}" if others else "")
    )


def dump(found: TimedSong, folder: Path) -> list[Path]:
    """Write timing.json and beats.csv, and with a network activations.npz and tracked.csv; times as activations."""
    from ear.timing.model import beats_of

    folder.mkdir(parents=True, exist_ok=True)
    beats = beats_of(found.timing)
    files = {
        "timing.json": as_json(found.timing, found.timing.points, "audio").encode("utf-8"),
        "beats.csv": _csv("time_ms,position", beats.time_ms, beats.position),
    }
    if found.activations is not None:
        activations = found.activations
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer, beat=activations.beat, downbeat=activations.downbeat, frames_per_s=activations.frames_per_s
        )
        files["activations.npz"] = buffer.getvalue()
        if found.tracked is not None:
            tracked = found.tracked
            files["tracked.csv"] = _csv("time_ms,position,support", tracked.time_ms, tracked.position, tracked.support)
    paths = []
    for name, data in files.items():
        save_bytes(folder / name, data)
        paths.append(folder / name)
    return paths


def _csv(head: str, *columns: np.ndarray) -> bytes:
    rows = [",".join(f"{value:.3f}".rstrip("0").rstrip(".") for value in row) for row in zip(*columns, strict=True)]
    return "\n".join([head, *rows, ""]).encode("utf-8")
