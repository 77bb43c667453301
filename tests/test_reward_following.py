"""The terms that follow the song from moment to moment, on songs and charts made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.corruptions import quiet_doubled, time_mirrored
from chart.model import Chart, TimingPoint
from reward.core.bands import Measured, Term
from reward.core.batch_view import view_of
from reward.core.inputs import Inputs
from reward.core.song import Song
from reward.terms import local_musicality as following

BEAT_MS = 400.0
HOP_MS = 10.0
POINTS = (TimingPoint(1000.0, BEAT_MS),)
SWELLS, CHOICE = following.TERMS
LOUD_HALF_BARS = np.array([0, 0, 1, 0, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1] * 3, np.bool_)


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def chart_at(slots: NDArray[np.int64]) -> Chart:
    """Single notes at these quarter beats."""
    return Chart.from_notes(1000.0 + slots * BEAT_MS / 4, np.arange(slots.size) % 4, timing_points=POINTS)


def song_at(slots: NDArray[np.int64], loudness: NDArray | None = None, beats: int = 96) -> Song:
    """Onsets at these quarter beats; loudness [half bar], even where it is not given."""
    frames = round((1000.0 + beats * BEAT_MS) / HOP_MS)
    onset = np.full((frames, 3), 0.05, np.float32)
    onset[np.round((1000.0 + slots * BEAT_MS / 4) / HOP_MS).astype(int)] = 1.0
    levels = np.ones(beats // 2) if loudness is None else loudness
    half_bar = ((np.arange(frames) * HOP_MS - 1000.0) // (2 * BEAT_MS)).astype(int)
    return Song(onset, levels[np.clip(half_bar, 0, levels.size - 1)].astype(np.float32), HOP_MS)


def measured(term: Term, chart: Chart, song: Song) -> Measured:
    return term.measure(view_of([chart], [song.span_ms]), Inputs(np.array([2.0]), [song]))


def swelling_chart() -> Chart:
    """Quarter beats in loud half bars, single beats in quiet ones."""
    steps = [np.arange(0, 8, 1 if loud else 4) + 8 * k for k, loud in enumerate(LOUD_HALF_BARS)]
    return chart_at(np.concatenate(steps))


def test_swells_follow_half_bars() -> None:
    chart = swelling_chart()
    song = song_at(np.arange(0, 384, 4), np.where(LOUD_HALF_BARS, 1.5, 0.8))
    value = measured(SWELLS, chart, song)
    assert 0.85 < value.chart[0] <= 1.0
    assert np.nanmin(value.section) > 0.5
    against = song_at(np.arange(0, 384, 4), np.where(LOUD_HALF_BARS, 0.8, 1.5))
    assert measured(SWELLS, chart, against).chart[0] < -0.85
    even = chart_at(np.arange(0, 384, 2))
    assert measured(SWELLS, even, song).chart[0] == pytest.approx(0.0, abs=1e-9)


def test_swells_need_enough_half_bars_and_ignore_what_lies_outside_the_chart() -> None:
    chart = swelling_chart()
    loud = np.where(LOUD_HALF_BARS, 1.5, 0.8)
    song = song_at(np.arange(0, 384, 4), loud)
    short = replace(chart, time_ms=chart.time_ms[:60], column=chart.column[:60], end_ms=chart.end_ms[:60])
    assert np.isnan(measured(SWELLS, short, song).chart[0])
    longer = song_at(np.arange(0, 384, 4), np.concatenate([loud, np.full(32, 3.0)]), beats=160)
    assert measured(SWELLS, chart, longer).chart[0] == pytest.approx(measured(SWELLS, chart, song).chart[0])


def test_choice_prefers_the_stronger_of_like_moments() -> None:
    slots = np.sort(rng().permutation(384)[:150])
    others = np.setdiff1d(np.arange(384), slots)
    chart = chart_at(slots)
    value = measured(CHOICE, chart, song_at(slots))
    assert value.chart[0] > 0.85
    assert np.nanmin(value.section) > 0.5
    assert measured(CHOICE, chart, song_at(others)).chart[0] < -0.85


def test_choice_gives_nothing_for_the_metre_nor_for_taking_all() -> None:
    beats = np.arange(0, 384, 4)  # every beat: the metre alone says so
    assert measured(CHOICE, chart_at(beats), song_at(beats)).chart[0] == pytest.approx(0.0, abs=1e-6)
    slots = np.sort(rng().permutation(384)[:150])
    assert measured(CHOICE, chart_at(np.arange(384)), song_at(slots)).chart[0] == pytest.approx(0.0, abs=1e-6)


def test_red_lines_may_cut_sections_and_an_empty_chart_has_nothing_to_measure() -> None:
    chart = swelling_chart()
    lines = (*POINTS, TimingPoint(1000.0 + 21.5 * BEAT_MS, 350.0), TimingPoint(1000.0 + 60 * BEAT_MS, BEAT_MS))
    song = song_at(np.arange(0, 384, 4), np.where(LOUD_HALF_BARS, 1.5, 0.8))
    for term in following.TERMS:
        assert -1.0 <= measured(term, replace(chart, timing_points=lines), song).chart[0] <= 1.0
        assert np.isnan(measured(term, Chart.from_notes([], [], timing_points=POINTS), song).chart[0])


def test_probes_lower_what_they_should() -> None:
    slots = np.unique(np.concatenate([rng().permutation(384)[:120], np.array([0, 383])]))
    density = np.bincount(slots // 8, minlength=48)
    song, chart = song_at(slots, 1.0 + density / 8), chart_at(slots)
    doubled = quiet_doubled(chart, rng(), song)
    assert measured(SWELLS, doubled, song).chart[0] < measured(SWELLS, chart, song).chart[0] - 0.05
    mirrored = time_mirrored(chart, rng())
    for term in following.TERMS:
        assert measured(term, mirrored, song).chart[0] < measured(term, chart, song).chart[0] - 0.3
