"""Evaluation of the Ear's timing against exact beats and against maps: errors, figures by group, kinds of misses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chart.analysis.snap import beats_at, snap_beats
from chart.model import Chart
from ear.audio.onset import Lag
from ear.fitting.fit_timing import main_red_line
from ear.timing.model import Beats, Timing, beats_of

TEMPO_TOLERANCE = 1e-4
RATIO_TOLERANCE = 2e-3
"""A tempo with a larger relative error is a wrong multiple, not an inexact tempo."""

BEAT_TOLERANCE_MS = 20.0
NOTE_TOLERANCE_MS = 5.0
PHASE_TOLERANCE_MS = 20.0
"""A beat further from the truth than this is on a wrong phase."""

RATIOS = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 1.0, 4 / 3, 3 / 2, 2.0, 3.0, 4.0)
CONSTANT_GROUPS = ("electronic", "recorded", "band")

FOUND_MS = 70.0
"""A true beat is found when one of ours is this near; the usual tolerance of beat tracking."""

GOOD_F = 0.8
"""Pieces and songs below are named among the misses."""

DRIFT_MS = 15.0
"""A grid drifts when its errors at the start and at the end of a piece differ by more than this."""


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
    found: float  # share of the true beats with one of ours within FOUND_MS
    found_error_ms: NDArray[np.float64]  # [beat found], distance of our beat
    miss: str  # kind of error, "" for none
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
    """Harmonic mean of precision and recall; each beat is matched at most once, in order of time."""
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


def beat_errors_ms(found: Beats, true_ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signed distance from each true beat [beat] to the nearest beat found."""
    at = np.clip(np.searchsorted(found.time_ms, true_ms), 1, found.time_ms.size - 1)
    left, right = found.time_ms[at - 1] - true_ms, found.time_ms[at] - true_ms
    return np.where(np.abs(left) < np.abs(right), left, right)


def offset_error_ms(found: Beats, true_ms: NDArray[np.float64]) -> float:
    """Median signed distance from each true beat to the nearest beat found."""
    return float(np.median(beat_errors_ms(found, true_ms)))


def name_miss(ratio: float, errors_ms: NDArray[np.float64], beat_f: float, downbeat_f: float) -> str:
    """Kind of error of a timing, from its tempo's ratio to the truth and its errors [beat] in order of time."""
    if beat_f >= GOOD_F:
        return "" if downbeat_f >= GOOD_F else "meter or downbeat"
    nearest = nearest_ratio(ratio)
    if nearest != 1 and abs(ratio / nearest - 1) < 0.02:
        return f"octave (ratio {nearest:.3g})"
    if abs(ratio - 1) > 0.02:
        return f"tempo (ratio {ratio:.3g})"
    quarter = max(1, errors_ms.size // 4)
    first, last = float(np.median(errors_ms[:quarter])), float(np.median(errors_ms[-quarter:]))
    if abs(last - first) > DRIFT_MS:
        return f"drift ({first:+.0f} to {last:+.0f} ms)"
    middle = float(np.median(errors_ms))
    return f"phase ({middle:+.0f} ms)" if abs(middle) > PHASE_TOLERANCE_MS else "single beats"


def judge_piece(piece: dict, timing: Timing, wall_s: float) -> PieceResult:
    """Errors of our timing against a piece's exact beats."""
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
    beat_f = f_measure(beats.time_ms[kept], true_ms, BEAT_TOLERANCE_MS)
    downbeat_f = f_measure(beats.time_ms[kept & (beats.position == 1)], true_ms[position == 1], BEAT_TOLERANCE_MS)
    errors_ms = beat_errors_ms(beats, true_ms)
    found = np.abs(errors_ms) <= FOUND_MS
    return PieceResult(
        file=piece["file"],
        group=piece["group"],
        constant=constant and piece["group"] in CONSTANT_GROUPS,
        tempo_error=quotient - 1,
        ratio=ratio if abs(quotient / ratio - 1) < 0.02 else quotient,
        offset_error_ms=float(np.median(errors_ms)) if right else float("nan"),
        beat_f=beat_f,
        downbeat_f=downbeat_f,
        found=float(found.mean()),
        found_error_ms=np.abs(errors_ms[found]),
        miss=name_miss(quotient, errors_ms, beat_f, downbeat_f),
        confidence=timing.confidence,
        wall_s=wall_s,
    )


def judge_song(file: str, chart: Chart, timing: Timing, lag: Lag, wall_s: float) -> SongResult:
    """Errors of our timing against a chart's red lines and notes."""
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
        "found": float(np.mean([result.found for result in results])),
        "wall_s": float(np.mean([result.wall_s for result in results])),
    }
    errors_ms = np.concatenate([result.found_error_ms for result in results])
    if errors_ms.size:
        figures |= {"found_median_ms": float(np.median(errors_ms)), "found_p90_ms": float(np.percentile(errors_ms, 90))}
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


def song_miss(result: SongResult) -> str:
    """Kind of error of a song's timing, "" for none."""
    if abs(result.tempo_error) > RATIO_TOLERANCE:
        return f"octave (ratio {result.ratio:.3g})"
    if abs(result.tempo_error) > TEMPO_TOLERANCE:
        return f"drift (tempo off by {result.tempo_error:+.3%})"
    if abs(result.offset_error_ms) > PHASE_TOLERANCE_MS:
        return f"phase ({result.offset_error_ms:+.0f} ms)"
    return "" if result.downbeat_right else "meter or downbeat"
