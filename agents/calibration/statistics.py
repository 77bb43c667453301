"""Statistics of how people play, measured alike on real and simulated plays: the table of docs/agents.md.

Every statistic is taken within a play and then averaged over plays, so that no play counts for more than another.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from agents.judgement.judge import MISS
from agents.motor import columns
from agents.motor.feature_kernels import NEVER_MS, hand_rate
from agents.motor.note_features import Demand
from chart.model import Chart

LOAD_BINS: tuple[tuple[float, float], ...] = (
    (0, 4),
    (4, 6),
    (6, 8),
    (8, 10),
    (10, 12),
    (12, 16),
    (16, 18),
    (18, 40),
)  # one-hand notes/s
GAP_BINS: tuple[tuple[float, float], ...] = (
    (400, 1e9),
    (200, 400),
    (140, 200),
    (105, 140),
    (85, 105),
    (0, 85),
)  # ms since the column's last note
TIRING_BINS: tuple[tuple[float, float], ...] = ((4, 7), (7, 11))
JACK_BINS: tuple[tuple[float, float], ...] = ((85, 105), (0, 85))
FEW = 20
"""A bin with fewer notes in a play says nothing of it."""
RUN_MS = 400.0
CALM = 1.4
"""A note begins a run of repeats where the gap before it is so many times the next."""
MISSES_AT = "misses per 1000 at column gap "
HOLD_HEAVY = 0.4
"""Fraction of holds from which a chart's plays have rows of their own."""
NEAR_MS = 150.0
"""A release is crowded where the column's next note starts within this time after it."""


@dataclass(frozen=True, eq=False)
class ChartView:
    """A chart as the statistics need it, computed once."""

    time: NDArray[np.float64]  # [note], real ms
    column: NDArray[np.int8]  # [note]
    load: NDArray[np.float64]  # [note], one-hand notes/s, chords counted in full
    gap: NDArray[np.float64]  # [note], real ms since the column's last note began
    next_gap: NDArray[np.float64]  # [note], real ms until the column's next note
    repeat: NDArray[np.int64]  # [note], 0 for the first of a column run at nearly one pace, then 1, 2, …
    hold: NDArray[np.bool_]  # [note]
    held: NDArray[np.bool_]  # [note], the hand's other finger holds meanwhile
    crowded: NDArray[np.bool_]  # [note], a hold whose column's next note starts within `NEAR_MS` of its end
    hand_pairs: tuple[NDArray[np.int64], NDArray[np.int64]]  # successive notes of a hand, 50–180 ms apart
    column_pairs: tuple[NDArray[np.int64], NDArray[np.int64]]  # successive notes of a column
    hand_chords: tuple[NDArray[np.int64], NDArray[np.int64]]  # two notes of a hand at one time
    cross_chords: tuple[NDArray[np.int64], NDArray[np.int64]]  # two notes at one time, one of each hand


def view_of(chart: Chart, demand: Demand, rate: float = 1.0) -> ChartView:
    """Inputs of `statistics` from a chart."""
    time, column = np.rint(chart.time_ms) / rate, demand.column
    gap, next_gap = np.full(len(chart), NEVER_MS), np.full(len(chart), NEVER_MS)
    repeat = np.zeros(len(chart), np.int64)
    column_pairs: list[NDArray] = []
    hand_pairs: list[NDArray] = []
    load = np.zeros(len(chart))
    chords: list[NDArray] = []
    for key in range(4):
        mine = np.flatnonzero(column == key)
        column_pairs.append(np.stack([mine[:-1], mine[1:]]))
        gap[mine[1:]] = next_gap[mine[:-1]] = np.diff(time[mine])
        for before, note in pairwise(mine):
            steady = repeat[before] == 0 or abs(gap[note] / gap[before] - 1) < 0.15
            repeat[note] = (repeat[before] + 1 if steady else 1) if gap[note] < RUN_MS else 0
    for hand in (0, 1):
        mine = np.flatnonzero(column >> 1 == hand)
        load[mine] = hand_rate(time[mine], np.ones(mine.size), time[mine])
        apart = np.diff(time[mine])
        pairs = np.stack([mine[:-1], mine[1:]])
        hand_pairs.append(pairs[:, (apart >= 50) & (apart <= 180)])
        chords.append(pairs[:, apart == 0])
    cross = [(a, b) for a, b in _chord_pairs(time) if column[a] >> 1 != column[b] >> 1]
    crossed = np.array(cross, np.int64).reshape(-1, 2).T
    joined = [np.concatenate(part, axis=1) for part in (hand_pairs, column_pairs, chords)]
    return ChartView(
        time,
        column,
        load,
        gap,
        next_gap,
        repeat,
        chart.is_hold,
        demand.features[:, columns.HELD] > 0,
        chart.is_hold & (time + next_gap - np.nan_to_num(np.rint(chart.end_ms) / rate) < NEAR_MS),
        *((first, second) for first, second in (*joined, crossed)),
    )


