"""Render music with exact beats: as a Beat This training set, or as audio files with a `timing.json`.

Shared by the commands `ear.corpora.render_midi` and `ear.corpora.render_modules`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np
import soundfile
from numpy.typing import NDArray

from ear.audio.decode import SAMPLE_RATE
from ear.audio.spectrogram import beat_this_mel
from ear.corpora.sources import MusicSource, read_sources, without_test_pieces
from ear.training.store import (
    BeatPiece,
    PieceEntry,
    add_to_index,
    file_stem,
    quantised,
    read_index,
    split_of,
    write_piece,
)
from runtime.atomic_write import save_bytes
from runtime.errors import ConfigError
from runtime.progress import progress

MIN_SECONDS = 10.0
MIN_BEATS = 8


class RenderError(ValueError):
    """A piece that cannot be rendered, or whose beats are not known; it is skipped."""


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """A piece as it sounds, and its beats in audio time."""

    samples: NDArray[np.float32] = field(repr=False)  # [sample] at 22,050 Hz
    beat_ms: NDArray[np.float64]  # [beat]
    is_downbeat: NDArray[np.bool_]  # [beat]


Render = Callable[[MusicSource], Rendered]


def checked(samples: NDArray[np.float32], beat_ms: NDArray[np.float64], is_downbeat: NDArray[np.bool_]) -> Rendered:
    """The piece with the beats that sound in it. Raises RenderError where it is too short or has too few."""
    if samples.size < MIN_SECONDS * SAMPLE_RATE:
        raise RenderError("is too short")
    inside = (beat_ms >= 0) & (beat_ms < samples.size * 1000 / SAMPLE_RATE)
    if inside.sum() < MIN_BEATS:
        raise RenderError("has too few beats where it sounds")
    return Rendered(samples, beat_ms[inside], is_downbeat[inside])


def as_piece(name: str, group: str, found: Rendered) -> BeatPiece:
    """A rendered piece as a training set holds it."""
    beat_ms, is_downbeat = found.beat_ms, found.is_downbeat
    mel = quantised(beat_this_mel(found.samples))
    period_ms = float(np.median(np.diff(beat_ms)))
    first_ms, last_ms = max(0.0, beat_ms[0] - 0.9 * period_ms), beat_ms[-1] + 0.9 * period_ms
    return BeatPiece(name, group, mel, beat_ms, is_downbeat, first_ms, last_ms, bool(is_downbeat.any()))


def add_to_set(sources: Sequence[MusicSource], out: Path, group: str, render: Render) -> list[str]:
    """Render all into the dataset `out`, adding what is not there yet; returns what was skipped."""
    done = {entry.name for entry in read_index(out)} if (out / "pieces.json").is_file() else set()

    def add(source: MusicSource) -> None:
        piece = as_piece(source.name, group, render(source))
        write_piece(out, piece)
        add_to_index(out, [PieceEntry(piece.name, piece.group, split_of(piece.name), round(piece.seconds, 2))])

    return _add_all([source for source in sources if source.name not in done], add, group)


def add_timed(sources: Sequence[MusicSource], out: Path, group: str, render: Render, collection: str) -> list[str]:
    """Render all as audio files with a `timing.json`, adding what is not there yet; returns what was skipped."""
    index = out / "timing.json"
    rows = json.loads(index.read_text(encoding="utf-8")) if index.is_file() else []
    done = {row["file"] for row in rows}

    def add(source: MusicSource) -> None:
        found = render(source)
        out.mkdir(parents=True, exist_ok=True)
        soundfile.write(out / _audio_name(source), np.clip(found.samples, -1, 1), SAMPLE_RATE)
        row = {"file": _audio_name(source), "group": group, "collection": collection}
        row |= {"beats_s": np.round(found.beat_ms / 1000, 6).tolist(), "downbeat": found.is_downbeat.tolist()}
        rows.append(row)
        save_bytes(index, json.dumps(rows).encode("utf-8"))

    return _add_all([source for source in sources if _audio_name(source) not in done], add, group)


def _audio_name(source: MusicSource) -> str:
    return f"{file_stem(source.name)}.flac"


def _add_all(sources: Sequence[MusicSource], add: Callable[[MusicSource], None], group: str) -> list[str]:
    """Add one by one, each with its entry in the index: rendering is slow, and may be stopped and gone on with."""
    skipped = []
    for source in progress(sources, f"rendering {group}"):
        try:
            add(source)
        except RenderError as error:
            skipped.append(f"{source.name}: {error}")
    return skipped


@dataclass(frozen=True, slots=True)
class Selection:
    """Selection of the files to render, and the folder of the results."""

    out: Path | None
    name: str
    leave_out: Path | None
    not_in: Path | None
    limit: int | None
    timed: bool
    check: bool
    seed: int


def rendering_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a command that renders, but for those of its synthesiser; the command gets them as in `Selection`."""
    folder, file = click.Path(exists=True, path_type=Path), click.Path(exists=True, dir_okay=False, path_type=Path)
    for option in (
        click.option("--check", is_flag=True, help="Only print what would be left out."),
        click.option("--seed", default=0, show_default=True),
        click.option("--timed", is_flag=True, help="Write audio and a timing.json instead of a training set."),
        click.option("--not-in", type=folder, help="A training set: leave its pieces out."),
        click.option("--leave-out", type=file, help="A timing.json."),
        click.option("--limit", type=click.IntRange(1), help="Render this many, drawn by the seed."),
        click.option("--max-seconds", default=150.0, show_default=True, type=click.FloatRange(10, 1200)),
        click.option("--group", default="midi", show_default=True, help="What kind of music it is, for the figures."),
        click.option(
            "--name", default="midi", show_default=True, help="Name of the collection, first part of its pieces' names."
        ),
        click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder of the dataset."),
        click.argument("sources", nargs=-1, required=True, type=folder),
    ):
        command = option(command)
    return command


