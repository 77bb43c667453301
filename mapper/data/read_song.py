"""Read a map's charts and song for training, from an archive or from a folder with `.osu` files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chart.formats.osu_read import read_osu
from chart.formats.osz import read_osz
from chart.formats.parsing import shown
from chart.formats.read import audio_beside
from chart.model import Chart
from runtime.errors import ChartFileError, OtherGameError

OTHER_GAME = "other mode or number of keys: "
"""First words of the line of every chart skipped for that; such lines are counted, not shown."""
MACHINE_MADE = frozenset({"mania4k", "machine-made", "ai-generated"})
"""Tags of machine-made maps; training on them would teach their faults."""


@dataclass(frozen=True)
class SongToRead:
    """The charts of one song, its audio, and a line for each chart that is left out."""

    charts: tuple[Chart, ...]
    audio: bytes | Path
    skipped: tuple[str, ...]


def read_song(path: Path, machine_made: bool = False) -> SongToRead:
    """The 4K charts of the first song of an archive or folder; machine-made ones only on request.

    Raises ChartFileError for archives that cannot be read and songs that are not there.
    """
    charts, skipped = _of_folder(path) if path.is_dir() else _of_set(path)
    if not machine_made:
        made = [chart for chart in charts if is_machine_made(chart)]
        skipped += [f"{path.name} [{shown(chart.metadata.version)}]: machine-made by its tags" for chart in made]
        charts = [chart for chart in charts if not is_machine_made(chart)]
    if not charts:
        return SongToRead((), b"", tuple(skipped))
    song = charts[0].audio_filename
    audio = audio_beside(path / "map.osu", charts[0]) if path.is_dir() else read_osz(path).read_audio(song)
    return SongToRead(tuple(chart for chart in charts if chart.audio_filename == song), audio, tuple(skipped))


def is_machine_made(chart: Chart) -> bool:
    """Whether the tags mark the chart as machine-made."""
    return not MACHINE_MADE.isdisjoint(tag.casefold() for tag in chart.metadata.tags)


def _of_set(path: Path) -> tuple[list[Chart], list[str]]:
    beatmapset = read_osz(path)
    lines = [
        f"{OTHER_GAME}{path.name} [{shown(one.name)}]"
        if one.is_other_game
        else f"{path.name} [{shown(one.name)}]: {one.reason}"
        for one in beatmapset.skipped
    ]
    return list(beatmapset.charts), lines


def _of_folder(folder: Path) -> tuple[list[Chart], list[str]]:
    charts, skipped = [], []
    for file in sorted(folder.glob("*.osu")):
        try:
            charts.append(read_osu(file))
        except OtherGameError:
            skipped.append(f"{OTHER_GAME}{folder.name}/{shown(file.name)}")
        except ChartFileError as error:
            skipped.append(str(error))
    return charts, skipped


def only_other_games(lines: Sequence[str]) -> bool:
    """Whether every chart left out is a sound chart of another game."""
    return bool(lines) and all(line.startswith(OTHER_GAME) for line in lines)
