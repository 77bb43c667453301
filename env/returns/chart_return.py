"""What whole charts of one song and target are worth to refinement: their phrases, and each chart as a whole.

Phrases are valued by the reward's section terms, all of them: those that compare a phrase with the rest of its song, too.
A phrase is paid as well for moving its chart towards the target: where the versions are too easy on average, phrases
that ask more of the players than their siblings earn by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chart.model import Chart
from env.monitor.evaluate import band_midpoint
from env.returns.section_return import value_of
from env.task.songs import ChartedSong
from reward.band_table import CHART_BANDS
from reward.terms import fairness
from reward.total import Score, Weights, score_batch

REPETITION_WEIGHT = 0.5
"""What a chart's repetition with the music (a correlation) counts: people's band is met long before all of it is sold."""
LEVEL_WEIGHT = 0.15
"""What a level by which a phrase is harder than its siblings counts, for each level that their charts are too easy. With .06
rows became easier as fast as the density rose (docs/LOG.md)."""
MOST_OFF = 0.6
"""Levels off the target beyond which a phrase is paid no more for moving: a level is worth .09 then. With .5 the whole reward was sold."""
UNPLAYED_LEVELS = 4.0
"""Levels off that a chart counts which cannot be played, `reward.terms.fairness.MAX_OFF`."""


@dataclass(frozen=True)
class ChartValues:
    """Values of the versions of a chart, relative to nothing: compare them with each other."""

    phrase: NDArray[np.float64]  # [version, phrase of the piece]
    whole: NDArray[np.float64]  # [version], the whole reward and the repetition
    off: NDArray[np.float64]  # [version], levels above the middle of people's band, signed
    total: NDArray[np.float64]  # [version], the whole reward alone, 0–1
    terms: dict[str, NDArray[np.float64]]  # name → [version], 0–1, nan = nothing to measure


def value_charts(
    charts: Sequence[Chart], piece: ChartedSong, stars: float, seed: int, weights: Weights | None = None
) -> ChartValues:
    """Let players drawn from the seed play all charts, and value them; `weights` are those of the phrases' terms."""
    aim = np.full(len(charts), stars)
    plays = [fairness.playtest(chart, stars, seed) for chart in charts]
    found = score_batch(charts, aim.tolist(), [piece.song] * len(charts), plays=plays)
    lost = fairness.lost_of(found.view, aim, plays)
    off = np.nan_to_num(lost.chart_level, nan=UNPLAYED_LEVELS) - band_midpoint(CHART_BANDS["fairness/level"], stars)
    wanted = -float(np.clip(off.mean(), -MOST_OFF, MOST_OFF))
    usual = np.nanmean(np.append(lost.section_level, 0.0))  # the 0 is for charts in which no phrase can be read
    harder = np.nan_to_num(lost.section_level - usual)
    phrase = _section_values(found, weights or Weights()) + LEVEL_WEIGHT * wanted * harder
    repetition = np.nan_to_num(found.measures["musicality/repetition"])
    whole = found.total + REPETITION_WEIGHT * repetition
    return ChartValues(_by_phrase(found, phrase, piece), whole, off, found.total, found.terms)


def _section_values(found: Score, weights: Weights) -> NDArray[np.float64]:
    """[section] weighted mean of the section's terms."""
    weight = np.array([weights.of(name) for name in found.section_terms])
    return value_of(np.stack(list(found.section_terms.values())), weight)


def _by_phrase(found: Score, value: NDArray[np.float64], piece: ChartedSong) -> NDArray[np.float64]:
    """[version, phrase] the values of the sections that are the piece's phrases; a chart may begin before the first."""
    view = found.view
    start_ms, beat_ms = piece.phrases
    inside = view.offset_ms[:, None] + start_ms + beat_ms  # a beat inside: no rounding decides
    return value[np.searchsorted(view.section_start_ms, inside, side="right") - 1]
