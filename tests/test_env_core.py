"""The rules of writing: rows that may be written, when bars and sections end, observations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chart.model import Chart
from chart.problems import find_problems
from env.returns.section_return import Job, chart_of
from env.task import dynamics, kernels
from env.task.dynamics import MASK_SIZE
from env.task.episodes import PHRASE_BARS, EpisodeConfig, draw_outline, episode_of
from env.task.kernels import OFFSETS
from mapper.tokens.row_codes import LEGAL, STARTS_HOLD, SYMBOLS, held_states, legal_rows
from runtime.errors import ConfigError
from tests.env_cases import episode_at, library, obedient


def state_of(*episodes) -> dynamics.State:  # type: ignore[no-untyped-def]
    return dynamics.initial(library(), list(episodes) or [episode_at()])


def act(state: dynamics.State, offset: int, code: int) -> int:
    return int(dynamics.step(library(), state, np.array([offset]), np.array([code]))[0])


def test_legal_rows_fit_the_held_columns_as_the_mapper_defines_it() -> None:
    assert (legal_rows()[:, 0, 0] == LEGAL).all()


def test_late_holds_and_resting_columns_are_not_legal() -> None:
    table = legal_rows()
    assert table[0, 0, 1].tolist() == (LEGAL[0] & ~STARTS_HOLD).tolist()
    assert table[0, 0b0101, 0].tolist() == (LEGAL[0] & (SYMBOLS[:, [0, 2]] == 0).all(1)).tolist()


def test_a_tap_is_written_on_the_slot_of_the_action() -> None:
    state = state_of()
    assert act(state, 5, 1) == kernels.WROTE
    rows = state.rows_of(0)
    assert (rows.code.tolist(), rows.slot.tolist()) == ([1], [state.episodes[0].first_slot + 5])


@pytest.mark.parametrize(
    ("offset", "code", "why"),
    [
        (0, 0, "a row without an event"),
        (0, 3, "the end of a hold that is not held"),
        (1, 1, "a slot of the beat's grid that is closed or a column at rest"),
        (0, -7, "no row code"),
    ],
)
def test_illegal_rows_are_not_written(offset: int, code: int, why: str) -> None:
    state = state_of()
    act(state, 0, 1)
    assert act(state, offset, code) == kernels.ILLEGAL, why
    assert len(state.rows_of(0)) == 1


def test_choosing_no_slot_ends_the_section_and_all_its_bars() -> None:
    state = state_of()
    for _ in range(8):
        assert not state.over[0]
        act(state, OFFSETS, 0)
    assert state.over[0]
    assert state.bars_done.tolist() == [8]
    before = state.numbers.copy()
    act(state, 0, 1)
    assert (state.numbers == before).all(), "an episode that is over stays as it is"


def test_bars_are_done_when_the_scan_has_passed_them() -> None:
    state = state_of()
    done = []
    for _ in range(8):
        act(state, OFFSETS - 1, 1)
        done.append(int(state.bars_done[0]))
    assert done == list(range(1, 9))


def test_no_hold_begins_in_the_last_two_beats_of_a_section() -> None:
    state = state_of()
    late = state.numbers[0, kernels.LATE_TICK]
    slots = library().slots
    slot = int(
        np.flatnonzero(
            (slots.tick[: state.numbers[0, kernels.END_SLOT]] > late)
            & slots.open_slots[: state.numbers[0, kernels.END_SLOT]]
        )[0]
    )
    state.numbers[0, kernels.SCAN] = slot - 1
    assert act(state, 0, 2) == kernels.ILLEGAL


def test_columns_still_held_are_released_on_the_last_slot() -> None:
    state = state_of()
    act(state, 0, 2)
    while not state.over[0]:
        act(state, OFFSETS, 0)
    rows = state.rows_of(0)
    assert (rows.slot[-1], rows.code[-1]) == (state.episodes[0].end_slot - 1, 3)


def test_the_hold_bias_follows_the_rows_as_the_samplers_does() -> None:
    state = state_of()
    act(state, 0, 1)
    assert state.arrays.hold_bias[0] > 0, "holds are missing"
    act(state, 12, 2)
    assert state.arrays.hold_bias[0] < 0


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), context=st.sampled_from(["open", "chart"]))
def test_rows_that_the_mask_allows_make_a_valid_chart(seed: int, context: str) -> None:
    random = np.random.default_rng(seed)
    config = EpisodeConfig(context=context)
    outline = draw_outline(library(), config, random)
    one = episode_of(library(), outline, config, outline.human)
    state = state_of(one)
    while not state.over[0]:
        action = obedient(dynamics.observe(library(), state)["mask"], random)
        dynamics.step(library(), state, action[:, 0], action[:, 1])
    for phrase in range(one.bars // PHRASE_BARS):
        chart = chart_of(library(), state, Job(0, phrase, PHRASE_BARS, 0))
        assert not [problem for problem in find_problems(chart) if "timing" not in problem.message]
    rows = one.chart_with(state.rows_of(0, since_start=True))
    assert (np.diff(rows.slot) > 0).all()
    assert held_states(rows.code)[-1] == 0


def test_the_rows_before_a_section_are_known() -> None:
    human = library().songs[0].humans[0].rows
    one = episode_at(stars=2.5, rows=human)
    known = state_of(one).rows_of(0)
    assert len(known) > 10
    assert known.slot.tolist() == human.slot[human.slot < one.first_slot][-len(known) :].tolist()
    first = int(np.searchsorted(human.slot, known.slot[0]))
    assert held_states(human.code[:first])[-1] == 0 if first else True, "no column is held before the first"


def test_observations_show_masks_and_the_beat() -> None:
    state = state_of()
    seen = dynamics.observe(library(), state)
    assert seen["mask"].shape == (1, MASK_SIZE)
    ahead = seen["ahead"].reshape(OFFSETS, dynamics.AHEAD)
    assert ahead[0, 2] == 0, "the section begins on a beat"
    assert ahead[6 * 4, 2] == 0, "24 slots further is the next beat"
    assert (ahead[:, 1] == seen["mask"][0, :OFFSETS]).all()
    assert seen["target"][0, 0] == 3.0


def test_episodes_depend_on_the_seed() -> None:
    one, same, other = (draw_outline(library(), EpisodeConfig(), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (one.song, one.phrase, one.target) == (same.song, same.phrase, same.target)
    assert (one.phrase, one.target) != (other.phrase, other.target)


def test_drafts_of_one_seed_differ_in_section_and_density() -> None:
    config = EpisodeConfig(phrases=1, context="draft")
    drawn = [draw_outline(library(), config, np.random.default_rng(3), variant) for variant in range(6)]
    assert len({(one.song, one.target, one.seed) for one in drawn}) == 1
    assert len({one.phrase for one in drawn}) > 1
    assert [one.onset_bias > 0 for one in drawn] == [True, False] * 3


def test_a_section_in_a_chart_keeps_the_rows_behind_it() -> None:
    human = library().songs[0].humans[0].rows
    one = episode_at(stars=2.5, rows=human, context="chart")
    assert one.draft is not None
    assert one.after is not None
    assert one.draft.slot[0] >= one.first_slot
    assert one.end_slot <= one.after.slot[0]
    state = state_of(one)
    while not state.over[0]:
        act(state, OFFSETS, 0)
    chart: Chart = chart_of(library(), state, Job(0, 1, PHRASE_BARS, 0))
    assert (chart.time_ms >= one.bar_ms[-1] - 2).sum() > 0
    symbols = SYMBOLS[one.after.code]
    held = np.cumsum((symbols == 2).astype(int) - (symbols == 3), axis=0)
    assert (held >= 0).all(), "no release without its hold"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"phrases": 0}, "--phrases is 0; give 1–4 phrases"),
        ({"min_stars": 4.0, "max_stars": 2.0}, "are no range of stars"),
        ({"context": "song"}, "context is 'song'; give one of open, chart, draft"),
    ],
)
def test_invalid_settings_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EpisodeConfig(**options)


def test_a_song_set_of_short_songs_is_refused() -> None:
    from env.task.songs import demo_songs

    with pytest.raises(ConfigError, match="no song of the library has room for sections of 4 phrases"):
        draw_outline(demo_songs(beats=20), EpisodeConfig(phrases=4), np.random.default_rng(0))
