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
from tests.reference_judgement import judge_slowly, windows_of
from tests.test_chart_replay import frames_in


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


@pytest.mark.parametrize("rules", ["stable", "scorev2", "lazer"])
def test_an_independent_reading_of_the_replay_gives_its_counts(map_path: Path, tmp_path: Path, rules: str) -> None:
    path = tmp_path / "out.osr"
    assert run(map_path, "--plays", 3, "--rules", rules, "--replay", path).exit_code == 0
    chart, counts = read_osu(map_path), read_replay(path).counts
    held, now = [False] * 4, 0
    presses: list[list[list[int]]] = [[], [], [], []]
    for frame in frames_in(path.read_bytes())[:-2]:  # without the seed
        step, x, y, _ = map(int, frame.split("|"))
        now += step  # every frame counts with its time, …
        for key in range(4 if (x, y) != (256, -500) else 0):  # … but the markers press nothing
            if bool(x >> key & 1) != held[key]:
                held[key] = not held[key]
                if held[key]:
                    presses[key].append([now, now])
                presses[key][-1][1] = now
    notes = [
        [(int(t), None if np.isnan(e) else int(e)) for t, e in zip(*(part[chart.column == key] for part in (
            chart.time_ms, chart.end_ms)), strict=True)] for key in range(4)
    ]  # fmt: skip
    windows = windows_of(chart.difficulty.od, 1.0, 1.0, rules != "stable")
    slow = judge_slowly(notes, presses, windows, rules)  # type: ignore[arg-type]
    grades = [note["grade"] for column in slow for note in column]
    grades += [note["tail_grade"] for column in slow for note in column if note.get("tail_grade") is not None]
    assert np.bincount(grades, minlength=6).tolist() == counts.tolist()


def test_the_table_gives_stars_ratings_and_what_osu_shows(map_path: Path) -> None:
    result = run(map_path, "--plays", 20, "--json")
    data = json.loads(result.stdout.splitlines()[-1])
    assert data["ratings"]["overall"]["level"] == pytest.approx(data["required_skill"], abs=0.011)
    assert f"{data['stars']:.2f} stars" in result.stdout
    assert "stream" in data["ratings"]
    assert data["shown_accuracy"] > data["accuracy_mean"]  # stable counts MAX and 300 alike
    assert f"osu! shows {data['shown_accuracy']:.2%}" in result.stdout
    assert sum(data["letters"].values()) == pytest.approx(1.0)
    lazer = json.loads(run(map_path, "--plays", 20, "--json", "--rules", "lazer").stdout.splitlines()[-1])
    assert lazer["shown_accuracy"] < data["shown_accuracy"]


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
