"""Judging key presses on a chart as the game does: by stable's ScoreV1, stable's ScoreV2, or lazer.

Each set of rules is compiled in a file of its own; here are the shapes they take, the checks and the allocation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.judgement import lazer_kernels, score_kernels, scorev2_kernels, stable_kernels
from agents.judgement.accuracy import GRADES
from agents.judgement.mods import Mods, mods_of
from chart.model import KEYS, Chart
from chart.problems import MAX_TIME_MS, MIN_TIME_MS
from runtime.errors import ChartFileError, ConfigError

KERNELS = {"stable": stable_kernels, "scorev2": scorev2_kernels, "lazer": lazer_kernels}
RULES = tuple(KERNELS)
"""stable is ScoreV1, scorev2 stable with that modifier."""
MISS = 5
MAX_NOTES = 200_000
"""More notes than this are refused: no playable chart has them, and memory grows with players × notes."""
EVENTS_AT_ONCE = 1 << 15
"""Events, 8 bytes each, that are judged before they are counted: they stay in the processor's cache."""
TOTALS = (*GRADES, "accuracy", "accuracy_320", "score", "max_combo", "health", "fail_ms", "breaks", "mean", "sd")
"""Columns of the kernels' totals; the kernels give times in map ms, `judge` in real ms."""

ACCURACY, ACCURACY_320, SCORE, MAX_COMBO, HEALTH, FAIL_MS, BREAKS, MEAN, SD = range(6, 15)

NoteInts = NDArray[np.int32]


def hit_windows(od: float, mods: Mods | int | str = "", rules: str = "stable") -> NDArray[np.int64]:
    """Half-widths of MAX, 300, 200, 100, 50, MISS in whole ms of map time (REFERENCES.md §1)."""
    mods = mods_of(mods)
    inverse = min(max(10.0 - od, 0.0), 10.0)
    widest = 16.0 if not rules_apart(rules) else 22.4 - 0.6 * od if od <= 5 else 24.9 - 1.1 * od
    widths = (widest, 34 + 3 * inverse, 67 + 3 * inverse, 97 + 3 * inverse, 121 + 3 * inverse, 158 + 3 * inverse)
    # 1e-9 keeps products that are whole in decimals, such as 64 × 1.5, from falling below themselves
    return np.array([math.floor(width * mods.window_scale * mods.rate + 1e-9) for width in widths], np.int64)


@dataclass(frozen=True, eq=False)
class Notes:
    """A chart's notes as the kernels take them: column after column, whole ms of map time."""

    start: NoteInts  # [note]
    end: NoteInts  # [note], `stable_kernels.TAP` for taps
    column_at: NDArray[np.int64]  # [5], first note of each column, then their number
    order: NDArray[np.uint32]  # [note], place in time order of each note here

    def for_kernels(self, apart: bool) -> tuple[NDArray, ...]:
        """(start, end, order, places of the heads' and of the tails' events, column_at) as the kernels unpack them.

        Events stand in the order in which they fall when nobody errs. `apart`: heads and tails have an event each;
        otherwise a hold's only one falls at its end.
        """
        hold = self.end != stable_kernels.TAP
        ends = np.where(hold, self.end, self.start)
        times = np.concatenate([self.start, self.end[hold]]) if apart else ends
        place = np.empty(times.size, np.int64)
        place[np.argsort(times, kind="stable")] = np.arange(times.size)
        head, tail = place[: self.start.size], np.full(self.start.size, -1, np.int64)
        tail[hold] = place[self.start.size :] if apart else head[hold]
        return self.start, self.end, self.order, head.astype(np.uint32), tail, self.column_at


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
    end = np.full(len(chart), stable_kernels.TAP, np.int32)
    end[chart.is_hold] = np.maximum(np.rint(chart.end_ms[chart.is_hold]).astype(np.int32), start[chart.is_hold] + 1)
    column_at = np.searchsorted(column[order], np.arange(KEYS + 1))
    return Notes(start[order], end[order], column_at.astype(np.int64), order.astype(np.uint32))


@dataclass(frozen=True, eq=False)
class Presses:
    """Key presses of one or more players, column after column; a press ends before the next of its column starts."""

    press: NoteInts  # [player, press], map ms
    release: NoteInts  # [player, press], map ms
    press_at: NDArray[np.int64]  # [4], first place of each column
    count: NDArray[np.int64]  # [player, 4], presses in each column

    def of(self, players: slice) -> Presses:
        """The presses of these players; a view."""
        return Presses(self.press[players], self.release[players], self.press_at, self.count[players])


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
    """Judgements of plays; times and errors are real ms (map ms / rate), nan = did not happen."""

    grade: NDArray[np.int8]  # [player, note], 0 MAX … 5 MISS; of a hold's head where heads and tails are judged apart
    tail_grade: NDArray[np.int8]  # [player, note], −1 where a tail has no grade of its own
    error_ms: NDArray[np.float32]  # [player, note], press − note
    release_error_ms: NDArray[np.float32]  # [player, note], release − end of hold
    totals: NDArray[np.float64]  # [player, 15], see `TOTALS`; fail_ms is map time

    def of(self, players: slice) -> Judged:
        """The judgements of these players; a view."""
        return Judged(
            self.grade[players],
            self.tail_grade[players],
            self.error_ms[players],
            self.release_error_ms[players],
            self.totals[players],
        )


