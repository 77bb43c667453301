"""The bench of growth: songs as long as asked, and costs relative to linear ones."""

from pathlib import Path

import pytest
import soundfile

from bench.growth import Case, above_linear, long_song
from bench.speed import Cost


@pytest.mark.parametrize("minutes", [0.1, 2.0])
def test_a_song_is_as_long_as_asked(tmp_path: Path, minutes: float) -> None:
    assert soundfile.info(long_song(tmp_path / "a.flac", minutes)).duration == pytest.approx(60 * minutes, abs=0.01)


def test_a_cost_that_grows_with_the_square_is_above_linear_and_a_fixed_one_below() -> None:
    costs = {Case(m, 1, 1): Cost(0.0, m * m, 0.0) for m in (1.0, 5.0)} | {
        Case(m, 1, 2): Cost(0.0, 3.0, 0.0) for m in (1.0, 5.0)
    }
    growth = above_linear(costs)
    assert [growth[Case(m, 1, 1)] for m in (1.0, 5.0)] == [1.0, 5.0]
    assert [growth[Case(m, 1, 2)] for m in (1.0, 5.0)] == [1.0, pytest.approx(0.2)]
