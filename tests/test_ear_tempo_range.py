"""Rhythms at tempi that no beat has: their confidence goes, and the reason is said; all others keep theirs."""

import numpy as np
import pytest

from ear.audio.onset import FRAME_MS, onset_strength
from ear.timing.estimate import find_timing
from ear.timing.grid.tempo import locally_normalized
from ear.timing.grid.tempo_range import TempoRange, share_apart, tempo_range
from tests.ear_signals import SAMPLE_RATE, audio_of, clicks, hits_at, rock_beat

NO_DOUBT = TempoRange(1.0, "")


def range_of(samples: np.ndarray) -> TempoRange:
    return tempo_range(locally_normalized(onset_strength(samples.astype(np.float32), SAMPLE_RATE)), FRAME_MS)


@pytest.mark.parametrize("bpm", [41.0, 60.0, 128.0, 200.0, 318.0])
def test_clicks_at_tempi_of_beats_are_not_doubted(bpm: float) -> None:
    assert range_of(clicks(bpm, 0.2, 25.0)) == NO_DOUBT


def test_music_is_not_doubted() -> None:
    assert range_of(rock_beat(174.0, 0.3, 20.0)) == NO_DOUBT
    broken = rock_beat(120.0, 0.3, 30.0)
    broken[10 * SAMPLE_RATE : 20 * SAMPLE_RATE] = 0  # a third of it is a break
    assert range_of(broken) == NO_DOUBT


@pytest.mark.parametrize("bpm", [12.0, 20.0, 35.0])
def test_clicks_slower_than_any_beat(bpm: float) -> None:
    timing = find_timing(audio_of(clicks(bpm, 0.2, 60.0)))
    assert timing.confidence < 0.1
    assert timing.doubt == "its onsets are further apart than beats at 40 BPM"


@pytest.mark.parametrize("bpm", [400.0, 600.0, 1200.0])
def test_clicks_faster_than_any_beat(bpm: float) -> None:
    timing = find_timing(audio_of(clicks(bpm, 0.2, 25.0)))
    assert timing.confidence < 0.1
    assert timing.doubt == "its onsets repeat faster than beats at 320 BPM"


def test_fast_clicks_in_the_time_of_a_beat_have_one() -> None:
    assert range_of(clicks(600.0, 0.2, 25.0, accents=(1.0, 0.5))) == NO_DOUBT
    kicks = hits_at(np.arange(0.2, 24.0, 0.4), 25.0, 0.9, decay_s=0.05, brightness=0.0)
    assert range_of(0.5 * clicks(600.0, 0.2, 25.0) + kicks) == NO_DOUBT


def test_time_in_long_gaps_is_counted() -> None:
    at = np.r_[np.arange(0.5, 10.1, 0.5), 12.5, 15.0, 17.5, 20.0]  # 9.5 s of beats, then 10 s without
    strength = locally_normalized(onset_strength(hits_at(at, 22.0).astype(np.float32), SAMPLE_RATE))
    assert share_apart(strength, FRAME_MS) == pytest.approx(10 / 19.5, abs=0.02)
    assert share_apart(np.zeros((4, 10), np.float32), FRAME_MS) == 0