def judge(chart: Chart, presses: Presses, mods: Mods | int | str = "", rules: str = "stable") -> Judged:
    """Judge presses on a chart; the same kernels judge simulated plays."""
    mods = mods_of(mods)
    return judge_notes(notes_of(chart, mods), presses, chart, mods, rules)


def judge_notes(notes: Notes, presses: Presses, chart: Chart, mods: Mods, rules: str) -> Judged:
    """`judge` for notes that are already laid out; `chart` gives OD and HP."""
    judged = empty_judged(presses.press.shape[0], notes.start.size)
    Judge(notes, chart, mods, rules).into(judged, presses)
    in_real_time(judged, mods.rate)
    return judged


def empty_judged(players: int, notes: int) -> Judged:
    """Room for the judgement of so many plays."""
    shape = (players, notes)
    return Judged(
        np.empty(shape, np.int8),
        np.empty(shape, np.int8),
        np.empty(shape, np.float32),
        np.empty(shape, np.float32),
        np.zeros((players, len(TOTALS))),
    )


def in_real_time(judged: Judged, rate: float) -> None:
    """Turn errors from map ms into real ms, in place."""
    if rate != 1.0:
        for values in (judged.error_ms, judged.release_error_ms, judged.totals[:, MEAN:]):
            values /= rate


class Judge:
    """Judges any number of plays on one chart; what does not change from play to play is prepared once."""

    def __init__(self, notes: Notes, chart: Chart, mods: Mods, rules: str) -> None:
        apart = rules_apart(rules)
        self._kernel = KERNELS[rules].judge_plays
        self._chart = notes.for_kernels(apart)
        self._windows = hit_windows(chart.difficulty.od, mods, rules)
        self._rule = np.array([apart, chart.difficulty.hp, mods.score_multiplier, mods.bonus_divider], np.float64)
        self._events = notes.start.size + (int((notes.end != stable_kernels.TAP).sum()) if apart else 0)
        self._at_once = max(1, EVENTS_AT_ONCE // max(self._events, 1))  # players

    def into(self, judged: Judged, presses: Presses) -> None:
        """Judge into arrays the caller owns; errors stay in map ms."""
        for players, events in self._parts(judged.grade.shape[0]):
            part = judged.of(players)
            breaks = self._judge(part, presses.of(players), events)
            score_kernels.count_plays(events, part.error_ms, breaks, self._rule, part.totals)

    def accuracies(self, presses: Presses, players: int) -> NDArray[np.float64]:
        """[player] accuracy, 0–1 with a MAX worth 320 of 320; single judgements are forgotten."""
        accuracy, room = np.empty(players), empty_judged(min(self._at_once, players), self._chart[0].size)
        for some, events in self._parts(players):
            self._judge(room.of(slice(0, len(events))), presses.of(some), events)
            score_kernels.count_accuracies(events, self._rule, accuracy[some])
        return accuracy

    def _parts(self, players: int) -> Iterator[tuple[slice, NDArray[np.int64]]]:
        """Some players at a time, and room [player, event] for their events."""
        events = np.empty((min(self._at_once, players), self._events), np.int64)
        for first in range(0, players, self._at_once):
            last = min(first + self._at_once, players)
            yield slice(first, last), events[: last - first]

    def _judge(self, judged: Judged, presses: Presses, events: NDArray[np.int64]) -> NDArray[np.int64]:
        """[player] times that a hold was let go in its middle."""
        breaks = np.empty(len(events), np.int64)
        keys = (presses.press, presses.release, presses.press_at, presses.count)
        results = (judged.grade, judged.tail_grade, judged.error_ms, judged.release_error_ms, events, breaks)
        self._kernel(self._chart, keys, self._windows, results)
        return breaks


def rules_apart(rules: str) -> bool:
    """Are heads and tails of holds judged apart under these rules? Raises `ConfigError` for unknown ones."""
    if rules not in KERNELS:
        raise ConfigError(f"rules are '{rules}'; choose stable (ScoreV1), scorev2 or lazer")
    return rules != "stable"
