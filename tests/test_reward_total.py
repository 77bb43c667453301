"""The sum: range, invariances, batches, potential, probes, weights and what the terms see."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.corruptions import PROBES, other_song, quiet_doubled
from chart.model import Chart, TimingPoint
from reward.core.bands import Band, Bands
from reward.core.batch_view import view_of
from reward.core.inputs import Inputs
from reward.core.song import Song, estimate_lag_ms, song_of_mel
from reward.terms import ergonomics, musicality, readability
from reward.terms.fairness import lost_of, playtest
from reward.total import MIN_ROWS, TERMS, Weights, score, score_batch

BEAT_MS = 400.0
POINTS = (TimingPoint(1000.0, BEAT_MS),)
PHRASE = (0, 2, 1, 3, 0, 1, 3, 2, 1, 3, 0, 2, 3, 1, 2, 0)


def good_chart(phrases: int = 8) -> Chart:
    """Half beats in a varied phrase that moves between hands, a chord on every fourth beat, rests between phrases."""
    time, column = [], []
    for phrase in range(phrases):
        turned = [(key + phrase) % 4 for key in PHRASE] + [(3 - key + phrase // 2) % 4 for key in PHRASE[::-1]]
        for index, key in enumerate(turned):
            if index % 16 >= 14:
                continue  # a rest of a beat ends each two bars
            at = 1000.0 + (phrase * 16 + index * 0.5) * BEAT_MS
            time.append(at)
            column.append(key)
            if index % 8 == 0:
                time.append(at)
                column.append(3 - key)
    return Chart.from_notes(np.round(time), column, timing_points=POINTS)


def song_for(chart: Chart, hop_ms: float = 10.0) -> Song:
    """A song with an onset at every row, louder for chords, loud throughout."""
    frames = int(chart.last_ms / hop_ms) + 200
    onset = np.full((frames, 3), 0.2, np.float32)
    np.add.at(onset, np.round(chart.time_ms / hop_ms).astype(int), 1.0)
    return Song(onset, np.ones(frames, np.float32), hop_ms)


@st.composite
def charts(draw: st.DrawFn) -> Chart:
    """Valid charts of 0–60 rows on quarter beats, some notes held."""
    rows = draw(st.lists(st.tuples(st.integers(1, 8), st.integers(1, 15), st.booleans()), max_size=60))
    time, column, end, at = [], [], [], 1000.0
    for gap, mask, hold in rows:
        at += gap * BEAT_MS / 4
        for key in range(4):
            if mask >> key & 1:
                time.append(at)
                column.append(key)
                end.append(at + BEAT_MS / 8 if hold else np.nan)
    return Chart.from_notes(time, column, end, timing_points=POINTS)


@settings(max_examples=25)
@given(charts(), st.sampled_from([0.5, 2.0, 4.5, 9.0]))
def test_everything_stays_in_range_and_the_potential_rises(chart: Chart, stars: float) -> None:
    result = score(chart, stars, song_for(chart))
    for values in (result.total, result.section_value, result.potential, *result.terms.values()):
        known = values[~np.isnan(values)]
        assert ((known >= 0) & (known <= 1)).all()
    assert (np.diff(result.potential) >= 0).all()
    assert result.potential[-1] == pytest.approx(result.section_value.mean())


def same_but_players(one: dict[str, float], two: dict[str, float]) -> bool:
    """Whether two flat scores agree, the players' dice (and what hangs on them) left out."""
    dice = ("fairness", "measure/fairness", "total")
    kept = [{name: value for name, value in flat.items() if not name.startswith(dice)} for flat in (one, two)]
    assert kept[0] == pytest.approx(kept[1], abs=1e-6)
    return True


@settings(max_examples=15)
@given(charts(), st.integers(-900, 100_000))
def test_a_time_shift_moves_no_term(chart: Chart, shift_ms: int) -> None:
    here, there = score(chart, 3.0).flat(), score(chart.shifted(float(shift_ms)), 3.0).flat()
    assert same_but_players(there, here)


@settings(max_examples=15)
@given(charts())
def test_mirroring_moves_no_term(chart: Chart) -> None:
    assert same_but_players(score(chart.mirrored(), 3.0).flat(), score(chart, 3.0).flat())


def test_a_batch_scores_as_its_charts_do_alone() -> None:
    batch = [good_chart(3), Chart.from_notes([], []), good_chart(5), PROBES["one_hand"](good_chart(4), rng())]
    songs = [song_for(batch[0]), None, None, song_for(batch[3])]
    together = score_batch(batch, [2.0, 2.0, 3.0, 4.0], songs)
    for index, stars in enumerate([2.0, 2.0, 3.0, 4.0]):
        alone = score(batch[index], stars, songs[index])
        assert together.flat(index) == pytest.approx(alone.flat(), abs=1e-9)
        own = together.view.section_chart == index
        assert together.potential[own] == pytest.approx(alone.potential, abs=1e-9)


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_an_empty_chart_and_a_handful_of_notes_score_nothing() -> None:
    assert score(Chart.from_notes([], []), 2.0).flat() == {"total": 0.0}
    few = Chart.from_notes(np.arange(MIN_ROWS - 1) * 400.0, np.arange(MIN_ROWS - 1) % 4, timing_points=POINTS)
    assert score(few, 1.0).total[0] == 0.0
    enough = Chart.from_notes(np.arange(MIN_ROWS) * 400.0, np.arange(MIN_ROWS) % 4, timing_points=POINTS)
    assert score(enough, 1.0).total[0] > 0.5


