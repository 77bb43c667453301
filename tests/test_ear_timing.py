"""Timing found in signals whose tempo, offset and bars are known, and honest doubt where there is none to find."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from chart.model import TimingPoint
from ear.audio.decode import SAMPLE_RATE, load_audio
from ear.audio.onset import onset_strength
from ear.timing.estimate import count_onsets, find_timing
from ear.timing.model import Timing, beats_of
from ear.timing_files import as_json, summary
from tests.ear_signals import AT_ONCE_MS, audio_of, clicks, hits_at, rock_beat

OFFSET_TOLERANCE_MS = 1.5


def beat_error_ms(timing: Timing, offset_s: float) -> float:
    """Signed distance from where a sound at `offset_s` is placed to the nearest beat found."""
    beat_ms = timing.main.beat_length_ms
    return (timing.offset_ms - offset_s * 1000 - AT_ONCE_MS + beat_ms / 2) % beat_ms - beat_ms / 2


@pytest.mark.parametrize(("bpm", "offset_s"), [(120.0, 0.25), (151.37, 0.3217), (174.0, 0.05), (98.6, 1.0)])
def test_clicks_are_timed_exactly(bpm: float, offset_s: float) -> None:
    timing = find_timing(audio_of(clicks(bpm, offset_s, 30.0)))
    assert timing.bpm == pytest.approx(bpm, rel=1e-4)
    assert abs(beat_error_ms(timing, offset_s)) < OFFSET_TOLERANCE_MS
    assert len(timing.points) == 1
    assert timing.confidence > 0.8


def test_a_rock_beat_has_its_level_and_its_bars() -> None:
    timing = find_timing(audio_of(rock_beat(151.37, 0.4321, 40.0)))
    assert timing.bpm == pytest.approx(151.37, rel=1e-4)
    assert timing.meter == 4
    bar_ms = 4 * timing.main.beat_length_ms
    assert (timing.offset_ms - 432.1 + bar_ms / 2) % bar_ms - bar_ms / 2 == pytest.approx(0, abs=3)
    assert 0 <= timing.offset_ms < bar_ms
    assert timing.confidence > 0.5
    assert {round(other.bpm / timing.bpm, 2) for other in timing.alternatives} & {0.5, 2.0}


def leaping_clicks(lost_s: float) -> np.ndarray:
    """Clicks at 120 BPM out of the middle of which some sound was lost, as by a damaged file."""
    samples = clicks(120.0, 0.25, 14.0)
    middle = samples.size // 2
    return np.concatenate([samples[:middle], samples[middle + round(lost_s * SAMPLE_RATE) :]])


@pytest.mark.parametrize("lost_s", [0.026, 0.1])
def test_doubt_that_is_not_about_the_level_makes_no_other_level_likely(lost_s: float) -> None:
    timing = find_timing(audio_of(leaping_clicks(lost_s)))
    assert timing.confidence < 0.2
    *levels, none = timing.alternatives
    assert not none.is_tempo
    assert all(other.is_tempo and other.chance < 0.2 for other in levels)
    assert none.chance > 0.6
    assert timing.confidence + sum(other.chance for other in timing.alternatives) == pytest.approx(1)
    assert re.search(r"none of these \([6-9]\d%\)$", summary(timing, timing.points))
    found = json.loads(as_json(timing, timing.points, "audio"))["alternatives"]
    assert [other["bpm"] is None for other in found] == [False] * len(levels) + [True]


def test_doubt_about_the_level_is_shared_out_among_levels() -> None:
    timing = find_timing(audio_of(leaping_clicks(0.2)))  # 150 BPM, or its double
    assert timing.alternatives[0].bpm == pytest.approx(2 * timing.bpm)
    assert timing.alternatives[0].chance > 0.2
    assert timing.confidence + sum(other.chance for other in timing.alternatives) == pytest.approx(1)


def test_swing_does_not_pull_the_beat() -> None:
    off_beats = hits_at(np.arange(0.25 + 1 / 3, 29.0, 0.5), 30.0, 0.2)
    timing = find_timing(audio_of(clicks(120.0, 0.25, 30.0) + off_beats))
    assert timing.bpm == pytest.approx(120.0, rel=1e-4)
    assert abs(beat_error_ms(timing, 0.25)) < OFFSET_TOLERANCE_MS


def test_waltz() -> None:
    timing = find_timing(audio_of(clicks(140.0, 0.1, 40.0, accents=(1.0, 0.3, 0.3))))
    assert timing.bpm == pytest.approx(140.0, rel=1e-4)
    assert timing.meter == 3
    bar_ms = 3 * timing.main.beat_length_ms
    assert (timing.offset_ms - 100 + bar_ms / 2) % bar_ms - bar_ms / 2 == pytest.approx(0, abs=3)


def test_the_example_song_is_timed_as_it_was_composed() -> None:
    folder = Path(__file__).resolve().parents[1] / "examples"
    truth = json.loads((folder / "demo_song.json").read_text(encoding="utf-8"))
    timing = find_timing(load_audio(folder / "demo_song.ogg"))
    assert timing.bpm == pytest.approx(truth["bpm"], rel=1e-4)
    assert timing.meter == truth["metre"]
    bar_ms = timing.meter * timing.main.beat_length_ms
    assert (timing.offset_ms - truth["offset_ms"] + bar_ms / 2) % bar_ms - bar_ms / 2 == pytest.approx(0, abs=2)
    assert timing.confidence > 0.7


def test_a_change_of_tempo_gives_two_red_lines() -> None:
    samples = np.concatenate([rock_beat(150.0, 0.2, 40.0), rock_beat(175.0, 0.1, 40.0)])
    timing = find_timing(audio_of(samples))
    assert [round(point.bpm, 1) for point in timing.points] == [150.0, 175.0]
    assert timing.points[1].time_ms == pytest.approx(40_000, abs=2500)
    beats = beats_of(timing).time_ms / 1000
    for start_s, bpm, offset_s in ((5, 150.0, 0.2), (50, 175.0, 40.1)):
        inside = beats[(beats > start_s) & (beats < start_s + 25)]
        phase = (inside - offset_s - AT_ONCE_MS / 1000) * bpm / 60
        assert np.abs(phase - np.round(phase)).max() * 60 / bpm < 0.004


def unsteady() -> np.ndarray:
    """Hits that go from 100 to 180 BPM."""
    times = np.cumsum(60 / np.linspace(100, 180, 100))
    return hits_at(times, float(times[-1]) + 0.5)


UNTIMED = {
    "silence": np.zeros(10 * SAMPLE_RATE),
    "noise": 0.1 * np.random.default_rng(0).standard_normal(40 * SAMPLE_RATE),
    "one click": np.eye(1, 20 * SAMPLE_RATE, 3 * SAMPLE_RATE)[0],
    "a tone": np.sin(2 * np.pi * 440 * np.arange(10 * SAMPLE_RATE) / SAMPLE_RATE),
    "random clicks": hits_at(np.random.default_rng(0).uniform(0, 39, 80), 40.0),
    "faster and faster": unsteady(),
    "almost nothing": np.full(5 * SAMPLE_RATE, 1e-20),
}


@pytest.mark.parametrize("case", sorted(UNTIMED))
def test_what_has_no_steady_beat_gets_a_usable_guess_and_no_confidence(case: str) -> None:
    timing = find_timing(audio_of(UNTIMED[case]))
    assert timing.confidence < 0.2
    assert 40 <= timing.bpm <= 330
    assert timing.offset_ms >= 0
    assert np.isfinite([point.time_ms for point in timing.points]).all()


@pytest.mark.parametrize("bpm", [30.0, 400.0])
def test_tempi_outside_the_range_come_out_as_multiples_inside(bpm: float) -> None:
    timing = find_timing(audio_of(clicks(bpm, 0.2, 40.0)))
    ratio = timing.bpm / bpm if timing.bpm > bpm else bpm / timing.bpm
    assert 50 <= timing.bpm <= 330
    assert ratio == pytest.approx(round(ratio), rel=1e-3)


def test_the_same_song_twice_gives_the_same_timing() -> None:
    audio = audio_of(rock_beat(133.0, 0.1, 12.0))
    assert find_timing(audio) == find_timing(audio)


@pytest.mark.parametrize(("second_ms", "last_of_first"), [(3000.0, [2700.0]), (2900.0, [])])
def test_beats_of_a_timing(second_ms: float, last_of_first: list[float]) -> None:
    """The first line rules backwards; a beat less than half a beat before the next line is that line's own."""
    points = (TimingPoint(700.0, 500.0, 3), TimingPoint(second_ms, 1000.0, 4))
    beats = beats_of(Timing(points, 1.0, duration_ms=6500.0))
    later = [second_ms + 1000 * beat for beat in range(4)]
    assert beats.time_ms.tolist() == [200, 700, 1200, 1700, 2200, *last_of_first, *later]
    assert beats.position.tolist() == [3, 1, 2, 3, 1, *[2 for _ in last_of_first], 1, 2, 3, 4]


def test_main_is_the_red_line_that_rules_longest() -> None:
    points = (TimingPoint(0.0, 500.0, 3), TimingPoint(3000.0, 400.0, 4), TimingPoint(9000.0, 300.0, 4))
    timing = Timing(points, 0.5, duration_ms=10_000.0)
    assert (timing.bpm, timing.meter, timing.offset_ms) == (150.0, 4, 0.0)


def test_onsets_are_counted() -> None:
    onset = onset_strength(hits_at(np.arange(0.5, 6.4, 0.5), 7.0).astype(np.float32), SAMPLE_RATE)
    assert 12 <= count_onsets(onset) <= 24  # a hit may lie on the border of two blocks


def test_stereo_is_a_bug_of_ours() -> None:
    with pytest.raises(AssertionError, match="samples must be mono"):
        onset_strength(np.zeros((10, 2), np.float32), SAMPLE_RATE)
