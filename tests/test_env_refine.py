"""The command from end to end on the synthetic songs: it learns, evaluates, saves, resumes, and refuses damaged files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from env.monitor.evaluate import STARS, EvaluationSet, evaluate_charts
from env.plot_curves import draw_curves, read_curves
from env.ppo.ppo import SectionPPO, Settings
from env.refine import HELD_OUT_EVERY, RefineConfig, main, refine, split_songs
from env.refine_ensemble import main as main_of_seeds
from mapper.data.corpus import ChartEntry, Corpus, SongEntry
from mapper.network.checkpoint import load_mapper, save_mapper
from runtime.errors import ConfigError
from tests.env_cases import library, tiny_mapper, vector

QUICK = {"groups": 2, "versions": 2, "minibatches": 1, "epochs": 1, "evaluate_every": 2, "save_every": 1, "players": 4}


@pytest.fixture
def synthetic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refinement on the synthetic songs with a small mapper."""

    def prepared(config: RefineConfig):  # type: ignore[no-untyped-def]
        torch.manual_seed(config.seed)
        settings = Settings(
            updates=config.updates,
            density_only=config.rollout == "density",
            minibatches=1,
            learning_rate=1e-3,
            seed=config.seed,
        )
        ppo = SectionPPO(vector(versions=2, count=4), tiny_mapper(), settings)
        return ppo, EvaluationSet(library(), sections=2, versions=2, charts=1)

    monkeypatch.setattr("env.refine.prepare", prepared)


def config(out: Path, **changes) -> RefineConfig:  # type: ignore[no-untyped-def]
    return RefineConfig(songs="synthetic", out=str(out), phrases=1, **(QUICK | changes))


@pytest.mark.usefixtures("synthetic")
def test_a_run_leaves_weights_config_and_curves_and_resumes(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    first = refine(config(tmp_path, updates=2))
    assert {"held_out/reward", "held_out/skill_error", "charts/total", "auditors/ngram_bits"} <= set(first)
    assert json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))["versions"]["torch"]
    assert load_mapper(tmp_path / "refined.safetensors").config == tiny_mapper().config
    before = torch.load(tmp_path / "state.pt", weights_only=True)
    assert before["updates"] == 2
    refine(config(tmp_path, updates=3))
    saved = torch.load(tmp_path / "state.pt", weights_only=True)
    assert saved["updates"] == 3
    events = EventAccumulator(str(tmp_path), size_guidance={"images": 0, "audio": 0}).Reload()
    steps = [event.step for event in events.Scalars("rollout/reward")]
    assert steps == sorted(steps)
    assert steps[-1] == saved["steps"] > before["steps"]
    assert len(steps) == 3, "one point an update, none twice"
    assert {"leash/kl", "held_out/reward", "guard/hold_drift", "train/entropy"} <= set(events.Tags()["scalars"])
    assert "charts/0" in events.Tags()["images"]
    assert "charts/0" in events.Tags()["audio"]
    curves = read_curves(tmp_path)
    assert [update for update, _ in curves["held_out/reward"]] == [0, 2, 3]
    draw_curves([tmp_path], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("synthetic")
def test_seeds_are_refined_merged_and_the_density_fitted(tmp_path: Path) -> None:
    save_mapper(tiny_mapper(), tmp_path / "init")
    options = ["--songs", "synthetic", "--init", str(tmp_path / "init"), "--seeds", "2", "--updates", "1"]
    command = [*options, "--density-updates", "1", "-o", str(tmp_path / "run")]
    result = CliRunner().invoke(main_of_seeds, command)
    assert result.exit_code == 0, result.output
    run = tmp_path / "run"
    made = {name: load_mapper(run / name) for name in ("merged.safetensors", "refined.safetensors")}
    assert made["refined.safetensors"].config == tiny_mapper().config
    saved = {name: (run / name / "state.pt").read_bytes() for name in ("seed0", "seed1", "density")}
    assert CliRunner().invoke(main_of_seeds, command).exit_code == 0
    assert saved == {name: (run / name / "state.pt").read_bytes() for name in saved}, "finished runs do not run again"


def test_a_folder_without_a_run_has_no_curves(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no log of a refinement"):
        read_curves(tmp_path)
    with pytest.raises(ConfigError, match="no such folder; give the folder of a refinement run"):
        read_curves(tmp_path / "nowhere")


@pytest.mark.usefixtures("synthetic")
def test_a_damaged_state_is_one_line_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(b"garbage")
    result = CliRunner().invoke(main, ["--songs", "synthetic", "-o", str(tmp_path), "--updates", "1"])
    assert result.exit_code == 1
    assert "state.pt: damaged" in result.stderr
    assert "remove it to start anew" in result.stderr


def test_a_folder_that_is_no_dataset_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--songs", str(tmp_path), "-o", str(tmp_path / "run")])
    assert result.exit_code == 1
    assert "not a dataset" in result.stderr


def corpus_of(songs: int) -> Corpus:
    import numpy as np

    entries = tuple(SongEntry(f"{n}", "", "", "train" if n else "val", (0, 10), 1000.0, 0.0) for n in range(songs))
    charts = tuple(
        ChartEntry(song, "", 3.0, 1, 5.0, 0.1, (0, 1), ((0.0, 500.0, 4),), 0, ()) for song in range(songs) for _ in "ab"
    )
    return Corpus(entries, charts, np.zeros((10, 64), np.uint8), np.zeros((1, 2), np.int32))


def test_held_out_songs_are_never_trained_on_and_val_is_not_touched() -> None:
    corpus = corpus_of(40)
    learnt, held = split_songs(corpus)
    songs = [{corpus.charts[chart].song for chart in part} for part in (learnt, held)]
    assert not songs[0] & songs[1]
    assert 0 not in songs[0] | songs[1], "val"
    assert len(songs[1]) == 5 == (39 + HELD_OUT_EVERY - 1) // HELD_OUT_EVERY
    few, same = split_songs(corpus, max_songs=3)
    assert len({corpus.charts[chart].song for chart in few}) == 3
    assert same == held


def test_too_few_songs_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("mapper.data.corpus.open_corpus", lambda folder: corpus_of(2))
    with pytest.raises(ConfigError, match="few: fewer than two songs in the train split"):
        refine(RefineConfig(songs="few", out=str(tmp_path)))
    assert all(split_songs(corpus_of(3))), "two are enough"


def test_whole_charts_are_measured_on_every_side() -> None:
    figures, charts = evaluate_charts(EvaluationSet(library(), charts=1), tiny_mapper(), seed=0)
    assert len(charts) == len(STARS)
    assert 0 <= figures["charts/total"] <= 1
    assert figures["charts/notes"] > 0
    assert 0.25 <= figures["charts/most_used_column"] <= 1