# The synthetic chart is nearly its own mirror image in time and as dense everywhere: bench/reward.py and the shared test
# try these two on real ones.
@pytest.mark.parametrize(
    "name", sorted(({*PROBES} | {"quiet_doubled", "other_song"}) - {"time_mirrored", "flat_density"})
)
def test_a_good_chart_beats_its_corrupted_versions(name: str) -> None:
    chart = good_chart()
    song = song_for(chart)
    if name == "quiet_doubled":
        bad = quiet_doubled(chart, rng(), song)
    elif name == "other_song":
        triplets = Chart.from_notes(np.round(np.arange(200) * 170.0), np.arange(200) * 7 % 4)
        bad = other_song(chart, replace(triplets, timing_points=(TimingPoint(0.0, 510.0),)))
    else:
        bad = PROBES[name](chart, rng())
    assert score(bad, 2.0, song).total[0] < score(chart, 2.0, song).total[0]


@pytest.mark.parametrize("name", sorted(set(PROBES) - {"short_holds"}))
def test_probes_make_charts_without_collisions(name: str) -> None:
    bad = PROBES[name](good_chart(4), rng())
    view = view_of([bad])
    assert (view.column_idle_ms > 0).all()
    assert (np.diff(bad.time_ms) >= 0).all()


def test_probes_are_repeatable_and_their_seed_acts() -> None:
    chart = good_chart(4)
    one, two = (PROBES["shuffled_columns"](chart, np.random.default_rng(1)) for _ in range(2))
    assert one == two
    assert one != PROBES["shuffled_columns"](chart, np.random.default_rng(2))


def test_other_player_seeds_move_the_total_by_less_than_a_hundredth() -> None:
    chart = good_chart()
    totals = [score(chart, 2.0, seed=seed).total[0] for seed in range(6)]
    assert 0 < np.ptp(totals) < 0.01


def test_each_term_has_one_weight_and_a_weight_acts() -> None:
    names = {term.name.replace("/", "_") for term in TERMS}
    assert {field.name for field in fields(Weights)} == names
    chart = PROBES["one_hand"](good_chart(), rng())
    heavy = score(chart, 2.0, weights=Weights(ergonomics_hands=50.0)).total[0]
    assert heavy < score(chart, 2.0, weights=Weights(ergonomics_hands=0.0)).total[0] - 0.2


def test_a_band_is_one_inside_half_at_its_softness_and_depends_on_stars() -> None:
    band = Band((0.0,) * 6, (1.0, 2.0, 3.0, 4.0, 5.0, 6.5), (0.5,) * 6, (2.0,) * 6)
    bands = Bands.of({"one": band, "open": replace(band, high=(np.inf,) * 6)}, ["one", "open"])
    values = np.array([[-0.5, 0.0, 3.0, 5.0, np.nan]] * 2)
    one, open_ended = bands.score(values, np.full(5, 3.0))
    assert one == pytest.approx([0.5, 1, 1, 0.5, np.nan], nan_ok=True)
    assert open_ended == pytest.approx([0.5, 1, 1, 1, np.nan], nan_ok=True)
    assert bands.score(np.array([[1.5, 1.0, 8.5]] * 2), np.array([1.5, 0.1, 12.0]))[0] == pytest.approx([1, 1, 0.5])


def measured(term: object, chart: Chart, song: Song | None = None) -> float:
    view = view_of([chart], [song.span_ms] if song else None)
    return float(term(view, Inputs(np.array([2.0]), [song])).chart[0])  # type: ignore[operator]


def test_readability_measures_say_what_they_promise() -> None:
    even = Chart.from_notes(1000 + np.arange(40) * 200.0, np.arange(40) % 4, timing_points=POINTS)
    assert measured(readability.density, even) == pytest.approx(3.0, abs=0.1)
    assert measured(readability.rhythm, even) < 0.01
    odd = Chart.from_notes(
        np.round(1000 + np.cumsum(rng().uniform(90, 300, 40))), np.arange(40) % 4, timing_points=POINTS
    )
    assert measured(readability.rhythm, odd) > 0.6
    assert measured(readability.surprise, even) < 0.4
    random = Chart.from_notes(1000 + np.arange(400) * 200.0, rng().integers(0, 4, 400), timing_points=POINTS)
    assert measured(readability.surprise, random) > 0.95
    quads = Chart.from_notes(np.repeat(np.arange(40) * 400.0, 4), np.tile(np.arange(4), 40))
    assert measured(readability.chords, quads) == 4.0
    assert measured(readability.surprise, quads) == 0.0


