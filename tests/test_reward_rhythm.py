"""Rhythm, dynamics and row patterns: kernels against slow twins, terms on charts made by hand, probes that move them."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.corruptions import PROBES, drum_holds
from chart.model import Chart, TimingPoint
from reward.core import rhythm
from reward.core.batch_view import view_of
from reward.core.inputs import Inputs
from reward.core.song import Song, sustained_rise
from reward.terms import rhythm as terms
from reward.terms import sound
from reward.total import score

BEAT_MS = 480.0
POINTS = (TimingPoint(0.0, BEAT_MS),)


def chart_of(ticks: list[int], masks: list[int] | None = None) -> Chart:
    """Rows at these ticks of 1/48 beat (10 ms each), pressing these columns."""
    masks = masks or [1 << (index % 4) for index in range(len(ticks))]
    notes = [(tick * 10.0, key) for tick, mask in zip(ticks, masks, strict=True) for key in range(4) if mask >> key & 1]
    return Chart.from_notes([time for time, _ in notes], [key for _, key in notes], timing_points=POINTS)


@st.composite
def rows(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    gaps = draw(st.lists(st.sampled_from([6, 12, 24, 24, 48, 96, 300]), min_size=1, max_size=120))
    masks = draw(st.lists(st.sampled_from([1, 2, 7, 7, 8, 9, 14]), min_size=len(gaps), max_size=len(gaps)))
    return np.cumsum([0, *gaps[1:]]).tolist(), masks


def bars_slowly(ticks: list[int]) -> dict[int, tuple[int, ...]]:
    bars: dict[int, list[int]] = {}
    for tick in ticks:
        bars.setdefault(tick // 192, []).append(tick % 192)
    return {bar: tuple(inside) for bar, inside in bars.items()}


@settings(max_examples=60)
@given(rows())
def test_bars_are_as_a_slow_twin_counts_them(drawn: tuple[list[int], list[int]]) -> None:
    ticks, masks = drawn
    view = view_of([chart_of([0], [1]), chart_of(ticks, masks)])
    found, slow = rhythm.bars_of(view), bars_slowly(ticks)
    mine = found.chart == 1
    assert mine.sum() == len(slow)
    even = [len(bar) >= 2 and len({b - a for a, b in itertools.pairwise(bar)}) == 1 for bar in slow.values()]
    assert found.even[mine].tolist() == even
    recurs = [any(slow.get(number - lag) == bar for lag in (1, 2, 4, 8)) for number, bar in slow.items()]
    assert found.recurs[mine].tolist() == recurs
    shares = np.array(list(Counter(slow.values()).values())) / len(slow)
    bits = -sum(share * math.log2(share) for share in shares)
    assert rhythm.entropy_bits(found.chart, found.key, 2)[1] == pytest.approx(bits)


@settings(max_examples=60)
@given(rows())
def test_runs_and_alternations_are_as_slow_twins_count_them(drawn: tuple[list[int], list[int]]) -> None:
    ticks, masks = drawn
    view = view_of([chart_of(ticks, masks)])
    gaps = [b - a for a, b in itertools.pairwise(ticks)]
    longest = current = 1 if not gaps else 2
    for before, gap in itertools.pairwise(gaps):
        current = current + 1 if gap == before else 2
        longest = max(longest, current)
    assert rhythm.longest_even_run(view)[0] == longest
    turns = [
        index >= 2
        and masks[index] == masks[index - 2] != masks[index - 1]
        and max(bin(masks[index]).count("1"), bin(masks[index - 1]).count("1")) >= 3
        and gaps[index - 1] <= 50
        and gaps[index - 2] <= 50
        for index in range(len(ticks))
    ]
    assert rhythm.alternates(view).tolist() == turns
    shares = [
        max(sum(mask >> key & 1 for mask in masks[index - 15 : index + 1]) for key in range(4)) / 16
        for index in range(15, len(masks))
    ]
    assert rhythm.column_share(view)[15:].tolist() == pytest.approx(shares)
    assert np.isnan(rhythm.column_share(view)[:15]).all()


def test_an_alternation_run_holds_the_rows_it_refers_to() -> None:
    view = view_of([chart_of(list(range(0, 240, 24)), [1, 2, 7, 8, 7, 8, 7, 8, 1, 2])])
    runs = rhythm.alternation_runs(view)
    assert (runs.first.tolist(), runs.last.tolist()) == ([2], [7])


def test_intervals_do_not_reach_from_one_chart_of_a_batch_into_the_next() -> None:
    one = chart_of(list(range(0, 480, 24)))
    alone, both = view_of([one]), view_of([one, one])
    for measure in (rhythm.longest_even_run, rhythm.density_variation):
        assert np.isclose(measure(both), measure(alone)[0], equal_nan=True).all()
    assert rhythm.gap_ticks(both).tolist() == rhythm.gap_ticks(alone).tolist() * 2


def test_density_varies_as_windows_do() -> None:
    ticks = [*range(0, 800, 48), *range(800, 1600, 24), *range(1600, 2400, 48)]
    counts = np.histogram(np.array(ticks) * 10.0, [0, 8000, 16000, 24000])[0]
    assert rhythm.density_variation(view_of([chart_of(ticks)]))[0] == pytest.approx(counts.std() / counts.mean())
    assert rhythm.density_variation(view_of([chart_of(list(range(0, 2400, 24)))]))[0] < 0.02
    assert np.isnan(rhythm.density_variation(view_of([chart_of([0, 24])]))[0])


def lively_chart(bars: int = 48) -> Chart:
    """Four bar rhythms that come back every four bars, chords of two on downbeats, quiet phrases of half the rows."""
    rhythms = (
        [0, 24, 48, 72, 96, 120, 144, 168],
        [0, 36, 72, 96, 144],
        [0, 48, 60, 72, 96, 144],
        [0, 24, 96, 108, 120],
    )
    ticks, masks = [], []
    for bar in range(bars):
        inside = rhythms[bar % 4][: 3 if bar // 8 % 2 else None]
        for number, tick in enumerate(inside):
            ticks.append(bar * 192 + tick)
            masks.append((0b1001, 0b0110)[bar % 2] if number == 0 else 1 << (bar * 5 + number * 3) % 4)
    return chart_of(ticks, masks)


def lasting_song(chart: Chart) -> Song:
    """An onset at every row; every third sound lasts."""
    frames = int(chart.last_ms / 10.0) + 300
    onset, sustain = np.full((frames, 3), 0.05, np.float32), np.zeros(frames, np.float32)
    at = np.unique(np.round(chart.time_ms / 10.0).astype(int))
    onset[at] = 1.0
    sustain[at[::3]] = 1.0
    return Song(onset, np.ones(frames, np.float32), 10.0, sustain=sustain)


@pytest.mark.parametrize(
    ("probe", "term"),
    [
        ("planted_trills", "ergonomics/alternation"),
        ("planted_anchors", "ergonomics/dominance"),
        ("flat_density", "rhythm/dynamics"),
        ("random_rhythm", "rhythm/recurrence"),
        ("random_rhythm", "rhythm/even"),
    ],
)
def test_each_probe_lowers_its_term(probe: str, term: str) -> None:
    chart = lively_chart()
    bad = PROBES[probe](chart, np.random.default_rng(1))
    good, poor = (score(one, 2.5, lasting_song(chart)).terms[term][0] for one in (chart, bad))
    assert poor < good - 0.1


def test_holds_on_drums_lower_sustain_and_holds_on_lasting_sounds_do_not() -> None:
    chart = lively_chart()
    song = lasting_song(chart)
    lasting = np.interp(song.frames(chart.time_ms), np.arange(song.sustain.size), song.sustain) > 0.5
    held = Chart.from_notes(
        chart.time_ms, chart.column, np.where(lasting, chart.time_ms + 200.0, np.nan), timing_points=POINTS
    )
    drums = drum_holds(held, np.random.default_rng(0), song)
    good, poor = (
        sound.sustain(view_of([one], [song.span_ms]), Inputs(np.array([2.5]), [song])).chart[0] for one in (held, drums)
    )
    assert good > 0.4
    assert poor < -0.1


def test_what_lasts_is_sustained_and_a_click_is_not() -> None:
    mel = np.zeros((300, 64), np.float32)
    mel[50:54], mel[150:] = 4.0, 4.0
    found = sustained_rise(mel, 100.0)
    assert found[50] < 0.1
    assert found[150] > 0.9
    assert ((found >= 0) & (found <= 1)).all()


def test_release_rank_tells_releases_on_sounds_from_blind_ones() -> None:
    starts = np.arange(20) * 960.0
    chart = Chart.from_notes(starts, np.arange(20) % 4, starts + BEAT_MS, timing_points=POINTS)
    onset = np.full((2200, 3), 0.05, np.float32)
    onset[np.round((starts + BEAT_MS) / 10.0).astype(int)] = 1.0
    song = Song(onset, np.ones(2200, np.float32), 10.0)
    view = view_of([chart], [song.span_ms])
    assert sound.release_rank(view, 0, song) == 1.0
    silent = Song(np.full((2200, 3), 0.05, np.float32), np.ones(2200, np.float32), 10.0)
    assert sound.release_rank(view, 0, silent) == pytest.approx(0.5, abs=0.05)


def test_a_term_with_nothing_to_measure_is_left_out() -> None:
    chart = chart_of(list(range(0, 200, 24)))
    inputs = Inputs(np.array([2.0]), [None])
    view = view_of([chart])
    assert np.isnan(sound.accents(view, inputs).chart).all()
    assert np.isnan(terms.dynamics(view, inputs).chart).all()
