"""Rollouts of whole charts: what is written, how its decisions are taken again, and what versions earn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from chart.errors import ConfigError
from chart.model import Chart
from env import core, kernels
from env.chart_rollout import ChartRollout, Played, play_charts
from env.chart_value import value_charts
from env.episode_buffer import EpisodeBuffer
from env.heldout import chart_from, sampling_for, write_piece
from env.judge import Judge, PolicySampling, states_of
from env.lean import DRAWN
from env.replay import hold_leans
from env.sections import SectionConfig, Target
from mapper.model import Mapper
from mapper.rows import Rows
from reward.total import Weights
from tests.env_cases import library, tiny_mapper

ONE_PHRASE = SectionConfig(phrases=1)


def mapper() -> Mapper:
    """A small mapper that writes a row on about every other slot it may."""
    model = tiny_mapper()
    with torch.no_grad():
        model.onset[-1].bias.fill_(0.0)
    return model


def played(config: ChartRollout = ChartRollout(2, 4, 2), seed: int = 0) -> Played:  # noqa: B008
    return play_charts(library(), mapper(), config, ONE_PHRASE, Weights(), np.random.default_rng(seed))


def test_the_decisions_taken_again_write_the_same_rows() -> None:
    found, wrote = played().written, 0
    for env, section in enumerate(found.state.sections):
        state = core.initial(library(), [section])
        for step in range(found.steps[env]):
            offset, code = (getattr(found.decisions, name)[env, step : step + 1] for name in ("offset", "code"))
            assert core.step(library(), state, offset, code)[0] != kernels.ILLEGAL
        known = int(state.tokens_known[0])
        assert known == found.state.tokens_known[env]
        np.testing.assert_array_equal(state.tokens[0, :known], found.state.tokens[env, :known])
        wrote += known - int(state.numbers[0, kernels.FIRST_COUNT])
    assert wrote > 50


def test_the_policy_finds_what_the_sampler_wrote_as_likely_as_it_would_have_drawn_it() -> None:
    """Over many decisions the mean of −log p is the entropy, if p is what they were drawn from."""
    model, found = mapper(), played(ChartRollout(4, 4, 3)).written
    buffer = EpisodeBuffer.__new__(EpisodeBuffer)
    buffer.gae_lambda = 1.0
    buffer.fill(found, np.zeros((len(found.steps), 4)))
    surprise, entropy = [], []
    for episodes in buffer.minibatches(1, np.random.default_rng(0), torch.device("cpu")):
        with torch.no_grad():
            state = states_of(model, episodes.reading.windows, episodes.tokens, episodes.reading.decisions.token)
            judged = Judge(model, PolicySampling()).judge(episodes.reading, state)
            without = replace(episodes.reading, lean=episodes.reading.lean + 3.0)
            other = Judge(model, PolicySampling()).judge(without, state)
        surprise += [(-one.log_prob[episodes.taken]).mean().item() for one in (judged, other)]
        entropy += [one.entropy()[episodes.taken].mean().item() for one in (judged, other)]
    assert surprise[0] == pytest.approx(entropy[0], rel=0.05)
    assert abs(surprise[1] - entropy[1]) > 0.3, "a lean that is not what was written with is told apart"


def test_versions_lean_both_ways_and_earn_against_each_other() -> None:
    config = ChartRollout(2, 4, 2)
    found, again = played(config), played(config)
    assert found.pairs.drawn.tolist() == pytest.approx([DRAWN, DRAWN, -DRAWN, -DRAWN] * 2)
    np.testing.assert_allclose(found.pairs.earned.reshape(2, 4).sum(1), 0.0, atol=1e-6)
    np.testing.assert_array_equal(found.pairs.heard[0], found.pairs.heard[3])
    halves = found.reward.reshape(-1, 2, found.reward.shape[1])
    np.testing.assert_allclose(halves.sum(1), 0.0, atol=1e-12)
    assert np.abs(found.reward[:, -1]).max() > 0
    np.testing.assert_array_equal(found.reward, again.reward)


def test_charts_keep_the_share_of_holds_they_were_told() -> None:
    charts = write_piece(mapper(), library().pieces[0], [3.0] * 4, seed=0)
    share = np.concatenate([chart.is_hold for chart in charts]).mean()
    assert share == pytest.approx(Target.typical(3.0, 1).hold_share, abs=0.03)
    assert sampling_for([Target(3.0, 5.0, 0.25, 1)], 0).hold_share.tolist() == [0.25]


def test_the_hold_lean_rises_without_holds_and_falls_with_them() -> None:
    leans = hold_leans(np.array([1, 1, 2, 0b101]), 0.1)  # tap, tap, hold, two taps
    np.testing.assert_allclose(np.diff(leans), 0.3 * np.array([0.1, 0.1, -0.9, 0.2]), rtol=1e-5)


def test_a_harder_phrase_is_paid_where_charts_are_too_easy(monkeypatch: pytest.MonkeyPatch) -> None:
    piece = library().pieces[0]
    rows = piece.humans[0].rows
    sparse = Rows(rows.slot[::2], rows.code[::2] & 0b01010101)
    charts = [chart_from(one, piece, 6.0) for one in (Rows(rows.slot, rows.code & 0b01010101 | 1), sparse)]
    monkeypatch.setattr("env.chart_value.LEVEL_WEIGHT", 0.0)
    without = value_charts(charts, piece, 6.0, 0)
    monkeypatch.setattr("env.chart_value.LEVEL_WEIGHT", 0.5)
    found = value_charts(charts, piece, 6.0, 0)
    assert (found.off < 0).all(), "too easy for 6 stars"
    paid = (found.phrase - without.phrase).mean(1)
    assert found.off[0] > found.off[1]
    assert paid[0] > paid[1]
    assert found.phrase.shape == (2, piece.phrases.shape[1])


def test_an_empty_chart_is_worth_nothing() -> None:
    piece = library().pieces[0]
    nothing = Chart.from_notes([], [], timing_points=piece.timing_points)
    whole = chart_from(piece.humans[0].rows, piece, 2.5)
    found = value_charts([whole, nothing], piece, 2.5, 0)
    assert found.total[1] == 0.0
    assert found.aimed[0] > found.aimed[1]
    assert np.isfinite(found.phrase).all()


def test_too_short_songs_are_refused() -> None:
    with pytest.raises(ConfigError, match="no song of the library has room for 90 sections of 1 phrases"):
        played(ChartRollout(1, 2, 90))
