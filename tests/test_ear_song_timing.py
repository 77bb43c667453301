"""The whole Ear with the bundled network: a plain song, and audio in which there is nothing to time."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ear.song_timing import time_with
from ear.tracker.tracker import BeatTracker, load_beat_tracker
from tests.ear_signals import SAMPLE_RATE, audio_of, clicks, hits_at, rock_beat


@pytest.fixture(scope="module")
def tracker() -> BeatTracker:
    return load_beat_tracker("bundled")


def syllables(seed: int, duration_s: float = 25.0) -> NDArray[np.float64]:
    """Voiced bursts of irregular length and pitch with pauses, as in speech."""
    rng = np.random.default_rng(seed)
    samples, start_s = np.zeros(round(duration_s * SAMPLE_RATE)), 0.3
    while start_s < duration_s - 1:
        size = int(rng.uniform(0.08, 0.3) * SAMPLE_RATE)
        pitch_hz = rng.uniform(90, 220) * (1 + 0.1 * np.linspace(0, rng.normal(), size))
        phase = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE
        voice = sum(np.sin(k * phase) / k for k in range(1, 15)) * np.hanning(size)
        first = int(start_s * SAMPLE_RATE)
        samples[first : first + size] += voice * rng.uniform(0.02, 0.1)
        start_s += size / SAMPLE_RATE + (rng.uniform(0.3, 0.9) if rng.random() < 0.15 else rng.uniform(0, 0.08))
    return samples


UNTIMED = {
    "silence": np.zeros(10 * SAMPLE_RATE),
    "noise": 0.1 * np.random.default_rng(0).standard_normal(15 * SAMPLE_RATE),
    "one click": np.eye(1, 10 * SAMPLE_RATE, 3 * SAMPLE_RATE)[0],
    "random clicks": hits_at(np.random.default_rng(0).uniform(0, 24, 50), 25.0),
    "speech": syllables(0),
    "livelier speech": syllables(2),
}


@pytest.mark.parametrize("case", sorted(UNTIMED))
def test_what_has_no_beat_gets_a_usable_guess_and_a_low_confidence(case: str, tracker: BeatTracker) -> None:
    timing = time_with(tracker, audio_of(UNTIMED[case])).timing
    assert timing.confidence < 0.3
    assert 30 <= timing.bpm <= 330
    assert np.isfinite([point.time_ms for point in timing.points]).all()


@pytest.mark.parametrize("bpm", [20.0, 600.0])
def test_tempi_that_no_beat_has_are_doubted(bpm: float, tracker: BeatTracker) -> None:
    timing = time_with(tracker, audio_of(clicks(bpm, 0.2, 30.0))).timing
    assert 30 <= timing.bpm <= 330
    assert timing.confidence < 0.1
    assert timing.doubt


def test_a_plain_song_is_timed(tracker: BeatTracker) -> None:
    found = time_with(tracker, audio_of(rock_beat(151.37, 0.4321, 24.0)))
    assert found.timing.profile == "stable"
    assert found.timing.bpm == pytest.approx(151.37, rel=1e-4)
    assert found.timing.confidence > 0.5
    assert not found.timing.doubt
    assert found.tracked is not None
