"""A built dataset, opened for reading: songs, charts and their memory-mapped arrays.

Layout of a dataset folder (written by `mapper.dataset`):

    index.json      songs and charts, with split, timing, stars, lag and the ranges of their rows and frames; names the arrays
    features-*.npy  uint8 [frame, channel], all songs one after another (mapper.tokens.song_features)
    rows-*.npy      int32 [row, 2], slot and code of every row of all charts (mapper.tokens.row_codes)

A build writes new arrays beside the old ones, then the index, in one piece: whoever opens it finds one build or the other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chart.grid import Grid, make_grid
from mapper.data.check_corpus import check_bounds
from mapper.data.entries import ChartEntry, SongEntry, timing_points_of
from mapper.tokens.row_codes import Rows
from runtime.errors import ConfigError

FORMAT_VERSION = 3


@dataclass(frozen=True)
class Corpus:
    """A built dataset, opened for reading; the big arrays are memory-mapped."""

    songs: tuple[SongEntry, ...]
    charts: tuple[ChartEntry, ...]
    frames: NDArray[np.uint8]  # [frame, channel]
    rows: NDArray[np.int32]  # [row, 2]

    def split(self, name: str, has_audio: bool = True, has_columns: bool = True) -> list[int]:
        """Numbers of the charts whose song is in the split and has audio, or has none; 4K charts, or the others."""
        songs = [song.split == name and song.has_audio == has_audio for song in self.songs]
        return [
            number for number, chart in enumerate(self.charts) if songs[chart.song] and chart.has_columns == has_columns
        ]

    def features(self, chart: int) -> NDArray[np.uint8]:
        """[frame, channel] of the chart's song."""
        first, last = self.songs[self.charts[chart].song].frames
        return self.frames[first:last]

    def grid(self, chart: int) -> Grid:
        """The grid of slots over the chart's whole song, in chart time."""
        entry = self.charts[chart]
        return grid_of_song(entry.red_lines, self.songs[entry.song].duration_ms, self.songs[entry.song].lag_ms)

    def chart_rows(self, chart: int) -> Rows:
        """The chart's rows on that grid."""
        first, last = self.charts[chart].rows
        rows = np.asarray(self.rows[first:last], dtype=np.int64)
        return Rows(rows[:, 0], rows[:, 1])


def grid_of_song(red_lines: Iterable[Sequence[float]], duration_ms: float, lag_ms: float) -> Grid:
    """The grid from the song's first sound to its last, in chart time (sound = chart + lag)."""
    return make_grid(timing_points_of(red_lines), -lag_ms, duration_ms - lag_ms)


def array_files(folder: Path, build: str) -> tuple[Path, Path]:
    """The features and rows of the build of this name; those of datasets of before December 2026 have none.

    Raises ValueError for a name that no build has.
    """
    if build and not re.fullmatch(r"[0-9a-f]{1,32}", build):
        raise ValueError(f"its arrays are named {build!r}")
    ending = f"-{build}.npy" if build else ".npy"
    return folder / f"features{ending}", folder / f"rows{ending}"


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
        frames, rows = (
            np.load(path, mmap_mode="r", allow_pickle=False) for path in array_files(folder, index.get("arrays", ""))
        )
        check_bounds(songs, charts, frames, rows)
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{folder}: not a dataset, or damaged ({error}); build one with `mania4k dataset FOLDER -o {folder}`"
        ) from error
    return Corpus(songs, charts, frames, rows)
