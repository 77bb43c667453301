"""The arithmetic of `bench.ear` (`bench.beat_figures`), on timings whose errors are known."""

import numpy as np
import pytest

from bench.beat_figures import (
    f_measure,
    group_figures,
    judge_piece,
    judge_song,
    nearest_ratio,
    offset_error_ms,
    song_figures,
)
from chart.model import TimingPoint
from ear.audio.onset import Lag
from ear.timing.model import Beats, Timing
from tests.builders import ChartBuilder


def piece(**fields: object) -> dict:
    beats = np.arange(1.0, 31.0, 0.5)
    return {
        "file": "a.ogg", "group": "band", "bpm": [120, 120], "beats_s": beats.tolist(),
        "pos": [1 + k % 4 for k in range(beats.size)], **fields,
    }  # fmt: skip


def timing(offset_ms: float = 1000.0, bpm: float = 120.0) -> Timing:
    return Timing((TimingPoint(offset_ms, 60_000 / bpm, 4),), 0.8, (), 40_000.0)


def test_f_measure_matches_each_beat_once() -> None:
    true = np.array([0.0, 500.0, 1000.0, 1500.0])
    assert f_measure(true + 19, true, 20) == 1.0
    assert f_measure(true + 21, true, 20) == 0.0
    assert f_measure(np.repeat(true, 2), true, 20) == pytest.approx(2 * 4 / 12)
    assert f_measure(true[:2], true, 20) == pytest.approx(2 * 2 / 6)
    assert f_measure(np.zeros(0), true, 20) == 0.0


def test_offset_error_is_signed() -> None:
    beats = Beats(np.arange(0.0, 5000.0, 500.0), np.ones(10, np.int64))
    assert offset_error_ms(beats, np.array([990.0, 1490.0])) == 10.0
    assert offset_error_ms(beats, np.array([1010.0])) == -10.0


@pytest.mark.parametrize(("quotient", "ratio"), [(1.0004, 1), (2.01, 2), (0.49, 1 / 2), (1.48, 3 / 2), (0.66, 2 / 3)])
def test_ratios_are_named(quotient: float, ratio: float) -> None:
    assert nearest_ratio(quotient) == ratio


def test_a_right_timing_is_right() -> None:
    result = judge_piece(piece(), timing(1001.0), 1.0)
    assert (result.constant, result.beat_f, result.downbeat_f, result.ratio) == (True, 1.0, 1.0, 1.0)
    assert result.offset_error_ms == pytest.approx(1.0)
    assert abs(result.tempo_error) < 1e-9


def test_double_tempo_is_a_wrong_ratio_without_offset() -> None:
    result = judge_piece(piece(), timing(bpm=240.0), 1.0)
    assert result.ratio == 2.0
    assert np.isnan(result.offset_error_ms)
    assert result.beat_f == pytest.approx(2 / 3, abs=0.02)


def test_a_beat_late_has_good_beats_and_no_downbeats() -> None:
    result = judge_piece(piece(), timing(1500.0), 1.0)
    assert (result.beat_f, result.downbeat_f) == (1.0, 0.0)


def test_group_figures_count_constant_pieces_only() -> None:
    results = [
        judge_piece(piece(), timing(1002.0), 1.0),
        judge_piece(piece(), timing(bpm=240.0), 1.0),
        judge_piece(piece(bpm=[100, 140]), timing(bpm=90.0), 1.0),
    ]
    figures = group_figures(results)
    assert (figures["pieces"], figures["constant"], figures["wrong_ratio"], figures["tempo_right"]) == (3, 2, 1, 0.5)
    assert figures["offset_median_ms"] == pytest.approx(2.0)


def test_live_pieces_need_no_bpm() -> None:
    live = piece(group="rubato_piano")
    del live["bpm"]
    assert not judge_piece(live, timing(), 1.0).constant


def chart_with_lag(lag_ms: float) -> ChartBuilder:
    builder = ChartBuilder().bpm(120, 1000 - lag_ms)
    for step in range(60):
        builder.note(round(1000 + step * 250 - lag_ms), step % 4)
    return builder


def test_a_song_is_judged_after_its_lag() -> None:
    result = judge_song("a.osz", chart_with_lag(24.0).build(), timing(1000.0), Lag(24.0, 1.0), 1.0)
    assert result.notes_on_grid == 1.0
    assert result.downbeat_right
    assert result.offset_error_ms == pytest.approx(0.0, abs=1e-6)


def test_notes_off_the_grid_are_counted_at_their_own_divisor() -> None:
    """Half a beat off is on the grid for eighths; 20 ms off is not, and a quarter beat off is for neither."""
    chart = chart_with_lag(0.0).build()
    assert judge_song("a", chart, timing(1250.0), Lag(0.0, 1.0), 1.0).notes_on_grid == pytest.approx(0.5)
    assert judge_song("a", chart, timing(1020.0), Lag(0.0, 1.0), 1.0).notes_on_grid == 0.0


def test_song_figures() -> None:
    chart = chart_with_lag(0.0).build()
    results = [
        judge_song("a", chart, timing(1001.0), Lag(0.0, 1.0), 1.0),
        judge_song("b", chart, timing(1000.0, 240.0), Lag(10.0, 1.0), 3.0),
    ]
    figures = song_figures(results)
    assert (figures["songs"], figures["wrong_ratio"], figures["tempo_right"]) == (2, 1, 0.5)
    assert figures["offset_median_ms"] == pytest.approx(1.0)
    assert (figures["lag_median_ms"], figures["wall_s"]) == (5.0, 2.0)
