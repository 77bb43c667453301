"""Properties of a chart besides its notes: settings, kiai, even scroll speed, breaks, the preview point."""

import numpy as np
import pytest

from chart.model import TimingPoint
from chart.problems import find_problems
from mapper.output.metadata import (
    KIAI,
    SETTINGS,
    breaks_of,
    finish,
    kiai_spans,
    preview_point_ms,
    with_kiai,
)
from mapper.request.names import metadata_of
from mapper.tokens.log_mel import MS_PER_FRAME
from reward.rules.check import check
from reward.rules.criteria import Level
from reward.rules.settings import scroll_speeds
from tests.builders import ChartBuilder

BAR_MS = 2000.0
DOWNBEATS = np.arange(40) * BAR_MS


def loud_between(start_ms: float, end_ms: float, loud: int = 180, quiet: int = 100) -> np.ndarray:
    """[frame, band] of a song of 80 s that is louder in one part."""
    ms = np.arange(8000) * MS_PER_FRAME
    return np.repeat(np.where((ms >= start_ms) & (ms < end_ms), loud, quiet)[:, None], 4, 1).astype(np.uint8)


def test_kiai_and_preview_begin_with_the_loudest_part():
    features = loud_between(32_000, 56_000)
    assert kiai_spans(features, DOWNBEATS, 0.0) == [(32_000.0, 56_000.0)]
    assert preview_point_ms(features, DOWNBEATS, 0.0) == 32_000


def test_the_sound_may_lag_behind_the_grid():
    features = loud_between(32_023, 56_023)
    assert kiai_spans(features, DOWNBEATS, 23.0) == [(32_000.0, 56_000.0)]
    assert preview_point_ms(features, DOWNBEATS, 23.0) == 32_000


@pytest.mark.parametrize("features", [loud_between(0, 0), loud_between(8000, 80_000), loud_between(32_000, 40_000)])
def test_songs_without_a_part_that_stands_out_have_no_kiai(features):
    assert kiai_spans(features, DOWNBEATS, 0.0) == []


def test_kiai_lines_keep_speed_and_tempo():
    points = (TimingPoint(0.0, 500.0), TimingPoint(40_000.0, 400.0))
    lit = with_kiai(points, [(32_000.0, 56_000.0)], 79_000.0)
    kiai = [bool(point.effects & KIAI) for point in lit]
    assert [(point.time_ms, inside) for point, inside in zip(lit, kiai, strict=True) if not point.uninherited] == [
        (0.0, False),
        (32_000.0, True),
        (40_000.0, True),
        (56_000.0, False),
    ]
    (one,) = finish([chart_with(points)], [1.5], metadata_of("t", "a", "c"), 0, [(32_000.0, 56_000.0)])
    assert scroll_speeds(one).speed.tolist() == pytest.approx([1.0] * 4)
    assert not [found for found in check(one, Level.EASY) if found.rule.startswith("scroll-speed")]
    assert [point.beat_length_ms for point in one.red_lines] == [500.0, 400.0]
    assert find_problems(one) == []


def chart_with(points: tuple[TimingPoint, ...]):
    builder = ChartBuilder(timing_points=list(points))
    for number in range(80):
        builder.note(1000.0 * number, number % 4)
    return builder.build()


def test_one_tempo_without_kiai_needs_no_green_line():
    points = (TimingPoint(0.0, 500.0),)
    assert with_kiai(points, [], 60_000.0) == points


def test_settings_rise_with_the_level_within_the_caps():
    hp, od = ([SETTINGS[level].hp for level in Level], [SETTINGS[level].od for level in Level])
    assert hp == sorted(hp)
    assert od == sorted(od)
    for level, cap in ((Level.EASY, 7.0), (Level.NORMAL, 7.5), (Level.HARD, 8.0)):
        assert max(SETTINGS[level].hp, SETTINGS[level].od) <= cap


def test_long_rests_become_breaks():
    chart = ChartBuilder().note(0).hold(1000, 2000, 1).note(9000, 2).note(12_000, 3).build()
    assert breaks_of(chart) == ((2200.0, 8000.0),)
