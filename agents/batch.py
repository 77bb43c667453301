"""Many maps playtested at once, in other processes or on a cluster: a row for each, and what could not be played."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agents.playtest import PlayOptions, playtest
from chart.formats.osz import read_osz
from chart.formats.parsing import shown
from chart.formats.read import CHART_SUFFIXES, read_charts
from runtime.errors import ChartFileError, Mania4KError
from runtime.workers import Workers, all_results


@dataclass(frozen=True, slots=True)
class FileResult:
    """Result of one file; a set holds several charts."""

    file: str
    rows: tuple[dict[str, Any], ...]  # a chart's playtest each, as `Playtest.as_dict`
    skipped: tuple[str, ...] = ()  # why charts, or the file, could not be played; a line each


def playtest_collection(paths: Sequence[Path], options: PlayOptions, workers: Workers) -> list[FileResult]:
    """Play every 4K chart of the files and folders, in the order of their paths.

    A chart's row is the same whoever plays it, and whatever else is in the collection. Raises ChartFileError for a folder
    without charts.
    """
    if workers != Workers(1):
        options = replace(options, threads=options.threads or 1)  # processes share the cores
    return all_results(_play_file, [(path, options) for path in _files(paths)], workers, "playing")


def _files(paths: Sequence[Path]) -> list[Path]:
    """The files named and the charts below the folders named, each once, sorted."""
    found: set[Path] = set()
    for path in paths:
        if not path.is_dir():
            found.add(path)
            continue
        below = {one for one in path.rglob("*") if one.suffix.lower() in CHART_SUFFIXES and one.is_file()}
        if not below:
            raise ChartFileError(f"{path}: no charts in this folder ({' '.join(CHART_SUFFIXES)})")
        found |= below
    return sorted(found)


def _play_file(job: tuple[Path, PlayOptions]) -> FileResult:
    path, options = job
    rows, skipped = [], []
    try:
        if path.suffix.lower() == ".osz":
            beatmapset = read_osz(path)
            charts = list(beatmapset.charts)
            skipped += [one.reason for one in beatmapset.skipped]
            if not charts and not skipped:
                skipped.append(f"{path}: holds no chart")
        else:
            charts = read_charts(path)
    except Mania4KError as error:
        return FileResult(str(path), (), (str(error),))
    for chart in charts:
        try:
            rows.append(playtest(chart, path.stem, options).as_dict(str(path)))
        except Mania4KError as error:
            skipped.append(f"{path} [{shown(chart.metadata.version)}]: {error}")
    return FileResult(str(path), tuple(rows), tuple(skipped))


def as_table(rows: Sequence[dict[str, Any]]) -> str:
    """A line a chart; names stand last, so that wide letters move no column."""
    lines = [
        f"{'stars':>6}{'level':>7}{'accuracy':>10}{'10th':>9}{'90th':>9}{'pass':>6}{'misses':>8}{'UR':>6}{'notes':>8}  map"
    ]
    for row in rows:
        accuracy = f"{row['accuracy_mean']:>10.2%}{row['accuracy_p10']:>9.2%}{row['accuracy_p90']:>9.2%}"
        lines.append(
            f"{row['stars']:>6.2f}{row['required_skill']:>7.2f}{accuracy}{row['pass_rate']:>6.0%}{row['misses_mean']:>8.1f}"
            f"{row['unstable_rate']:>6.0f}{row['notes']:>8,}  {row['title']}"
        )
    return "\n".join(lines)
