"""Fixtures of the page's tests: charts, a song, reviews and key presses made up on the spot."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import soundfile
from numpy.typing import NDArray

from agents import Presses, Rating, presses_of
from chart.model import KEYS, Chart, Difficulty, Metadata, TimingPoint
from eye.critique.types import Finding, Review, Section
from eye.rendering.page_song import SongFile


def busy_chart(notes: int, seed: int, *, name: str = "Busy", od: float = 8.0, hold_share: float = 0.3) -> Chart:
    """Random notes at about 9 a second, no two of a column within 60 ms, some of them holds."""
    rng = np.random.default_rng(seed)
    free = np.full(KEYS, 1500.0)  # [column], when the column is free again
    time, column, end = [], [], []
    for _ in range(notes):
        lane = int(rng.integers(KEYS))
        start = round(max(free[lane] + rng.integers(60, 300), free.mean()))
        until = start + int(rng.choice([40, 90, 150, 400, 900])) if rng.random() < hold_share else None
        free[lane] = until if until is not None else start
        time.append(start), column.append(lane), end.append(np.nan if until is None else until)
    return Chart.from_notes(
        time,
        column,
        end,
        timing_points=(TimingPoint(100.0, 400.0),),
        metadata=Metadata(title="Title", artist="Artist", creator="tests", version=name),
        difficulty=Difficulty(od=od),
    )


def review_of(chart: Chart, stars: float = 3.0) -> Review:
    """A review that says something of every kind, at known places."""
    first, last = (float(chart.time_ms[0]), chart.last_ms) if len(chart) else (0.0, 1000.0)
    middle = (first + last) / 2
    samples = np.linspace(first, last, 50)
    return Review(
        title=chart.metadata.title,
        artist=chart.metadata.artist,
        difficulty=chart.metadata.version,
        creator=chart.metadata.creator,
        stars=stars,
        target=stars,
        level="Hard",
        required_skill=stars,
        ratings={"overall": Rating(stars, 0.5), "stream": Rating(stars - 1, 0.4)},
        notes=len(chart),
        holds=int(chart.is_hold.sum()),
        duration_ms=last - first,
        with_song=True,
        findings=(
            Finding(middle, middle + 2000, "problem", "jack", "Nine notes in one column.", "Spread them.", (0,), 2.0),
            Finding(first, first, "warning", "gap", "A gap.", "Fill it.", (), 1.0),
            Finding(last, last, "praise", "ending", "A good ending.", ""),
        ),
        sections=(
            Section(first, middle, "A", 0.4, "Verse.", "Singles."),
            Section(middle, last, "A′", 0.8, "Chorus.", "Chords."),
        ),
        curves={
            "time_ms": samples,
            "strain": 3 + np.sin(samples / 5000),
            "density": 8 + np.cos(samples / 3000),
            "accuracy": np.where(np.arange(50) % 10 == 5, np.nan, 0.95),
            "readability": np.linspace(0.6, 0.9, 50),
        },
        accuracy_by_skill=tuple((float(level), 1 - 0.5 * 0.6**level) for level in range(15)),
    )


@cache
def song_file(seconds: float = 20.0, name: str = "audio.ogg") -> SongFile:
    """Noise, as Vorbis: its bytes are of every kind. Kept, because each encoding has another serial number."""
    samples = np.random.default_rng(7).uniform(-0.1, 0.1, int(seconds * 22_050)).astype(np.float32)
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 22_050, 1, format="OGG", subtype="VORBIS") as sound:
        for block in np.array_split(samples, max(int(seconds), 1)):  # long blocks overflow libsndfile's stack
            sound.write(block)
    return SongFile(name, file.getvalue())


Events = list[tuple[int, int, bool]]
"""(ms, column, key goes down) in time order; a key goes up before it goes down at the same time."""


def events_of(presses: list[tuple[int, int, int]]) -> Events:
    """Key events of (column, press, release), those of a column that overlap left out."""
    events: Events = []
    free = [-(10**9)] * KEYS
    for column, press, release in sorted(presses, key=lambda one: one[1]):
        if press < free[column] or release <= press:
            continue
        free[column] = release
        events += [(press, column, True), (release, column, False)]
    return sorted(events, key=lambda one: (one[0], one[2]))


def late_events(chart: Chart, late_ms: int) -> Events:
    """Every note pressed and let go `late_ms` late; taps are held for 20 ms."""
    end = np.where(chart.is_hold, chart.end_ms, chart.time_ms + 20)
    rows = zip(chart.column.tolist(), chart.time_ms.tolist(), end.tolist(), strict=True)
    return events_of([(column, int(press) + late_ms, int(release) + late_ms) for column, press, release in rows])


def sloppy_events(chart: Chart, seed: int) -> Events:
    """A bad player: errors of 50 ms and more, notes left out, stray presses, holds let go and caught again."""
    rng = np.random.default_rng(seed)
    presses: list[tuple[int, int, int]] = []
    for time, column, end in zip(chart.time_ms, chart.column.tolist(), chart.end_ms, strict=True):
        press = int(time + rng.normal(0, 55))
        if rng.random() < 0.08:
            continue
        release = int((press if np.isnan(end) else end) + rng.normal(30, 60))
        if not np.isnan(end) and rng.random() < 0.35:
            pause = int(rng.uniform(press, max(end, press + 2)))
            presses += [(column, press, pause), (column, pause + int(rng.integers(5, 120)), release)]
        else:
            presses.append((column, press, max(release, press + 5)))
        if rng.random() < 0.1:
            stray = int(time + rng.uniform(-250, 250))
            presses.append((column, stray, stray + int(rng.integers(5, 60))))
    return events_of(presses)


def presses_from(events: Events) -> Presses:
    """The same for `agents.judge`."""
    time, column, down = (np.array(part) for part in zip(*events, strict=True))
    return presses_of(time, column, down)


def grades_text(grade: NDArray[np.int8]) -> str:
    """Grades as a string of digits."""
    return "".join(map(str, grade.tolist()))
