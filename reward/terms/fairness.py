"""Fairness: whether the chart has the difficulty that it claims, for all skill levels and evenly over its length.

A grid of simulated all-round players from two levels below the target to two above plays the chart. Within a section
the logarithm of lost accuracy falls about linearly with level; the regression line over the grid gives

    level       where players lose 4 %, less the target                          levels   0 = as promised
    spikes      a section's level above the chart's, less an allowance for loudness  levels
    slope       how fast the loss falls as level rises                           1/level  0 = flat, large = a wall
    fails       players within a level of the target who fail               share

Source: design, The reward; REFERENCES §3 (accuracy of ranked players by stars), agents (definition of a level).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents import Plays, Population, play
from agents.difficulty_curve import WEIGHTS
from agents.motor.population import BEST_SCROLL_MS, MAX_LEVEL, MIN_LEVEL
from chart.model import Chart
from reward.core.bands import Measured, Term
from reward.core.batch_view import View
from reward.core.inputs import Inputs
from reward.core.kernels import add_losses
from runtime.errors import Mania4KError

PLAYERS = 64
SKILL_REACH = 2.0
"""Levels below and above the target that the skill grid reaches: about one step of a difficulty spread."""
TARGET_LOSS = 0.04
"""Loss that defines a level: its players reach 96 % (agents.difficulty_curve)."""
NEAR_LEVELS = 1.0
LOSS_FLOOR = 0.002
"""Added to losses before the logarithm: two tenths of a percent count as none, and the logarithm needs a floor."""
MAX_OFF = 4.0
"""Levels are read no further from the target than this: beyond, the grid is uninformative."""
MIN_SLOPE = 0.05
PRIOR_SLOPE, PRIOR_WEIGHT = 0.55, 1.0
"""Slope of human charts, and its weight against the grid's own slope when a level is read: few losses make a noisy
slope, and extrapolating beyond the grid multiplies its noise."""
EXCUSE_LEVELS = 0.5
"""A section that is one standard deviation louder than the song may be this much harder."""
MIN_NOTES = 8


def skill_grid(stars: float, count: int = PLAYERS) -> Population:
    """All-round players evenly spaced from `SKILL_REACH` levels below `stars` to as many above."""
    levels = np.clip(stars + np.linspace(-SKILL_REACH, SKILL_REACH, count), MIN_LEVEL, MAX_LEVEL)
    skills = np.zeros((count, 9))
    skills[:, :6] = levels[:, None]
    skills[:, 6], skills[:, 8] = 1.0, BEST_SCROLL_MS
    return Population(skills)


def playtest(chart: Chart, stars: float, seed: int = 0, count: int = PLAYERS) -> Plays | None:
    """Plays of the skill grid; None for a chart that is empty or that cannot be played."""
    if not len(chart):
        return None
    try:
        return play(chart, skill_grid(stars, count), seed)
    except Mania4KError:
        return None


@dataclass(frozen=True)
class Lost:
    """Losses of the skill grid by section and chart: lines through log loss over level, and the share that failed."""

    section_level: NDArray[np.float64]  # [section], level that loses 4 %, less the target; nan = too few notes
    section_slope: NDArray[np.float64]  # [section], fall of log loss per level
    chart_level: NDArray[np.float64]  # [chart]
    chart_slope: NDArray[np.float64]  # [chart]
    fails: NDArray[np.float64]  # [chart], share of players near the target who fail


def lost_of(view: View, stars: NDArray[np.float64], plays: Sequence[Plays | None]) -> Lost:
    """Sum up the plays of a batch; charts without plays are nan throughout."""
    section = np.full((2, view.n_sections), np.nan)
    chart = np.full((3, view.n_charts), np.nan)
    for index, one in enumerate(plays):
        if one is None or not one.grade.shape[1]:
            continue
        first, last = np.searchsorted(view.note_chart, [index, index + 1])
        begin, end = np.searchsorted(view.section_chart, [index, index + 1])
        own = view.note_section[first:last] - begin
        by_player = np.zeros((one.grade.shape[0], end - begin))
        add_losses(one.grade, one.tail_grade, own, 1.0 - WEIGHTS, by_player)
        notes = np.bincount(own, minlength=end - begin)
        level = one.population.level
        lines = _lines(by_player / np.maximum(notes, 1), level, stars[index])
        section[:, begin:end] = np.where(notes >= MIN_NOTES, lines, np.nan)
        chart[:2, index] = _lines(by_player.sum(axis=1, keepdims=True) / notes.sum(), level, stars[index])[:, 0]
        near = np.abs(level - stars[index]) <= NEAR_LEVELS
        chart[2, index] = 1.0 - one.passed[near].mean() if near.any() else np.nan
    return Lost(section[0], section[1], chart[0], chart[1], chart[2])


def _lines(loss: NDArray[np.float64], level: NDArray[np.float64], stars: float) -> NDArray[np.float64]:
    """[2, group] level of 4 % loss less the target, and slope, of `loss` [player, group] over `level` [player]."""
    centred = level - level.mean()
    log = np.log(loss + LOSS_FLOOR)
    slope = np.minimum(centred @ log / max(float(centred @ centred), 1e-9), -MIN_SLOPE)
    steady = (slope - PRIOR_WEIGHT * PRIOR_SLOPE) / (1.0 + PRIOR_WEIGHT)
    at = level.mean() + (np.log(TARGET_LOSS + LOSS_FLOOR) - log.mean(axis=0)) / steady
    return np.stack([np.clip(at - stars, -MAX_OFF, MAX_OFF), -slope])


def _lost(view: View, inputs: Inputs) -> Lost:
    return inputs.lost if inputs.lost is not None else lost_of(view, inputs.stars, inputs.plays)


def level(view: View, inputs: Inputs) -> Measured:
    """Level at which 4 % of accuracy is lost, less the target's stars."""
    lost = _lost(view, inputs)
    return Measured(lost.section_level, lost.chart_level)


