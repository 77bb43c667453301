"""How right is the Ear? Tempo, offset and beats against pieces with exact truth, and grids against the maps' own.

    python -m bench.ear ../shared/data

Over `timing/`, by group: tempo within 0.01 % where it is constant, wrong metrical ratios, offset error modulo a beat,
F at ±20 ms of beats and downbeats. Over the `val` songs of `songs/`: red lines against the maps' own and the share of
notes within 5 ms of our grid, after each song's own lag between notes and sound. Ends with one line of JSON.
"""

from __future__ import annotations

import json
import platform
import time
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from chart.command import Command, progress, use_utf8
from chart.model import Chart
from chart.osz import read_osz
from chart.snap import beats_at, snap_beats
from ear.audio import load_audio
from ear.fit_timing import main_red_line
from ear.onset import Lag, estimate_lag_ms, onset_strength
from ear.timing import Beats, Timing, beats_of, find_timing

TEMPO_TOLERANCE = 1e-4
RATIO_TOLERANCE = 2e-3
"""Beyond this a tempo is another multiple, not an inexact one."""

BEAT_TOLERANCE_MS = 20.0
NOTE_TOLERANCE_MS = 5.0
PHASE_TOLERANCE_MS = 20.0
"""A beat further from the truth than this is the wrong tick of the pulse."""

RATIOS = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 1.0, 4 / 3, 3 / 2, 2.0, 3.0, 4.0)
CONSTANT_GROUPS = ("electronic", "recorded", "band")


@dataclass(frozen=True)
class PieceResult:
    """One piece of `timing/`."""

    file: str
    group: str
    constant: bool  # whether the truth has one tempo
    tempo_error: float  # ours / true − 1
    ratio: float  # nearest simple ratio of ours to the truth
    offset_error_ms: float  # median signed distance of true beats from our beats; nan where the ratio is wrong
    beat_f: float
    downbeat_f: float
    confidence: float
    wall_s: float


@dataclass(frozen=True)
class SongResult:
    """One `val` song against its chart with the most notes."""

    file: str
    constant: bool  # whether one tempo rules nearly all of the chart
    tempo_error: float
    ratio: float
    offset_error_ms: float  # our beat against the chart's, after the lag; nan where the ratio is wrong
    notes_on_grid: float  # share within NOTE_TOLERANCE_MS of our grid at the notes' own divisors
    downbeat_right: bool
    lag: Lag
    confidence: float
    wall_s: float


def f_measure(found: NDArray[np.float64], true: NDArray[np.float64], tolerance_ms: float) -> float:
    """Harmonic mean of precision and recall; each beat is matched with one at most, nearest pairs in order of time."""
    if not found.size or not true.size:
        return 0.0
    hits, i, j = 0, 0, 0
    while i < found.size and j < true.size:
        if abs(found[i] - true[j]) <= tolerance_ms:
            hits, i, j = hits + 1, i + 1, j + 1
        elif found[i] < true[j]:
            i += 1
        else:
            j += 1
    return 2 * hits / (found.size + true.size)


def nearest_ratio(ratio: float) -> float:
    """The simple ratio nearest to a quotient of tempi."""
    return min(RATIOS, key=lambda simple: abs(np.log(ratio / simple)))


def offset_error_ms(found: Beats, true_ms: NDArray[np.float64]) -> float:
    """Median signed distance from each true beat to the nearest beat found."""
    at = np.clip(np.searchsorted(found.time_ms, true_ms), 1, found.time_ms.size - 1)
    left, right = found.time_ms[at - 1] - true_ms, found.time_ms[at] - true_ms
    return float(np.median(np.where(np.abs(left) < np.abs(right), left, right)))