def test_ergonomics_measures_say_what_they_promise() -> None:
    one_column = Chart.from_notes(np.arange(40) * 200.0, np.zeros(40))
    assert measured(ergonomics.repeats, one_column) == pytest.approx(4.0)
    assert measured(ergonomics.strain, one_column) == pytest.approx(5.0, abs=0.1)
    assert measured(ergonomics.hands, one_column) == pytest.approx(1 - 1 / np.sqrt(40))
    assert measured(ergonomics.one_handed, one_column) == 1.0
    rolls = Chart.from_notes(np.arange(40) * 200.0, np.arange(40) % 4)
    assert measured(ergonomics.repeats, rolls) == measured(ergonomics.hands, rolls) == 0.0
    assert measured(ergonomics.one_handed, rolls) == 0.0
    assert measured(ergonomics.columns, rolls) < 0.1
    anchor = Chart.from_notes(np.arange(40) * 200.0, [0, 1, 0, 2, 0, 3, 0, 1] * 5)
    assert measured(ergonomics.long_anchors, anchor) > 0.9
    assert measured(ergonomics.long_anchors, rolls) == 0.0


def test_musicality_measures_know_the_chart_of_the_song() -> None:
    chart = good_chart()
    song = song_for(chart)
    assert measured(musicality.onsets, chart, song) > 0.95
    assert measured(musicality.onsets, chart.shifted(70.0), song) < 0.3
    assert measured(musicality.support, chart, song) == 0.0
    assert measured(musicality.support, chart.shifted(70.0), song) > 0.9
    assert measured(musicality.coverage, chart, song) == 1.0
    assert measured(musicality.emphasis, chart, song) > 0.8
    assert measured(musicality.presence, chart, song) == 1.0
    assert measured(musicality.presence, PROBES["second_half_empty"](chart, rng()), song) < 0.6
    late = replace(song, lag_ms=70.0)
    assert measured(musicality.onsets, chart.shifted(-70.0), late) > 0.95
    assert estimate_lag_ms(chart.shifted(-24.0), song) == pytest.approx(24.0, abs=6.0)


def test_density_that_follows_loudness_correlates_and_notes_in_silence_are_found() -> None:
    times = np.concatenate([np.arange(1000, 26_600, 400), np.arange(26_600, 52_200, 100)]).astype(float)
    chart = Chart.from_notes(times, np.arange(times.size) % 4, timing_points=POINTS)
    song = song_for(chart)
    louder = np.where(np.arange(song.loudness.size) * 10.0 < 26_600, 0.7, 1.5).astype(np.float32)
    assert measured(musicality.energy, chart, replace(song, loudness=louder)) > 0.8
    assert measured(musicality.energy, chart, replace(song, loudness=louder[::-1].copy())) < 0.0
    mute = np.where(np.arange(song.loudness.size) * 10.0 < 20_000, 0.01, 1.0).astype(np.float32)
    assert measured(musicality.silence, chart, replace(song, loudness=mute)) == pytest.approx(48 / times.size, abs=0.02)


def test_a_song_is_made_from_a_mel_spectrogram() -> None:
    mel = np.zeros((400, 64), np.float32)
    mel[100:], mel[250:] = 1.0, 3.0
    song = song_of_mel(mel, 100.0)
    assert [np.abs(song.peaks - frame).min() <= 1 for frame in (100, 250)] == [True, True]
    assert song.span_ms[0] == pytest.approx(1000.0, abs=400.0)
    assert song.duration_ms == 4000.0


def test_fairness_reads_the_level_from_the_ladder() -> None:
    slow, fast = (
        Chart.from_notes(np.arange(400) * gap, np.array(PHRASE * 25), timing_points=POINTS) for gap in (300.0, 110.0)
    )
    levels = []
    for chart in (slow, fast):
        view, aim = view_of([chart]), np.array([3.0])
        lost = lost_of(view, aim, [playtest(chart, 3.0)])
        levels.append(lost.chart_level[0])
        assert lost.chart_slope[0] > 0
        assert np.nanmean(lost.section_level) == pytest.approx(lost.chart_level[0], abs=0.8)
    assert levels[1] > levels[0] + 1.0


def test_sections_follow_the_phrases_and_cover_the_song() -> None:
    chart = good_chart(3)
    view = view_of([chart], [(0.0, 40_000.0)])
    assert view.section_start_ms[1] - view.offset_ms[0] == 1000.0
    assert np.diff(view.section_start_ms) == pytest.approx(16 * BEAT_MS)
    assert view.section_end_ms[-1] - view.offset_ms[0] >= 40_000.0
    assert view.rows_in_section.tolist()[:4] == [0, 28, 28, 28]


@pytest.mark.shared
def test_human_charts_beat_their_probes(shared_data: object) -> None:
    from itertools import islice
    from pathlib import Path

    from reward.human_charts import human_charts

    won = []
    for item in islice(human_charts(Path(str(shared_data)) / "songs", "train", 60), 4):
        best = score(item.chart, item.stars, item.song).total[0]
        assert best > 0.8
        won += [best > score(probe(item.chart, rng()), item.stars, item.song).total[0] for probe in PROBES.values()]
    assert np.mean(won) >= 0.9
