"""Charts from any file the project reads, by suffix."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from chart.formats.find_file import find_on_disk, key_of
from chart.formats.osu_read import parse_osu, parse_timing, read_osu
from chart.formats.osz import Beatmapset, read_osz
from chart.formats.parsing import decode_as_the_game, read_bytes, shown
from chart.formats.safe_zip import escapes
from chart.model import Chart
from runtime.errors import ChartFileError, ConfigError

logger = logging.getLogger(__name__)

CHART_SUFFIXES = (".osu", ".osz", ".qua", ".sm", ".ssc", ".mc", ".bms", ".bme")


def read_charts(path: Path) -> list[Chart]:
    """The 4K charts of a file, at least one; charts of a set that are not 4K or broken are named in the log."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".osz":
        return _of_set(path)
    if suffix in (".sm", ".ssc"):
        from chart.formats.stepmania import read_stepmania

        return read_stepmania(path)
    if suffix in CHART_SUFFIXES:
        return [_reader(suffix)(path)]
    raise ChartFileError(f"{path}: not a chart file by its name (known: {' '.join(CHART_SUFFIXES)})")


def _reader(suffix: str) -> Callable[[Path], Chart]:
    """The reader of files of one chart. Those of other games are imported where one is met: YAML alone takes .02 s."""
    if suffix == ".qua":
        from chart.formats.quaver import read_quaver

        return read_quaver
    if suffix == ".mc":
        from chart.formats.imports.malody import read_malody

        return read_malody
    if suffix in (".bms", ".bme"):
        from chart.formats.imports.bms import read_bms

        return read_bms
    return read_osu


def chart_named(charts: Sequence[Chart], difficulty: str, where: str) -> Chart:
    """The chart of this name, in any case; raises ConfigError with the names that there are, `where` before it."""
    for chart in charts:
        if chart.metadata.version.casefold() == difficulty.casefold():
            return chart
    names = ", ".join(f"“{shown(chart.metadata.version)}”" for chart in charts)
    raise ConfigError(f"{where}: no difficulty “{difficulty}” (there are: {names})")


def audio_beside(path: Path, chart: Chart) -> Path:
    """The audio file of a chart that was read from `path`, which lies in the same folder or below it."""
    name = chart.audio_filename
    if not name or escapes(name):
        raise ChartFileError(f"{path}: its audio “{shown(name)}” is not a file in its folder")
    audio = find_on_disk(Path(path).parent, name)
    if audio is None:
        raise ChartFileError(f"{path}: its audio “{shown(name)}” is not in its folder (copy it there)")
    if key_of(audio.name) != key_of(name).rpartition("/")[2]:
        logger.warning("%s: its audio “%s” is not in its folder; taking %s", path, shown(name), shown(audio.name))
    return audio


def read_timing_charts(path: Path) -> list[Chart]:
    """Charts for their timing, song and names: the 4K ones of a file, else those of any mode and key count, without notes."""
    path = Path(path)
    if path.suffix.lower() == ".osz":
        beatmapset = read_osz(path)
        return list(beatmapset.charts or beatmapset.timings) or _of_set(path)
    if path.suffix.lower() != ".osu":
        return read_charts(path)
    text = decode_as_the_game(read_bytes(path))
    try:
        return [parse_osu(text, str(path))]
    except ChartFileError:
        return [parse_timing(text, str(path))]


def _of_set(path: Path) -> list[Chart]:
    return charts_in(read_osz(path))


def charts_in(beatmapset: Beatmapset) -> list[Chart]:
    """The 4K charts of a set that was read, as `read_charts` gives them."""
    path = beatmapset.path
    if not beatmapset.charts:
        reason = f", for example {beatmapset.skipped[0].reason}" if beatmapset.skipped else ""
        raise ChartFileError(f"{path}: no readable osu!mania 4K chart in the set{reason}")
    for chart in beatmapset.skipped:
        logger.warning("skipped %s", chart.reason)
    return list(beatmapset.charts)
