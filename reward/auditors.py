"""Second opinions, kept out of the sum: when the reward rises and these do not, the reward is being gamed.

    audit(chart, song) → {"audit/stars": …, "audit/level": …, "audit/accuracy": …, "audit/ngram_bits": …,
                          "audit/onset_contrast": …, "audit/lag_ms": …}

- stars: the official star rating.
- level, accuracy: a closed-form player without randomness, independent of `agents`: demand of each press (own
  column, own hand, tiredness) against a capacity. `level` is the capacity that loses 4 %, on the scale of stars.
- ngram_bits: bits a row under human row n-grams (`reward.ngrams`); human charts need fewer than shuffled ones.
- onset_contrast: onset strength at the rows over that 40 ms beside them; 1 = the rows do not depend on the song.
- lag_ms: where the chart's notes meet the song best; far from the song's own lag the chart is off sync.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chart.analysis.star_rating import stars
from chart.model import Chart
from reward.core.batch_view import View, view_of
from reward.core.kernels import add_demand
from reward.core.song import Song, estimate_lag_ms
from reward.ngrams import bits

COLUMN_TAU_MS, HAND_TAU_MS, TIRED_TAU_MS = 250.0, 600.0, 8_000.0
"""Times over which a column's, a hand's and the whole body's presses add up (jack, burst, stamina)."""
COLUMN_WEIGHT, HAND_WEIGHT, TIRED_WEIGHT = 0.5, 0.5, 0.5
DEMAND_POWER = 6.0
"""Power mean over notes: the hardest tenth decides, as in strain models."""
STARS_SLOPE, STARS_BASE = 0.3067, 0.654
"""Line from the power mean of demand to official stars, fitted on 558 human `train` charts (mean error 0.12, rho .99)."""
LOSS_POWER = 2.2
"""Loss grows with this power of required over own level: about half again as much one level below at 4 stars."""
TARGET_LOSS = 0.04
CONTRAST_MS = 40.0


def demand(view: View) -> NDArray[np.float64]:
    """[note] presses in flight: of the note's column, of its hand and of all fingers, decayed sums, weighted."""
    result = np.zeros(view.note_ms.size)
    decays = np.array([COLUMN_TAU_MS, HAND_TAU_MS, TIRED_TAU_MS])
    weights = np.array([COLUMN_WEIGHT, HAND_WEIGHT, TIRED_WEIGHT])
    add_demand(view.note_ms, view.column, decays, weights, result)
    return result


def _power_mean(values: NDArray[np.float64]) -> float:
    return float(np.mean(values**DEMAND_POWER) ** (1 / DEMAND_POWER)) if values.size else 0.0


def capacity_level(chart: Chart) -> float:
    """Level, on the scale of official stars, of the closed-form player who loses 4 %; 0 for an empty chart."""
    needed = _power_mean(demand(view_of([chart])))
    return max(STARS_SLOPE * needed + STARS_BASE, 0.0) if needed > 0 else 0.0


def capacity_accuracy(chart: Chart, level: float) -> float:
    """Accuracy of the closed-form player of `level`, 0–1."""
    required = capacity_level(chart)
    loss = TARGET_LOSS * (required / max(level, 0.1)) ** LOSS_POWER
    return float(1.0 - loss / (1.0 + loss))


def onset_contrast(view: View, index: int, song: Song) -> float:
    """Onset strength at the rows over the mean of that 40 ms before and after."""
    row_ms = view.row_ms[view.row_chart == index] - view.offset_ms[index]
    frame = np.arange(song.strength.size)
    at, before, after = (
        float(np.interp(song.frames(row_ms + shift), frame, song.strength, 0.0, 0.0).mean())
        for shift in (0.0, -CONTRAST_MS, CONTRAST_MS)
    )
    return at / max((before + after) / 2, 1e-6)


def audit(chart: Chart, song: Song | None = None, level: float | None = None) -> dict[str, float]:
    """All auditors in a flat dict; `level` is that of the player whose accuracy is given, by default the chart's stars."""
    if not len(chart):
        return {"audit/stars": 0.0, "audit/level": 0.0}
    view = view_of([chart])
    rating = stars(chart)
    result = {
        "audit/stars": rating,
        "audit/level": capacity_level(chart),
        "audit/accuracy": capacity_accuracy(chart, rating if level is None else level),
    }
    row_bits = float(bits(view)[0])
    if not np.isnan(row_bits):
        result["audit/ngram_bits"] = row_bits
    if song is not None and song.loudness.size > 1:
        result["audit/onset_contrast"] = onset_contrast(view, 0, song)
        result["audit/lag_ms"] = estimate_lag_ms(chart, song)
    return result
