"""Motif noise: the bars that share an earlier bar's seeds, and that equal seeds write equal rows."""

import numpy as np

from chart.grid import SLOTS_PER_CELL
from mapper.sampling import motif_noise as repetition
from mapper.sampling.kernels import _draw
from mapper.sampling.motif_noise import BAR_CELLS, earlier_bars, gumbel_seeds
from mapper.tokens.vocabulary import MOTIF_LAGS

FOUR_BARS, EIGHT_BARS = (MOTIF_LAGS.index(bars * BAR_CELLS * SLOTS_PER_CELL) for bars in (4, 8))


def likeness(bars: int = 20) -> np.ndarray:
    """[cell, lag] of a song in which nothing sounds alike."""
    return np.zeros((bars * BAR_CELLS + 5, len(MOTIF_LAGS)), np.float32)


def test_a_bar_repeats_the_one_that_it_sounds_most_like():
    alike = likeness()
    alike[10 * BAR_CELLS : 11 * BAR_CELLS, FOUR_BARS] = 0.6
    alike[12 * BAR_CELLS : 13 * BAR_CELLS, [FOUR_BARS, EIGHT_BARS]] = 0.7, 0.9
    alike[14 * BAR_CELLS : 15 * BAR_CELLS, 0] = 1.0  # a beat ago is no bar
    alike[2 * BAR_CELLS : 3 * BAR_CELLS, FOUR_BARS] = 1.0  # there is nothing four bars before
    earlier = earlier_bars(alike)
    assert earlier[[10, 12]].tolist() == [6, 4]
    assert (earlier == np.arange(20)).sum() == 18


def test_the_share_of_repeated_bars_is_kept():
    alike = likeness(400)
    alike[:, EIGHT_BARS] = 1.0
    first = gumbel_seeds(alike[None], [[3]])
    assert np.array_equal(first, gumbel_seeds(alike[None], [[3]]))
    bars = first[0, : 400 * BAR_CELLS * SLOTS_PER_CELL].reshape(400, -1)
    repeated = (bars[8:] == bars[:-8]).all(1).mean()
    assert 0.5 * repetition.REPEATED_SHARE < repeated < 1.6 * repetition.REPEATED_SHARE
    assert np.unique(gumbel_seeds(alike[None], [[3]], repeated_ratio=1e-9)).size == first.shape[1]


def test_rows_are_drawn_as_likely_as_they_score_and_alike_from_equal_chances():
    score = np.full(256, -np.inf)
    score[[1, 2, 4]] = np.log([0.6, 0.3, 0.1])
    chance = np.random.default_rng(0).integers(0, 1 << 64, 20_000, np.uint64)
    drawn = np.array([_draw(score.copy(), 1.0, one) for one in chance])
    shares = [(drawn == code).mean() for code in (1, 2, 4)]
    assert np.allclose(shares, [0.6, 0.3, 0.1], atol=0.015)
    other = score.copy()
    other[4] += 0.3
    same = np.mean([_draw(other.copy(), 1.0, one) for one in chance] == drawn)
    assert same > 0.95
    cut = np.array([_draw(score.copy(), 0.85, one) for one in chance[:2000]])
    assert set(np.unique(cut)) == {1, 2}, "the tail beyond top_p is never drawn"
    assert _draw(np.full(256, -np.inf), 0.9, chance[0]) == 0
