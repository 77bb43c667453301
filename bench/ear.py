"""Accuracy of the Ear: tempo, offset and beats against pieces with exact truth, and grids against the maps' own.

    python -m bench.ear ../shared/data                        # with the bundled network
    python -m bench.ear ../shared/data --checkpoint none      # from onsets alone

Over `timing/`, by group: tempo within 0.01 % where it is constant, wrong metrical ratios, offset error modulo a beat,
F at ±20 ms of beats and downbeats, and the distance of the grid from the true beats found. Over the `val` songs of
`songs/`: red lines against the maps' own and the share of notes within 5 ms of our grid, after each song's own lag
between notes and sound. Each miss is named: octave, phase, drift, meter, … Ends with one line of JSON. With --workers all
figures are the same but the seconds a song takes, `wall_s`.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench.beat_figures import PieceResult, SongResult, group_figures, judge_piece, judge_song, song_figures, song_miss
from chart.formats.osz import read_osz
from ear.audio.decode import Audio, load_audio
from ear.audio.onset import estimate_lag_ms, onset_strength
from ear.song_timing import NO_NETWORK, time_with
from ear.timing.model import PROFILES, Profile, Timing
from runtime.command import Command, use_utf8
from runtime.workers import Workers, all_results, worker_options


@dataclass(frozen=True)
class Method:
    """Settings by which songs are timed."""

    checkpoint: str = "bundled"  # of the beat network, or NO_NETWORK
    device: str = "auto"
    profile: Profile = "auto"


@lru_cache(maxsize=1)
def timer(method: Method) -> Callable[[Audio], Timing]:
    """The method as a function, with its network loaded."""
    tracker = None
    if method.checkpoint != NO_NETWORK:
        from ear.tracker.tracker import load_beat_tracker

        tracker = load_beat_tracker(method.checkpoint, device=method.device)

    def time_song(audio: Audio) -> Timing:
        return time_with(tracker, audio, method.profile).timing

    return time_song


def time_pieces(folder: Path, method: Method, workers: Workers) -> list[PieceResult]:
    """Results for every piece of `timing.json`."""
    pieces = json.loads((folder / "timing.json").read_text(encoding="utf-8"))
    return all_results(_time_piece, [(folder, piece, method) for piece in pieces], workers, "timing")


def _time_piece(job: tuple[Path, dict[str, Any], Method]) -> PieceResult:
    folder, piece, method = job
    time_song = timer(method)
    started = time.perf_counter()
    timing = time_song(load_audio(folder / piece["file"]))
    return judge_piece(piece, timing, time.perf_counter() - started)


def time_songs(folder: Path, split: str, method: Method, workers: Workers) -> list[SongResult]:
    """Results for every song of a split whose charts have red lines."""
    songs = json.loads((folder / "songs.json").read_text(encoding="utf-8"))
    jobs = [(folder, song["file"], method) for song in songs if song["split"] == split]
    return [result for result in all_results(_time_song, jobs, workers, f"{split} songs") if result is not None]


def _time_song(job: tuple[Path, str, Method]) -> SongResult | None:
    """Result for one song; None if it has no charts to compare with."""
    folder, file, method = job
    beatmapset = read_osz(folder / file)
    charts = [chart for chart in beatmapset.charts if chart.red_lines and len(chart)]
    if not charts:
        return None
    time_song = timer(method)
    started = time.perf_counter()
    audio = load_audio(beatmapset.read_audio(), name=file)
    timing = time_song(audio)
    wall_s = time.perf_counter() - started
    notes = np.concatenate([chart.time_ms for chart in charts])
    lag = estimate_lag_ms(onset_strength(audio.samples, audio.sample_rate), notes)
    return judge_song(file, max(charts, key=len), timing, lag, wall_s)


def print_misses(pieces: list[PieceResult], songs: list[SongResult]) -> None:
    """Print each piece or song with an error, and the kind of error."""
    for piece in pieces:
        if piece.miss:
            click.echo(
                f"  {piece.file[:60]}: {piece.miss}; F {piece.beat_f:.2f}, downbeats {piece.downbeat_f:.2f}, "
                f"confidence {piece.confidence:.2f}"
            )
    for song in songs:
        if miss := song_miss(song):
            tempi = "" if song.constant else ", its tempo changes"
            click.echo(
                f"  {song.file[:60]}: {miss}{tempi}; notes on grid {song.notes_on_grid:.2f}, "
                f"confidence {song.confidence:.2f}"
            )


KEYS = (
    "pieces",
    "tempo_right",
    "wrong_ratio",
    "offset_median_ms",
    "offset_p90_ms",
    "offset_bias_ms",
    "beat_f",
    "downbeat_f",
    "found",
    "found_median_ms",
    "found_p90_ms",
    "confidence",
    "wall_s",
)


def print_groups(pieces: list[PieceResult]) -> dict[str, dict[str, float]]:
    """Print the table of figures by group and return them."""
    report = {}
    click.echo(" ".join(["group".ljust(13), *(key.rjust(16) for key in KEYS)]))
    for group in sorted({piece.group for piece in pieces}):
        figures = group_figures([piece for piece in pieces if piece.group == group])
        click.echo(" ".join([group.ljust(13), *(f"{figures.get(key, float('nan')):16.3f}" for key in KEYS)]))
        report[group] = figures
    return report


@click.command(cls=Command)
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--split", default="val", show_default=True, help="Split of songs.json to measure on.")
@click.option("--only", type=click.Choice(["timing", "songs"]), help="Measure on one of the two alone.")
@click.option("--checkpoint", default="bundled", show_default=True, help="Beat network, or none.")
@click.option("--device", default="auto", show_default=True, help="Where the network runs.")
@click.option("--timing-profile", "profile", type=click.Choice(PROFILES), default="auto", show_default=True)
@worker_options(default=1)
def main(
    data: Path, split: str, only: str | None, checkpoint: str, device: str, profile: Profile, workers: Workers
) -> None:
    """Measure the Ear on DATA/timing and DATA/songs."""
    use_utf8()
    method = Method(checkpoint, device, profile)
    pieces = time_pieces(data / "timing", method, workers) if only != "songs" else []
    songs = time_songs(data / "songs", split, method, workers) if only != "timing" else []
    report: dict[str, object] = {"bench": "ear", "machine": f"{platform.machine()} {platform.system()}"}
    report |= {"checkpoint": checkpoint, "profile": profile}
    if pieces:
        report |= print_groups(pieces)
    if songs:
        report[split] = song_figures(songs)
        click.echo(f"{split} songs: " + ", ".join(f"{key} {value:.3f}" for key, value in song_figures(songs).items()))
    click.echo("misses:")
    print_misses(pieces, songs)
    click.echo(json.dumps(report))


if __name__ == "__main__":
    main()
