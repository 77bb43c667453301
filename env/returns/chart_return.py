"""The worth of whole charts to refinement: their reward, their repetition with the music, and their level.

An episode whose section lies in a chart is paid, with its last bar, the rise of its chart's worth above the chart as it
was. Where that chart was too easy, a section that demands more of the players earns by it, and the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chart.model import Chart
from env.task.episodes import PHRASE_BARS, Episode
from env.task.songs import ChartedSong
from reward.band_table import CHART_BANDS
from reward.core.bands import STAR_KNOTS, Band
from reward.terms import fairness
from reward.total import score_batch

CHART_WEIGHT = 1.0
"""Weight of the whole chart against its section. Player noise (SD .0005) is small beside the spread between samples (.007)."""
REPETITION_WEIGHT = 0.5
"""Weight of a chart's repetition with the music (a correlation): people's band is met long before all of it is lost."""
LEVEL_WEIGHT = 0.15
"""Reward for each level by which a phrase is harder, for each level that its chart is too easy. With .06 rows became
easier as fast as the density rose (docs/LOG.md)."""
MOST_OFF = 0.6
"""Levels off the target beyond which the level is paid no more. With .5 the whole reward was lost for it."""
UNPLAYED_LEVELS = 4.0
"""Levels off that a chart counts which cannot be played, `reward.terms.fairness.MAX_OFF`."""


@dataclass(frozen=True)
class ChartValues:
    """Measures of a batch of whole charts."""

    total: NDArray[np.float64]  # [chart], the whole reward, 0–1
    whole: NDArray[np.float64]  # [chart], the whole reward and the repetition
    off: NDArray[np.float64]  # [chart], levels above the middle of people's band, signed
    levels: list[NDArray[np.float64]]  # [chart] of [phrase of its song], level less the target; nan = too few notes
    terms: dict[str, NDArray[np.float64]]  # name → [chart], 0–1, nan = nothing to measure


def band_midpoint(band: Band, stars: float) -> float:
    """Middle of a two-sided band at these stars: the value of people's charts."""
    return float(np.interp(stars, STAR_KNOTS, (np.array(band.low) + np.array(band.high)) / 2))


def value_charts(
    charts: Sequence[Chart], songs: Sequence[ChartedSong], stars: Sequence[float], seeds: Sequence[int]
) -> ChartValues:
    """Let players drawn from the seeds play the charts, and measure them; all arguments are per chart."""
    plays = [fairness.playtest(*one) for one in zip(charts, stars, seeds, strict=True)]
    found = score_batch(charts, list(stars), [song.song for song in songs], plays=plays)
    middle = np.array([band_midpoint(CHART_BANDS["fairness/level"], star) for star in stars])
    repetition = np.nan_to_num(found.measures["musicality/repetition"])
    view, levels = found.view, []
    for chart, song in enumerate(songs):
        start_ms, beat_ms = song.phrases
        inside = view.offset_ms[chart] + start_ms + beat_ms  # a beat inside: no rounding decides
        own = np.flatnonzero(view.section_chart == chart)
        at = np.searchsorted(view.section_start_ms[own], inside, side="right") - 1
        levels.append(np.where(at >= 0, found.lost.section_level[own[np.maximum(at, 0)]], np.nan))
    return ChartValues(
        total=found.total,
        whole=found.total + REPETITION_WEIGHT * repetition,
        off=np.nan_to_num(found.lost.chart_level, nan=UNPLAYED_LEVELS) - middle,
        levels=levels,
        terms=found.terms,
    )


def chart_reward(
    episode: Episode, song: ChartedSong, before: tuple[ChartValues, int], after: tuple[ChartValues, int]
) -> float:
    """The rise of the chart's worth, as many times as sections go into the chart; of (values, number of the chart)."""
    (was, old), (now, new) = before, after
    phrases, all_phrases = episode.bars // PHRASE_BARS, song.phrases.shape[1]
    first = int(np.argmin(np.abs(song.phrases[0] - episode.bar_ms[0])))
    usual = np.nanmean(np.append(was.levels[old], 0.0))  # the 0 is for charts in which no phrase can be read
    own = slice(first, first + phrases)
    harder = np.nan_to_num(now.levels[new][own] - usual) - np.nan_to_num(was.levels[old][own] - usual)
    wanted = -float(np.clip(was.off[old], -MOST_OFF, MOST_OFF))
    rise = (now.whole[new] - was.whole[old]) * all_phrases / phrases
    return float(CHART_WEIGHT * rise + LEVEL_WEIGHT * wanted * harder.mean())
