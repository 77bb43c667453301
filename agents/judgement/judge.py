"""Judging key presses on a chart as the game does: stable's ScoreV1, and lazer (ScoreV2 in stable is alike).

The rules are compiled in `agents.judgement.kernels`; here are the shapes they take, the checks and the allocation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.judgement import kernels
from agents.judgement.mods import Mods, mods_of
from chart.model import KEYS, Chart
from chart.problems import MAX_TIME_MS, MIN_TIME_MS
from runtime.errors import ChartFileError, ConfigError

GRADES = ("MAX", "300", "200", "100", "50", "MISS")
RULES = ("stable", "lazer")
MISS = 5
MAX_NOTES = 200_000
"""More notes than this are refused: no playable chart has them, and memory grows with players × notes."""
TOTALS = (*GRADES, "accuracy", "accuracy_320", "score", "max_combo", "health", "fail_ms", "breaks", "mean", "sd")
"""What the columns of the kernels' totals mean; the kernels give times in map ms, `judge` in real ms."""

ACCURACY, ACCURACY_320, SCORE, MAX_COMBO, HEALTH, FAIL_MS, BREAKS, MEAN, SD = range(6, 15)

NoteInts = NDArray[np.int32]


def hit_windows(od: float, mods: Mods | int | str = "", rules: str = "stable") -> NDArray[np.int64]:
    """Half-widths of MAX, 300, 200, 100, 50, MISS in whole ms of map time (REFERENCES.md §1)."""
    mods = mods_of(mods)
    inverse = min(max(10.0 - od, 0.0), 10.0)
    widest = 16.0 if _is_stable(rules) else 22.4 - 0.6 * od if od <= 5 else 24.9 - 1.1 * od
    widths = (widest, 34 + 3 * inverse, 67 + 3 * inverse, 97 + 3 * inverse, 121 + 3 * inverse, 158 + 3 * inverse)
    # 1e-9 keeps products that are whole in decimals, such as 64 × 1.5, from falling below themselves
    return np.array([math.floor(width * mods.window_scale * mods.rate + 1e-9) for width in widths], np.int64)


@dataclass(frozen=True, eq=False)
class Notes:
    """A chart's notes as the kernels take them: column after column, whole ms of map time."""

    start: NoteInts  # [note]
    end: NoteInts  # [note], `kernels.TAP` for taps
    column_at: NDArray[np.int64]  # [5], first note of each column, then their number
    order: NDArray[np.int64]  # [note], place in time order of each note here

    @property
    def kernel(self) -> tuple[NoteInts, NoteInts, NDArray[np.int64], NDArray[np.int64]]:
        """The arrays in the order the kernels unpack them."""
        return self.start, self.end, self.column_at, self.order


def notes_of(chart: Chart, mods: Mods | int | str = "") -> Notes:
    """The chart's notes by column, mirrored if `mods` say so; raises `ChartFileError` on what cannot be played."""
    if len(chart) > MAX_NOTES:
        raise ChartFileError(f"the chart has {len(chart):,} notes, more than the {MAX_NOTES:,} a play can hold")
    column = chart.column.astype(np.int64)
    if column.size and (column.min() < 0 or column.max() >= KEYS):
        raise ChartFileError(f"a note lies in column {column.max()}; only 4K charts (columns 0–3) can be played")
    times = np.concatenate([chart.time_ms, chart.end_ms[chart.is_hold]])
    if not ((times >= MIN_TIME_MS) & (times <= MAX_TIME_MS)).all():
        raise ChartFileError("a note lies at no finite time within the longest song (see chart.find_problems)")
    if mods_of(mods).mirror:
        column = KEYS - 1 - column
    order = np.lexsort((chart.time_ms, column))
    start = np.rint(chart.time_ms).astype(np.int32)  # as the .osu writer rounds
    end = np.full(len(chart), kernels.TAP, np.int32)
    end[chart.is_hold] = np.maximum(np.rint(chart.end_ms[chart.is_hold]).astype(np.int32), start[chart.is_hold] + 1)
    column_at = np.searchsorted(column[order], np.arange(KEYS + 1))
    return Notes(start[order], end[order], column_at.astype(np.int64), order.astype(np.int64))


