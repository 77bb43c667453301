"""A built dataset, opened for reading: songs, charts and their memory-mapped arrays.

Layout of a dataset folder (written by `mapper.dataset`):

    index.json   songs and charts, with split, timing, stars, lag and where their rows and frames lie
    mel.npy      uint8 [frame, band], all songs one after another (mapper.tokens.log_mel)
    rows.npy     int32 [row, 2], slot and code of every row of all charts (mapper.tokens.row_codes)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chart.grid import Grid, make_grid
from chart.model import TimingPoint
from mapper.data.check_corpus import check_bounds
from mapper.tokens.row_codes import Rows
from runtime.errors import ConfigError

FORMAT_VERSION = 2


@dataclass(frozen=True)
class SongEntry:
    """One song of a dataset."""

    name: str
    title: str
    artist: str
    split: str  # "train" or "val"
    frames: tuple[int, int]  # its rows of mel.npy
    duration_ms: float
    lag_ms: float  # how long the sound comes after the notes as written
    source: str = ""  # the map's file when the dataset was built

    @property
    def has_audio(self) -> bool:
        """Whether there is anything to hear; songs of pattern collections have none."""
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


@dataclass(frozen=True)
class Corpus:
    """A built dataset, opened for reading; the big arrays are memory-mapped."""

    songs: tuple[SongEntry, ...]
    charts: tuple[ChartEntry, ...]
    mel: NDArray[np.uint8]  # [frame, band]
    rows: NDArray[np.int32]  # [row, 2]

    def split(self, name: str, has_audio: bool = True) -> list[int]:
        """Numbers of the charts whose song is in the split and has audio, or has none."""
        songs = [song.split == name and song.has_audio == has_audio for song in self.songs]
        return [number for number, chart in enumerate(self.charts) if songs[chart.song]]

    def features(self, chart: int) -> NDArray[np.uint8]:
        """[frame, band] of the chart's song."""
        first, last = self.songs[self.charts[chart].song].frames
        return self.mel[first:last]

    def grid(self, chart: int) -> Grid:
        """The chart's grid over the whole song, in chart time."""
        entry = self.charts[chart]
        return grid_of_song(entry.red_lines, self.songs[entry.song].duration_ms, self.songs[entry.song].lag_ms)

    def chart_rows(self, chart: int) -> Rows:
        """The chart's rows on that grid."""
        first, last = self.charts[chart].rows
        rows = np.asarray(self.rows[first:last], dtype=np.int64)
        return Rows(rows[:, 0], rows[:, 1])


def grid_of_song(red_lines: Iterable[Sequence[float]], duration_ms: float, lag_ms: float) -> Grid:
    """The grid from the song's first sound to its last, in chart time (sound = chart + lag)."""
    points = [TimingPoint(time, beat, int(meter)) for time, beat, meter in red_lines]
    return make_grid(points, -lag_ms, duration_ms - lag_ms)


def open_corpus(folder: Path) -> Corpus:
    """Open a folder that `build` wrote; raises ConfigError when it is not one."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        if index["format_version"] != FORMAT_VERSION:
            raise ConfigError(
                f"{folder}: dataset format {index['format_version']}, this version reads {FORMAT_VERSION}; build it again"
            )
        songs = tuple(SongEntry(**song | {"frames": tuple(song["frames"])}) for song in index["songs"])
        charts = tuple(
            ChartEntry(
                **chart
                | {
                    "rows": tuple(chart["rows"]),
                    "red_lines": tuple(map(tuple, chart["red_lines"])),
                    "patterns": tuple(chart["patterns"]),
                }
            )
            for chart in index["charts"]
        )
        mel = np.load(folder / "mel.npy", mmap_mode="r", allow_pickle=False)
        rows = np.load(folder / "rows.npy", mmap_mode="r", allow_pickle=False)
        check_bounds(songs, charts, mel, rows)
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{folder}: not a dataset, or damaged ({error}); build one with `mania4k dataset FOLDER -o {folder}`"
        ) from error
    return Corpus(songs, charts, mel, rows)
