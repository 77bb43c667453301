"""Beats from activations, and how they are scored."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ear.tracker.interface import BeatActivations
from ear.tracker.metrics import f_measure, match, score_beats
from ear.tracker.peak_picking import PickedBeats, pick_beats
from ear.training.batches import target


def activations(
    beat_frame: NDArray[np.float64], downbeat_frame: NDArray[np.float64], frames: int = 500
) -> BeatActivations:
    """Activations of a perfect network."""
    return BeatActivations(*(target(at, frames).clip(0.01, 0.99) for at in (beat_frame, downbeat_frame)))


@given(st.floats(0, 1, exclude_max=True))
def test_times_are_finer_than_frames(phase: float) -> None:
    frames = 20 + phase + np.arange(0, 400, 20.0)
    picked = pick_beats(activations(frames, frames[::4]))
    assert picked.beat_ms.size == frames.size
    assert np.abs(picked.beat_ms - frames * 20).max() < 0.5
    assert picked.is_downbeat.tolist() == [index % 4 == 0 for index in range(frames.size)]


def test_silence_and_doubt_have_no_beats() -> None:
    empty = BeatActivations(np.zeros(0, np.float32), np.zeros(0, np.float32))
    assert pick_beats(empty).beat_ms.size == 0
    flat = BeatActivations(np.full(100, 0.3, np.float32), np.full(100, 0.3, np.float32))
    assert pick_beats(flat).beat_ms.size == 0
    assert pick_beats(flat, threshold=0.2).beat_ms.size == 1  # of equal frames, the first


def test_saturated_activations_are_finite() -> None:
    beat = np.zeros(100, np.float32)
    beat[[10, 50]] = 1.0
    picked = pick_beats(BeatActivations(beat, np.ones(100, np.float32)))
    assert picked.beat_ms.tolist() == [200.0, 1000.0]


def test_scores() -> None:
    true = np.array([0.0, 500, 1000, 1500])
    downbeats = np.array([True, False, True, False])
    picked = PickedBeats(true + np.array([5.0, 30, 5, 5]), downbeats, np.ones(4, np.float32))
    score = score_beats(picked, true, downbeats)
    assert (score.beat_f, score.downbeat_f, score.error_ms) == (0.75, 1.0, 5.0)
    assert np.isnan(score_beats(picked, true, np.zeros(4, bool)).downbeat_f)
    nothing = np.zeros(0)
    assert f_measure(nothing, nothing) == 1.0
    assert f_measure(nothing, true) == 0.0


@given(
    st.lists(st.integers(0, 60), max_size=7, unique=True).map(sorted),
    st.lists(st.integers(0, 60), max_size=7, unique=True).map(sorted),
)
def test_matches_are_as_many_as_can_be(found: list[int], true: list[int]) -> None:
    one, other = np.array(found, float), np.array(true, float)
    pairs = match(one, other, 5)
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
    assert all(abs(one[i] - other[j]) <= 5 for i, j in pairs)
    assert len(pairs) == most_pairs(found, true)


def most_pairs(found: list[int], true: list[int]) -> int:
    """By trying everything."""
    if not found:
        return 0
    rest = [most_pairs(found[1:], true)]
    rest += [1 + most_pairs(found[1:], true[:j] + true[j + 1 :]) for j, t in enumerate(true) if abs(found[0] - t) <= 5]
    return max(rest)


def test_targets_say_where_between_frames_a_beat_is() -> None:
    assert target(np.array([2.0]), 5).tolist() == [0, 0.5, 1, 0.5, 0]
    assert target(np.array([1.5]), 5).tolist() == pytest.approx([0.25, 0.75, 0.75, 0.25, 0])
    assert target(np.array([-0.4, 4.2]), 5).tolist() == pytest.approx([0.8, 0.3, 0, 0.4, 0.9])