def select(paths: Sequence[Path], chosen: Selection, suffixes: tuple[str, ...]) -> list[MusicSource]:
    """The files to render. Raises ConfigError where there are none."""
    found = [source for path in paths for source in read_sources(path, chosen.name, suffixes)]
    if not found:
        raise ConfigError(f"{paths[0]}: holds no files of the kinds {', '.join(suffixes)}")
    if chosen.leave_out is not None:
        test_names = [Path(row["file"]).stem for row in json.loads(chosen.leave_out.read_text(encoding="utf-8"))]
        kept = without_test_pieces(found, test_names)
        for source in sorted({s.name for s in found} - {s.name for s in kept}):
            click.echo(f"left out: {source}", err=True)
        found = kept
    if chosen.not_in is not None:
        trained_on = {entry.name for entry in read_index(chosen.not_in) if entry.split == "train"}
        found = [source for source in found if source.name not in trained_on]
    if chosen.limit is not None and chosen.limit < len(found):
        drawn = np.random.default_rng(chosen.seed).permutation(len(found))[: chosen.limit]
        found = [found[index] for index in sorted(drawn)]
    return found


def render_selected(
    paths: Sequence[Path], chosen: Selection, suffixes: tuple[str, ...], group: str, render: Render
) -> None:
    """Render what is selected, or only count it, and say what was done."""
    sources = select(paths, chosen, suffixes)
    if chosen.check:
        click.echo(f"{len(sources)} pieces would be rendered")
        return
    if chosen.out is None:
        raise ConfigError("give the dataset's folder with -o")
    if chosen.timed:
        skipped = add_timed(sources, chosen.out, group, render, chosen.name)
    else:
        skipped = add_to_set(sources, chosen.out, group, render)
    for line in skipped:
        click.echo(f"skipped: {line}", err=True)
    click.echo(f"{len(sources) - len(skipped)} pieces rendered, {len(skipped)} skipped")
