"""A Beat This training set from people's charts: `python -m ear.dataset FOLDER -o DATA`.

FOLDER holds beatmap sets (`.osz`) or rhythm collections (`rhythm.json`: songs with charts of other games, `chart.formats.rhythm`);
their red lines say where beats and downbeats are (`ear.corpora.mapped_songs`). Songs that cannot be used are named. Those of
`--val-artist` and all of `--val-game` are for validation; without them, a twelfth of the songs by their names. `val` songs of a
`songs.json` beside the sets are left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from chart.formats.osz import read_osz
from chart.formats.rhythm import read_rhythm, song_files
from ear.audio.clock import STYLE_SOURCES
from ear.corpora.mapped_songs import MappedSong, song_of_rhythm, song_of_set
from ear.training.store import PieceEntry, Split, add_to_index, read_index, split_of, write_piece
from runtime.command import Command, use_utf8
from runtime.errors import ConfigError, Mania4KError
from runtime.progress import progress


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Songs for validation; with neither, a twelfth of all."""

    artists: tuple[str, ...] = ()
    games: tuple[str, ...] = ()

    def split_of(self, name: str, game: str, artists: set[str]) -> Split:
        """The split of a song by its name, game, and artist's names."""
        if not self.artists and game not in self.games:
            return split_of(name)
        is_wanted = game in self.games or artists & {artist.casefold() for artist in self.artists}
        return "val" if is_wanted else "train"


def build_dataset(folder: Path, out: Path, held_out: HeldOut = HeldOut()) -> list[str]:
    """Write the dataset of a folder to `out`, adding to an existing one; returns the skipped songs and reasons."""
    sources = [*_sets(folder), *((path, _of_rhythm) for path in song_files(folder))]
    if not sources:
        raise ConfigError(f"{folder}: holds no .osz files and no rhythm.json; name a folder of beatmap sets")
    entries, skipped = [], []
    for path, read in progress(sources, "reading songs"):
        try:
            song, artists = read(path)
            piece = song.as_piece()
        except Mania4KError as error:
            skipped.append(f"{path.name}: {error}")
            continue
        write_piece(out, piece)
        split = held_out.split_of(piece.name, piece.group, artists)
        entries.append(PieceEntry(piece.name, piece.group, split, round(piece.seconds, 2)))
    add_to_index(out, entries)
    return skipped


Reader = Callable[[Path], tuple[MappedSong, set[str]]]
"""(song, its artist's names in lower case) of a file."""


def _sets(folder: Path) -> Iterator[tuple[Path, Reader]]:
    songs = _songs(folder)

    def read(path: Path) -> tuple[MappedSong, set[str]]:
        beatmapset = read_osz(path)
        style = songs.get(path.name, {}).get("style", "osu!mania")
        song = song_of_set(beatmapset, STYLE_SOURCES.get(style, "other"))
        metadata = beatmapset.charts[0].metadata
        return song, {metadata.artist.casefold(), metadata.artist_unicode.casefold()}

    for path in sorted(folder.glob("*.osz")):
        if songs.get(path.name, {}).get("split", "train") == "train":
            yield path, read


def _of_rhythm(path: Path) -> tuple[MappedSong, set[str]]:
    song = read_rhythm(path)
    return song_of_rhythm(song), {song.artist.casefold()}


def _songs(folder: Path) -> dict[str, dict[str, str]]:
    path = folder / "songs.json"
    if not path.is_file():
        return {}
    return {song["file"]: song for song in json.loads(path.read_text(encoding="utf-8"))}


@click.command(cls=Command)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder of the dataset.")
@click.option("--val-artist", "artists", multiple=True, help="Hold this artist out for validation (repeatable).")
@click.option("--val-game", "games", multiple=True, help="Hold all songs of this game out for validation (repeatable).")
def main(folder: Path, out: Path, artists: tuple[str, ...], games: tuple[str, ...]) -> None:
    """Make a beat training set from the beatmap sets (.osz) and rhythm collections in FOLDER."""
    use_utf8()
    skipped = build_dataset(folder, out, HeldOut(artists, games))
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
