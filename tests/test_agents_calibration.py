"""Likeness to real plays, rank of real maps, and the fitting code, on held-out plays where the data is there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from agents.calibration.calibrate import at_most, comparable_plays, likeness_report, main, ranked_report, split_plays
from agents.calibration.descent import descend, polish
from agents.calibration.least_squares import FITTED_HAND, FITTED_SKILL, constants_from, distance, vector_of
from agents.calibration.ranked_population import RankedPool, fit_population, spearman
from agents.calibration.real_plays import RankedMap, read_plays, read_ranked
from agents.calibration.statistics import statistics, view_of
from agents.difficulty_curve import AccuracyCurve
from agents.judgement.mods import mods_of
from agents.motor import columns as hand_columns
from agents.motor.constants import Constants, HandConstants, SkillConstants, constants, read_constants
from agents.motor.note_features import demand_of
from agents.motor.quantiles import hand_table, normal_table
from runtime.errors import ChartFileError, ConfigError
from tests.builders import ChartBuilder


@pytest.mark.shared
def test_simulated_players_play_like_people(shared_data: Path) -> None:
    _, held_out = split_plays(comparable_plays(read_plays(shared_data / "players")))
    table = likeness_report(held_out, constants())
    agree = [name for name, row in table.items() if row["agrees"]]
    # docs/agents.md names those that do not agree, and why
    assert len(table) >= 42
    assert sum(name.startswith("hold-heavy") for name in table) == 8
    assert len(agree) / len(table) >= 0.93
    for name in (
        "SD at 4-6 notes/s a hand",
        "SD at 12-16 notes/s a hand",
        "SD at column gap 140-200 ms",
        "SD of chord differences, same hand",
        "SD of chord differences, two hands",
        "lag-1 correlation, same hand",
        "lag-1 correlation, same column",
        "mean before a repeat at 85-105 ms",
        "mean before a repeat at 0-85 ms",
    ):
        assert name in agree


@pytest.mark.shared
def test_maps_rank_as_ranked_players_rank_them(shared_data: Path) -> None:
    maps = read_ranked(shared_data / "players")
    report = ranked_report(maps, constants(), left_out=False)
    assert report["spearman"] >= 0.96
    assert abs(report["mean_error"]) <= 0.01
    assert report["mean_absolute_error"] <= 0.01
    assert report["worst_error"] <= 0.02
    assert max(np.abs(report["mean_error_by_third"])) <= 0.01
    holds = [one.map_name for one in maps if one.chart.is_hold.mean() > 0.2]
    off = {name: row["predicted"] - row["real"] for name, row in report["maps"].items()}
    assert len(holds) == 4
    assert abs(np.mean([off[name] for name in holds])) < 0.012  # hold-heavy maps are not mis-ranked together


def test_the_shipped_constants_carry_their_report() -> None:
    data = json.loads(
        Path(__file__).parents[1].joinpath("agents", "motor", "constants.json").read_text(encoding="utf-8")
    )
    assert data["report"]["held_out_plays"] == 27
    assert data["report"]["ranked"]["spearman"] >= 0.94
    assert data["report"]["ranked"]["left_out_spearman"] >= 0.96  # too slow to measure in a test
    assert set(data["hand"]) == set(HandConstants.__dataclass_fields__)
    assert set(data["skill"]) == set(SkillConstants.__dataclass_fields__)


def test_the_population_is_found_again_from_the_accuracies_it_gives() -> None:
    level = np.linspace(1.5, 12.5, 600)
    skill = replace(SkillConstants(), ranked_level=5.0, ranked_slope=0.05, ranked_scale=0.5, ranked_least=0.8)

    def pool(required: float) -> RankedPool:
        accuracy = 1 - 0.04 * np.exp((required - level) / 2)
        curve = AccuracyCurve(level, accuracy)
        wanted = RankedPool(RankedMap("", None, 0, 0, 0, 0), curve, level, accuracy).figures(skill)  # type: ignore[arg-type]
        mean, p10, p50 = wanted
        return RankedPool(RankedMap("", None, mean, p10, p50, required), curve, level, accuracy)  # type: ignore[arg-type]

    pools = [pool(required) for required in (2.0, 4.0, 5.0, 6.0, 8.0, 10.0)]
    found = fit_population(pools, SkillConstants())
    assert sum(one.misfit(found) for one in pools) < 0.05 * sum(one.misfit(SkillConstants()) for one in pools)


def test_vectors_and_constants_are_inverse() -> None:
    start = Constants(HandConstants(), SkillConstants())
    vector = vector_of(start) + np.linspace(-0.1, 0.1, len(FITTED_HAND) + len(FITTED_SKILL))
    np.testing.assert_allclose(vector_of(constants_from(vector, start)), vector, atol=1e-9)


def test_the_descent_finds_a_minimum() -> None:
    goal = np.array([0.3, -0.2, 0.5])
    rounds: list[float] = []
    found = descend(
        lambda x: np.concatenate([3 * (x - goal), [x[0] * x[1] - goal[0] * goal[1]]]),
        np.zeros(3),
        12,
        lambda _, cost: rounds.append(cost),
    )
    np.testing.assert_allclose(found, goal, atol=0.01)
    assert rounds == sorted(rounds, reverse=True)
    np.testing.assert_allclose(polish(lambda x: x - goal, np.zeros(3), 40, lambda *_: None), goal, atol=0.01)
    assert polish(lambda x: x - goal, np.ones(3), 0, lambda *_: None).tolist() == [1, 1, 1]


def test_statistics_know_what_was_put_in() -> None:
    builder = ChartBuilder()
    for row in range(2000):
        builder.chord(1000 + 100 * row, 0, 1)
    chart = builder.build()
    view = view_of(chart, demand_of(chart, mods_of(), HandConstants()))
    rng = np.random.default_rng(0)
    hand = np.repeat(rng.normal(0, 10, 2000), 2)
    error = (hand + rng.normal(0, 3, 4000)).astype(np.float32)
    got = statistics(view, error, np.full(4000, np.nan), np.zeros(4000, np.int8))
    assert got["SD of chord differences, same hand"] == pytest.approx(3 * np.sqrt(2), rel=0.05)
    assert got["SD at 18-40 notes/s a hand"] == pytest.approx(np.sqrt(109), rel=0.05)
    assert abs(got["lag-1 correlation, same column"]) < 0.1
    assert np.isnan(got["release SD"])
    assert view.repeat[:12].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert distance("release SD", 20.0, 24.0) == pytest.approx(np.log(1.2) / 0.2)


@pytest.mark.parametrize("df", [3.0, 6.0])
def test_tables_have_unit_variance_and_heavier_tails(df: float) -> None:
    table = hand_table(df, 0.002, 4.0)
    assert table.std() == pytest.approx(1.0, abs=1e-4)
    assert (np.diff(table) > 0).all()
    assert (table**4).mean() > (normal_table() ** 4).mean() + 0.5
    assert (normal_table() ** 4).mean() == pytest.approx(3.0, abs=0.05)


def test_plays_are_split_by_map() -> None:
    class Real:
        def __init__(self, map_name: str) -> None:
            self.map_name = map_name

    plays = [Real(name) for name in "aaaaaabbb"]
    fit, held_out = split_plays(plays)
    assert [one.map_name for one in held_out] == ["a", "a", "b"]
    assert len(fit) == 6
    assert [one.map_name for one in at_most(plays, 2)] == ["a", "a", "b", "b"]


def test_spearman() -> None:
    assert spearman([1, 2, 3, 4], [10, 20, 40, 30]) == pytest.approx(0.8)


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(ChartFileError, match=r"replays\.npz is missing"):
        read_plays(tmp_path)
    with pytest.raises(ConfigError, match="calibrate to make it"):
        read_constants(tmp_path / "none.json")
    odd = tmp_path / "odd.json"
    odd.write_text(json.dumps({"hand": {"charm": 1.0}, "skill": {}}), encoding="utf-8")
    with pytest.raises(ConfigError, match="name charm, which this version"):
        read_constants(odd)
    result = CliRunner().invoke(main, [str(tmp_path), "--rounds", "-1"])
    assert result.exit_code == 1
    assert "--rounds is -1" in result.stderr
    assert replace(HandConstants(), lapse=0.1).for_kernel()[hand_columns.LAPSE] == pytest.approx(0.1)
