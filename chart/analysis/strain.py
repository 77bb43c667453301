"""Official strain and stars in a compiled loop, for searches that rate hundreds of charts.

Stars are those of `chart.analysis.star_rating` to 1e-6, but for charts of few notes: the game ignores the first note, and
sorts notes of a chord in an order of its own. The rules are those of osu!'s `Strain` skill for mania (2024-10 version): a column's strain decays to 0.125 in a second and
grows by 2 with each of its notes, the overall strain decays to 0.3 and grows by 1; a note counts a quarter more while
another hold goes on behind it, and a hold whose end crosses another's counts up to twice, the further apart the ends are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chart.model import KEYS, Chart
from runtime.loops import njit

SECTION_MS = 400.0
COLUMN_DECAY, OVERALL_DECAY = 0.125, 0.3
"""Share of a strain that is left after a second."""
COLUMN_GAIN, HELD_FACTOR = 2.0, 1.25
RELEASE_MS, RELEASE_SLOPE = 30.0, 0.27
"""Distance of two ends at which the bonus of a hold is half, and the slope of its logistic function, 1/ms."""
LEAST_MS = 1.0
"""Times this near count as one."""
PEAK_WEIGHT, STARS_PER_STRAIN = 0.9, 0.018
"""The k-th highest peak counts 0.9^k; stars for each unit of the sum."""
WEIGHTS = STARS_PER_STRAIN * PEAK_WEIGHT ** np.arange(260)
"""[rank] of a peak; those of further peaks add up to less than 1e-9."""

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]


@njit(nogil=True)
def strain_peaks(time_ms: Doubles, end_ms: Doubles, column: Ints, peaks: Doubles) -> None:
    """Write the highest strain of each section from that of the second note on to `peaks` [section].

    Notes [note] are in order of time, at whole ms; the end of a tap is its time.
    """
    begun, ended, own = np.zeros(KEYS), np.zeros(KEYS), np.zeros(KEYS)
    single, overall, section = 0.0, 1.0, 0
    section_end = math.ceil(time_ms[1] / SECTION_MS) * SECTION_MS
    for note in range(1, time_ms.size):
        start, end, key = time_ms[note], end_ms[note], column[note]
        since = start - time_ms[note - 1]
        while start > section_end:
            section += 1
            before = section_end - time_ms[note - 1]
            peaks[section] = _decayed(single, before, COLUMN_DECAY) + _decayed(overall, before, OVERALL_DECAY)
            section_end += SECTION_MS
        crossed, factor, nearest = False, 1.0, abs(end - start)
        for other in range(KEYS):
            earlier = start - begun[other] > LEAST_MS
            crossed |= earlier and ended[other] - start > LEAST_MS and end - ended[other] > LEAST_MS
            if earlier and ended[other] - end > LEAST_MS:
                factor = HELD_FACTOR
            nearest = min(nearest, abs(end - ended[other]))
        bonus = 1 / (1 + math.exp(RELEASE_SLOPE * (RELEASE_MS - nearest))) if crossed else 0.0
        own[key] = _decayed(own[key], start - begun[key], COLUMN_DECAY) + COLUMN_GAIN * factor
        single = max(single, own[key]) if since <= LEAST_MS else own[key]
        overall = _decayed(overall, since, OVERALL_DECAY) + (1 + bonus) * factor
        begun[key], ended[key] = start, end
        peaks[section] = max(peaks[section], single + overall)


@njit(nogil=True)
def _decayed(strain: float, ms: float, base: float) -> float:
    """The strain after so many ms."""
    return strain * base ** (ms / 1000)


@dataclass(frozen=True, eq=False)
class SectionPeaks:
    """The highest strain of each section of 400 ms."""

    first: int  # the first section begins at so many times 400 ms: that of the second note
    peak: Doubles  # [section]; none for fewer than two notes

    @staticmethod
    def of(chart: Chart) -> SectionPeaks:
        """The peaks of a chart's notes, whose times count in whole ms."""
        if len(chart) < 2:
            return SectionPeaks(0, np.zeros(0))
        start = np.rint(chart.time_ms)
        end = np.where(chart.is_hold, np.maximum(np.rint(chart.end_ms), start + 1), start)
        first, last = (math.ceil(start[note] / SECTION_MS) - 1 for note in (1, -1))
        peak = np.zeros(max(last - first + 1, 1))
        strain_peaks(start, end, chart.column.astype(np.int64), peak)
        return SectionPeaks(first, peak)

    @cached_property
    def stars(self) -> float:
        """Star rating of the peaks, by osu!'s formula."""
        highest = np.sort(self.peak)[::-1][: WEIGHTS.size]
        return float(highest @ WEIGHTS[: highest.size])
