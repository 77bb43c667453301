"""Places of rows: the rhythm of whole bars, chosen from several candidates by likelihood, variety and recurrence.

Slot by slot from the encoder's marginals, easy charts become metronomes (the likeliest slots are the beats) and hard ones
forget their rhythm (every bar draws its own noise). Here every bar has candidates: rhythms drawn from the encoder's
log-odds with noise that is shared within a class of snaps, and the rhythms of the bars 1, 2, 4 and 8 before. The bar takes
the candidate with the highest sum of

- log-odds of its rows from the encoder,
- a score for recurrence of the bar 1, 2, 4 or 8 before, higher where the song is similar,
- scores against evenly spaced bars and for each different interval,
- Gumbel noise.

A constant on all log-odds is set by bisection so that the chart has the number of rows that the marginals expect.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chart.grid import SLOT_TICKS, TICKS_PER_BEAT, TICKS_PER_CELL
from mapper.structure.bars import CELLS_PER_BAR, SLOTS_PER_BAR, BarGrid
from mapper.structure.rhythm_kernels import CLOSED, RECURRENCE_BARS, decode_bars
from mapper.tokens.vocabulary import MOTIF_LAGS

DRAWS = 10
"""Candidates drawn for each bar; more change the table's figures by less than their noise (docs/LOG.md)."""
LEAST_GAP_MS = 40.0
"""Rows nearer than this are flams, which are read as one."""
BISECTIONS = 12
DENSITY_TOLERANCE = 0.004
STAR_KNOTS = (0.9, 2.0, 3.2, 4.8)
"""Stars at which settings are given, the middle of the bands they were fitted on; between them they are interpolated."""
ROW_RATIO = (1.0, 1.0, 0.95, 0.85)
"""Rows against those of the marginals: people reach high stars with fewer rows and bigger chords (docs/LOG.md)."""
SLOT_TICK = (np.arange(CELLS_PER_BAR)[:, None] * TICKS_PER_CELL + SLOT_TICKS).ravel().astype(np.int64)
"""[slot of the bar] ticks from the bar's begin."""


def _snap_classes() -> NDArray[np.int64]:
    """[slot of the bar] 0 beats, 1 halves, 2 quarters, 3 eighths, 4 thirds and sixths, 5 finer."""
    tick = SLOT_TICK % TICKS_PER_BEAT
    groups = ((0,), (24,), (12, 36), (6, 18, 30, 42), (8, 16, 32, 40))
    classes = np.full(SLOTS_PER_BAR, len(groups))
    for number, ticks in enumerate(groups):
        classes[np.isin(tick, ticks)] = number
    return classes


SNAP_CLASS = _snap_classes()
_LAG_OF_RECURRENCE = [MOTIF_LAGS.index(bars * SLOTS_PER_BAR) for bars in RECURRENCE_BARS.tolist()]


@dataclass(frozen=True)
class RhythmSettings:
    """Settings of the choice of bar rhythms; all in natural log-odds."""

    onset_weight: float  # of the encoder's log-odds
    slot_noise: float  # scale of the logistic noise of each slot and draw
    bar_noise: float  # deviation of a bar's density, common to its draws
    class_noise: float  # deviation of each class of snaps in a draw: triplets come together or not at all
    even_cost: float  # of an evenly spaced bar
    recurrence: float  # score of a rhythm that stood 1, 2, 4 or 8 bars before
    likeness: float  # added to it for each unit by which the song sounds more alike than .5
    interval_gain: float  # of each different interval
    choice_noise: float  # scale of the Gumbel noise between candidates

    @staticmethod
    def at(table: dict[str, list[float]], stars: float) -> RhythmSettings:
        """Interpolated from a table name → [knot of STAR_KNOTS]."""
        return RhythmSettings(
            **{one.name: float(np.interp(stars, STAR_KNOTS, table[one.name])) for one in fields(RhythmSettings)}
        )


