"""Rollouts inside whole charts: what is written, what a section is worth in its chart, and how holds are kept."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch

from chart.model import Chart
from env.monitor.evaluate import chart_from, sampling_for, write_piece
from env.policy.action_heads import ActionHeads, PolicySampling
from env.ppo.chart_rollout import Charts, chart_returns, chart_with, write_charts
from env.ppo.density_bias import DENSITY_PERTURBATION
from env.ppo.rollout import WrittenSections, write
from env.returns.chart_return import value_charts
from env.task import dynamics as core
from env.task import kernels
from env.task.episodes import SectionConfig, Target, section_at
from env.task.songs import SongSet
from mapper.network.model import Mapper
from mapper.sampling.kernels import next_hold_bias
from mapper.tokens.row_codes import STARTS_HOLD, Rows
from reward.total import Weights
from runtime.errors import ConfigError
from tests.env_cases import library, tiny_mapper

ONE_PHRASE = SectionConfig(phrases=1)


def mapper() -> Mapper:
    """A small mapper that writes a row on about every other slot it may."""
    model = tiny_mapper()
    with torch.no_grad():
        model.onset[-1].bias.fill_(0.0)
    return model


@lru_cache(maxsize=1)
def charts() -> Charts:
    return write_charts(library(), mapper(), 2, 4, ONE_PHRASE, np.random.default_rng(0))


def rewritten(found: Charts, versions: int = 3) -> WrittenSections:
    judge = ActionHeads(mapper(), PolicySampling())
    return write(library(), judge, found.sections, versions, [0], going_on=found.going_on)


def test_charts_lean_both_ways_and_tell_how_far_they_are_off() -> None:
    found, again = charts(), charts.__wrapped__()
    leanings = found.leanings
    half = leanings.lean.reshape(2, 2, 2)
    np.testing.assert_allclose(half[:, 0] - half[:, 1], 2 * DENSITY_PERTURBATION, atol=1e-6)
    np.testing.assert_array_equal(leanings.heard[0], leanings.heard[3])
    np.testing.assert_array_equal(leanings.off, again.leanings.off)
    np.testing.assert_allclose(leanings.off, np.concatenate([one.off for one in found.values]), rtol=1e-6)
    assert leanings.stars.tolist() == pytest.approx([one.target.stars for one in found.sections])
    lengths = np.array([len(rows) for rows in found.rows]).reshape(2, 2, 2).sum(2)
    assert (lengths[:, 0] > lengths[:, 1]).all(), "those that lean to more rows have more"


def test_sections_go_on_from_the_mappers_own_charts() -> None:
    found = charts()
    for rows, section in zip(found.rows, found.sections, strict=True):
        before = rows.slot[(rows.slot >= section.window_slot) & (rows.slot < section.first_slot)]
        np.testing.assert_array_equal(section.before.slot, before)
    written = rewritten(found)
    assert not np.array_equal(written.lean[:3].numpy(), written.lean[6:9].numpy()), "the halves lean differently"
    assert written.hold_lean[0, 0] == found.going_on.hold_lean[0]


def test_a_section_written_anew_leaves_the_rest_of_its_chart() -> None:
    found = charts()
    rows, section = found.rows[0], found.sections[0]
    piece = library().pieces[section.piece]
    state = rewritten(found).state
    first, known = state.numbers[0, kernels.FIRST_COUNT], state.numbers[0, kernels.COUNT]
    spliced = chart_with(rows, section, piece, state.tokens[0, first:known])
    before = chart_from(rows, piece, section.target.stars)
    start, end = piece.grid.slot_ms[[section.first_slot, section.end_slot]]

    def outside(chart: Chart) -> list[tuple[float, int]]:
        inside = (chart.time_ms >= start) & (chart.time_ms < end)
        return list(zip(chart.time_ms[~inside].tolist(), chart.column[~inside].tolist(), strict=True))

    assert outside(spliced) == outside(before)
    inside = np.unique(spliced.time_ms[(spliced.time_ms >= start) & (spliced.time_ms < end)])
    noted = [token[kernels.SLOT] for token in state.tokens[0, first:known]]
    assert set(inside) <= set(piece.grid.slot_ms[np.array(noted, int) + section.window_slot].tolist())


def test_versions_earn_against_their_siblings_what_their_charts_are_worth() -> None:
    found = charts()
    written = rewritten(found)
    reward, total = chart_returns(library(), found, written.state, 3, Weights())
    assert reward.shape == (24, 4)
    np.testing.assert_allclose(reward.reshape(8, 3, 4).sum(1), 0.0, atol=1e-9)
    assert np.abs(reward[:, 3]).max() > 0
    assert (reward[:, :3] == 0).all(), "a phrase is paid with its last bar"
    assert ((total > 0) & (total < 1)).all()


def test_charts_keep_the_share_of_holds_they_were_told() -> None:
    written = write_piece(mapper(), library().pieces[0], [3.0] * 4, seed=0)
    share = np.concatenate([chart.is_hold for chart in written]).mean()
    assert share == pytest.approx(Target.typical(3.0, 1).hold_share, abs=0.03)
    assert sampling_for([Target(3.0, 5.0, 0.25, 1)], 0).hold_share.tolist() == [0.25]


def test_the_policy_keeps_the_share_of_holds_as_the_sampler_does() -> None:
    found = charts()
    written = rewritten(found)
    env = int(written.steps.argmax())
    steps, wrote = written.steps[env], written.decisions.offset[env] < 96
    lean = float(written.hold_lean[env, 0])
    for step in range(steps):
        assert written.hold_lean[env, step] == pytest.approx(lean, abs=1e-4)
        if wrote[step]:
            lean = next_hold_bias(lean, int(written.decisions.code[env, step]), 0.1)
    assert next_hold_bias(0.0, 1, 0.1) > 0 > next_hold_bias(0.0, 2, 0.1), "missing holds become likelier"


def test_a_hold_lean_makes_holds_likelier_to_the_policy() -> None:
    found = charts()
    many = found.going_on.hold_lean + np.float32(5.0)
    few = found.going_on.hold_lean - np.float32(20.0)
    shares = []
    for lean in (many, few):
        judge = ActionHeads(mapper(), PolicySampling())
        going_on = replace(found.going_on, hold_lean=lean)
        written = write(library(), judge, found.sections, 3, [0], going_on=going_on)
        first = written.decisions.code[:, 0][written.decisions.offset[:, 0] < 96]
        shares.append(STARTS_HOLD[first].mean())
    assert shares[0] > 0.9
    assert shares[1] < 0.1


def test_a_harder_phrase_is_paid_where_charts_are_too_easy(monkeypatch: pytest.MonkeyPatch) -> None:
    piece = library().pieces[0]
    rows = piece.humans[0].rows
    sparse = Rows(rows.slot[::2], rows.code[::2] & 0b01010101)
    two = [chart_from(one, piece, 6.0) for one in (Rows(rows.slot, rows.code & 0b01010101 | 1), sparse)]
    monkeypatch.setattr("env.returns.chart_return.LEVEL_WEIGHT", 0.0)
    without = value_charts(two, piece, 6.0, 0)
    monkeypatch.setattr("env.returns.chart_return.LEVEL_WEIGHT", 0.5)
    found = value_charts(two, piece, 6.0, 0)
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
    assert found.whole[0] > found.whole[1]
    assert found.off[1] > 1, "counts as four levels off"
    assert np.isfinite(found.phrase).all()


def test_a_section_with_nothing_in_it_is_a_gap_in_its_chart() -> None:
    piece = library().pieces[0]
    rows = piece.humans[0].rows
    section = section_at(library(), 0, 3, 1, Target.typical(2.5, 1), rows)
    state = core.initial(library(), [section])
    gap = chart_with(rows, section, piece, state.tokens[0, :0])
    start, end = piece.grid.slot_ms[[section.first_slot, section.end_slot]]
    assert not ((gap.time_ms >= start) & (gap.time_ms < end)).any()
    assert (gap.time_ms < start).any()
    assert (gap.time_ms >= end).any()


def test_too_short_songs_are_refused() -> None:
    first = library().pieces[0]
    short = SongSet.of([replace(first, phrases=first.phrases[:, :2])])
    with pytest.raises(ConfigError, match="no song of the library has room for sections of 2 phrases"):
        write_charts(short, mapper(), 1, 2, SectionConfig(phrases=2), np.random.default_rng(0))