def slope(view: View, inputs: Inputs) -> Measured:
    """Fall of log loss per level."""
    lost = _lost(view, inputs)
    return Measured(lost.section_slope, lost.chart_slope)


def spikes(view: View, inputs: Inputs) -> Measured:
    """Level of a section above the chart's, less the allowance for loudness; the chart's value is its highest section's."""
    lost = _lost(view, inputs)
    above = lost.section_level - lost.chart_level[view.section_chart]
    excuse = np.zeros(view.n_sections)
    for index, song in enumerate(inputs.songs):
        if song is not None and song.loudness.size > 1:
            own = np.flatnonzero(view.section_chart == index)
            middle = (view.section_start_ms[own] + view.section_end_ms[own]) / 2 - view.offset_ms[index]
            loudness = np.interp(song.frames(middle), np.arange(song.loudness.size), song.loudness)
            spread = max(float(loudness.std()), 1e-6)
            excuse[own] = EXCUSE_LEVELS * np.clip((loudness - loudness.mean()) / spread, 0.0, 2.0)
    value = above - excuse
    highest = np.full(view.n_charts, -np.inf)
    np.maximum.at(highest, view.section_chart, np.where(np.isnan(value), -np.inf, value))
    return Measured(value, np.where(np.isinf(highest), np.nan, highest))


def fails(view: View, inputs: Inputs) -> Measured:
    """Share of players within a level of the target who fail; of the chart only, sections share its value."""
    chart = _lost(view, inputs).fails
    return Measured(chart[view.section_chart], chart)


TERMS = (
    Term("fairness/level", "levels", "both", level, "agents.difficulty_curve; REFERENCES §3", 0.4, "plays"),
    Term("fairness/spikes", "levels", "high", spikes, "osu! wiki: unjustified spikes", 0.4, "plays"),
    Term("fairness/slope", "1/level", "both", slope, "design: neither a wall nor flat", 0.1, "plays"),
    Term("fairness/fails", "share", "high", fails, "REFERENCES §1 health, §3 pass rates", 0.15, "plays"),
)
