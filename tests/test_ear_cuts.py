"""Cuts, beats that leave a steady grid, and the confidence that follows from them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ear.timing.confidence import Evidence, calibrated, calibration_error
from ear.timing.cuts import find_cuts
from ear.timing.estimate import find_timing
from ear.timing.model import beats_of
from ear.timing.stability import share_off
from tests.ear_activations import activations_of
from tests.ear_signals import audio_of, rock_beat

BPM = 140.0
BEAT_MS = 60_000 / BPM


def onsets_at(time_ms: NDArray[np.float64], duration_ms: float) -> NDArray[np.float32]:
    """Onset strength [band, frame of 1 ms] with one onset at each time, in the first of four bands."""
    strength = np.zeros((4, int(duration_ms)), np.float32)
    strength[0, np.rint(time_ms).astype(int)] = 10.0
    return strength


def cut_beats(jump_ms: float) -> NDArray[np.float64]:
    """Eighty beats with a jump in the middle."""
    beats = 500.0 + BEAT_MS * np.arange(80)
    return np.where(np.arange(80) < 40, beats, beats + jump_ms)


@pytest.mark.parametrize("jump_ms", [-150.0, 90.0, 250.0])
def test_a_cut_is_found_at_its_beat(jump_ms: float) -> None:
    beats = cut_beats(jump_ms)
    noise = np.random.default_rng(0).normal(0, 1.0, beats.size)
    cuts = find_cuts(beats + noise, onsets_at(beats, beats[-1] + 500))
    assert cuts == [pytest.approx(beats[40], abs=5)]


def test_another_phase_of_the_same_grid_is_no_cut() -> None:
    steady = 500.0 + BEAT_MS / 2 * np.arange(162)
    assert find_cuts(cut_beats(BEAT_MS / 2), onsets_at(steady, steady[-1] + 500)) == []


def test_a_player_makes_no_cuts() -> None:
    rng = np.random.default_rng(1)
    beats = 500.0 + np.cumsum(BEAT_MS * (1 + 0.015 * rng.standard_normal(120)))
    assert find_cuts(beats, onsets_at(beats, beats[-1] + 500)) == []
    assert find_cuts(beats[:20], onsets_at(beats, beats[-1] + 500)) == []


def test_level_and_phase_do_not_count_as_off_the_grid() -> None:
    grid = 500.0 + BEAT_MS * np.arange(80)
    support = np.ones(40)
    assert share_off(grid[::2], support, grid) == 0.0
    assert share_off(grid[:40] + BEAT_MS / 2, support, grid) == 0.0
    assert share_off(grid[:40] + 30.0, support, grid) == 0.0  # a wrong offset is the phase's fault
    assert share_off(grid[:40], np.zeros(40), grid) == 0.0


def test_drifting_beats_are_off_the_grid() -> None:
    grid = 500.0 + BEAT_MS * np.arange(80)
    drift = 60.0 * np.sin(np.arange(80) / 12)
    assert share_off(grid + drift, np.ones(80), grid) > 0.5
    assert share_off(grid + drift / 20, np.ones(80), grid) == 0.0


def test_a_cut_song_gets_a_red_line_at_the_cut() -> None:
    samples = rock_beat(BPM, 0.5, 60.0)
    at, lost = 22_050 * 30, round(0.3 * 22_050)
    audio = audio_of(np.concatenate([samples[:at], samples[at + lost :]]))
    beats = 500.0 + BEAT_MS * np.arange(138)
    true_ms = np.concatenate([beats[beats < 30_000], beats[beats >= 30_300] - 300])
    activations = activations_of(
        true_ms, np.arange(true_ms.size) % 4 + 1, audio.duration_ms, missed=0.0, half_beats=0.0
    )
    timing = find_timing(audio, activations)  # type: ignore[arg-type]
    assert timing.profile == "stable"
    found = beats_of(timing).time_ms
    nearest = np.abs(found[:, None] - true_ms).min(axis=0)
    assert (nearest <= 20).mean() >= 0.95
    assert 2 <= len(timing.points) <= 3
    assert any(abs(point.time_ms - true_ms[true_ms >= 30_000][0]) < 10 for point in timing.points[1:])
    assert timing.confidence + sum(other.chance for other in timing.alternatives) == pytest.approx(1.0)


def evidence(**changes: float) -> Evidence:
    sure = {"signal": 0.95, "level": 0.98, "phase": 0.98, "off": 0.0, "agreement": 0.9, "tracked_agreement": 0.9}
    return Evidence(**(sure | changes))


def test_confidence_falls_with_every_doubt() -> None:
    sure = calibrated(evidence())
    assert sure > 0.9
    for change in ({"level": 0.5}, {"phase": 0.5}, {"off": 0.3}, {"agreement": 0.5}, {"signal": 0.2}):
        assert calibrated(evidence(**change)) < sure - 0.02
    assert calibrated(evidence(signal=0.0)) == 0.0
    assert calibrated(evidence(off=0.6, agreement=0.4, tracked_agreement=0.95, level=0.8)) < 0.5


def test_calibration_error_is_the_mean_gap() -> None:
    said = np.array([0.95, 0.95, 0.55, 0.55])
    right = np.array([True, True, True, False])
    assert calibration_error(said, right) == pytest.approx(0.05)
    assert calibration_error(np.ones(4), np.zeros(4, bool)) == 1.0
