"""Rarity of a place: surprisal, stretches and rarity, and the shipped table of human charts."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eye.calibrate import as_json, human_of
from eye.critique import anomaly as unusual
from eye.critique.anomaly import (
    DRIFT,
    DROP_BITS,
    MEASURES,
    NEAR_ROWS,
    SHARES,
    human,
    knot_weights,
    rarity,
    segments,
    stretches,
    surprisal,
    tail,
)
from eye.critique.row_measures import CLASSES, SNAP_OFF, measure, running_sum
from reward.core.bands import STAR_KNOTS
from reward.human_charts import HumanChart
from reward.rules.check import all_rules
from runtime.errors import CheckpointError
from tests.builders import ChartBuilder
from tests.eye_charts import beat_ms, even_song, plain_chart, with_notes

NAN = float("nan")


def slow_segments(bits: list[float]) -> float:
    """The greatest sum of any run of values, by trying all."""
    return max((sum(bits[a:b]) for a in range(len(bits)) for b in range(a + 1, len(bits) + 1)), default=0.0)


@given(st.lists(st.integers(-6, 6), max_size=25))
def test_stretches_are_positive_apart_and_hold_the_greatest_sum(values):
    found = segments(np.array(values, float))
    for total, first, last in found:
        assert total == sum(values[first : last + 1]) > 0
    for (_, _, last), (_, first, _) in pairwise(found):
        assert last < first
    greatest = max((total for total, _, _ in found), default=0.0)
    assert greatest <= max(slow_segments(values), 0.0)
    if max(slow_segments(values), 0.0) - greatest > 0:  # only a stretch with a deep fall inside is cut in two
        assert sum(-value for value in values if value < 0) > DROP_BITS


def test_a_rare_class_surprises_less_where_the_rest_of_the_chart_has_it_too():
    usual = np.array([0.99, 0.01])
    lone, style = np.zeros(400, int), np.zeros(400, int)
    lone[200:210] = 1
    style[::4] = 1
    style[200:210] = 1
    assert surprisal(lone, usual)[205] > 6
    assert surprisal(style, usual)[205] < 2.5
    assert surprisal(lone, usual)[0] == pytest.approx(0.0, abs=1e-9)


def test_a_fault_does_not_excuse_itself():
    usual = np.array([0.999, 0.001])
    short, long = np.zeros(300, int), np.zeros(300, int)
    short[150:152] = 1
    long[140 : 140 + NEAR_ROWS] = 1
    assert surprisal(long, usual)[150] == pytest.approx(surprisal(short, usual)[150])


@given(st.floats(0, 20), st.floats(0, 20), st.floats(0.5, 8))
def test_rarity_rises_with_bits(one, two, stars):
    low, high = sorted([one, two])
    for name in MEASURES:
        assert rarity(name, low, stars, human()) <= rarity(name, high, stars, human()) + 1e-9


def test_the_tail_gives_back_the_shares_it_was_made_of():
    quantiles = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    for share, value in zip(SHARES, quantiles + 0.05 * np.arange(5), strict=True):
        assert tail(float(value), quantiles) == pytest.approx(-np.log10(1 - share))
    assert tail(9.0, quantiles) > tail(6.0, quantiles) > -np.log10(1 - SHARES[-1])


def test_star_knots_share_the_weight():
    assert knot_weights(2.25).tolist() == pytest.approx([0, 0.75, 0.25, 0, 0, 0])
    for stars in (-1.0, 0.0, 6.5, 20.0):
        assert knot_weights(stars).sum() == pytest.approx(1.0)


def test_the_shipped_table_is_whole():
    table = human()
    assert set(table.classes) == set(CLASSES)
    for name, count in CLASSES.items():
        assert table.classes[name].shape == (len(STAR_KNOTS), count)
        assert table.classes[name].sum(axis=1) == pytest.approx(np.ones(len(STAR_KNOTS)), abs=1e-3)
    for name in MEASURES:
        assert table.worst[name].shape == (len(STAR_KNOTS), len(SHARES))
        assert (np.diff(table.worst[name], axis=1) >= 0).all()
    assert set(table.rules) == {rule.name for rule in all_rules()}
    assert all(0 < share < 1 for share in table.rules.values())
    assert set(MEASURES) == {*DRIFT, "snap"}


def test_a_missing_table_says_how_to_make_it(monkeypatch, tmp_path):
    monkeypatch.setattr(unusual, "TABLE", tmp_path / "human.json")
    human.cache_clear()
    try:
        with pytest.raises(CheckpointError, match=r"human\.json is missing: .* python -m eye\.calibrate"):
            human()
    finally:
        monkeypatch.undo()
        human.cache_clear()


def test_a_table_is_made_from_charts_and_reads_back(tmp_path):
    items = [HumanChart("x", "y", plain_chart(96, seed), 2.0, even_song(plain_chart(96, seed))) for seed in range(3)]
    data = json.loads(as_json(human_of(items)))
    assert set(data) == {"classes", "worst", "rules", "rules_worst"}
    assert np.array(data["classes"]["hands"]).shape == (len(STAR_KNOTS), CLASSES["hands"])
    assert data["rules"]["concurrent-notes"] == pytest.approx(1 / 5)


def test_measures_count_what_they_say():
    chart = ChartBuilder().bpm(150).stream(0, 100, "0123012301230123").stream(2_000, 100, "11111").build()
    measures = measure(chart, None, 3.0)
    repeats = measures.classes["repeat"]
    assert repeats[-5:].tolist() == [4] * 5
    assert repeats[:16].tolist() == [0] * 16
    assert measures.classes["jack"][-3] > measures.classes["jack"][8]
    assert (measures.loudness_rank == 1).all()
    assert "unheard" not in measures.classes


def test_classes_of_snaps_holds_and_hands():
    off = ChartBuilder().note(0).note(500, 1).note(1_011, 2).note(1_500, 3).build()
    assert measure(off, None, 2.0).classes["snap"].tolist() == [0, 0, SNAP_OFF, 0]
    tight = ChartBuilder().hold(0, until=450).hold(500, until=950).note(2_000, 3).build()
    plain = ChartBuilder().note(0).note(500).note(2_000, 3).build()
    assert measure(tight, None, 2.0).classes["holds"].sum() > 2
    assert measure(plain, None, 2.0).classes["holds"].sum() == 0
    left = ChartBuilder().stream(0, 250, "01" * 12).stream(10_000, 250, "0213" * 6).build()
    hands = measure(left, None, 2.0).classes["hands"]
    assert hands[10] == CLASSES["hands"] - 1
    assert hands[-8] == 0


def test_rows_without_a_sound_have_no_onset():
    chart = plain_chart(64)
    song = even_song(chart)
    song.onset[int(beat_ms(30) / 10) - 2 : int(beat_ms(40) / 10)] = 0.0
    silent = measure(chart, song, 2.0).classes["unheard"]
    rows = measure(chart, song, 2.0).row_ms
    assert silent[(rows > beat_ms(31)) & (rows < beat_ms(39))].all()
    assert not silent[rows < beat_ms(29)].any()


def test_a_planted_jack_is_the_rarest_stretch():
    chart = plain_chart()
    wall = [(beat_ms(100 + k / 4), 1, NAN) for k in range(16)]
    chart = with_notes(chart, wall, beat_ms(100), beat_ms(104))
    measures = measure(chart, None, 2.0)
    found = stretches(measures, 2.0)[0]
    assert found.measure in ("jack", "repeat")
    assert measures.row_ms[found.first] >= beat_ms(99)
    assert measures.row_ms[found.last] <= beat_ms(105)


def test_running_sums_are_cut_at_the_ends():
    assert running_sum(np.ones(5), 3).tolist() == [2, 3, 3, 3, 2]
    assert running_sum(np.arange(4.0), 2).tolist() == [0, 1, 3, 5]
