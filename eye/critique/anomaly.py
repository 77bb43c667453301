"""Rarity of a place: within this chart, and among human charts of its stars.

A measure gives every row an ordered class. The *surprisal* of a row is the bits it takes to see so high a class, given
the chart's rows farther away and human charts of like stars: a style that a chart keeps up costs it nothing, a place that
leaves it costs much. Bits beyond a drift are summed up to stretches (the maximal-scoring segments of sequence analysis). A stretch's *rarity*
is −log10 of the share of human charts in which the worst stretch of that measure sums to as much: 1 = one chart in
ten has one, 2 = one in a hundred. Rarities of different measures compare, and this is how a review is ranked.

Tables: `eye/critique/human.json`, made by `python -m eye.calibrate` from human charts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chart.analysis.snap import DIVISORS, snap_beats
from eye.critique.row_measures import Measures, snap_classes
from reward.core.bands import STAR_KNOTS
from runtime.errors import CheckpointError

TABLE = Path(__file__).with_name("human.json")
NEAR_ROWS = 40
"""Rows to both sides that do not count as "the rest of the chart": a fault must not excuse itself."""
PRIOR_ROWS = 64
"""Rows that human charts of like stars count for beside the chart's own."""
LEAST = 1e-4
"""Least share of a class among human charts."""
DROP_BITS = 8.0
"""A stretch ends where its sum has fallen by so much."""
DRIFT = {
    "jack": 6.0,
    "repeat": 4.0,
    "density": 5.0,
    "holds": 4.0,
    "hands": 3.0,
    "loss": 6.0,
    "trill": 2.5,
    "anchor": 3.0,
    "unheard": 2.5,
}
"""Bits a row that a stretch must exceed; chosen on train charts with planted faults (docs/eye.md)."""
QUIET_BITS, QUIET_MEAN = 3.0, 1.44
"""The quietest eighth of a chart makes dense rows dearer, its loud rows make them cheaper; the mean is that of −log2 of
a uniform share."""
MEASURES = (*DRIFT, "snap")
SHARES = (0.5, 0.75, 0.9, 0.95, 0.98)
"""Shares of human charts at which the table gives the worst stretch."""
OFF_GRID_LEAST = 0.003


@dataclass(frozen=True)
class Stretch:
    """Rows first–last (both included) of one measure that stand out."""

    measure: str
    first: int
    last: int
    bits: float
    rarity: float = 0.0


@dataclass(frozen=True)
class Human:
    """Statistics of human charts."""

    classes: dict[str, NDArray[np.float64]]  # measure → [knot, class], shares
    worst: dict[str, NDArray[np.float64]]  # measure → [knot, share of SHARES], log(1 + bits) of a chart's worst stretch
    rules: dict[str, float]  # rule → share of the charts of its levels with a finding
    rules_worst: NDArray[np.float64]  # [share of SHARES], rarity of a chart's rarest rule


@lru_cache(maxsize=1)
def human() -> Human:
    """The table of human charts' measures that is shipped with the package."""
    if not TABLE.is_file():
        raise CheckpointError(f"{TABLE} is missing: reinstall the package, or make it with python -m eye.calibrate")
    data = json.loads(TABLE.read_text(encoding="utf-8"))
    return Human(
        {name: np.array(rows) for name, rows in data["classes"].items()},
        {name: np.array(rows) for name, rows in data["worst"].items()},
        data["rules"],
        np.array(data["rules_worst"]),
    )


def knot_weights(stars: float) -> NDArray[np.float64]:
    """[knot] weights of the table's star knots, summing to 1."""
    at = float(np.clip(np.interp(stars, STAR_KNOTS, np.arange(len(STAR_KNOTS))), 0, len(STAR_KNOTS) - 1 - 1e-9))
    weights = np.zeros(len(STAR_KNOTS))
    weights[int(at)], weights[int(at) + 1] = 1 - at % 1, at % 1
    return weights


def stretches(measures: Measures, stars: float, table: Human | None = None) -> list[Stretch]:
    """Every stretch that stands out, rarest first; of each measure those that do not overlap."""
    table = table or human()
    found = []
    for name in MEASURES:
        if name not in measures.classes or not measures.size:
            continue
        for bits, first, last in segments(row_bits(measures, name, stars, table)):
            found.append(Stretch(name, first, last, bits, rarity(name, bits, stars, table)))
    return sorted(found, key=lambda stretch: -stretch.rarity)