def judge_piece(piece: dict, timing: Timing, wall_s: float) -> PieceResult:
    """Our timing against a piece's exact beats."""
    true_ms = np.array(piece["beats_s"]) * 1000
    position = np.array(piece["pos"])
    inside = (true_ms[0] - 200, true_ms[-1] + 200)
    beats = beats_of(timing)
    kept = (beats.time_ms > inside[0]) & (beats.time_ms < inside[1])
    low_bpm, high_bpm = piece.get("bpm", (0.0, 1.0))  # live performances have none
    constant = high_bpm - low_bpm < TEMPO_TOLERANCE
    quotient = timing.bpm / float(low_bpm if constant else 60_000 / np.median(np.diff(true_ms)))
    ratio = nearest_ratio(quotient)
    right = abs(quotient - 1) < RATIO_TOLERANCE
    return PieceResult(
        file=piece["file"],
        group=piece["group"],
        constant=constant and piece["group"] in CONSTANT_GROUPS,
        tempo_error=quotient - 1,
        ratio=ratio if abs(quotient / ratio - 1) < 0.02 else quotient,
        offset_error_ms=offset_error_ms(beats, true_ms) if right else float("nan"),
        beat_f=f_measure(beats.time_ms[kept], true_ms, BEAT_TOLERANCE_MS),
        downbeat_f=f_measure(beats.time_ms[kept & (beats.position == 1)], true_ms[position == 1], BEAT_TOLERANCE_MS),
        confidence=timing.confidence,
        wall_s=wall_s,
    )


def judge_song(file: str, chart: Chart, timing: Timing, lag: Lag, wall_s: float) -> SongResult:
    """Our timing against a chart's red lines and notes."""
    line, end_ms, share = main_red_line(chart)
    quotient = timing.bpm / line.bpm
    ratio = nearest_ratio(quotient)
    right = abs(quotient - 1) < RATIO_TOLERANCE
    bar_ms = 4 * line.beat_length_ms
    middle_ms = (max(line.time_ms, 0.0) + end_ms) / 2
    true_ms = line.time_ms + round((middle_ms - line.time_ms) / bar_ms) * bar_ms + lag.lag_ms
    beats = beats_of(timing)
    error_ms = offset_error_ms(beats, np.array([true_ms]))
    nearest = int(np.abs(beats.time_ms - true_ms).argmin())
    theirs = beats_at(chart.time_ms, chart.red_lines)
    divisor = np.maximum(snap_beats(theirs.phase, theirs.beat_ms).divisor, 1)
    ours = beats_at(chart.time_ms + lag.lag_ms, timing.points)
    distance_ms = np.abs(ours.phase * divisor - np.round(ours.phase * divisor)) / divisor * ours.beat_ms
    return SongResult(
        file=file,
        constant=share > 0.97,
        tempo_error=quotient - 1,
        ratio=ratio if abs(quotient / ratio - 1) < 0.02 else quotient,
        offset_error_ms=error_ms if right else float("nan"),
        notes_on_grid=float((distance_ms <= NOTE_TOLERANCE_MS).mean()),
        downbeat_right=right and abs(error_ms) < PHASE_TOLERANCE_MS and int(beats.position[nearest]) == 1,
        lag=lag,
        confidence=timing.confidence,
        wall_s=wall_s,
    )


def time_pieces(folder: Path) -> list[PieceResult]:
    """Results for every piece of `timing.json`."""
    pieces = json.loads((folder / "timing.json").read_text(encoding="utf-8"))
    results = []
    for piece in progress(pieces, "timing"):
        started = time.perf_counter()
        timing = find_timing(load_audio(folder / piece["file"]))
        results.append(judge_piece(piece, timing, time.perf_counter() - started))
    return results


def time_songs(folder: Path, split: str) -> list[SongResult]:
    """Results for every song of a split whose charts have red lines."""
    songs = json.loads((folder / "songs.json").read_text(encoding="utf-8"))
    results = []
    for song in progress([song for song in songs if song["split"] == split], f"{split} songs"):
        beatmapset = read_osz(folder / song["file"])
        charts = [chart for chart in beatmapset.charts if chart.red_lines and len(chart)]
        if not charts:
            continue
        started = time.perf_counter()
        audio = load_audio(beatmapset.read_audio(), name=song["file"])
        timing = find_timing(audio)
        wall_s = time.perf_counter() - started
        notes = np.concatenate([chart.time_ms for chart in charts])
        lag = estimate_lag_ms(onset_strength(audio.samples, audio.sample_rate), notes)
        results.append(judge_song(song["file"], max(charts, key=len), timing, lag, wall_s))
    return results


def offset_figures(errors_ms: NDArray[np.float64]) -> dict[str, float]:
    """Median and 90th percentile of |error|, and the median signed error; nan when there is none."""
    known = errors_ms[~np.isnan(errors_ms)]
    if not known.size:
        return {"offset_median_ms": float("nan"), "offset_p90_ms": float("nan"), "offset_bias_ms": float("nan")}
    return {
        "offset_median_ms": float(np.median(np.abs(known))),
        "offset_p90_ms": float(np.percentile(np.abs(known), 90)),
        "offset_bias_ms": float(np.median(known)),
    }


