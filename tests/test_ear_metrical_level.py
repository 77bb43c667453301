"""Choosing the beat with a network: what its peaks say for a grid, and learning how much that counts."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from chart.formats.osz import write_osz
from ear.audio.onset import onset_strength
from ear.fitting.fit_level import (
    FOLDS,
    Choice,
    Start,
    away_ms,
    choices_of,
    fit_scaled,
    folds_of,
    grids_of,
    held_out_shares,
    less_sure,
    main,
    report_of,
)
from ear.fitting.softmax import Example
from ear.timing.grid.grid_features import PEAK_FEATURES, peak_features, steady_beats
from ear.timing.grid.tempo import locally_normalized
from ear.timing.grid.weights import timing_weights
from ear.timing.meter import find_bars
from ear.tracker.peak_picking import ActivationPeaks, Peaks, activation_peaks
from tests.builders import ChartBuilder
from tests.ear_activations import activations_of
from tests.ear_signals import audio_of, rock_beat, write_wav


def peaks_at(beat_ms: NDArray[np.float64], downbeat_ms: NDArray[np.float64]) -> ActivationPeaks:
    return ActivationPeaks(
        Peaks(beat_ms, np.full(beat_ms.size, 0.9)), Peaks(downbeat_ms, np.full(downbeat_ms.size, 0.9))
    )


PEAKS = peaks_at(500.0 + 500 * np.arange(64), 500.0 + 2000 * np.arange(16))


def features(hz: float, offset_ms: float, peaks: ActivationPeaks = PEAKS) -> dict[str, float]:
    found = peak_features(peaks, steady_beats(peaks, hz, offset_ms))
    return dict(zip(PEAK_FEATURES, found.tolist(), strict=True))


def test_the_right_grid_has_every_peak_on_it_and_none_between() -> None:
    found = features(2.0, 0.0)
    assert found["agreement"] == pytest.approx(1.0)
    assert found["on the beat"] == pytest.approx(np.log(1.05))
    assert found["half a beat later"] == found["a third later"] == pytest.approx(np.log(0.05))
    assert found["even against odd"] == pytest.approx(0.0, abs=0.01)
    assert found["downbeats on beats"] == pytest.approx(1.0)
    assert found["every 4"] == pytest.approx(1.0)
    assert found["every 3"] < 0.8
    assert found["tempo"] == pytest.approx(0.0)


def test_other_grids_show_what_is_wrong_with_them() -> None:
    assert features(4.0, 0.0)["even against odd"] > 0.8
    assert features(4.0, 0.0)["every 8"] == pytest.approx(1.0)
    assert features(1.0, 0.0)["half a beat later"] > np.log(0.9)
    assert features(2.0, 250.0)["agreement"] == 0.0
    assert features(2.0, 250.0)["downbeats between"] > 0.9


def test_quiet_networks_say_the_same() -> None:
    quiet = ActivationPeaks(*(Peaks(peaks.time_ms, 0.2 * peaks.strength) for peaks in (PEAKS.beat, PEAKS.downbeat)))
    assert features(2.0, 0.0, quiet) == pytest.approx(features(2.0, 0.0))


def test_silence_and_missing_downbeats_are_no_error() -> None:
    pause = PEAKS.beat.time_ms[(PEAKS.beat.time_ms < 8000) | (PEAKS.beat.time_ms > 20_000)]
    found = features(2.0, 0.0, peaks_at(pause, np.zeros(0)))
    assert found["on the beat"] == pytest.approx(np.log(1.05))
    assert found["every 4"] == 0.0
    assert np.isfinite(peak_features(peaks_at(np.array([700.0]), np.zeros(0)), 700.0 + np.arange(8) * 100)).all()


@pytest.mark.parametrize(("meter", "first"), [(4, 0), (4, 2), (3, 1)])
def test_downbeat_activations_decide_where_beats_are_similar(meter: int, first: int) -> None:
    """Features without any difference between beats leave meter and downbeat to the network."""
    rng = np.random.default_rng(0)
    alike = 0.3 * rng.standard_normal((96, 29))
    down_ms = 400.0 * np.arange(first, 96, meter)
    bars = find_bars(alike, Peaks(down_ms, np.full(down_ms.size, 0.5)), 400.0)
    assert (bars.meter, bars.downbeat) == (meter, first)
    assert bars.chance > 0.5
    assert find_bars(alike, Peaks(np.zeros(0), np.zeros(0)), 400.0) == find_bars(alike)


def test_the_fit_finds_which_feature_decides() -> None:
    rng = np.random.default_rng(0)
    made = []
    for song in range(60):
        values = rng.standard_normal((5, 3)) * [1.0, 100.0, 1.0]
        answer = int(values[:, 1].argmax())
        made.append(Choice("music", Example(song % 10, True, values, answer), np.arange(5) == answer))
    weights = fit_scaled([choice.example for choice in made])
    assert weights[1] * 100 > 10 * np.abs(weights[[0, 2]]).max()
    assert np.mean(held_out_shares(made)["music"]) > 0.9


@pytest.fixture(scope="module")
def strength() -> NDArray[np.float32]:
    audio = audio_of(rock_beat(140.0, 0.5, 30.0))
    return locally_normalized(onset_strength(audio.samples, audio.sample_rate))


def test_half_a_beat_is_far_away_on_both_sides() -> None:
    beat_ms = 500.0 * np.arange(40) + np.tile([-0.1, 0.1], 20)
    assert away_ms(beat_ms, np.array([3.0, 250.0, 497.0]), 500.0) == pytest.approx([3, 249.9, 3], abs=0.11)


def test_choices_are_made_of_pieces_with_a_right_grid(strength: NDArray[np.float32]) -> None:
    beat_ms = 500 + 60_000 / 140 * np.arange(66)
    peaks = activation_peaks(activations_of(beat_ms, np.arange(66) % 4 + 1, 30_000.0))
    piece = grids_of("rock", "one", strength, beat_ms, peaks)
    assert piece is not None
    assert piece.hz[piece.level] == pytest.approx(140 / 60, rel=1e-3)
    assert piece.phase >= 0
    assert grids_of("rock", "one", strength, 500 + 510.3 * np.arange(60), peaks) is None
    assert grids_of("rock", "one", strength, beat_ms + 60, peaks) is None
    freely = grids_of("rock", "one", strength, beat_ms + np.tile([0, 40, 0], 22), peaks)
    assert freely is None or freely.phase == -1
    choices = choices_of([piece] * 12)
    assert len(choices) == 12
    assert all(choice.right.any() and choice.right[choice.example.answer] for choice in choices)
    assert {choice.example.song for choice in choices} == set(range(FOLDS))
    collections = [replace(piece, collection=name) for name in "bcabca"]
    assert folds_of(collections) == [1, 2, 0, 1, 2, 0]
    assert len(choices_of(collections)) == 6
    assert report_of(choices) == "rock 1.000 of 12"
    weights = fit_scaled([choice.example for choice in choices])
    assert weights.shape == timing_weights().metrical_level.shape
    present = timing_weights()
    start = Start(present.metrical_level, present.beat_phase, 1e3)
    kept = fit_scaled([choice.example for choice in choices_of([piece] * 12, start)], start)
    assert np.allclose(kept, present.metrical_level, atol=1e-2), "a heavy penalty keeps the weights in use"
    assert not np.allclose(weights, present.metrical_level, atol=1e-2)


def test_degraded_activations_are_less_sure_at_the_same_places() -> None:
    beat_ms = 500 + 60_000 / 140 * np.arange(66)
    sure = activations_of(beat_ms, np.arange(66) % 4 + 1, 30_000.0)
    degraded = less_sure(sure)
    assert degraded.beat.max() < sure.beat.max()
    assert degraded.beat.min() >= sure.beat.min()
    before, after = (activation_peaks(one).beat for one in (sure, degraded))
    strong = before.time_ms[before.strength > 0.5]
    assert strong.size > 50
    assert np.abs(after.time_ms[None] - strong[:, None]).min(axis=1).max() < 3.0


def test_too_few_songs_are_an_error(tmp_path: Path) -> None:
    song = write_wav(tmp_path / "a.wav", rock_beat(140.0, 0.5, 24.0))
    builder = ChartBuilder().bpm(140.0, 500)
    for beat in range(40):
        builder.note(round(500 + beat * 60_000 / 140), beat % 4)
    write_osz([builder.build()], song, tmp_path / "a.osz")
    (tmp_path / "b.osz").write_bytes(b"no archive")
    beats_s = (0.5 + 60 / 140 * np.arange(50)).tolist()
    rows = [{"file": "a.wav", "beats_s": beats_s}, {"file": "none.wav", "beats_s": beats_s}]
    (tmp_path / "timing.json").write_text(json.dumps(rows), encoding="utf-8")
    out = tmp_path / "weights.json"
    result = CliRunner().invoke(main, [str(tmp_path), "-o", str(out), "--timed", str(tmp_path)])
    assert result.exit_code == 1
    assert "songs with one steady tempo; at least 10 are needed" in result.stderr
    assert "b.osz" in result.stderr
    assert "none.wav: no such file" in result.stderr
    assert not out.exists()