def row_bits(measures: Measures, name: str, stars: float, table: Human) -> NDArray[np.float64]:
    """[row] bits of this measure beyond its drift."""
    classes = measures.classes[name]
    usual = knot_weights(stars) @ table.classes[name]
    if name == "snap":
        return _off_grid_bits(measures, classes, usual)
    bits = surprisal(classes, usual)
    if name == "density":
        bits = bits + np.minimum(-np.log2(measures.loudness_rank), QUIET_BITS) - QUIET_MEAN
    return bits - DRIFT[name]


def surprisal(classes: NDArray[np.int64], usual: NDArray[np.float64]) -> NDArray[np.float64]:
    """[row] −log2 of the share of rows with as high a class, in the rest of the chart and among human charts."""
    rest = _rest(classes, np.greater_equal)
    prior = np.maximum(np.cumsum(usual[::-1])[::-1], LEAST)[classes]
    return -np.log2((rest.alike + PRIOR_ROWS * prior) / (rest.size + PRIOR_ROWS))


@dataclass(frozen=True)
class Rest:
    """Each row's rest of the chart: the rows more than `NEAR_ROWS` away."""

    size: NDArray[np.int64]  # [row], rows in it
    alike: NDArray[np.int64]  # [row], rows in it whose class compares with this row's


def _rest(classes: NDArray[np.int64], compare: Callable[[NDArray[np.int64], int], NDArray[np.bool_]]) -> Rest:
    """Count the rest of the chart for each row, and in it the rows for which `compare(class, this row's class)` is true."""
    row = np.arange(classes.size)
    first, last = np.maximum(row - NEAR_ROWS, 0), np.minimum(row + NEAR_ROWS + 1, classes.size)
    alike = np.zeros(classes.size, np.int64)
    for one in np.flatnonzero(np.bincount(classes)).tolist():
        mine = np.flatnonzero(classes == one)
        before = np.append(0, np.cumsum(compare(classes, one)))
        alike[mine] = before[-1] - (before[last[mine]] - before[first[mine]])
    return Rest(classes.size - (last - first), alike)


@lru_cache(maxsize=1)
def _off_grid() -> NDArray[np.float64]:
    """[snap class] how times fall that know nothing of the grid, at a beat of 400 ms."""
    phase = np.linspace(0.0, 1.0, 4_001)[:-1]
    beat_ms = np.full(phase.size, 400.0)
    classes = snap_classes(snap_beats(phase, beat_ms).divisor, phase, beat_ms)
    return np.maximum(np.bincount(classes, minlength=len(DIVISORS) + 2) / phase.size, OFF_GRID_LEAST)


def _off_grid_bits(measures: Measures, classes: NDArray[np.int64], usual: NDArray[np.float64]) -> NDArray[np.float64]:
    """[row] log2 of how much likelier a row's snap is without a grid than in this chart."""
    rest = _rest(classes, np.equal)
    prior = PRIOR_ROWS / 2
    expected = (rest.alike + prior * np.maximum(usual[classes], 1e-3)) / (rest.size + prior)
    return np.log2(_off_grid()[classes] / expected)


def segments(bits: NDArray[np.float64]) -> list[tuple[float, int, int]]:
    """(sum, first, last) of the stretches with the greatest sums, none overlapping, in order of time."""
    found: list[tuple[float, int, int]] = []
    values, after = bits.tolist(), 0
    for start in np.flatnonzero(bits > 0.0).tolist():
        if start < after:  # lies within the stretch before
            continue
        total = best = 0.0
        best_end = start
        for after in range(start, len(values)):
            total += values[after]
            if total > best:
                best, best_end = total, after
            elif total <= 0.0 or best - total > DROP_BITS:
                break
        after += 1
        found.append((best, start, best_end))
    return found


def rarity(name: str, bits: float, stars: float, table: Human) -> float:
    """−log10 of the share of human charts of like stars whose worst stretch of this measure has as many bits."""
    return tail(float(np.log1p(bits)), knot_weights(stars) @ table.worst[name])


def tail(value: float, quantiles: NDArray[np.float64]) -> float:
    """−log10 of the share above `value`, where `quantiles` [share of SHARES] are known; beyond them as steep as the upper half is."""
    rarities = -np.log10(1.0 - np.array(SHARES))
    known = np.maximum.accumulate(quantiles + 0.05 * np.arange(quantiles.size))
    if value <= known[-1]:
        return float(np.interp(value, np.append(0.0, known), np.append(0.0, rarities)))
    slope = (rarities[-1] - rarities[1]) / max(known[-1] - known[1], 0.5)
    return float(rarities[-1] + slope * (value - known[-1]))
