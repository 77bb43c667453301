"""A Beat This training set from beatmap sets: `python -m ear.dataset FOLDER_OF_OSZ -o DATA`.

The red lines of ranked maps say where beats and downbeats are. The sound comes later than the map says (`ear.audio.clock`): the lag of
each song is measured from its notes, and where it is not clear, that of its source is taken. Beats are kept from
two bars before the first note to two bars after the last; maps whose notes ignore their own red lines, or whose
tempo is a visual effect, are left out and named. Sets of `--val-artist` are for validation; without it,
a twelfth of the sets by their names. `val` songs of a `songs.json` beside the sets are left out.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from chart.formats.osz import Beatmapset, read_osz
from chart.model import Chart
from ear.audio.clock import MIN_CONFIDENCE, SOURCE_LAG_MS, STYLE_SOURCES
from ear.audio.decode import load_audio
from ear.audio.onset import estimate_lag_ms, onset_strength
from ear.audio.spectrogram import beat_this_mel
from ear.timing.model import Timing, beats_of
from ear.training.store import (
    BeatPiece,
    PieceEntry,
    Split,
    add_to_index,
    quantised,
    read_index,
    split_of,
    write_piece,
)
from runtime.command import Command, use_utf8
from runtime.errors import ConfigError, Mania4KError
from runtime.progress import progress

MARGIN_BEATS = 8
"""Beats before the first and after the last note in which the map's tempo still holds."""

MIN_GRID_SHARE = 0.8
"""A map is used where this share of its notes is within `GRID_MS` of a 1/12 or 1/16 of a beat."""

GRID_MS = 3.0
DIVISORS = (12, 16)

BPM_RANGE = (40.0, 320.0)
MIN_STEADY_SHARE = 0.95
"""Share of beats within `BPM_RANGE`; others are visual effects."""


class UnusableMapError(Mania4KError):
    """A beatmap set without usable beats; the message gives the reason."""


def build_dataset(folder: Path, out: Path, val_artists: tuple[str, ...] = ()) -> list[str]:
    """Write the dataset of a folder of `.osz` files to `out`, adding to an existing one; returns the skipped sets and reasons."""
    songs = _songs(folder)
    paths = sorted(folder.glob("*.osz"))
    if not paths:
        raise ConfigError(f"{folder}: holds no .osz files; name a folder of beatmap sets")
    entries, skipped = [], []
    for path in progress(paths, "reading songs"):
        song = songs.get(path.name, {})
        if song.get("split", "train") != "train":
            continue
        try:
            beatmapset = read_osz(path)
            piece = piece_of(beatmapset, STYLE_SOURCES.get(song.get("style", "osu!mania"), "other"))
        except Mania4KError as error:
            skipped.append(f"{path.name}: {error}")
            continue
        write_piece(out, piece)
        split = _split(beatmapset, piece.name, val_artists)
        entries.append(PieceEntry(piece.name, piece.group, split, round(piece.seconds, 2)))
    add_to_index(out, entries)
    return skipped


def piece_of(beatmapset: Beatmapset, source: str = "osu") -> BeatPiece:
    """The song of a set with the beats of its red lines, in audio time. Raises Mania4KError where the set is not usable."""
    if not beatmapset.charts:
        raise UnusableMapError("has no chart that can be read")
    chart = max(beatmapset.charts, key=len)
    check_red_lines(chart)
    audio = load_audio(beatmapset.read_audio(chart.audio_filename), name=beatmapset.path.name)
    note_ms = np.unique(np.concatenate([other.time_ms for other in beatmapset.charts]))
    lag = estimate_lag_ms(onset_strength(audio.samples, audio.sample_rate), note_ms)
    lag_ms = lag.lag_ms if lag.confidence >= MIN_CONFIDENCE else SOURCE_LAG_MS.get(source, SOURCE_LAG_MS["osu"])
    points = tuple(replace(line, time_ms=line.time_ms + lag_ms) for line in chart.red_lines)
    beats = beats_of(Timing(points, 1.0, (), audio.duration_ms))
    margin_ms = MARGIN_BEATS * float(np.median(np.diff(beats.time_ms)))
    return BeatPiece(
        beatmapset.path.stem,
        source,
        quantised(beat_this_mel(audio.samples)),
        beats.time_ms,
        beats.position == 1,
        max(0.0, float(note_ms[0]) + lag_ms - margin_ms),
        min(audio.duration_ms, float(note_ms[-1]) + lag_ms + margin_ms),
    )


def check_red_lines(chart: Chart) -> None:
    """Raise UnusableMapError where the red lines are not the beat of the notes."""
    beats = beats_of(Timing(chart.red_lines, 1.0, (), chart.last_ms + 1))
    bpm = 60_000 / np.maximum(np.diff(beats.time_ms), 1e-6)
    low, high = BPM_RANGE
    if not bpm.size or ((bpm >= low) & (bpm <= high)).mean() < MIN_STEADY_SHARE:
        raise UnusableMapError(f"its red lines leave {low:.0f}–{high:.0f} BPM: visual effects, or no beat at all")
    share = grid_share(chart)
    if share < MIN_GRID_SHARE:
        raise UnusableMapError(f"only {share:.0%} of its notes are on the grid of its own red lines")


def grid_share(chart: Chart) -> float:
    """Share of notes within `GRID_MS` of a snap of the red line that rules them."""
    lines = chart.red_lines
    ruling = np.searchsorted([line.time_ms for line in lines], chart.time_ms + 0.5, side="right").clip(1) - 1
    start = np.array([line.time_ms for line in lines])[ruling]
    length = np.array([line.beat_length_ms for line in lines])[ruling]
    errors = [
        np.abs((x := (chart.time_ms - start) * divisor / length) - np.rint(x)) * length / divisor
        for divisor in DIVISORS
    ]
    return float((np.minimum(*errors) <= GRID_MS).mean())


def _split(beatmapset: Beatmapset, name: str, val_artists: tuple[str, ...]) -> Split:
    if not val_artists:
        return split_of(name)
    metadata = beatmapset.charts[0].metadata
    wanted = {artist.casefold() for artist in val_artists}
    return "val" if wanted & {metadata.artist.casefold(), metadata.artist_unicode.casefold()} else "train"


def _songs(folder: Path) -> dict[str, dict[str, str]]:
    path = folder / "songs.json"
    if not path.is_file():
        return {}
    return {song["file"]: song for song in json.loads(path.read_text(encoding="utf-8"))}


@click.command(cls=Command)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder of the dataset.")
@click.option("--val-artist", "val_artists", multiple=True, help="Hold this artist out for validation (repeatable).")
def main(folder: Path, out: Path, val_artists: tuple[str, ...]) -> None:
    """Make a beat training set from the beatmap sets (.osz) in FOLDER."""
    use_utf8()
    skipped = build_dataset(folder, out, val_artists)
    for line in skipped:
        click.echo(f"skipped: {line}", err=True)
    entries = read_index(out)
    for split in ("train", "val"):
        chosen = [entry.seconds for entry in entries if entry.split == split]
        click.echo(f"{split}: {len(chosen)} songs, {sum(chosen) / 3600:.2f} hours")
    if not any(entry.split == "train" for entry in entries):
        raise ConfigError(f"{folder}: no set is left to train on")


if __name__ == "__main__":
    main()
