"""The clocks of chart formats: delay of the sound in the decoded audio after a chart's time.

Ranked osu!mania maps are timed by ear in osu!stable, and sit some 20–25 ms *before* the acoustic onset as libsndfile
decodes it; StepMania and Quaver charts sit on it. A chart made from audio alone must make the same step to feel like
a ranked one. The constants are medians over the `train` songs, one lag a song (`ear.audio.onset.estimate_lag_ms`):

    python -m ear.audio.clock ../shared/data/songs
    python -m ear.audio.clock FOLDER_OF_OSZ --by-codec     # mp3, vorbis, … apart: their decoders may differ in delay

They hold for audio as libsndfile decodes it, which drops encoder delay. Ours are all Vorbis, made from the maps' own files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click
import numpy as np
from numpy.typing import NDArray

from chart.formats.osz import Beatmapset, read_osz
from ear.audio.decode import load_audio
from ear.audio.onset import Lag, estimate_lag_ms, onset_strength
from runtime.command import Command, use_utf8
from runtime.errors import ConfigError, Mania4KError
from runtime.progress import progress

Times = TypeVar("Times", float, NDArray[np.float64])

SOURCE_LAG_MS = {"osu": 21.7, "stepmania": -2.1, "quaver": 1.0}
"""Sound after chart, in ms. Medians over 51, 121 and 12 songs; median deviations 5.1, 4.1 and 1.8 ms."""

OSU_CLOCK_MS = -SOURCE_LAG_MS["osu"]
"""Add this to a time in the audio to get the time an osu! map gives it."""

MIN_CONFIDENCE = 0.5
"""Lags below this confidence do not count."""

MIN_SONGS = 3
"""Fewer songs than this give no constant."""

SUFFIX_SOURCES = {
    ".sm": "stepmania",
    ".ssc": "stepmania",
    ".qua": "quaver",
    ".qp": "quaver",
    ".mc": "quaver",
    ".bms": "quaver",
    ".bme": "quaver",
}
"""Whose clock a chart file keeps, by suffix; osu!'s for all others. Malody and BMS place their song by its samples, as Quaver."""

STYLE_SOURCES = {"osu!mania": "osu", "StepMania dance-single": "stepmania", "Quaver 4K": "quaver"}
"""Names in `songs.json`; a folder without one holds osu! maps."""


@dataclass(frozen=True, slots=True)
class TypicalLag:
    """Lag shared by the charts of one source."""

    median_ms: float
    deviation_ms: float  # median distance of a song from the median
    songs: int


def to_osu_clock(audio_ms: Times) -> Times:
    """The time that an osu! map gives to a sound at `audio_ms`."""
    return audio_ms + OSU_CLOCK_MS


def from_osu_clock(osu_ms: Times) -> Times:
    """The time in the audio of the sound that an osu! map has at `osu_ms`."""
    return osu_ms - OSU_CLOCK_MS


def usual_lag_ms(path: Path) -> float:
    """Lag of the sound after its note in files of this kind."""
    return SOURCE_LAG_MS[SUFFIX_SOURCES.get(path.suffix.lower(), "osu")]


def measure_lag(beatmapset: Beatmapset) -> Lag:
    """Lag of the sound of a set's song after its notes, over all its charts."""
    audio = load_audio(beatmapset.read_audio(), name=beatmapset.path.name)
    note_ms = np.unique(np.concatenate([chart.time_ms for chart in beatmapset.charts] or [np.zeros(0)]))
    return estimate_lag_ms(onset_strength(audio.samples, audio.sample_rate), note_ms)


def typical_lag(lags: Iterable[Lag]) -> TypicalLag:
    """The lag most songs share: the median of those that are sure, so that a few badly timed maps do not matter."""
    sure = np.array([lag.lag_ms for lag in lags if lag.confidence >= MIN_CONFIDENCE])
    if sure.size < MIN_SONGS:
        raise ConfigError(f"{sure.size} songs with a clear lag are too few to determine a clock; give {MIN_SONGS}")
    median = float(np.median(sure))
    return TypicalLag(median, float(np.median(np.abs(sure - median))), int(sure.size))


MAGIC = ((b"ID3", "mp3"), (b"\xff\xfb", "mp3"), (b"\xff\xf3", "mp3"), (b"fLaC", "flac"), (b"RIFF", "wav"))
"""First bytes of audio files; Ogg holds several codecs, named within its first page."""


def codec_of(data: bytes) -> str:
    """Name of the codec of an audio file: mp3, vorbis, opus, flac, wav, or other."""
    if data.startswith(b"OggS"):
        return "opus" if b"OpusHead" in data[:128] else "vorbis" if b"vorbis" in data[:128] else "other"
    return next((name for magic, name in MAGIC if data.startswith(magic)), "other")


def lags_by_source(folder: Path, *, by_codec: bool = False) -> dict[str, list[Lag]]:
    """Lags of the folder's `.osz` files by source, as "osu", or by source and codec, as "osu vorbis".

    `val` songs of a `songs.json` beside them are left out.
    """
    songs = {}
    if (folder / "songs.json").is_file():
        songs = {song["file"]: song for song in json.loads((folder / "songs.json").read_text(encoding="utf-8"))}
    lags: dict[str, list[Lag]] = {}
    for path in progress(sorted(folder.glob("*.osz")), "measuring lags"):
        song = songs.get(path.name, {})
        if song.get("split", "train") != "train":
            continue
        try:
            beatmapset = read_osz(path)
            lag = measure_lag(beatmapset)
            codec = codec_of(beatmapset.read_audio()) if by_codec else ""
        except Mania4KError as error:
            click.echo(f"skipped: {error}", err=True)
            continue
        source = STYLE_SOURCES.get(song.get("style", "osu!mania"), "other")
        lags.setdefault(f"{source} {codec}".strip(), []).append(lag)
    return lags


@click.command(cls=Command)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--by-codec", is_flag=True, help="Keep audio codecs apart.")
def main(folder: Path, by_codec: bool) -> None:
    """Measure how long the sound comes after the notes in the beatmap sets of FOLDER."""
    use_utf8()
    found = lags_by_source(folder, by_codec=by_codec)
    if not found:
        raise ConfigError(f"{folder}: holds no .osz files; name a folder of beatmap sets")
    for source, lags in sorted(found.items()):
        try:
            lag = typical_lag(lags)
        except ConfigError as error:
            click.echo(f"{source}: {error}", err=True)
            continue
        click.echo(f"{source}: {lag.median_ms:+.1f} ms, deviation {lag.deviation_ms:.1f} ms, {lag.songs} songs")


if __name__ == "__main__":
    main()
