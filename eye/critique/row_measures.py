"""Measures of possible faults, row by row in ordered classes: 0 is harmless, higher is worse.

    jack      presses of the busiest column within 0.6 s                   5 classes an octave
    repeat    rows running that press one column, within 0.3 s each        rows
    density   notes within half a second                                   5 classes an octave
    holds     what makes holds hard to read, from one row to the next      points, see `_hold_points`
    hands     share of one hand in 14 rows                                 twentieths
    loss      accuracy that players of the target level lose, 5 rows       3 classes an octave
    trill     rows that take turns with a chord of three, the row among them   rows
    anchor    presses of the busiest column in the 16 rows around          presses
    unheard   nothing in the song supports the row                         0 or 1
    snap      which divisor the row sits on: classes in no order           see SNAP_CLASSES

`eye.critique.anomaly` asks how unusual the classes of a place are within the chart and among human charts of its stars.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents import Plays, play, population_of, skill_for
from agents.summary import note_costs
from chart.analysis.rows import LEFT, RIGHT, ROUNDING_MS, SIZE_OF_MASK, previous
from chart.analysis.snap import DIVISORS, beats_at, snap_beats
from chart.model import KEYS, Chart
from reward.core.batch_view import View, view_of
from reward.core.rhythm import WINDOW_ROWS, alternation_runs
from reward.core.song import Song
from reward.terms.musicality import WEAK_SHARE
from runtime.errors import Mania4KError

CLASSES = {
    "jack": 40,
    "repeat": 16,
    "density": 40,
    "holds": 16,
    "hands": 21,
    "loss": 40,
    "trill": 25,
    "anchor": WINDOW_ROWS + 1,
    "unheard": 2,
    "snap": len(DIVISORS) + 2,
}
"""Number of classes of each measure."""
PER_OCTAVE = 5
"""Classes a doubling of a rate passes through: steps of 15 % are felt."""
SLOWEST = 0.25
"""Rate of class 0, presses a second."""
COLUMN_MS, NOTES_MS = 600.0, 500.0
"""Reach to both sides: a jack of three presses and more, and the half second that a reader sees ahead."""
REPEAT_MS = 300.0
"""Interval up to which pressing a column again is felt as a jack."""
HAND_ROWS = 14
"""Rows over which the hands should share the work: about a bar of 1/4."""
LOSS_ROWS, LOSS_PER_OCTAVE, LOSS_OCTAVES = 5, 3, 8
PLAYERS = 32
"""Simulated players of the target level: their mean loss on five rows is within a few tenths of a percent."""
SHORT_BEATS = 0.25
PLAIN_DIVISORS = (1, 2, 4)
NEAR_DIVISORS = (6, 8)
NEAR_MS = 4.0
"""Unsnapped by less than this from 1/6 or 1/8: rounding of converted charts, not a hand that slipped."""
SNAP_OFF, SNAP_NEAR = len(DIVISORS), len(DIVISORS) + 1
"""Classes after those of the divisors: off every grid, and off by a rounding error."""


@dataclass(frozen=True)
class Measures:
    """One chart's rows, measured."""

    view: View
    row_ms: NDArray[np.float64]  # [row], chart time
    classes: dict[str, NDArray[np.int64]]  # measure → [row]
    loudness_rank: NDArray[np.float64]  # [row], share of the chart's rows that are as quiet or quieter, 0–1
    loss: NDArray[np.float64]  # [note], accuracy lost by players of the target level, 0–1; nan = unplayable
    plays: Plays | None

    @property
    def size(self) -> int:
        """Number of rows measured."""
        return int(self.row_ms.size)


