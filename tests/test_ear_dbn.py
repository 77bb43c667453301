"""Beats and bars tracked through activations that miss, invent and jitter; peaks and how grids agree with them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.beat_figures import f_measure
from ear.tracker.dbn import decode_bars, track_beats
from ear.tracker.dbn_kernels import best_beats, trace_back
from ear.tracker.peak_picking import Peaks, activation_peaks, agreement, beat_agreement, find_peaks, nearest_index
from tests.ear_activations import activations_of


def positions(count: int, meter: int = 4) -> NDArray[np.int64]:
    return np.arange(count) % meter + 1


def best_score(evidence: list[float], worth: dict[int, float], cost: float) -> float:
    """The most any sequence of beats is worth, by trying them all; `worth` of an interval counts at each of its beats."""
    intervals = list(worth)

    def best_from(t: int, interval: int) -> float:
        found = evidence[t] + worth[interval]
        options = [0.0] if t >= len(evidence) - intervals[-1] else []
        options += [
            best_from(t + after, after) - cost * abs(np.log(after / interval))
            for after in intervals
            if t + after < len(evidence)
        ]
        return found + max(options, default=-np.inf)

    # The beat before the first one lies before the start.
    return max(best_from(t, interval) for interval in intervals for t in range(interval))


@given(seed=st.integers(0, 10_000), cost=st.floats(0.0, 5.0))
@settings(max_examples=15, deadline=None)
def test_the_compiled_tracker_finds_the_best_of_all_sequences(seed: int, cost: float) -> None:
    rng = np.random.default_rng(seed)
    evidence = rng.normal(0, 1, 14).astype(np.float32)
    interval = np.array([2, 3, 4])
    score, source = np.empty((14, 3), np.float32), np.empty((14, 3), np.int16)
    log_interval = np.log(interval).astype(np.float32)
    worth = rng.normal(0, 1, 3).astype(np.float32)
    best_beats(evidence, interval, log_interval, worth, cost, score, source)
    beats = np.empty(14, np.int64)
    frames = beats[: trace_back(score, source, interval, beats)][::-1]
    assert score[-4:].max() == pytest.approx(
        best_score(evidence.tolist(), dict(zip([2, 3, 4], worth.tolist(), strict=True)), cost), abs=1e-4
    )
    assert frames[0] < 4
    assert frames[-1] >= 10


def test_a_steady_song_is_tracked_through_misses_and_half_beats() -> None:
    beat_ms = 400.0 + 387.3 * np.arange(150)
    found_activations = activations_of(beat_ms, positions(150), 60_000.0, missed=0.2, half_beats=0.15, seed=3)
    found = track_beats(found_activations)
    inside = (found.time_ms > 300) & (found.time_ms < beat_ms[-1] + 100)
    assert f_measure(found.time_ms[inside], beat_ms, 30.0) > 0.95
    assert f_measure(found.time_ms[found.position == 1], beat_ms[::4], 30.0) > 0.9
    assert set(found.bar_length[inside]) == {4}
    assert (found.support[inside] == 0).mean() == pytest.approx(0.2, abs=0.1)


def test_rubato_is_followed() -> None:
    rng = np.random.default_rng(1)
    interval = 600 * np.exp(np.cumsum(0.06 * rng.standard_normal(100)))
    beat_ms = 500 + np.cumsum(np.clip(interval, 300, 1200))
    found_activations = activations_of(
        beat_ms, positions(100, 3), float(beat_ms[-1]) + 1000, missed=0.05, half_beats=0.05
    )
    found = track_beats(found_activations)
    inside = (found.time_ms > beat_ms[0] - 200) & (found.time_ms < beat_ms[-1] + 200)
    assert f_measure(found.time_ms[inside], beat_ms, 25.0) > 0.9
    assert np.median(found.bar_length) == 3


def test_silence_is_tracked_too() -> None:
    found_activations = activations_of(
        np.zeros(2), positions(2), 20_000.0, strength=0.0, missed=1.0, half_beats=0.0, floor=0.0
    )
    found = track_beats(found_activations)
    assert (np.diff(found.time_ms) > 0).all()
    assert not found.support.any()


def test_bars_follow_the_detected_downbeats() -> None:
    evidence = np.full(40, -3.0)
    evidence[[1, 5, 9, 13, 17, 20, 23, 26, 29, 32, 35, 38]] = 3.0  # a beat of upbeat, bars of four, then of three
    position, length = decode_bars(evidence)
    assert np.flatnonzero(position == 1).tolist() == [1, 5, 9, 13, 17, 20, 23, 26, 29, 32, 35, 38]
    assert length[:17].tolist() == [4] * 17
    assert length[20:].tolist() == [3] * 20


def test_bars_continue_where_no_downbeat_is_detected() -> None:
    evidence = np.full(32, -1.0)
    evidence[0:32:4] = 3.0
    evidence[[8, 12]] = -1.0
    assert np.flatnonzero(decode_bars(evidence)[0] == 1).tolist() == list(range(0, 32, 4))


@given(at_ms=st.floats(300.0, 320.0))
@settings(max_examples=20)
def test_peaks_are_finer_than_frames(at_ms: float) -> None:
    grid = np.arange(50) * 20.0
    peaks = find_peaks(0.9 * np.exp(-0.5 * ((grid - at_ms) / 15) ** 2), 50.0)
    assert peaks.time_ms[peaks.strength > 0.3] == pytest.approx([at_ms], abs=2.5)


def test_an_even_plateau_is_one_peak() -> None:
    line = np.full(40, 0.01)
    line[20:22] = 0.8
    assert find_peaks(line, 50.0).time_ms.size == 1


STEADY = Peaks(np.arange(20) * 500.0 + 100, np.full(20, 0.8))


def test_agreement_tells_a_grid_from_its_multiples_and_its_off_beats() -> None:
    assert agreement(STEADY, 2.0, 100.0) == pytest.approx(1.0)
    assert agreement(STEADY, 4.0, 100.0) == pytest.approx(2 / 3, abs=0.03)
    assert agreement(STEADY, 1.0, 100.0) == pytest.approx(2 / 3, abs=0.03)
    assert agreement(STEADY, 2.0, 350.0) == 0.0
    assert agreement(Peaks(np.zeros(0), np.zeros(0)), 2.0, 0.0) == 0.0


def test_a_uniformly_unsure_network_agrees_as_well_as_a_sure_one() -> None:
    assert agreement(Peaks(STEADY.time_ms, 0.1 * STEADY.strength), 2.0, 100.0) == pytest.approx(1.0)


def test_a_grid_is_not_held_against_silence() -> None:
    late = Peaks(np.concatenate([STEADY.time_ms, STEADY.time_ms + 30_000]), np.full(40, 0.8))
    assert agreement(late, 2.0, 100.0) == pytest.approx(1.0)
    assert beat_agreement(late, np.arange(100.0, 40_000.0, 500.0)) == pytest.approx(1.0)


def test_peaks_of_a_stretch_are_counted_from_its_start() -> None:
    part = STEADY.within(1000.0, 2000.0)
    assert part.time_ms.tolist() == [100.0, 600.0]


def test_nearest_index() -> None:
    assert nearest_index(np.array([0.0, 10.0, 30.0]), np.array([-5.0, 4.0, 6.0, 21.0, 99.0])).tolist() == [
        0,
        0,
        1,
        2,
        2,
    ]
    assert nearest_index(np.array([7.0]), np.array([0.0, 9.0])).tolist() == [0, 0]


def test_both_activations_are_picked() -> None:
    beat_ms = np.arange(500.0, 9000.0, 500.0)
    found_activations = activation_peaks(
        activations_of(beat_ms, positions(beat_ms.size), 9500.0, missed=0.0, half_beats=0.0)
    )
    assert (found_activations.beat.strength > 0.5).sum() == beat_ms.size
    assert (found_activations.downbeat.strength > 0.5).sum() == 5