def _chord_pairs(time: NDArray) -> list[tuple[int, int]]:
    """The first and the last note of every chord: the hands are told apart by the caller."""
    first = np.flatnonzero(np.diff(time, prepend=-np.inf) > 0)
    last = np.append(first[1:], time.size) - 1
    return [(int(a), int(b)) for a, b in zip(first, last, strict=True) if b > a]


def statistics(view: ChartView, error: NDArray, release: NDArray, grade: NDArray) -> dict[str, float]:
    """Name → value of one play; nan where the chart has too little to tell. Arrays are [note]."""
    hit = np.isfinite(error)
    off = np.where(hit, error - error[hit].mean(), np.nan) if hit.any() else error
    out: dict[str, float] = {}
    for low, high in LOAD_BINS:
        out[f"SD at {low:g}-{high:g} notes/s a hand"] = _sd(off[(view.load >= low) & (view.load < high)])
    for name, inside in gap_bins(view).items():
        out[f"SD at column gap {name}"] = _sd(off[inside])
        out[MISSES_AT + name] = 1000 * float((grade[inside] == MISS).mean()) if inside.sum() >= FEW else np.nan
    for low, high in JACK_BINS:
        begins = (view.next_gap >= low) & (view.next_gap < high) & (view.gap > CALM * view.next_gap)
        out[f"mean before a repeat at {low:g}-{high:g} ms"] = _mean(off[begins])
        inside = (view.gap >= low) & (view.gap < high)
        for repeat in (1, 2, 3, 4):
            out[f"mean at {low:g}-{high:g} ms, repeat {repeat}"] = _mean(off[inside & (view.repeat == repeat)])
    for low, high in TIRING_BINS:
        inside = (view.load >= low) & (view.load < high)
        quarter = np.cumsum(inside) * 4 > 3 * inside.sum()  # the last of them
        early = np.cumsum(inside) * 4 <= inside.sum()
        name = f"SD of the last quarter over the first at {low:g}-{high:g} notes/s a hand"
        out[name] = _sd(off[inside & quarter]) / _sd(off[inside & early]) if inside.sum() >= 8 * FEW else np.nan
    out["SD of chord differences, same hand"] = _sd(_difference(off, view.hand_chords))
    out["SD of chord differences, two hands"] = _sd(_difference(off, view.cross_chords))
    out["lag-1 correlation, same hand"] = _correlation(off, view.hand_pairs)
    out["lag-1 correlation, same column"] = _correlation(off, view.column_pairs)
    out["release SD"] = _sd(release[view.hold])
    out["release mean"] = _mean(release[view.hold])
    z = off[hit] / off[hit].std() if hit.sum() >= FEW else np.zeros(0)
    out["excess kurtosis"] = float((z**4).mean() - 3) if z.size else np.nan
    out["beyond 3 SD, percent"] = float(100 * (np.abs(z) > 3).mean()) if z.size else np.nan
    return out | hold_statistics(view, off, release, grade)


def hold_statistics(view: ChartView, off: NDArray, release: NDArray, grade: NDArray) -> dict[str, float]:
    """Statistics of plays of charts with many holds; nan for plays of other charts."""
    heavy = bool(view.hold.size) and float(view.hold.mean()) >= HOLD_HEAVY
    inside = view.hold & heavy
    missed = grade == MISS
    return {
        "hold-heavy plays: SD of heads": _sd(off[inside]),
        "hold-heavy plays: SD while the hand holds": _sd(off[view.held & heavy]),
        "hold-heavy plays: misses per 1000": 1000 * float(missed.mean()) if heavy else np.nan,
        "hold-heavy plays: release SD": _sd(release[inside & ~view.crowded]),
        "hold-heavy plays: release mean": _mean(release[inside & ~view.crowded]),
        "hold-heavy plays: release SD before a near note": _sd(release[inside & view.crowded]),
        "hold-heavy plays: release mean before a near note": _mean(release[inside & view.crowded]),
        "hold-heavy plays: 50s per 1000 holds": 1000 * float((grade[inside] == 4).mean()) if heavy else np.nan,
    }


def gap_bins(view: ChartView) -> dict[str, NDArray[np.bool_]]:
    """Name of each column gap → the notes that have it, [note]."""
    names = [f"{low:g}-{high:g} ms" if high < 1e9 else f"{low:g}+ ms" for low, high in GAP_BINS]
    return {name: (view.gap >= low) & (view.gap < high) for name, (low, high) in zip(names, GAP_BINS, strict=True)}


def _sd(values: NDArray) -> float:
    values = values[np.isfinite(values)]
    return float(values.std()) if values.size >= FEW else float("nan")


def _mean(values: NDArray) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size >= FEW // 2 else float("nan")


def _difference(off: NDArray, pairs: tuple[NDArray, NDArray]) -> NDArray:
    return off[pairs[1]] - off[pairs[0]]


def _correlation(off: NDArray, pairs: tuple[NDArray, NDArray]) -> float:
    a, b = off[pairs[0]], off[pairs[1]]
    both = np.isfinite(a) & np.isfinite(b)
    return float(np.corrcoef(a[both], b[both])[0, 1]) if both.sum() >= 2 * FEW else float("nan")