@dataclass(frozen=True, eq=False)
class Presses:
    """Key presses of one or more players, column after column; a press ends before the next of its column starts."""

    press: NoteInts  # [player, press], map ms
    release: NoteInts  # [player, press], map ms
    press_at: NDArray[np.int64]  # [4], first place of each column
    count: NDArray[np.int64]  # [player, 4], presses in each column


def presses_of(time_ms: NDArray, column: NDArray, down: NDArray) -> Presses:
    """One player's presses from key events in time order; a key never let go is let go at the end."""
    rows: list[tuple[NDArray, NDArray]] = []
    last = int(time_ms.max()) + 1 if time_ms.size else 0
    for key in range(KEYS):
        mine = column == key
        time, is_down = np.asarray(time_ms)[mine].astype(np.int32), np.asarray(down)[mine].astype(bool)
        # a second "down" without "up" between is no press
        change = np.diff(np.concatenate([[False], is_down])) if is_down.size else np.zeros(0, bool)
        press, release = time[change & is_down], time[change & ~is_down]
        if press.size > release.size:
            release = np.append(release, np.int32(last))
        rows.append((press, release))
    count = np.array([[press.size for press, _ in rows]], np.int64)
    at = np.concatenate([[0], np.cumsum(count[0])])[:KEYS].astype(np.int64)
    press, release = (np.concatenate(part)[None].astype(np.int32) for part in zip(*rows, strict=True))
    return Presses(press, release, at, count)


@dataclass(frozen=True, eq=False)
class Judged:
    """How plays were judged; times and errors are real ms (map ms / rate), nan = did not happen."""

    grade: NDArray[np.int8]  # [player, note], 0 MAX … 5 MISS; under lazer of a hold's head
    tail_grade: NDArray[np.int8]  # [player, note], −1 where a tail has no grade of its own
    error_ms: NDArray[np.float32]  # [player, note], press − note
    release_error_ms: NDArray[np.float32]  # [player, note], release − end of hold
    totals: NDArray[np.float64]  # [player, 15], see `TOTALS`; fail_ms is map time


def judge(chart: Chart, presses: Presses, mods: Mods | int | str = "", rules: str = "stable") -> Judged:
    """Judge presses on a chart; the same kernels judge simulated plays."""
    mods = mods_of(mods)
    return judge_notes(notes_of(chart, mods), presses, chart, mods, rules)


def judge_notes(notes: Notes, presses: Presses, chart: Chart, mods: Mods, rules: str) -> Judged:
    """`judge` for notes that are already laid out; `chart` gives OD and HP."""
    players, size = presses.press.shape[0], notes.start.size
    judged = Judged(
        np.empty((players, size), np.int8),
        np.empty((players, size), np.int8),
        np.empty((players, size), np.float32),
        np.empty((players, size), np.float32),
        np.zeros((players, len(TOTALS))),
    )
    judge_into(judged, notes, presses, rule_of(chart, mods, rules), hit_windows(chart.difficulty.od, mods, rules))
    if mods.rate != 1.0:
        judged.error_ms[:] /= mods.rate
        judged.release_error_ms[:] /= mods.rate
        judged.totals[:, MEAN:] /= mods.rate
    return judged


def judge_into(judged: Judged, notes: Notes, presses: Presses, rule: NDArray, windows: NDArray) -> None:
    """Judge into arrays the caller owns; errors stay in map ms."""
    kernels.judge_plays(
        notes.kernel,
        (presses.press, presses.release, presses.press_at, presses.count),
        windows,
        rule,
        (judged.grade, judged.tail_grade, judged.error_ms, judged.release_error_ms, judged.totals),
    )


def rule_of(chart: Chart, mods: Mods, rules: str) -> NDArray[np.float64]:
    """What scoring needs to know, in the kernels' order."""
    lazer = 0.0 if _is_stable(rules) else 1.0
    return np.array([lazer, chart.difficulty.hp, mods.score_multiplier, mods.bonus_divider])


def accuracy_320(counts: Sequence[float] | NDArray) -> float:
    """Accuracy in 0–1 with a MAX worth 320 of 320, the scale of all accuracies in this project; 1 of nothing."""
    total = float(np.sum(counts[:6]))
    return float(np.dot(counts[:6], (320, 300, 200, 100, 50, 0))) / (320 * total) if total else 1.0


def _is_stable(rules: str) -> bool:
    if rules not in RULES:
        raise ConfigError(f"rules are '{rules}'; choose stable (ScoreV1) or lazer")
    return rules == "stable"
