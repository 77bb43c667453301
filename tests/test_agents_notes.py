"""Plays summed up by note and by hand, accuracies without plays, and ratings from part of a grid."""

import threading

import numpy as np
import pytest

from agents import accuracy_curve, everyone, play
from agents.difficulty_curve import curve_of, grid_for
from agents.judgement.judge import EVENTS_AT_ONCE, MISS, RULES
from agents.judgement.mods import mods_of
from agents.rating import SKILLS, _ample, _rating, rate
from agents.simulate import Simulator, _seeds
from agents.summary import _hands, note_costs
from chart.model import Chart, TimingPoint

WORTH = np.array([320, 300, 200, 100, 50, 0]) / 320


def chart_of(notes: int, gap_ms: float = 110.0) -> Chart:
    """A stream with a hold on every fifth note."""
    number = np.arange(notes)
    end_ms = np.where(number % 5 == 0, number * gap_ms + 2.5 * gap_ms, np.nan)
    return Chart.from_notes(number * gap_ms, number * 3 % 4, end_ms, timing_points=(TimingPoint(0.0, 4 * gap_ms),))


@pytest.mark.parametrize("rules", RULES)
def test_notes_cost_what_plays_lost_on_them(rules: str) -> None:
    chart = chart_of(300)
    plays = play(chart, everyone(20, np.random.default_rng(1)), 3, rules=rules)
    head = 1 - WORTH[plays.grade]
    lost = np.where(plays.tail_grade >= 0, (head + 1 - WORTH[plays.tail_grade]) / 2, head)
    costs = note_costs(plays)
    assert (plays.tail_grade >= 0).any() == (rules != "stable")
    np.testing.assert_allclose(costs.lost, lost.mean(axis=0), atol=1e-12)
    assert costs.missed.tolist() == (plays.grade == MISS).sum(axis=0).tolist()


@pytest.mark.parametrize("mods", ["", "DT"])
def test_hands_are_told_apart(mods: str) -> None:
    chart = chart_of(300)
    plays = play(chart, everyone(20, np.random.default_rng(1)), 3, mods)
    is_right = chart.column >= 2
    for hand, mine in zip(_hands(plays, note_costs(plays), is_right), (~is_right, is_right), strict=True):
        assert hand.notes == pytest.approx(mine.mean())
        assert hand.unstable_rate == pytest.approx(10 * np.nanstd(plays.hit_error_ms[:, mine], axis=1).mean(), rel=1e-5)


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("notes", [0, 300, EVENTS_AT_ONCE // 3])
def test_accuracies_are_those_of_the_plays(rules: str, notes: int) -> None:
    simulator = Simulator(chart_of(notes), mods_of(), rules)
    players = everyone(40, np.random.default_rng(1))
    accuracy = simulator.play(players, 5).accuracy
    assert simulator.accuracies(players, 5, threads=2).tolist() == accuracy.tolist()


def test_a_players_number_decides_on_its_play() -> None:
    simulator = Simulator(chart_of(300), mods_of(), "stable")
    players = everyone(40, np.random.default_rng(1))
    some = np.array([31, 4, 17])
    part = type(players)(players.skills[some])
    everything = simulator.accuracies(players, 5)
    assert simulator.accuracies(part, 5, numbers=some).tolist() == everything[some].tolist()
    assert simulator.accuracies(part, 5).tolist() != everything[some].tolist()


@pytest.mark.parametrize("gap_ms", [45.0, 80.0, 140.0, 400.0])
def test_skills_are_rated_as_by_the_whole_grid(gap_ms: float) -> None:
    chart = chart_of(500, gap_ms)
    simulator, grid, ratings = Simulator(chart, mods_of(), "stable"), grid_for(chart), rate(chart)
    for name in SKILLS:
        plays = simulator.accuracies(grid.players(_ample(name)), 0).reshape(grid.level.size, -1)
        assert ratings[name] == _rating(grid.level, plays), name
    assert accuracy_curve(chart).plays is not None
    assert curve_of(grid.level, plays).level.size == grid.level.size


def test_threads_stop_playing_where_one_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after Ctrl-C, which reaches the thread that waits: the others end with the players they have begun."""
    simulator, players = Simulator(chart_of(60), mods_of(), "stable"), everyone(3_200, np.random.default_rng(1))
    began, gate, everybody = [], threading.Event(), threading.Barrier(4)

    class Recorded(threading.Event):
        def set(self) -> None:
            super().set()
            gate.set()

    def press(_: object, seeds: np.ndarray, __: object) -> None:
        began.append(seeds[0])
        if len(began) <= 4:
            everybody.wait(60)
        if seeds[0] == _seeds(5, np.arange(1))[0]:  # of the thread that is waited for
            raise KeyboardInterrupt
        assert gate.wait(60)

    monkeypatch.setattr("agents.simulate.Event", Recorded)
    monkeypatch.setattr(simulator, "_press", press)
    monkeypatch.setattr(simulator._judge, "accuracies", lambda keys, count: np.zeros(count))
    with pytest.raises(KeyboardInterrupt):
        simulator.accuracies(players, 5, threads=4)
    assert len(began) == 4
