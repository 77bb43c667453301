"""`python -m agents.play` and what it prints, writes and refuses."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from agents.play import main
from agents.replays import presses_from
from chart.formats.osr import read_replay
from chart.formats.osu_read import read_osu, write_osu
from tests.builders import ChartBuilder


@pytest.fixture
def map_path(tmp_path: Path) -> Path:
    builder = ChartBuilder()
    for row in range(240):
        builder.note(1000 + 110 * row, (0, 2, 1, 3)[row % 4])
    for row in range(40):
        builder.hold(28_000 + 300 * row, 28_200 + 300 * row, row % 4)
    path = tmp_path / "日本語 map.osu"
    write_osu(builder.build(), path)
    return path


def run(*arguments: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_table_json_replay_and_plots(map_path: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    replay, plots = tmp_path / "out.osr", tmp_path / "plots"
    result = run(map_path, "--skill", 4.2, "--plays", 20, "--replay", replay, "--plots", plots, "--json")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    for word in ("accuracy", "costliest stretches", "worst patterns", "hand", "unstable rate"):
        assert word in result.stdout
    data = json.loads(lines[-1])
    assert 0.5 < data["accuracy_mean"] <= 1
    assert data["notes"] == 280
    assert data["plays"] == 20
    assert data["left"]["notes"] == pytest.approx(0.5)
    back = read_replay(replay)
    assert back.map_md5 == hashlib.md5(map_path.read_bytes()).hexdigest()
    from agents import accuracy_320, judge

    again = judge(read_osu(map_path), presses_from(back)).totals[0, :6]
    assert again.tolist() == back.counts.tolist()
    assert accuracy_320(again) == pytest.approx(data["replay_accuracy"])
    assert sorted(path.name for path in plots.iterdir()) == ["accuracy-by-skill.png", "error-by-time.png"]


def test_the_seed_repeats_and_the_population_matters(map_path: Path) -> None:
    def accuracy(*more: object) -> float:
        result = run(map_path, "--plays", 40, "--json", *more)
        assert result.exit_code == 0, result.output
        value: float = json.loads(result.stdout.splitlines()[-1])["accuracy_mean"]
        return value

    assert accuracy("--seed", 3) == accuracy("--seed", 3, "--threads", 1)
    assert accuracy("--seed", 3) != accuracy("--seed", 4)
    assert accuracy("--skill", 7) > accuracy("--skill", 2)
    assert accuracy("--population", "all") != accuracy("--population", "ranked")
    assert accuracy("--skill", 3, "--mods", "DT") < accuracy("--skill", 3)
    assert accuracy("--skill", 3, "--rules", "lazer") != accuracy("--skill", 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--skill", 4, "--population", "all"], "contradict"),
        (["--plays", 0], "--plays is 0"),
        (["--mods", "QQ"], "no modifier"),
        (["--replay", "nowhere/out.osr"], "cannot be written"),
    ],
)
def test_bad_options_end_in_one_line(map_path: Path, arguments: list, message: str) -> None:
    result = run(map_path, "--skill", 3, *arguments) if "--skill" not in arguments else run(map_path, *arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_missing_map_is_named(tmp_path: Path) -> None:
    result = run(tmp_path / "none.osu")
    assert result.exit_code == 1
    assert "none.osu" in result.stderr


def test_missing_matplotlib_is_named(map_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run(map_path, "--plots", tmp_path)
    assert result.exit_code == 1
    assert "plots need matplotlib" in result.stderr


def test_an_empty_map_plays(tmp_path: Path) -> None:
    path = tmp_path / "empty.osu"
    write_osu(ChartBuilder().build(), path)
    result = run(path, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[-1])["accuracy_mean"] == 1.0
    assert np.isfinite(json.loads(result.stdout.splitlines()[-1])["required_skill"])
