"""Onset strength peaks when an instrument starts to sound; the lag of notes is found to a fraction of a millisecond."""

import weakref
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ear.audio.clock import measure_lag
from ear.audio.decode import SAMPLE_RATE, Audio
from ear.audio.onset import BAND_EDGES_HZ, estimate_lag_ms, onset_strength, parabola_offset
from ear.audio.shared import onset_of
from tests.ear_signals import AT_ONCE_MS, hits_at

DURATION_S = 12.0
NOTES_S = np.cumsum(np.random.default_rng(5).choice([0.15, 0.3, 0.45], 36))
SAMPLES = hits_at(NOTES_S, DURATION_S).astype(np.float32)
ONSET = onset_strength(SAMPLES, SAMPLE_RATE)


def test_shape_and_range() -> None:
    assert ONSET.strength.shape == (int(DURATION_S * 1000) + 1, len(BAND_EDGES_HZ) - 1)
    assert ONSET.strength.dtype == np.float32
    assert ONSET.strength.min() >= 0


@pytest.mark.parametrize("frame_ms", [1.0, 2.0, 5.0])
@pytest.mark.parametrize("lag_ms", [-41.3, 0.0, 23.5])
def test_lag_is_found(frame_ms: float, lag_ms: float) -> None:
    onset = onset_strength(SAMPLES, SAMPLE_RATE, frame_ms=frame_ms)
    found = estimate_lag_ms(onset, NOTES_S * 1000 - lag_ms)
    assert found.lag_ms == pytest.approx(lag_ms + AT_ONCE_MS, abs=1.0 if frame_ms < 5 else 2.0)
    assert found.confidence > 0.9


def test_wide_search_finds_what_the_near_one_cannot() -> None:
    notes_ms = NOTES_S * 1000 + 180.0
    assert estimate_lag_ms(ONSET, notes_ms, search_ms=250.0).lag_ms == pytest.approx(-180 + AT_ONCE_MS, abs=1.5)
    assert abs(estimate_lag_ms(ONSET, notes_ms).lag_ms) <= 60.5


def test_notes_of_another_song_are_not_believed() -> None:
    rng = np.random.default_rng(0)
    confidences = [estimate_lag_ms(ONSET, np.sort(rng.uniform(0, 12_000, 200))).confidence for _ in range(20)]
    assert np.median(confidences) < 0.5


@pytest.mark.parametrize("notes_ms", [[], [3000.0], [-500.0, 99_000.0]])
def test_too_few_notes_give_no_lag(notes_ms: list[float]) -> None:
    found = estimate_lag_ms(ONSET, np.array(notes_ms))
    assert (found.lag_ms, found.confidence) == (0.0, 0.0)


def test_silence_has_no_onsets_and_a_flat_profile() -> None:
    silent = onset_strength(np.zeros(5 * SAMPLE_RATE, np.float32), SAMPLE_RATE)
    assert not silent.strength.any()
    assert estimate_lag_ms(silent, np.arange(500.0, 4000.0, 250.0)).confidence < 0.1


@given(top=st.floats(-0.49, 0.49), height=st.floats(0.1, 10), width=st.floats(0.5, 5))
@settings(max_examples=30)
def test_parabola_finds_the_top(top: float, height: float, width: float) -> None:
    values = height - ((np.arange(-1, 2) - top) / width) ** 2
    assert parabola_offset(values, 1) == pytest.approx(top, abs=1e-6)
    assert parabola_offset(values, 0) == parabola_offset(values, 2) == 0.0


@pytest.mark.shared
def test_lags_agree_with_those_measured_independently(shared_data: Path) -> None:
    """`sync_lag_ms` comes in steps of 2.5–5 ms and was measured by other means; it is no truth, but must be near."""
    import json

    from chart.formats.osz import read_osz

    songs = json.loads((shared_data / "songs" / "songs.json").read_text(encoding="utf-8"))
    train = [song for song in songs if song["split"] == "train" and song["duration_s"] < 95 and song["grid_ok"] == 1]
    some = [song for song in train if abs(song["sync_lag_ms"]) < 40][:6]
    apart = [measure_lag(read_osz(shared_data / "songs" / song["file"])).lag_ms - song["sync_lag_ms"] for song in some]
    assert len(apart) == 6
    assert np.median(np.abs(apart)) < 4


def test_the_onset_strength_of_a_song_is_computed_once_while_its_audio_lives() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    audio, other = Audio(samples), Audio(samples)
    found = onset_of(audio)
    assert onset_of(audio) is found is not onset_of(other)
    np.testing.assert_array_equal(found.strength, onset_strength(samples, SAMPLE_RATE).strength)
    with pytest.raises(ValueError, match="read-only"):
        found.strength[:] = 0  # others read it too
    gone = weakref.ref(found.strength)
    del audio, found
    assert gone() is None