def measure(chart: Chart, song: Song | None, target: float, seed: int = 0) -> Measures:
    """Play the chart with players of the target level and measure its rows; `loss` is 0 where it cannot be played."""
    view = view_of([chart], None if song is None else [song.span_ms])
    offset = float(view.offset_ms[0])
    row_ms = view.row_ms - offset
    plays = playtest(chart, target, seed)
    loss = np.full(len(chart), np.nan) if plays is None else note_costs(plays).lost
    classes = {
        "jack": _rate_class(_column_rate(view)),
        "repeat": _repeats(view),
        "density": _rate_class(notes_around(view.note_ms, view.row_ms, NOTES_MS)),
        "holds": _hold_points(view),
        "hands": _one_hand(view),
        "loss": _loss_class(view, np.nan_to_num(loss)),
        "trill": _trill_rows(view),
        "anchor": _anchor_presses(view),
        "snap": _snap_class(view),
    }
    rank = np.ones(row_ms.size)
    if song is not None and song.loudness.size > 1 and row_ms.size:
        classes["unheard"] = without_onset(row_ms, song).astype(np.int64)
        loudness = song.mean_loudness(row_ms - NOTES_MS, row_ms + NOTES_MS)
        rank = np.searchsorted(np.sort(loudness), loudness, side="right") / row_ms.size
    return Measures(view, row_ms, classes, rank, loss, plays)


def playtest(chart: Chart, target: float, seed: int = 0) -> Plays | None:
    """Plays of all-round players of the target level; None for a chart that is empty or cannot be played."""
    if not len(chart):
        return None
    try:
        return play(chart, population_of([skill_for(target)] * PLAYERS), seed)
    except Mania4KError:
        return None


def notes_around(note_ms: NDArray, at_ms: NDArray, reach_ms: float) -> NDArray[np.float64]:
    """[time] notes a second within `reach_ms` to both sides."""
    inside = np.searchsorted(note_ms, at_ms + reach_ms) - np.searchsorted(note_ms, at_ms - reach_ms)
    return inside.astype(np.float64) * (1000.0 / (2 * reach_ms))


def without_onset(row_ms: NDArray[np.float64], song: Song) -> NDArray[np.bool_]:
    """[row] true where no onset of the song supports it, as `musicality/support` has it."""
    onset = np.interp(song.frames(row_ms), np.arange(song.near_onset.size), song.near_onset, 0.0, 0.0)
    return onset < WEAK_SHARE * song.typical_onset


def _rate_class(rate: NDArray[np.float64]) -> NDArray[np.int64]:
    octaves = np.log2(np.maximum(rate, SLOWEST) / SLOWEST)
    return np.clip((octaves * PER_OCTAVE).astype(np.int64), 0, CLASSES["jack"] - 1)


def _column_rate(view: View) -> NDArray[np.float64]:
    rate = np.zeros(view.row_ms.size)
    for key in range(KEYS):
        rate = np.maximum(rate, notes_around(view.note_ms[view.column == key], view.row_ms, COLUMN_MS))
    return rate


def _repeats(view: View) -> NDArray[np.int64]:
    """Presses again in the longest run of rows with one column that the row belongs to."""
    longest = np.zeros(view.row_ms.size, np.int64)
    near = view.rows.gap_ms <= REPEAT_MS
    for key in range(KEYS):
        pressed = (view.rows.mask >> key & 1).astype(bool)
        run = np.cumsum(~(near & pressed & previous(pressed)))
        length = np.bincount(run, minlength=1)[run]
        longest = np.maximum(longest, np.where(pressed, length - 1, 0))
    return np.minimum(longest, CLASSES["repeat"] - 1)


def _trill_rows(view: View) -> NDArray[np.int64]:
    """Rows of the alternation that the row belongs to, 0 where it is in none."""
    longest, runs = np.zeros(view.row_ms.size, np.int64), alternation_runs(view)
    for first, last in zip(runs.first.tolist(), runs.last.tolist(), strict=True):
        longest[first : last + 1] = np.maximum(longest[first : last + 1], last - first + 1)
    return np.minimum(longest, CLASSES["trill"] - 1)


def _anchor_presses(view: View) -> NDArray[np.int64]:
    """Presses of the busiest column in the 16 rows around each row."""
    busiest = np.zeros(view.row_ms.size)
    for key in range(KEYS):
        pressed = (view.rows.mask >> key & 1).astype(np.float64)
        busiest = np.maximum(busiest, running_sum(pressed, WINDOW_ROWS))
    return busiest.astype(np.int64)