def plan_rows(
    bars: BarGrid,
    onset_logit: NDArray[np.float64],
    open_slots: NDArray[np.bool_],
    alike: NDArray[np.float64],
    rows: int,
    settings: RhythmSettings,
    seed: int,
    density: NDArray[np.float64] | None = None,
) -> NDArray[np.bool_]:
    """[slot] where rows fall, about `rows` of them.

    `onset_logit` [slot] and `alike` [cell, motif lag] are of the encoder (`mapper.sampling.encode_song.SongEncoding`);
    `density` [bar] is added to the log-odds of each bar's slots. The same seed gives bars the same noise, whatever
    the other arguments are.
    """
    log_odds = np.where(open_slots, settings.onset_weight * onset_logit.astype(np.float64), CLOSED)
    log_odds = bars.slots(log_odds, CLOSED)
    if density is not None:
        log_odds = log_odds + density[:, None]
    noise, gumbel = _noise(bars.count, settings, seed)
    likeness = bars.cells(alike.astype(np.float64), 0.0).mean(axis=1)[:, _LAG_OF_RECURRENCE]
    recurrence = settings.recurrence + settings.likeness * (likeness - 0.5)
    weights = np.array([-settings.even_cost, settings.interval_gain])
    least_gap = _least_gaps(bars)
    low, high, best, found = -14.0, 14.0, np.zeros(log_odds.shape, np.bool_), -1
    for _ in range(BISECTIONS):
        bias, rhythm = (low + high) / 2, np.zeros(log_odds.shape, np.bool_)
        decode_bars(log_odds + bias, noise, gumbel, recurrence, SLOT_TICK, least_gap, weights, rhythm)
        count = int(rhythm.sum())
        if found < 0 or abs(count - rows) < abs(found - rows):
            best, found = rhythm, count
        if abs(count - rows) <= max(1.0, DENSITY_TOLERANCE * rows):
            break
        low, high = (low, bias) if count > rows else (bias, high)
    planned: NDArray[np.bool_] = bars.back(best)
    return planned


def _noise(bars: int, settings: RhythmSettings, seed: int) -> tuple[NDArray, NDArray]:
    """Noise of the draws [bar, draw, slot], and between all candidates [bar, draw + recurrence]."""
    draws = _draws(bars, seed)
    noise = settings.slot_noise * draws.logistic
    noise += settings.bar_noise * draws.of_bar + settings.class_noise * draws.of_class[:, :, SNAP_CLASS]
    return noise, settings.choice_noise * draws.gumbel


class _Draws(NamedTuple):
    """Random numbers of a song's rhythms, of unit scale."""

    logistic: NDArray[np.float64]  # [bar, draw, slot]
    of_bar: NDArray[np.float64]  # [bar, 1, 1]
    of_class: NDArray[np.float64]  # [bar, draw, class of snaps]
    gumbel: NDArray[np.float64]  # [bar, draw + recurrence]


@lru_cache(maxsize=2)
def _draws(bars: int, seed: int) -> _Draws:
    """The random numbers of a seed, which all charts of a song share."""
    random = np.random.default_rng(seed)
    uniform = random.random((bars, DRAWS, SLOTS_PER_BAR))
    of_bar = random.standard_normal((bars, 1, 1))
    of_class = random.standard_normal((bars, DRAWS, SNAP_CLASS.max() + 1))
    gumbel = -np.log(-np.log(random.random((bars, DRAWS + RECURRENCE_BARS.size))))
    return _Draws(np.log(uniform / (1 - uniform)), of_bar, of_class, gumbel)


def _least_gaps(bars: BarGrid) -> NDArray[np.int64]:
    """[bar] ticks that last `LEAST_GAP_MS` or more."""
    beat_ms = bars.cells(bars.grid.beat_ms, np.nan)
    return np.ceil(LEAST_GAP_MS / np.nanmean(beat_ms, axis=1) * TICKS_PER_BEAT - 1e-6).astype(np.int64)


def expected_rows(
    onset_logit: NDArray[np.float64], open_slots: NDArray[np.bool_], weight: float, bias: float, temperature: float
) -> int:
    """Rows that slot-by-slot sampling of the marginals would give, rounded."""
    odds = np.clip((weight * onset_logit.astype(np.float64) + bias) / temperature, -500.0, 500.0)
    return int(np.round((1.0 / (1.0 + np.exp(-odds)))[open_slots].sum()))
