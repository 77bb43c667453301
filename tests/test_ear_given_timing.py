"""Tempo, offset and level that the user knows are kept; what is not said stays as it was found."""

import numpy as np
import pytest

from chart.model import TimingPoint
from ear.audio.decode import Audio
from ear.given_timing import GivenTiming, doubt_of
from ear.timing.model import Alternative, Timing
from runtime.errors import ConfigError
from tests.ear_signals import clicks

RATE = 22_050
AUDIO = Audio(clicks(120, 0.137, 20).astype(np.float32), RATE)
FOUND = Timing((TimingPoint(137.0, 500.0), TimingPoint(8137.0, 500.0)), 0.3, (Alternative(60.0, 0.4),), 20_000.0)


def test_nothing_said_changes_nothing() -> None:
    assert GivenTiming().apply(FOUND, AUDIO) == FOUND


def test_tempo_and_offset_leave_no_doubt() -> None:
    timing = GivenTiming(bpm=150, offset_ms=2137).apply(FOUND, AUDIO)
    assert timing.points == (TimingPoint(537.0, 400.0),)
    assert (timing.confidence, timing.alternatives, doubt_of(timing)) == (1.0, (), "")


def test_a_tempo_alone_gets_its_phase_from_the_song() -> None:
    [point] = GivenTiming(bpm=120).apply(FOUND, AUDIO).points
    assert point.bpm == 120
    assert (point.time_ms - 137 + 250) % 500 - 250 == pytest.approx(0, abs=3)
    assert doubt_of(GivenTiming(bpm=120).apply(FOUND, AUDIO)) == ""


def test_an_offset_alone_moves_by_the_least_way() -> None:
    points = GivenTiming(offset_ms=2140).apply(FOUND, AUDIO).points
    assert [point.time_ms for point in points] == [140.0, 8140.0]


@pytest.mark.parametrize(("tempo", "bpm"), [("double", 240), ("half", 60)])
def test_half_and_double(tempo: str, bpm: float) -> None:
    timing = GivenTiming(tempo=tempo).apply(FOUND, AUDIO)
    assert [point.bpm for point in timing.points] == [bpm, bpm]
    assert [point.time_ms for point in timing.points] == [137.0, 8137.0]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"bpm": 0}, "--bpm 0: must be 10 to 1000"),
        ({"bpm": float("nan")}, "--bpm nan"),
        ({"offset_ms": float("inf")}, "--offset inf"),
        ({"tempo": "triple"}, "--tempo triple: must be double or half"),
        ({"bpm": 120, "tempo": "half"}, "--tempo and --bpm contradict"),
    ],
)
def test_what_cannot_be_is_refused(said: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GivenTiming(**said)


def test_doubt_is_said_below_half() -> None:
    assert doubt_of(FOUND) == "the beat is not clear"
    assert doubt_of(Timing(FOUND.points, 0.2, doubt="it swings")) == "it swings"
    assert doubt_of(Timing(FOUND.points, 0.6, doubt="it swings")) == ""
