"""Official star rating and strain of a chart, as osu! computes them (2024-10 version), by rosu-pp.

Neither depends on timing points, metadata, HP or OD in osu!mania, so only the notes are handed over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from chart.hit_objects import format_notes
from chart.model import Chart
from chart.problems import MAX_TIME_MS, MIN_TIME_MS
from runtime.errors import ChartFileError

if TYPE_CHECKING:
    from rosu_pp_py import Beatmap

_HEAD = "osu file format v14\n\n[General]\nMode: 3\n\n[Difficulty]\nCircleSize:4\n\n[HitObjects]\n"


@dataclass(frozen=True, eq=False)
class _Known:
    """A chart as rosu-pp reads it, and its stars by rate."""

    beatmap: Beatmap
    stars: dict[float, float]


_CHARTS: dict[int, _Known] = {}
"""Charts by identity, while they are there: a long one takes a quarter of a second, and several modules ask."""


@dataclass(frozen=True, eq=False)
class Strains:
    """Strain of each section of a chart, in the unit of the star rating."""

    start_ms: NDArray[np.float64]  # [section], on the audio clock at rate 1
    peak: NDArray[np.float64]  # [section], ≥ 0: the highest strain in the section
    section_ms: float  # length of a section in audio time: 400 ms × rate


def stars(chart: Chart, rate: float = 1.0) -> float:
    """Official stars (0 and up) at `rate` times the speed: 1.5 is Double Time, 0.75 Half Time."""
    import rosu_pp_py as rosu

    if not len(chart):
        return 0.0
    known = _known(chart)
    if rate not in known.stars:
        known.stars[rate] = float(rosu.Difficulty(clock_rate=_checked(rate)).calculate(known.beatmap).stars)
    return known.stars[rate]


def strain_curve(chart: Chart, rate: float = 1.0) -> Strains:
    """The strain peaks whose weighted sum gives the stars, section by section, from the second note on."""
    import rosu_pp_py as rosu

    section_ms = 400.0 * _checked(rate)
    if len(chart) < 2:
        return Strains(np.zeros(0), np.zeros(0), section_ms)
    strains = rosu.Difficulty(clock_rate=rate).strains(_known(chart).beatmap)
    peak = np.asarray(strains.strains, dtype=np.float64)
    # The game's sections lie on multiples of 400 ms of played time; the first is the one of the second note.
    first = math.ceil(float(np.rint(chart.time_ms[1])) / section_ms) - 1
    return Strains((first + np.arange(peak.size, dtype=np.float64)) * section_ms, peak, section_ms)


def _known(chart: Chart) -> _Known:
    if id(chart) not in _CHARTS:
        _CHARTS[id(chart)] = _Known(_beatmap(chart), {})
        finalize(chart, _CHARTS.pop, id(chart))
    return _CHARTS[id(chart)]


def _beatmap(chart: Chart) -> Beatmap:
    import rosu_pp_py as rosu

    times = np.concatenate([chart.time_ms, chart.end_ms[chart.is_hold]])
    if not ((times >= MIN_TIME_MS) & (times <= MAX_TIME_MS)).all():
        raise ChartFileError("stars need notes at finite times within the longest song (see chart.find_problems)")
    return rosu.Beatmap(content=_HEAD + "\n".join(format_notes(chart)) + "\n")


def _checked(rate: float) -> float:
    if not 0.01 <= rate <= 100:
        raise ValueError(f"rate is {rate}, not 0.01–100 (1 is normal speed)")
    return rate
