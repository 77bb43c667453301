"""The fit of bar rhythms to people's charts, on songs that the networks were not trained on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from mapper.data.corpus import open_corpus
from mapper.network.checkpoint import save_mapper
from mapper.network.model import Mapper
from mapper.pretraining import fit_rhythm
from mapper.pretraining.windows import FOLDS
from mapper.structure.rhythm import STAR_KNOTS, RhythmSettings
from mapper.structure.settings import settings
from mapper.tokens.vocabulary import ModelConfig
from mapper.train import TrainConfig, charts_by_part
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
            for fold in range(FOLDS)
        ]
        for chart in corpus.split("train")
    ]
    assert np.sum(left, axis=1).tolist() == [1] * len(left)


def test_the_fit_finds_the_rhythm_that_the_log_odds_tell(data, network, tmp_path):
    """Log-odds that know the chart, and settings whose noise drowns them: the search lets the log-odds speak."""
    networks = dict.fromkeys(range(FOLDS), network)
    found = [one for _, one in fit_rhythm.examples(open_corpus(data), network, networks, most=1, seed=0)]
    found = [replace(one, logit=np.where(one.heads, 3.0, -3.0)) for one in found]
    people = fit_rhythm.measures(found, [one.heads for one in found])
    drowned = RhythmSettings(0.1, 3.0, 1.0, 3.0, 3.0, 0.0, 0.0, 3.0, 3.0)
    before = fit_rhythm.score(found, people, drowned, seed=1)
    best, after = fit_rhythm.search(found, drowned, rounds=25, seed=1)
    assert after.value > before.value
    assert after.f1 > before.f1
    assert best != drowned


def test_the_command_writes_settings_and_keeps_what_it_did_not_fit(data, network, tmp_path):
    names = [str(tmp_path / f"{fold}.safetensors") for fold in range(FOLDS)]
    for name in names:
        save_mapper(network, Path(name))
    arguments = [str(data), *names, "-o", str(tmp_path / "s.json"), "--rounds", "1"]
    result = CliRunner().invoke(fit_rhythm.main, arguments)
    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert np.allclose(written["begin"], settings().begin, atol=1e-4)
    assert {len(values) for values in written["rhythm"].values()} == {len(STAR_KNOTS)}
