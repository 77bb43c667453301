"""The index of a dataset: one entry for each song and each chart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chart.model import TimingPoint


@dataclass(frozen=True)
class SongEntry:
    """One song of a dataset."""

    name: str
    title: str
    artist: str
    split: str  # "train" or "val"
    frames: tuple[int, int]  # its rows of features.npy
    duration_ms: float
    lag_ms: float  # lag of the sound after the notes as written
    source: str = ""  # the map's file when the dataset was built
    excerpt: bool = False  # cut with a fade: the song goes on after its end

    @property
    def has_audio(self) -> bool:
        """Whether the song has audio; songs of pattern collections have none."""
        return self.frames[1] > self.frames[0]


@dataclass(frozen=True)
class ChartEntry:
    """One chart of a dataset."""

    song: int
    name: str
    stars: float
    style: int  # index into mapper.network.model.STYLES
    notes_per_s: float  # between the first and the last note
    hold_share: float
    rows: tuple[int, int]  # its rows of rows.npy
    red_lines: tuple[tuple[float, float, int], ...]  # (time_ms, beat_length_ms, meter)
    unsnapped: int
    patterns: tuple[float, ...]  # share of rows by chart.analysis.pattern_mix.FAMILIES
    snap_error_ms: float = 0.0  # mean distance of its notes from the grid's slots
    has_columns: bool = True  # else of another game or mode: its rows are `mapper.data.rhythm_collection` codes
    weight: float = 1.0  # 0–1, reliability of its times

    @property
    def timing_points(self) -> tuple[TimingPoint, ...]:
        """The chart's red lines."""
        return timing_points_of(self.red_lines)


def timing_points_of(red_lines: Iterable[Sequence[float]]) -> tuple[TimingPoint, ...]:
    """Red lines as a dataset keeps them, each (time ms, beat length ms, metre)."""
    return tuple(TimingPoint(time, beat, int(meter)) for time, beat, meter in red_lines)
