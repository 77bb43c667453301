"""Benchmarks over a collection give the same figures on one worker and on several."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from bench import ear, eye, reward
from bench.human_charts import read_human_charts
from runtime.errors import ConfigError
from runtime.workers import Workers
from tests.test_ear_beat_data import beatmapset

MIN_NOTES = 60


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like that of the training data: three sets, one of them `train`."""
    folder = tmp_path_factory.mktemp("data")
    songs = folder / "songs"
    songs.mkdir()
    entries = []
    for name, split in (("夜.osz", "val"), ("plain.osz", "val"), ("other.osz", "train")):
        beatmapset(songs / name, bpm=150)
        entries.append({"file": name, "split": split, "style": "keyboard"})
    (songs / "songs.json").write_text(json.dumps(entries), encoding="utf-8")
    return folder


def test_charts_are_read_in_order_and_of_one_split(data: Path) -> None:
    alone, both = (read_human_charts(data / "songs", "val", MIN_NOTES, Workers(count)) for count in (1, 2))
    assert [item.file for item in alone] == ["夜.osz", "plain.osz"]
    for one, two in zip(alone, both, strict=True):
        assert (one.file, one.stars, one.chart) == (two.file, two.stars, two.chart)
        assert one.song.lag_ms == two.song.lag_ms
        np.testing.assert_array_equal(one.song.onset, two.song.onset)
    assert read_human_charts(data / "songs", "val", 1000, Workers(1)) == []
    with pytest.raises(ConfigError, match=r"is missing: give a folder of \.osz"):
        read_human_charts(data, "val", MIN_NOTES, Workers(1))


def test_the_review_and_the_reward_are_measured_alike(data: Path) -> None:
    items = read_human_charts(data / "songs", "val", MIN_NOTES, Workers(1))
    assert eye.outcomes(items, 3, Workers(1)) == eye.outcomes(items, 3, Workers(2))
    alone, both = (reward.run_pairs(items, Workers(count)) for count in (1, 2))
    assert alone.probes == both.probes
    assert alone.corrupted.shape == (2, len(alone.probes), alone.human.shape[1])
    np.testing.assert_array_equal(alone.human, both.human)
    np.testing.assert_array_equal(alone.corrupted, both.corrupted)


def test_songs_are_timed_alike(data: Path) -> None:
    method = ear.Method(checkpoint="none")
    alone, both = (ear.time_songs(data / "songs", "val", method, Workers(count)) for count in (1, 2))
    assert [one.file for one in alone] == ["夜.osz", "plain.osz"]
    assert [str(replace(one, wall_s=0.0)) for one in alone] == [
        str(replace(two, wall_s=0.0)) for two in both
    ]  # nan ≠ nan


def test_pieces_are_timed_alike(data: Path) -> None:
    folder = data / "timing"
    folder.mkdir()
    beats = [1.0 + 0.4 * beat for beat in range(70)]
    piece = {"group": "band", "bpm": [150, 150], "beats_s": beats, "pos": [1 + k % 4 for k in range(70)]}
    pieces = [piece | {"file": f"../songs/{name}.wav"} for name in ("夜", "plain")]
    (folder / "timing.json").write_text(json.dumps(pieces), encoding="utf-8")
    method = ear.Method(checkpoint="none")
    alone, both = (ear.time_pieces(folder, method, Workers(count)) for count in (1, 2))
    assert [one.file for one in both] == ["../songs/夜.wav", "../songs/plain.wav"]
    assert [(one.tempo_error, one.beat_f, one.miss) for one in alone] == [
        (two.tempo_error, two.beat_f, two.miss) for two in both
    ]


@pytest.mark.parametrize("command", [ear.main, eye.main, reward.main])
def test_commands_take_workers(data: Path, command: click.Command) -> None:
    result = CliRunner().invoke(command, [str(data), "--workers", "65"])
    assert result.exit_code == 1
    assert "--workers 65: must be 0" in result.stderr


def test_a_command_prints_its_figures(data: Path) -> None:
    options = ["--only", "songs", "--checkpoint", "none", "--workers", "2"]
    result = CliRunner().invoke(ear.main, [str(data), *options])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[-1])["val"]["songs"] == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_command_s_own_functions_reach_a_cluster(data: Path) -> None:
    """Run by `python -m`, jobs, their settings and a cached function are of `__main__`, which nodes do not have."""
    pytest.importorskip("ray", reason="Ray is not installed (pip install mania4k[ray])")
    from ray.cluster_utils import Cluster

    def figures(*workers: str) -> dict:
        command = [sys.executable, "-m", "bench.ear", str(data), "--only", "songs", "--checkpoint", "none", *workers]
        root = Path(__file__).resolve().parents[1]
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=root, check=False)
        assert done.returncode == 0, done.stderr
        found: dict = json.loads(done.stdout.splitlines()[-1])
        del found["val"]["wall_s"]
        return found

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    try:
        assert figures("--ray", cluster.address) == figures("--workers", "1")
    finally:
        cluster.shutdown()
