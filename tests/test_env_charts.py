"""Drafts around sections: how they are written, and the worth of a chart."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from chart.model import Chart
from env.gym_api.session import Session
from env.monitor.evaluate import write_song
from env.policy.chart_sampler import ChartSampler
from env.policy.draft_sampling import Draft, draft_sampling
from env.ppo.density_bias import density_samples
from env.returns.chart_return import chart_reward, value_charts
from env.returns.section_return import chart_from
from env.task.episodes import DENSITY_PERTURBATION, NO_ROWS, Outline, Target
from mapper.structure.plan import StructurePlan
from mapper.tokens.row_codes import STARTS_NOTE, Rows
from tests.env_cases import episode_at, library, tiny_mapper, vector


@lru_cache(maxsize=1)
def sampler() -> ChartSampler:
    return ChartSampler(tiny_mapper(onset=0.0), library())


@lru_cache(maxsize=1)
def session() -> Session:
    """Two songs with two drafts each, a section of each in two versions."""
    env = vector(versions=2, drafter=sampler().draft)
    env.reset()
    return env.get_attr("session")[0]


def test_drafts_are_written_denser_and_sparser_and_measured() -> None:
    drafts = session().drafts()
    assert len(drafts) == 4
    found = density_samples(sampler(), drafts)
    np.testing.assert_allclose(found.bias[0::2] - found.bias[1::2], 2 * DENSITY_PERTURBATION, atol=1e-6)
    np.testing.assert_array_equal(found.encoding[0], found.encoding[1])
    np.testing.assert_allclose(found.off, [one.values.off[one.number] for one in drafts], rtol=1e-6)
    lengths = [len(one.rows) for one in drafts]
    assert lengths[0] > lengths[1]
    assert lengths[2] > lengths[3]


def test_a_draft_depends_on_its_seed_and_not_on_those_beside_it() -> None:
    outlines = [one.outline for one in session().drafts()]
    together, alone, other = sampler().draft(outlines), sampler().draft(outlines[3:]), sampler().draft(outlines[:1])
    np.testing.assert_array_equal(together[3].slot, alone[0].slot)
    np.testing.assert_array_equal(together[3].code, alone[0].code)
    changed = Outline(outlines[0].song, 0, outlines[0].target, outlines[0].seed + 1, outlines[0].onset_bias)
    assert not np.array_equal(sampler().draft([changed])[0].slot, other[0].slot)


def test_sections_continue_the_mappers_own_charts() -> None:
    state = session().state
    assert state is not None
    for env, episode in enumerate(state.episodes):
        original = session().originals[env]
        assert original is not None
        whole = episode.chart_with(episode.draft or NO_ROWS)
        inside = (original.rows.slot >= episode.first_slot) & (original.rows.slot < episode.end_slot)
        assert set(original.rows.slot[inside]) <= set(whole.slot)
        assert state.arrays.hold_bias[env] == episode.hold_bias
    assert state.episodes[0].onset_bias == -state.episodes[2].onset_bias


def test_a_new_section_leaves_the_rest_of_its_chart() -> None:
    song, human = library().songs[0], library().songs[0].humans[0].rows
    episode = episode_at(rows=human, context="chart")
    before = chart_from(human, song, 3.0)
    after = chart_from(episode.chart_with(NO_ROWS), song, 3.0)
    start, end = song.grid.slot_ms[[episode.first_slot, episode.end_slot - 1]]

    def outside(chart: Chart) -> list[tuple[float, int]]:
        inside = (chart.time_ms >= start) & (chart.time_ms <= end)
        return list(zip(chart.time_ms[~inside].tolist(), chart.column[~inside].tolist(), strict=True))

    assert outside(after) == outside(before)
    assert not ((after.time_ms >= start) & (after.time_ms <= end)).any()


def test_charts_keep_the_requested_hold_ratio() -> None:
    written = write_song(tiny_mapper(onset=0.0), library().songs[0], [3.0] * 4, seed=0)
    ratio = np.concatenate([chart.is_hold for chart in written]).mean()
    assert ratio == pytest.approx(Target.typical(3.0, 1).hold_ratio, abs=0.03)


def test_drafts_have_rows_where_the_plan_of_their_song_has_them() -> None:
    outline = session().drafts()[0].outline
    (rows,) = sampler().draft([outline])
    song = library().songs[outline.song]
    plan = StructurePlan(song.grid, song.features, song.lag_ms, seed=0)
    writer = sampler()
    draft = Draft(outline.target, 2 * outline.seed + 1, 0.6, writer.encode(outline.song, outline.target), plan)
    sampling = draft_sampling([draft, draft], np.array([0, 960]), 960 + song.grid.slot_ms.size)
    assert outline.onset_bias == pytest.approx(0.4)  # times the onset weight, 1.5, is the bias above
    assert sampling.uniforms is not None
    planned = np.flatnonzero(sampling.uniforms[0] < 0)
    np.testing.assert_array_equal(np.flatnonzero(sampling.uniforms[1] < 0), planned + 960)
    started = rows.slot[STARTS_NOTE[rows.code]]
    assert len(started) > 10
    assert np.isin(started, planned).all()


def two_charts() -> list[Chart]:
    """A dense and a sparse chart of the first song."""
    song = library().songs[0]
    rows = song.humans[0].rows
    sparse = Rows(rows.slot[::2], rows.code[::2] & 0b01010101)
    return [chart_from(one, song, 6.0) for one in (Rows(rows.slot, rows.code & 0b01010101 | 1), sparse)]


def test_a_harder_section_is_paid_where_the_chart_is_too_easy(monkeypatch: pytest.MonkeyPatch) -> None:
    song = library().songs[0]
    found = value_charts(two_charts(), [song] * 2, [6.0] * 2, [0] * 2)
    assert (found.off < 0).all(), "too easy for 6 stars"
    assert found.off[0] > found.off[1]
    monkeypatch.setattr("env.returns.chart_return.CHART_WEIGHT", 0.0)
    assert chart_reward(episode_at(), song, (found, 1), (found, 0)) > 0
    assert chart_reward(episode_at(), song, (found, 0), (found, 1)) < 0
    assert chart_reward(episode_at(), song, (found, 1), (found, 1)) == 0


def test_the_rise_of_a_chart_counts_as_often_as_sections_go_into_it() -> None:
    song = library().songs[0]
    found = value_charts(two_charts(), [song] * 2, [6.0] * 2, [0] * 2)
    found.off[:] = 0.0
    one, two = (chart_reward(episode_at(phrases=n), song, (found, 1), (found, 0)) for n in (1, 2))
    assert one == pytest.approx((found.whole[0] - found.whole[1]) * song.phrases.shape[1])
    assert one == pytest.approx(2 * two)


def test_an_empty_chart_is_worth_nothing() -> None:
    song = library().songs[0]
    nothing = Chart.from_notes([], [], timing_points=song.timing_points)
    whole = chart_from(song.humans[0].rows, song, 2.5)
    found = value_charts([whole, nothing], [song] * 2, [2.5] * 2, [0] * 2)
    assert found.total[1] == 0.0
    assert found.whole[0] > found.whole[1]
    assert found.off[1] > 1, "counts as four levels off"
    assert np.isfinite(chart_reward(episode_at(), song, (found, 0), (found, 1)))


def test_charts_of_several_songs_are_valued_as_each_alone() -> None:
    songs = list(library().songs)
    charts = [chart_from(song.humans[0].rows, song, 2.5) for song in songs]
    both = value_charts(charts, songs, [2.5, 3.0], [1, 2])
    alone = value_charts(charts[1:], songs[1:], [3.0], [2])
    assert both.total[1] == pytest.approx(alone.total[0])
    np.testing.assert_allclose(both.levels[1], alone.levels[0])