def _loss_class(view: View, loss: NDArray[np.float64]) -> NDArray[np.int64]:
    worst = np.zeros(view.row_ms.size)
    np.maximum.at(worst, view.note_row, loss)
    smooth = running_sum(worst, LOSS_ROWS) / running_sum(np.ones(worst.size), LOSS_ROWS)
    octaves = np.log2(np.maximum(smooth, 2.0**-LOSS_OCTAVES)) + LOSS_OCTAVES
    return np.clip((octaves * LOSS_PER_OCTAVE).astype(np.int64), 0, CLASSES["loss"] - 1)


def running_sum(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """[row] sum over `count` rows around each."""
    total = np.append(0.0, np.cumsum(values))
    at = np.arange(values.size)
    return total[np.minimum(at + (count + 1) // 2, values.size)] - total[np.maximum(at - count // 2, 0)]


def _one_hand(view: View) -> NDArray[np.int64]:
    left = running_sum(SIZE_OF_MASK[view.rows.mask & LEFT].astype(np.float64), HAND_ROWS)
    right = running_sum(SIZE_OF_MASK[view.rows.mask & RIGHT].astype(np.float64), HAND_ROWS)
    share = np.abs(left - right) / np.maximum(left + right, 1.0)
    return np.floor(share * (CLASSES["hands"] - 1) + 1e-6).astype(np.int64)


def _hold_points(view: View) -> NDArray[np.int64]:
    """Points a row: 2 for a gap under 1/4 at a hold, 1 for a hold under 1/4, 1 for a release beside every row (2 where
    it is not even on 1/4), ½ for each column held while others are pressed."""
    hold, beat_ms = ~np.isnan(view.end_ms), view.note_beats.beat_ms
    shortest = SHORT_BEATS * beat_ms - ROUNDING_MS
    before = np.maximum(view.same_before, 0)
    tight = (view.column_idle_ms < shortest) & (hold | (hold[before] & (view.same_before >= 0)))
    short = hold & (view.end_ms - view.note_ms < shortest)
    points = np.bincount(view.note_row, 2.0 * tight + short, minlength=view.row_ms.size).astype(np.float64)
    points += 0.5 * SIZE_OF_MASK[view.rows.held] * (view.rows.mask > 0)
    points += _odd_releases(view, np.unique(np.round(view.end_ms[hold])))
    return np.clip(np.round(points), 0, CLASSES["holds"] - 1).astype(np.int64)


def _odd_releases(view: View, release_ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """[row] points of the releases since the row before it."""
    rows = view.row_ms.size
    if not release_ms.size:
        return np.zeros(rows)
    after = np.clip(np.searchsorted(view.row_ms, release_ms), 0, rows - 1)
    nearest = np.minimum(
        np.abs(view.row_ms[after] - release_ms), np.abs(view.row_ms[np.maximum(after - 1, 0)] - release_ms)
    )
    beats = beats_at(release_ms - view.offset_ms[0], view.charts[0].red_lines)
    plain = np.isin(snap_beats(beats.phase, beats.beat_ms).divisor, PLAIN_DIVISORS)
    return np.bincount(after, (nearest > NEAR_MS) * (2.0 - plain), minlength=rows).astype(np.float64)


def _snap_class(view: View) -> NDArray[np.int64]:
    divisor = view.snaps.divisor[view.row_first]
    beats = view.note_beats
    return snap_classes(divisor, beats.phase[view.row_first], beats.beat_ms[view.row_first])


def snap_classes(divisor: NDArray, phase: NDArray, beat_ms: NDArray) -> NDArray[np.int64]:
    """[time] class of each snap: the divisor's place in DIVISORS, `SNAP_OFF` or `SNAP_NEAR`."""
    place = np.full(max(DIVISORS) + 1, SNAP_OFF)
    place[list(DIVISORS)] = np.arange(len(DIVISORS))
    classes = place[divisor]
    off = [np.abs(phase * near - np.round(phase * near)) / near * beat_ms for near in NEAR_DIVISORS]
    return np.where((divisor == 0) & (np.min(off, axis=0) < NEAR_MS), SNAP_NEAR, classes)
