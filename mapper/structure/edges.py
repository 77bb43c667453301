"""Begin and end of a chart: people leave intros and outros empty, more of them below 2.5 stars.

A discrete-time hazard: the chance that a chart begins in a bar if it has not begun before, from the bar's loudness and
onsets beside those before and after, the seconds gone by, and the stars; likewise backwards for its end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mapper.structure.bars import BarSound

LOOK_BACK = 4
"""Bars before whose mean loudness a bar's is compared with: a phrase."""
STARS_SCALE = 4.0
EDGE_STARS, EDGE_CHANCE = (2.0, 3.0), (0.5, 0.25)
"""Chance of having begun from which a chart begins, by stars: half for easy charts; a hard one that misses a begun song
loses more than one that begins a bar too early."""


def edge_features(sound: BarSound, stars: float, backwards: bool = False) -> NDArray[np.float64]:
    """[bar, feature] of the hazard; `backwards` reads the bars from the last to the first, as the result is ordered."""
    order = slice(None, None, -1) if backwards else slice(None)
    loud, flux = sound.loudness[order], sound.flux[order]
    seconds = (sound.rest_s if backwards else sound.start_s)[order]
    total = np.append(0.0, np.cumsum(loud))
    index = np.arange(loud.size)
    first = np.maximum(index - LOOK_BACK, 0)
    before = (total[index] - total[first]) / np.maximum(index - first, 1)
    level, one = stars / STARS_SCALE, np.ones(loud.size)
    after, flux_after = (np.append(values[1:], values[-1:]) for values in (loud, flux))
    here = (one, level * one, level**2 * one, loud, np.minimum(loud, 1.0), after, loud - before)
    rise = (loud - np.maximum.accumulate(loud), flux, flux_after)
    place = (np.log1p(seconds), np.minimum(seconds, 10.0) / 10, np.log1p(seconds) * level, loud * level)
    return np.stack((*here, *rise, *place), axis=1)


def edge_bars(sound: BarSound, stars: float, begin: NDArray[np.float64], end: NDArray[np.float64]) -> tuple[int, int]:
    """First and last bar of the chart, by both hazards; the whole song where they would leave less than half of it."""
    bars, chance = sound.loudness.size, float(np.interp(stars, EDGE_STARS, EDGE_CHANCE))
    first = _bar_at(edge_features(sound, stars) @ begin, chance)
    last = bars - 1 - _bar_at(edge_features(sound, stars, backwards=True) @ end, chance)
    return (first, last) if last - first >= bars // 2 else (0, bars - 1)


def _bar_at(log_odds: NDArray[np.float64], chance: float) -> int:
    """The first bar by which an event with these hazards has happened with this chance."""
    happened = 1.0 - np.cumprod(1.0 - 1.0 / (1.0 + np.exp(-np.clip(log_odds, -50.0, 50.0))))
    return int(np.argmax(happened > chance)) if (happened > chance).any() else 0
