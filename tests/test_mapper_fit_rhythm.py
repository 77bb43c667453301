"""Log-odds on held-out songs, and the fit of bar rhythms to people's charts."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.numpy import save_file

from mapper.data.batches import WindowSampler, collate
from mapper.data.corpus import open_corpus
from mapper.network.checkpoint import save_mapper
from mapper.network.model import Mapper
from mapper.pretraining import fit_rhythm, held_out
from mapper.structure.rhythm import STAR_KNOTS, RhythmSettings
from mapper.structure.settings import settings
from mapper.tokens.vocabulary import ModelConfig
from mapper.train import TrainConfig, charts_by_part
from runtime.errors import ConfigError
from tests.test_mapper_train import data as dataset

data = dataset  # the fixture: two songs of clicks


@pytest.fixture(scope="module")
def network() -> Mapper:
    torch.manual_seed(3)
    return Mapper(ModelConfig()).eval()


def test_every_training_chart_is_left_out_of_one_fold_alone(data):
    corpus = open_corpus(data)
    left = [
        [
            chart not in charts_by_part(corpus, TrainConfig(str(data), "", leave_out=fold))["loss"]
            for fold in range(held_out.FOLDS)
        ]
        for chart in corpus.split("train")
    ]
    assert np.sum(left, axis=1).tolist() == [1] * len(left)


def test_logits_of_a_chart_are_those_of_its_windows(data, network):
    sampler = WindowSampler(open_corpus(data))
    logits = held_out.onset_logits(network, sampler, 0)
    assert logits.size == sampler.prepared(0).grid.slot_ms.size
    batch = collate([sampler.stretch(0, 0)])
    with torch.no_grad():
        window = network.encode(batch.cells, network.control_vectors(batch.controls)[0], batch.window).onset_logit[0]
    middle = slice(0, min(logits.size, window.numel()))  # one window holds the song
    np.testing.assert_allclose(logits[middle], window.numpy()[middle], atol=1e-4)


def test_another_file_than_log_odds_is_refused_by_name(tmp_path):
    (tmp_path / "notes.txt").write_text("no log-odds", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"notes.txt: no log-odds can be read"):
        held_out.read_logits(tmp_path / "notes.txt")


def test_the_fit_finds_the_rhythm_that_the_log_odds_tell(data, network, tmp_path):
    """Log-odds that know the chart, and settings whose noise drowns them: the search lets the log-odds speak."""
    corpus = open_corpus(data)
    chart = corpus.split("train")[0]
    slots = WindowSampler(corpus).prepared(chart).grid.slot_ms.size
    logit = np.full(slots, -3.0, np.float32)
    logit[corpus.chart_rows(chart).slot] = 3.0
    found = [one for _, one in fit_rhythm.examples(corpus, network, {chart: logit}, most=1, seed=0)]
    people = fit_rhythm.measures(found, [one.heads for one in found])
    drowned = RhythmSettings(0.1, 3.0, 1.0, 3.0, 3.0, 0.0, 0.0, 3.0, 3.0)
    before = fit_rhythm.score(found, people, drowned, seed=1)
    best, after = fit_rhythm.search(found, drowned, rounds=25, seed=1)
    assert after.value > before.value
    assert after.f1 > before.f1
    assert best != drowned


def test_the_command_writes_settings_and_keeps_what_it_did_not_fit(data, network, tmp_path):
    corpus = open_corpus(data)
    chart = corpus.split("train")[0]
    logit = np.zeros(WindowSampler(corpus).prepared(chart).grid.slot_ms.size, np.float16)
    save_file({str(chart): logit}, tmp_path / "logits.safetensors")
    arguments = [str(data), str(tmp_path / "logits.safetensors"), "-o", str(tmp_path / "s.json"), "--rounds", "1"]
    result = CliRunner().invoke(fit_rhythm.main, arguments)
    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert np.allclose(written["begin"], settings().begin, atol=1e-4)
    assert {len(values) for values in written["rhythm"].values()} == {len(STAR_KNOTS)}


def test_logits_are_written_for_the_songs_that_a_network_was_not_trained_on(data, network, tmp_path):
    for fold in range(held_out.FOLDS):
        save_mapper(network, tmp_path / f"{fold}.safetensors")
    names = [str(tmp_path / f"{fold}.safetensors") for fold in range(held_out.FOLDS)]
    result = CliRunner().invoke(held_out.main, [str(data), *names, "-o", str(tmp_path / "logits.safetensors")])
    assert result.exit_code == 0, result.output
    assert set(held_out.read_logits(tmp_path / "logits.safetensors")) == set(open_corpus(data).split("train"))
