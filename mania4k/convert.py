"""Convert charts to another game's files: `mania4k convert set.osz -o song.ssc`.

Games differ in how their charts' times lie to the sound (`ear.audio.clock.SOURCE_LAG_MS`), so notes and timing are moved by
the difference; `--keep-times` leaves them where they are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from chart.formats.find_file import find_on_disk
from chart.formats.osu_write import format_osu
from chart.formats.osz import read_osz_audio, read_osz_file, write_osz
from chart.formats.quaver import format_quaver, write_quaver_set
from chart.formats.read import audio_beside, read_charts
from chart.formats.stepmania import format_ssc
from chart.model import Chart
from runtime.atomic_write import save_bytes
from runtime.command import Command, OutputFile, use_utf8
from runtime.errors import ConfigError, OutputError

SINGLE = {".osu": format_osu, ".qua": format_quaver}
"""Files of one chart, and what writes their text."""
WRITTEN = (".osz", ".ssc", ".qp", *SINGLE)


@dataclass(frozen=True, slots=True)
class Media:
    """Files on disk that charts need."""

    audio: Path
    background: Path | None = None


def convert(source: Path, target: Path, difficulty: str | None = None, keep_times: bool = False) -> list[Path]:
    """Write the charts of `source` as `target`; the files that were written. Raises ConfigError, ChartFileError, OutputError."""
    from ear.audio.clock import usual_lag_ms

    charts = read_charts(source)
    if difficulty is not None:
        charts = [chart for chart in charts if chart.metadata.version.casefold() == difficulty.casefold()] or charts
        if charts[0].metadata.version.casefold() != difficulty.casefold():
            raise ConfigError(f"{source}: no difficulty “{difficulty}” (there are: {_names(charts)})")
    moved = [_moved(chart, 0.0 if keep_times else usual_lag_ms(source) - usual_lag_ms(target)) for chart in charts]
    suffix = target.suffix.lower()
    if suffix in SINGLE:
        if len(moved) > 1:
            raise ConfigError(f"{source}: a {suffix} holds one difficulty; choose by --difficulty: {_names(charts)}")
        save_bytes(target, SINGLE[suffix](moved[0]).encode("utf-8"))
        return [target]
    with tempfile.TemporaryDirectory(prefix="mania4k-") as folder:
        media = _media(source, charts[0], Path(folder))
        return _SETS[suffix](moved, media, target)


def _names(charts: Sequence[Chart]) -> str:
    return ", ".join(f"“{chart.metadata.version}”" for chart in charts)


def _moved(chart: Chart, later_ms: float) -> Chart:
    preview_ms = chart.preview_ms if chart.preview_ms < 0 else max(round(chart.preview_ms + later_ms), 0)
    return replace(chart.shifted(later_ms), preview_ms=preview_ms)


def _media(source: Path, chart: Chart, folder: Path) -> Media:
    """The song in a form that all of the games play, and the picture where it is there."""
    from mapper.output.package import playable_audio

    if source.suffix.lower() != ".osz":
        background = find_on_disk(source.parent, chart.background) if chart.background else None
        return Media(playable_audio(audio_beside(source, chart), folder), background)
    song = folder / f"song{Path(chart.audio_filename).suffix.lower()}"
    song.write_bytes(read_osz_audio(source, chart.audio_filename))
    picture = read_osz_file(source, chart.background) if chart.background else None
    background = folder / f"background{Path(chart.background).suffix.lower()}"
    if picture is not None:
        background.write_bytes(picture)
    return Media(playable_audio(song, folder), None if picture is None else background)


def _to_osz(charts: Sequence[Chart], media: Media, target: Path) -> list[Path]:
    write_osz(charts, media.audio, target, media.background)
    return [target]


def _to_quaver(charts: Sequence[Chart], media: Media, target: Path) -> list[Path]:
    files = _files(media, "audio", "background")
    write_quaver_set(_naming(charts, list(files)), files, target)
    return [target]


def _to_stepmania(charts: Sequence[Chart], media: Media, target: Path) -> list[Path]:
    """The file with song and picture beside it."""
    files = {target.with_name(name): source for name, source in _files(media, target.stem, f"{target.stem}-bg").items()}
    data = {path: source.read_bytes() for path, source in files.items()}
    for path in data:
        if path.exists() and path.read_bytes() != data[path]:
            raise OutputError(
                f"{path}: is there already and another file; name the .ssc otherwise, or give it its own folder"
            )
    text = format_ssc(_naming(charts, [path.name for path in files]))
    for path, content in data.items():
        save_bytes(path, content)
    save_bytes(target, text.encode("utf-8"))
    return [target, *files]


def _files(media: Media, audio: str, background: str) -> dict[str, Path]:
    """The song, then the picture where there is one, by names of these stems."""
    named = [(audio, media.audio), (background, media.background)]
    return {f"{stem}{path.suffix.lower()}": path for stem, path in named if path is not None}


def _naming(charts: Sequence[Chart], names: list[str]) -> list[Chart]:
    """The charts with the names of their song and picture."""
    audio, background = [*names, ""][:2]
    return [replace(chart, audio_filename=audio, background=background) for chart in charts]


_SETS: dict[str, Callable[[Sequence[Chart], Media, Path], list[Path]]] = {
    ".osz": _to_osz,
    ".qp": _to_quaver,
    ".ssc": _to_stepmania,
}


@click.command(cls=Command)
@click.argument("path", metavar="MAP", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=OutputFile(*WRITTEN), help=f"The file to write: {' '.join(WRITTEN)}.")
@click.option("--difficulty", help="Only the difficulty of this name.")
@click.option("--keep-times", is_flag=True, help="Do not move the times from one game's habit to the other's.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
def main(path: Path, out: Path, difficulty: str | None, keep_times: bool, overwrite: bool) -> None:
    """Convert MAP to osu! (.osz, .osu), StepMania and Etterna (.ssc, with its song beside it) or Quaver (.qp, .qua)."""
    use_utf8()
    if out.exists() and not overwrite:
        raise OutputError(f"{out}: is there already; name another file with -o, or replace it with --overwrite")
    for written in convert(path, out, difficulty, keep_times):
        click.echo(written)


if __name__ == "__main__":
    main()
