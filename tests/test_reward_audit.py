"""Auditors, the n-gram table, calibration and the commands with their errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bench.corruptions import PROBES
from chart.model import Chart, TimingPoint
from reward import ngrams
from reward.auditors import audit, capacity_accuracy, capacity_level
from reward.calibration.count_ngrams import main as count_main
from reward.calibration.fit_bands import band_rows, quantile
from reward.calibration.fit_bands import main as calibrate_main
from reward.core.batch_view import view_of
from reward.core.song import Song
from reward.human_charts import human_charts
from reward.score import main as score_main
from reward.score import timestamp
from reward.total import TERMS
from runtime.errors import CheckpointError, ConfigError

OSU = """osu file format v14

[General]
AudioFilename: song.ogg
Mode: 3

[Metadata]
Title:Test
Version:Hard

[Difficulty]
HPDrainRate:8
CircleSize:4
OverallDifficulty:8

[TimingPoints]
0,400,4,2,0,100,1,0

[HitObjects]
"""


def rolls(gap_ms: float, notes: int = 200) -> Chart:
    return Chart.from_notes(
        1000 + np.arange(notes) * gap_ms, np.arange(notes) % 4, timing_points=(TimingPoint(0.0, 400.0),)
    )


def write_osu(path: Path, chart: Chart) -> Path:
    lines = [
        f"{64 + 128 * key},192,{round(time)},1,0,0:0:0:0:"
        for time, key in zip(chart.time_ms.tolist(), chart.column.tolist(), strict=True)
    ]
    path.write_text(OSU + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_the_second_player_finds_fast_charts_and_jacks_harder() -> None:
    jacks = Chart.from_notes(1000 + np.arange(200) * 150.0, np.arange(200) // 8 % 4)
    assert capacity_level(rolls(300)) < capacity_level(rolls(150)) < capacity_level(rolls(75))
    assert capacity_level(jacks) > capacity_level(rolls(150))
    assert capacity_level(Chart.from_notes([], [])) == 0.0
    easy, hard = (capacity_accuracy(rolls(150), level) for level in (6.0, 2.0))
    assert 0 < hard < easy < 1
    assert capacity_accuracy(rolls(150), capacity_level(rolls(150))) == pytest.approx(0.96, abs=0.002)


def test_row_sequences_of_random_columns_cost_more_bits() -> None:
    random = PROBES["shuffled_columns"](rolls(100), np.random.default_rng(0))
    plain, shuffled = ngrams.bits(view_of([rolls(100), random]))
    assert plain + 1 < shuffled
    assert ngrams.bits(view_of([rolls(100).mirrored()]))[0] == pytest.approx(plain, rel=1e-6)
    assert np.isnan(ngrams.bits(view_of([rolls(100, 2)]))).all()


def test_ngram_counts_leave_out_what_lies_before_a_chart() -> None:
    view = view_of([rolls(100, 5), rolls(100, 4)])
    assert ngrams.has_context(view).tolist() == [False, False, True, True, True, False, False, True, True]
    assert ngrams.count_rows(view).sum() == 2 * 5


def test_a_missing_table_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ngrams, "TABLE", tmp_path / "none.npz")
    ngrams._log2_table.cache_clear()
    with pytest.raises(CheckpointError, match=r"none\.npz is missing: reinstall"):
        ngrams.bits(view_of([rolls(100)]))
    ngrams._log2_table.cache_clear()


def test_onset_contrast_and_lag_are_reported_with_a_song() -> None:
    chart = rolls(200)
    onset = np.full((5000, 3), 0.01, np.float32)
    onset[np.round((chart.time_ms + 20) / 10).astype(int)] = 1.0
    found = audit(chart, Song(onset, np.ones(5000, np.float32), 10.0, lag_ms=20.0))
    assert found["audit/onset_contrast"] > 5
    assert found["audit/lag_ms"] == pytest.approx(20.0, abs=4.0)
    assert set(audit(Chart.from_notes([], []))) == {"audit/stars", "audit/level"}


def test_weighted_quantiles_and_bands() -> None:
    values = np.arange(101.0)
    assert quantile(values, np.ones(101), 0.5) == 50.0
    assert quantile(values, np.where(values < 50, 1e-9, 1.0), 0.5) == 75.0
    term = next(term for term in TERMS if term.side == "high")
    rows = band_rows(term, np.append(values, np.nan), np.full(102, 3.0))
    assert rows["low"] == (-np.inf,) * 6
    assert rows["high"] == (50.0,) * 6
    assert rows["soft_high"] == (47.0,) * 6


def test_the_score_command_prints_terms_audits_and_findings(tmp_path: Path) -> None:
    quick = Chart.from_notes(1000 + np.arange(40) * 100.0, np.arange(40) % 4)
    path = write_osu(tmp_path / "日本語.osu", quick)
    result = CliRunner().invoke(score_main, [str(path), "--stars", "1.5", "--json"])
    assert result.exit_code == 0, result.output
    assert "target 1.50 stars (EASY)" in result.output
    assert "00:01:000 (0|1|2|3) warning  easy-quarter: 40 notes at 1/4 or finer" in result.output
    data = json.loads(result.output.strip().splitlines()[-1])
    assert 0 < data["terms"]["total"] < 1
    assert data["audit"]["audit/stars"] > 0
    assert {finding["rule"] for finding in data["findings"]} >= {"easy-quarter", "hp-od-easy"}


def test_an_empty_chart_is_scored_not_refused(tmp_path: Path) -> None:
    path = write_osu(tmp_path / "empty.osu", Chart.from_notes([], []))
    result = CliRunner().invoke(score_main, [str(path)])
    assert result.exit_code == 0, result.output
    assert "total 0.000" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stars", "0"], "--stars 0: give a star rating above 0"),
        (["--stars", "nan"], "--stars nan: give"),
        ([], None),
    ],
)
def test_the_score_command_says_what_is_wrong(tmp_path: Path, arguments: list[str], message: str | None) -> None:
    path = tmp_path / "missing.osu" if message is None else write_osu(tmp_path / "map.osu", rolls(200))
    result = CliRunner().invoke(score_main, [str(path), *arguments])
    assert result.exit_code == 1
    assert result.output.startswith("error: ")
    assert (message or "missing.osu") in result.output
    assert result.output.count("\n") == 1


def test_folders_without_an_index_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"songs\.json is missing: give a folder"):
        next(human_charts(tmp_path, "train"))
    for command in (calibrate_main, count_main):
        result = CliRunner().invoke(command, [str(tmp_path), "--out", str(tmp_path / "out")])
        assert result.exit_code == 1
        assert "songs.json is missing" in result.output
    (tmp_path / "songs.json").write_text("[]", encoding="utf-8")
    result = CliRunner().invoke(calibrate_main, [str(tmp_path), "--out", str(tmp_path / "out")])
    assert "no charts with audio for the split “train”" in result.output


def test_times_are_written_as_the_editor_does() -> None:
    assert timestamp(61_234.4) == "01:01:234"
    assert timestamp(-5.0) == "00:00:000"
