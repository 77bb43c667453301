"""The term that lets a chart follow a voice of its own, on songs and charts made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.corruptions import time_mirrored
from chart.model import Chart, TimingPoint
from reward.core.bands import Measured
from reward.core.batch_view import view_of
from reward.core.inputs import Inputs
from reward.core.song import Song
from reward.terms.instrument import voice
from reward.terms.local_musicality import choice

BEAT_MS = 400.0
HOP_MS = 10.0
POINTS = (TimingPoint(1000.0, BEAT_MS),)
PHRASES = 8
SLOTS = 64 * PHRASES
ORDER = np.random.default_rng(4).permutation(SLOTS)
KICKS, BELLS = np.sort(ORDER[:170]), np.sort(ORDER[170:300])


def chart_at(slots: NDArray[np.int64]) -> Chart:
    """Single notes at these quarter beats."""
    return Chart.from_notes(1000.0 + slots * BEAT_MS / 4, np.arange(slots.size) % 4, timing_points=POINTS)


def song() -> Song:
    """Loud kicks in the low band, soft bells in the high one, each at moments of its own."""
    onset = np.full((round((1000.0 + SLOTS * BEAT_MS / 4) / HOP_MS), 3), 0.02, np.float32)
    for slots, band, strength in ((KICKS, 0, 1.0), (BELLS, 2, 0.5)):
        onset[np.round((1000.0 + slots * BEAT_MS / 4) / HOP_MS).astype(int), band] = strength
    return Song(onset, np.ones(len(onset), np.float32), HOP_MS)


def measured(chart: Chart, which=voice) -> Measured:  # type: ignore[no-untyped-def]
    return which(view_of([chart], [song().span_ms]), Inputs(np.array([2.0]), [song()]))


def test_a_chart_may_follow_the_softer_voice() -> None:
    bells, kicks = measured(chart_at(BELLS)), measured(chart_at(KICKS))
    assert bells.chart[0] > 0.8
    assert kicks.chart[0] > 0.8
    assert np.nanmin(bells.section) > 0.5
    assert measured(chart_at(BELLS), choice).chart[0] < 0.6  # asks for the strongest sounds, whatever they are


def test_one_voice_all_the_way_beats_a_change_with_every_phrase() -> None:
    odd = np.sort(np.concatenate([KICKS[KICKS // 64 % 2 == 0], BELLS[BELLS // 64 % 2 == 1]]))
    folded = np.sort(np.concatenate([KICKS[KICKS // 64 % 4 < 2], BELLS[BELLS // 64 % 4 >= 2]]))
    for slots in (odd, folded):
        assert measured(chart_at(slots)).chart[0] < measured(chart_at(BELLS)).chart[0] - 0.2


def test_its_phrases_are_never_learnt_from_themselves() -> None:
    noise = np.sort(np.random.default_rng(9).permutation(SLOTS)[:200])
    assert abs(measured(chart_at(noise)).chart[0]) < 0.15


def test_the_metre_alone_and_taking_all_give_nothing() -> None:
    for slots in (np.arange(0, SLOTS, 4), np.arange(SLOTS)):
        assert measured(chart_at(slots)).chart[0] == pytest.approx(0.0, abs=1e-6)


def test_a_chart_read_backwards_follows_no_voice() -> None:
    chart = chart_at(BELLS)
    mirrored = time_mirrored(chart, np.random.default_rng(0))
    assert measured(mirrored).chart[0] < 0.2 < measured(chart).chart[0]


def test_short_and_cut_charts_are_bounded() -> None:
    assert np.isnan(measured(chart_at(BELLS[BELLS < 64])).chart[0])
    assert np.isnan(measured(Chart.from_notes([], [], timing_points=POINTS)).chart[0])
    lines = (*POINTS, TimingPoint(1000.0 + 21.5 * BEAT_MS, 350.0), TimingPoint(1000.0 + 60 * BEAT_MS, BEAT_MS))
    assert -1.0 <= measured(replace(chart_at(BELLS), timing_points=lines)).chart[0] <= 1.0


def test_a_song_shorter_than_its_chart_is_no_error() -> None:
    short = replace(song(), onset=song().onset[:2], loudness=song().loudness[:2])
    found = voice(view_of([chart_at(BELLS)], [short.span_ms]), Inputs(np.array([2.0]), [short]))
    assert found.chart[0] == pytest.approx(0.0, abs=0.05)
