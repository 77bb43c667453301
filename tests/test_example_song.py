"""The demo song: its file, its truth, and that the one belongs to the other."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import mutagen.oggvorbis
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SONG = EXAMPLES / "demo_song.ogg"
A_MINOR = {9, 11, 0, 2, 4, 5, 7, 8}  # pitch classes, with the leading note G#


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    return json.loads((EXAMPLES / "demo_song.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def audio() -> tuple[NDArray[np.float64], int]:
    """[sample, 2] and the sample rate."""
    return soundfile.read(SONG, always_2d=True)


@pytest.fixture(scope="module")
def score() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        yield importlib.import_module("demo_score")


@pytest.fixture(scope="module")
def composer(score: ModuleType) -> ModuleType:
    return importlib.import_module("compose_song")


def rise_db(
    audio: tuple[NDArray[np.float64], int], times_ms: NDArray[np.float64], low_hz: float
) -> NDArray[np.float64]:
    """[time] level above `low_hz` in the 8 ms after each time over the 8 ms before it."""
    samples, rate = audio
    size = 1 << (len(samples) - 1).bit_length()  # other lengths are many times slower
    spectrum = np.fft.rfft(samples.mean(axis=1), size)
    spectrum[: int(low_hz * size / rate)] = 0
    power = np.concatenate([[0.0], np.cumsum(np.fft.irfft(spectrum, size) ** 2)])
    at, span = np.round(times_ms * rate / 1000).astype(int), int(0.008 * rate)
    return 10 * np.log10((power[at + span] - power[at] + 1e-9) / (power[at] - power[at - span] + 1e-9))


def test_file_is_small_tagged_and_of_the_stated_length(audio: Any, truth: dict[str, Any]) -> None:
    samples, rate = audio
    assert SONG.stat().st_size <= 1_000_000
    assert rate == 44_100
    assert 60 <= len(samples) / rate <= 90
    assert truth["beats_ms"][-1] < 1000 * len(samples) / rate
    tags = mutagen.oggvorbis.OggVorbis(SONG)
    assert (tags["title"], tags["artist"]) == ([truth["title"]], [truth["artist"]])


def test_levels_leave_headroom_and_differ_between_sections(audio: Any, truth: dict[str, Any]) -> None:
    samples, rate = audio
    assert 0.8 < np.abs(samples).max() < 0.9  # −1 dBFS is 0.891

    def rms_db(start_ms: float, end_ms: float) -> float:
        return 10 * np.log10(np.mean(samples[int(start_ms * rate / 1000) : int(end_ms * rate / 1000)] ** 2) + 1e-12)

    levels = {section["name"]: rms_db(section["start_ms"], section["end_ms"]) for section in truth["sections"]}
    assert levels["chorus"] > levels["verse"] + 2 > levels["intro"] + 4 > levels["break"] + 6
    start, end = truth["silence_ms"]
    assert end - start > 1000
    assert rms_db(start + 10, end - 10) < -70
    assert rms_db(0, truth["offset_ms"] - 10) < -70


@pytest.mark.parametrize(
    ("drum", "low_hz", "median_db"), [("kick", 2000, 3.0), ("snare", 2000, 6.0), ("hat", 8000, 3.0)]
)
def test_drums_sound_where_the_truth_says(
    audio: Any, truth: dict[str, Any], drum: str, low_hz: float, median_db: float
) -> None:
    times = np.array(truth["onsets_ms"][drum])
    struck, beside = rise_db(audio, times, low_hz), rise_db(audio, times + 40, low_hz)
    assert np.median(struck) > median_db
    assert np.median(beside) < 1.0
    # A truth that is late or early by 10 ms would be noticed.
    assert np.median(struck) > np.median(rise_db(audio, times + 10, low_hz)) + 2
    assert np.median(struck) > np.median(rise_db(audio, times - 10, low_hz)) + 2


def test_beats_and_sections_follow_from_tempo_and_offset(truth: dict[str, Any]) -> None:
    beats = np.array(truth["beats_ms"])
    np.testing.assert_allclose(beats, truth["offset_ms"] + np.arange(beats.size) * 60_000 / truth["bpm"], atol=1e-3)
    assert beats[0] == truth["offset_ms"]
    assert truth["downbeats_ms"] == truth["beats_ms"][:: truth["metre"]]
    edges = [truth["offset_ms"]]
    for section in truth["sections"]:
        assert section["start_ms"] == edges[-1]
        edges.append(section["end_ms"])
    assert edges[-1] == beats[-1]
    assert set(edges) <= set(truth["downbeats_ms"])


def test_every_onset_is_on_a_sixteenth_and_outside_the_silence(truth: dict[str, Any]) -> None:
    start, end = truth["silence_ms"]
    for times in map(np.array, truth["onsets_ms"].values()):
        step = (times - truth["offset_ms"]) * truth["bpm"] / 15_000
        np.testing.assert_allclose(step, np.round(step), atol=1e-4)
        assert not np.any((times >= start) & (times < end))
        assert np.all(np.diff(times) > 0)


def test_composing_again_gives_the_shipped_truth(composer: ModuleType, score: ModuleType) -> None:
    text = composer.truth_text(score.truth(score.compose()))
    assert text == (EXAMPLES / "demo_song.json").read_text(encoding="utf-8")


def test_melodies_keep_to_the_key(score: ModuleType) -> None:
    pitched = [note for note in score.compose() if note.pitch]
    assert len(pitched) > 500
    assert {note.pitch % 12 for note in pitched} <= A_MINOR


def test_the_shipped_sound_is_what_the_script_renders(audio: Any, composer: ModuleType, score: ModuleType) -> None:
    excerpt = tuple(note for note in score.compose() if note.step < 32)
    mix = composer.render(excerpt)
    np.testing.assert_array_equal(mix, composer.render(excerpt))
    size = int(score.step_ms(32) * composer.RATE / 1000)
    rendered, shipped = mix[:size].ravel(), audio[0][:size].ravel()
    assert np.corrcoef(rendered, shipped)[0, 1] > 0.97


def test_writing_gives_tagged_vorbis_of_the_same_samples(composer: ModuleType, tmp_path: Path) -> None:
    time = np.arange(2 * composer.BLOCK + 77) / composer.RATE
    mix = np.stack([np.sin(2 * np.pi * 440 * time), np.sin(2 * np.pi * 660 * time)], axis=1) * 0.5
    composer.write_ogg(tmp_path / "tone 日本.ogg", mix)
    decoded, _ = soundfile.read(tmp_path / "tone 日本.ogg")
    assert decoded.shape == mix.shape
    assert np.abs(decoded - mix)[2000:-2000].max() < 0.05
    assert mutagen.oggvorbis.OggVorbis(tmp_path / "tone 日本.ogg")["title"] == [composer.TITLE]
