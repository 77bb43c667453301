"""Ratings by skill, and ranked players who depend on the chart."""

from __future__ import annotations

import numpy as np
import pytest

from agents import Rating, accuracy_curve, difficulty_curve, ranked, rate, required_skill
from agents.difficulty_curve import AccuracyCurve
from agents.motor.population import MAX_LEVEL, MIN_LEVEL
from agents.ranking import ranked_levels
from agents.rating import in_words
from chart.model import Chart
from tests.builders import ChartBuilder


def stream(gap_ms: float, rows: int = 400) -> Chart:
    builder = ChartBuilder()
    for row in range(rows):
        builder.note(1000 + gap_ms * row, (0, 2, 1, 3)[row % 4])
    return builder.build()


def jacks(gap_ms: float, rows: int = 300) -> Chart:
    builder = ChartBuilder()
    for row in range(rows):
        builder.note(1000 + gap_ms * row, (row // 8) % 4)
    return builder.build()


def holds(gap_ms: float, rows: int = 240) -> Chart:
    builder = ChartBuilder()
    for row in range(rows):
        builder.hold(1000 + gap_ms * row, until=1000 + gap_ms * row + 1.5 * gap_ms, column=row % 4)
    return builder.build()


@pytest.mark.parametrize(("chart", "hardest"), [(stream(65), "stream"), (jacks(90), "jack"), (holds(170), "hold")])
def test_the_skill_that_a_chart_is_made_of_is_rated_highest(chart: Chart, hardest: str) -> None:
    ratings = rate(chart)
    skills = {name: rating.level for name, rating in ratings.items() if name != "overall"}
    assert max(skills, key=lambda name: skills[name]) == hardest
    assert ratings["overall"].level == pytest.approx(required_skill(chart), abs=0.01)
    assert ratings["overall"].level >= max(skills.values()) - 0.2


def test_a_rating_has_an_uncertainty_and_holds_only_where_there_are_some() -> None:
    ratings = rate(stream(80))
    assert set(ratings) == {"overall", "stream", "jack", "technical"}
    assert all(isinstance(one, Rating) and 0.05 < one.sd < 3 for one in ratings.values())
    assert "hold" in rate(holds(200))


def test_a_skill_that_a_chart_does_not_ask_for_is_called_none() -> None:
    assert in_words({"overall": Rating(3.1, 0.2), "jack": Rating(MIN_LEVEL, 2.0)}) == "overall 3.10 ± 0.20  jack none"


def test_faster_streams_are_rated_higher() -> None:
    assert rate(stream(70))["stream"].level > rate(stream(90))["stream"].level + 0.5


def test_hard_charts_are_played_by_those_who_play_hard_charts() -> None:
    rng = np.random.default_rng(0)
    easy, hard = (accuracy_curve(chart) for chart in (stream(120), stream(42)))
    few, many = ranked(hard, 500, rng).level, ranked(easy, 500, rng).level
    assert np.percentile(few, 10) > np.percentile(many, 50)
    level = np.linspace(0, MAX_LEVEL, 57)

    def median_accuracy(required: float) -> float:
        curve = AccuracyCurve(level, 1 - 0.04 * np.exp((required - level) / 2))
        return float(np.median(np.interp(ranked_levels(curve, np.linspace(0.01, 0.99, 99)), level, curve.accuracy)))

    # accuracy falls with difficulty, but no further than the worst score that is handed in
    accuracies = [median_accuracy(required) for required in (2.0, 4.0, 6.0, 8.0, 10.0)]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] > 0.96
    assert 0.84 < accuracies[-1] < accuracies[-2] + 1e-9 < 0.9


def test_a_chart_beyond_everybody_has_players_all_the_same() -> None:
    nobody = AccuracyCurve(np.linspace(0, MAX_LEVEL, 57), np.linspace(0, 0.3, 57))
    levels = ranked_levels(nobody, np.linspace(0.01, 0.99, 50))
    assert np.isfinite(levels).all()
    assert levels.min() > 5


def test_the_overall_rating_of_plays_that_are_there_is_the_one_of_new_plays() -> None:
    chart = holds(180)
    assert rate(chart, overall=accuracy_curve(chart)) == rate(chart)


def test_a_long_chart_played_less_often_is_rated_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    chart = holds(150, rows=3000)
    often = rate(chart)
    monkeypatch.setattr(difficulty_curve, "LONG_CHART_NOTES", 2999)
    seldom = rate(chart)
    assert accuracy_curve(chart).level.size < 30
    for name, rating in often.items():
        assert seldom[name].level == pytest.approx(rating.level, abs=0.15), name