def group_figures(results: list[PieceResult]) -> dict[str, float]:
    """Figures of one group of pieces."""
    constant = [result for result in results if result.constant]
    figures: dict[str, float] = {
        "pieces": len(results),
        "beat_f": float(np.mean([result.beat_f for result in results])),
        "downbeat_f": float(np.mean([result.downbeat_f for result in results])),
        "confidence": float(np.mean([result.confidence for result in results])),
    }
    if constant:
        figures["constant"] = len(constant)
        figures["tempo_right"] = float(np.mean([abs(result.tempo_error) <= TEMPO_TOLERANCE for result in constant]))
        figures["wrong_ratio"] = sum(abs(result.tempo_error) > RATIO_TOLERANCE for result in constant)
        figures |= offset_figures(np.array([result.offset_error_ms for result in constant]))
    return figures


def song_figures(results: list[SongResult]) -> dict[str, float]:
    """Figures over songs with one tempo."""
    constant = [result for result in results if result.constant]
    return {
        "songs": len(results),
        "constant": len(constant),
        "tempo_right": float(np.mean([abs(result.tempo_error) <= TEMPO_TOLERANCE for result in constant])),
        "wrong_ratio": sum(abs(result.tempo_error) > RATIO_TOLERANCE for result in constant),
        "notes_on_grid": float(np.mean([result.notes_on_grid for result in constant])),
        "notes_on_grid_all": float(np.mean([result.notes_on_grid for result in results])),
        "downbeat_right": float(np.mean([result.downbeat_right for result in constant])),
        "lag_median_ms": float(np.median([result.lag.lag_ms for result in results])),
        "wall_s": float(np.mean([result.wall_s for result in results])),
        **offset_figures(np.array([result.offset_error_ms for result in constant])),
    }


def print_misses(pieces: list[PieceResult], songs: list[SongResult]) -> None:
    """Each piece or song that is not as it should be, and which error it is."""
    for result in [*pieces, *songs]:
        kinds = []
        if abs(result.tempo_error) > RATIO_TOLERANCE:
            kinds.append(f"ratio {result.ratio:.3g}")
        elif abs(result.tempo_error) > TEMPO_TOLERANCE:
            kinds.append(f"tempo off by {result.tempo_error:+.3%}")
        if abs(result.offset_error_ms) > PHASE_TOLERANCE_MS:
            kinds.append(f"phase {result.offset_error_ms:+.0f} ms")
        if kinds and (result.constant or isinstance(result, SongResult)):
            click.echo(f"  {result.file[:60]}: {', '.join(kinds)}; confidence {result.confidence:.2f}")


@click.command(cls=Command)
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--split", default="val", show_default=True, help="Split of songs.json to measure on.")
@click.option("--only", type=click.Choice(["timing", "songs"]), help="Measure on one of the two alone.")
def main(data: Path, split: str, only: str | None) -> None:
    """Measure the Ear on DATA/timing and DATA/songs."""
    use_utf8()
    pieces = time_pieces(data / "timing") if only != "songs" else []
    songs = time_songs(data / "songs", split) if only != "timing" else []
    report: dict[str, object] = {"bench": "ear", "machine": f"{platform.machine()} {platform.system()}"}
    keys = (
        "pieces",
        "tempo_right",
        "wrong_ratio",
        "offset_median_ms",
        "offset_p90_ms",
        "offset_bias_ms",
        "beat_f",
        "downbeat_f",
        "confidence",
    )
    if pieces:
        click.echo(" ".join(["group".ljust(13), *(key.rjust(16) for key in keys)]))
    for group in sorted({piece.group for piece in pieces}):
        figures = group_figures([piece for piece in pieces if piece.group == group])
        click.echo(" ".join([group.ljust(13), *(f"{figures.get(key, float('nan')):16.3f}" for key in keys)]))
        report[group] = figures
    if songs:
        report[split] = song_figures(songs)
        click.echo(f"{split} songs: " + ", ".join(f"{key} {value:.3f}" for key, value in song_figures(songs).items()))
    click.echo("misses:")
    print_misses(pieces, songs)
    click.echo(json.dumps(report))


if __name__ == "__main__":
    main()
