"""Live music: beats made smooth, red lines that follow them, and the profiles that choose between one line and many."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ear.timing.estimate import find_timing
from ear.timing.kalman import MIN_STEP_MS, smooth_beats
from ear.timing.model import OMIT_BAR_LINE, Timing, beats_of
from ear.timing.rubato import BEND_MS, RubatoBeats, rubato_lines, stable_lines
from tests.ear_activations import Activations, activations_of
from tests.ear_signals import AT_ONCE_MS, audio_of, clicks, hits_at, rock_beat


def rubato_beats(count: int, seed: int = 2) -> NDArray[np.float64]:
    """Beats in ms whose interval wanders between 350 and 900 ms."""
    step = 0.05 * np.random.default_rng(seed).standard_normal(count)
    return 700 + np.cumsum(np.clip(550 * np.exp(np.cumsum(step)), 350, 900))


def live(time_ms: NDArray[np.float64], meter: int = 4, upbeat: int = 0) -> RubatoBeats:
    position = (np.arange(time_ms.size) - upbeat) % meter + 1
    return RubatoBeats(time_ms, position, np.full(time_ms.size, meter), np.full(time_ms.size, 3.0))


def nearest_errors(found_ms: NDArray[np.float64], true_ms: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.abs(found_ms[:, None] - true_ms[None]).min(axis=0)


def test_a_drummers_jitter_is_smoothed_away() -> None:
    rng = np.random.default_rng(0)
    true_ms = np.cumsum(np.full(200, 400.0) + 0.3 * np.arange(200))
    smooth = smooth_beats(true_ms + 8 * rng.standard_normal(200), np.full(200, 8.0))
    assert np.abs(smooth.time_ms - true_ms)[5:-5].mean() < 3
    assert smooth.drift < 0.01
    assert np.median(smooth.deviation_ms) < 5


def test_rubato_is_not_smoothed_away() -> None:
    true_ms = rubato_beats(120)
    rng = np.random.default_rng(0)
    smooth = smooth_beats(true_ms + 3 * rng.standard_normal(120), np.full(120, 3.0))
    assert np.abs(smooth.time_ms - true_ms).mean() < 3.5
    assert smooth.drift > 0.02


def test_beats_that_were_not_detected_are_filled_in() -> None:
    true_ms = 500.0 * np.arange(40)
    measured, noise = true_ms.copy(), np.full(40, 4.0)
    measured[10:13] += 170.0
    noise[10:13] = np.inf
    assert smooth_beats(measured, noise).time_ms == pytest.approx(true_ms, abs=1e-3)


@given(seed=st.integers(0, 1000), spread=st.floats(1.0, 300.0))
@settings(max_examples=20, deadline=None)
def test_smooth_beats_always_increase(seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    measured = np.cumsum(rng.uniform(60, 1500, 30)) + spread * rng.standard_normal(30)
    smooth = smooth_beats(np.sort(measured), np.where(rng.random(30) < 0.3, np.inf, spread))
    assert (np.diff(smooth.time_ms) >= MIN_STEP_MS - 1e-6).all()
    assert np.isfinite(smooth.deviation_ms).all()


def test_a_line_a_bar_and_more_where_the_tempo_bends() -> None:
    time_ms = np.concatenate([500.0 * np.arange(9), 4000 + np.cumsum([400.0, 500, 600, 700, 500, 500, 500, 500])])
    points = rubato_lines(live(time_ms))
    starts = [point.time_ms for point in points]
    assert starts[:2] == [0.0, 2000.0]
    assert 4900.0 in starts  # the third bar slows down: cut in half, and further
    assert starts[-1] == 6200.0
    assert [point.effects for point in points if point.time_ms in (0.0, 2000.0, 4000.0, 6200.0)] == [0, 0, 0, 0]
    assert all(point.effects == OMIT_BAR_LINE for point in points if point.time_ms not in (0.0, 2000.0, 4000.0, 6200.0))


@pytest.mark.parametrize("upbeat", [0, 3])
def test_the_grid_written_keeps_to_the_beats_and_their_bars(upbeat: int) -> None:
    beats = live(rubato_beats(80), 4, upbeat)
    points = rubato_lines(beats)
    assert (np.diff([point.time_ms for point in points]) > 0).all()
    grid = beats_of(Timing(points, 1.0, duration_ms=float(beats.time_ms[-1]) + 1))
    assert nearest_errors(grid.time_ms, beats.time_ms).max() <= BEND_MS + 1e-6
    true_ms = beats.time_ms[beats.position == 1]
    late = beats.time_ms[3] + 1  # an upbeat counts as a bar of its own
    assert grid.time_ms[(grid.position == 1) & (grid.time_ms > late)] == pytest.approx(
        true_ms[true_ms > late], abs=0.01
    )


def test_the_stable_profile_draws_as_few_lines_as_hold_the_song() -> None:
    time_ms = np.concatenate([500.0 * np.arange(33), 16_000 + 420.0 * np.arange(1, 33)])
    rng = np.random.default_rng(0)
    points = stable_lines(live(time_ms + 0.3 * rng.standard_normal(time_ms.size)))
    assert [round(point.bpm, 1) for point in points] == pytest.approx([120.0, 142.9], abs=0.15)
    assert points[1].time_ms == pytest.approx(16_000, abs=1)
    assert all(point.effects == 0 for point in points)


@pytest.fixture(scope="module")
def rubato() -> tuple[NDArray[np.float64], Timing, Timing]:
    """True beats of a piece played freely, and its timing with a network by `auto` and by `stable`."""
    beat_ms = rubato_beats(70)
    duration_s = float(beat_ms[-1]) / 1000 + 1
    audio = audio_of(hits_at(beat_ms / 1000, duration_s, decay_s=0.05))
    activations = activations_of(
        beat_ms, np.arange(70) % 4 + 1, 1000 * duration_s, missed=0.1, half_beats=0.05, jitter_ms=6
    )
    return beat_ms, find_timing(audio, activations), find_timing(audio, activations, "stable")


def test_live_music_is_followed(rubato: tuple[NDArray[np.float64], Timing, Timing]) -> None:
    beat_ms, timing, _ = rubato
    assert timing.profile == "live"
    assert len(timing.points) >= 15
    errors = nearest_errors(beats_of(timing).time_ms - AT_ONCE_MS, beat_ms)
    assert np.median(errors) < 10
    assert np.percentile(errors, 90) < 30
    assert 0.4 < timing.confidence <= 1


def test_the_stable_profile_has_a_line_a_bar_at_most(rubato: tuple[NDArray[np.float64], Timing, Timing]) -> None:
    beat_ms, timing, stable = rubato
    assert stable.profile == "stable"
    assert len(stable.points) <= len(beat_ms) // 4 + 2
    assert len(stable.points) < len(timing.points)


ROCK = audio_of(rock_beat(151.37, 0.4321, 24.0))
ROCK_BEATS_MS = np.arange(432.1, 23_800, 60_000 / 151.37)


def test_a_steady_song_stays_steady_with_a_network() -> None:
    activations = activations_of(ROCK_BEATS_MS, np.arange(ROCK_BEATS_MS.size) % 4 + 1, 24_000.0)
    timing = find_timing(ROCK, activations)
    assert (timing.profile, len(timing.points), timing.meter) == ("stable", 1, 4)
    assert timing.bpm == pytest.approx(151.37, rel=1e-4)
    assert timing.confidence > 0.7


def test_live_lines_are_drawn_for_a_steady_song_on_request() -> None:
    activations = activations_of(ROCK_BEATS_MS, np.arange(ROCK_BEATS_MS.size) % 4 + 1, 24_000.0)
    timing = find_timing(ROCK, activations, "live")
    assert timing.profile == "live"
    assert len(timing.points) == pytest.approx(ROCK_BEATS_MS.size / 4, abs=2)
    assert timing.bpm == pytest.approx(151.37, rel=3e-3)


@pytest.mark.parametrize(("every", "first"), [(2, 0), (2, 1), (1, 0)])
def test_a_network_that_is_believed_decides_level_and_phase_where_all_clicks_are_alike(every: int, first: int) -> None:
    beat_ms = np.arange(250.0, 29_000, 250.0)[first::every]
    activations = activations_of(beat_ms, np.arange(beat_ms.size) % 4 + 1, 30_000.0)
    timing = find_timing(audio_of(clicks(240.0, 0.25, 30.0)), activations)
    assert timing.bpm == pytest.approx(240 / every, rel=1e-4)
    beat_length = timing.main.beat_length_ms
    late = (timing.offset_ms - beat_ms[0] - AT_ONCE_MS + beat_length / 2) % beat_length - beat_length / 2
    assert late == pytest.approx(0, abs=1.5)


def test_empty_activations_change_nothing() -> None:
    deaf = Activations(np.full(1201, 0.001, np.float32), np.full(1201, 0.001, np.float32))
    assert find_timing(ROCK, deaf) == find_timing(ROCK)


def test_a_network_that_babbles_does_not_take_a_steady_song_for_live() -> None:
    rng = np.random.default_rng(0)
    noise = Activations(*(rng.uniform(0, 0.6, (2, 1201)).astype(np.float32)))
    timing = find_timing(ROCK, noise)
    assert timing.profile == "stable"
    assert timing.bpm == pytest.approx(151.37, rel=1e-4)


def test_a_few_seconds_with_a_network_are_no_live_music() -> None:
    audio = audio_of(hits_at(np.array([0.5, 0.7, 0.9, 1.6, 2.5, 2.6, 3.1, 3.9, 4.2, 4.6]), 5.0))
    activations = activations_of(np.array([500.0, 2500, 4200]), np.array([1, 1, 1]), 5000.0, missed=0.0, half_beats=0.0)
    assert find_timing(audio, activations, "live").profile == "stable"


def test_clicks_at_random_are_followed_without_confidence() -> None:
    """A network finds a beat in every click; that they make no rhythm shows in the intervals."""
    click_ms = np.sort(np.random.default_rng(0).uniform(0, 39_000, 80))
    activations = activations_of(click_ms, np.arange(80) % 4 + 1, 40_000.0, missed=0.0, half_beats=0.0)
    timing = find_timing(audio_of(hits_at(click_ms / 1000, 40.0)), activations)
    assert timing.confidence < 0.2
    assert 30 <= timing.bpm <= 330
