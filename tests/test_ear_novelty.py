"""Where music changes and after how long it repeats: what tells a grid whose bars are right from others."""

import numpy as np
import pytest

from ear.metre import Texture, texture
from ear.novelty import NOVELTY_FEATURES, novelty_features, novelty_of
from ear.onset import onset_strength
from ear.repetition import LAG_BEATS, REPETITION_FEATURES, repetition_features, repetition_of
from ear.tempo import balanced
from tests.ear_signals import audio_of, rock_beat

BPM, OFFSET_S, DURATION_S = 120.0, 0.5, 40.0
ROCK = audio_of(rock_beat(BPM, OFFSET_S, DURATION_S))


@pytest.fixture(scope="module")
def song() -> Texture:
    return texture(ROCK.samples, ROCK.sample_rate)


def test_chords_change_on_the_bars_of_the_right_grid(song: Texture) -> None:
    novelty = novelty_of(song, ROCK.duration_ms)
    right, beside = (
        dict(zip(NOVELTY_FEATURES, novelty_features(novelty, 2.0, ms).tolist(), strict=True)) for ms in (500.0, 750.0)
    )
    for kind in ("bass", "chord"):
        assert right[f"{kind} on the bar, half a beat beside"] > 0.05
        assert beside[f"{kind} on the bar, half a beat beside"] == pytest.approx(
            -right[f"{kind} on the bar, half a beat beside"], abs=0.05
        )
    assert right["chord on the bar"] > beside["chord on the bar"] > 0


def test_music_comes_again_after_whole_bars(song: Texture) -> None:
    strength = balanced(onset_strength(ROCK.samples, ROCK.sample_rate))
    repetition = repetition_of(song, strength, 1.0)
    found = dict(zip(REPETITION_FEATURES, repetition_features(repetition, BPM / 60).tolist(), strict=True))
    wrong = dict(zip(REPETITION_FEATURES, repetition_features(repetition, BPM / 60 * 1.3).tolist(), strict=True))
    for kind in ("timbre", "chords", "onsets"):
        assert found[f"{kind} again after 16"] > 0.8  # four chords
    assert found["chords again after 4"] < 0.5 < found["onsets again after 4"]
    assert wrong["onsets again after 4"] < found["onsets again after 4"] - 0.2
    assert len(found) == 3 * len(LAG_BEATS)


def test_a_stretch_is_looked_at_from_its_own_start(song: Texture) -> None:
    part = song.within(8_500.0, 30_000.0)
    alone = texture(ROCK.samples[round(8.5 * ROCK.sample_rate) : 30 * ROCK.sample_rate], ROCK.sample_rate)
    at_ms = np.array([3_000.0, 9_000.0])
    assert np.allclose(part.colour.change(at_ms, 500.0), alone.colour.change(at_ms, 500.0), atol=0.05)
    found = novelty_features(novelty_of(part, 21_500.0), 2.0, 0.0)
    assert np.allclose(found, novelty_features(novelty_of(alone, 21_500.0), 2.0, 0.0), atol=0.05)


def test_short_and_silent_stretches_are_no_error() -> None:
    silent = texture(np.zeros(2_000, np.float32), 22_050)
    for duration_ms in (0.0, 50.0, 90.0):
        part = silent.within(0.0, duration_ms)
        assert np.isfinite(novelty_features(novelty_of(part, duration_ms), 3.0, 100.0)).all()
        strength = np.zeros((4, int(duration_ms)), np.float32)
        assert np.isfinite(repetition_features(repetition_of(part, strength, 1.0), 3.0)).all()
