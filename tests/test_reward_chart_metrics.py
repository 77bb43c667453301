"""Measures of charts: shared by equal charts, computed once, the same alone and in a batch."""

from dataclasses import replace

import numpy as np
import pytest

from agents.difficulty_curve import required_skill
from agents.rating import rate
from chart.analysis.pattern_mix import pattern_mix
from chart.analysis.star_rating import stars
from chart.model import Difficulty, Metadata
from reward import chart_metrics
from reward.chart_metrics import OF_WHOLE_CHARTS, PROBLEM_WEIGHT, measure_breaches, metrics_of
from reward.rules.check import check
from reward.rules.criteria import Level
from tests.builders import ChartBuilder
from tests.eye_pages import busy_chart

CHARTS = [busy_chart(200, seed) for seed in range(3)]


def test_measures_are_those_of_the_functions():
    metrics, chart = metrics_of(CHARTS[0]), CHARTS[0]
    assert metrics.stars == stars(chart)
    assert metrics.hold_ratio == pytest.approx(chart.is_hold.mean())
    np.testing.assert_array_equal(metrics.pattern_mix, pattern_mix(chart))
    assert list(metrics.findings(Level.HARD)) == check(chart, Level.HARD)
    assert metrics.player_level == required_skill(chart)
    assert metrics.ratings() == rate(chart)
    assert metrics.ratings() is metrics.ratings(), "played once"


def test_equal_charts_share_measures_whatever_they_are_called(monkeypatch):
    metrics = metrics_of(CHARTS[0])
    renamed = replace(CHARTS[0], metadata=Metadata(version="Other"), preview_ms=5)
    assert metrics_of(renamed) is metrics
    harder = metrics_of(replace(CHARTS[0], difficulty=Difficulty(od=9.0)))
    assert harder is not metrics
    assert metrics.stars > 0
    monkeypatch.setattr(chart_metrics, "stars", lambda chart: pytest.fail("rated twice"))
    assert harder.stars == metrics.stars
    assert metrics_of(CHARTS[1]) is not metrics


def test_breaches_of_a_batch_are_those_of_each_chart():
    measured = [metrics_of(chart) for chart in CHARTS]
    measure_breaches(measured, Level.NORMAL)
    for metrics in measured:
        wanted = [one for one in metrics.findings(Level.NORMAL) if not one.rule.startswith(OF_WHOLE_CHARTS)]
        assert wanted, "the test must find something"
        found = metrics.breaches(Level.NORMAL)
        assert np.sort(found.start_ms).tolist() == pytest.approx([one.start_ms for one in wanted])
        weights = [PROBLEM_WEIGHT if one.severity == "problem" else 1.0 for one in wanted]
        assert found.weight.sum() == pytest.approx(sum(weights))


def test_an_empty_chart_has_measures():
    empty = metrics_of(ChartBuilder().build())
    assert (empty.stars, empty.hold_ratio, empty.findings(Level.EASY)) == (0.0, 0.0, ())
    assert empty.pattern_mix.tolist() == [0.0] * len(empty.pattern_mix)
