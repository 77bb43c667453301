"""The rules of writing: what may be written, when bars and sections end, what is observed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chart.model import Chart
from chart.problems import find_problems
from env.returns.section_return import Job, chart_of
from env.task import dynamics as core
from env.task import kernels
from env.task.dynamics import MASK_SIZE
from env.task.episodes import PHRASE_BARS, SectionConfig, Target, draw_section, section_at
from env.task.kernels import OFFSETS
from mapper.tokens.row_codes import LEGAL, STARTS_HOLD, SYMBOLS, Rows
from runtime.errors import ConfigError
from tests.env_cases import library, obedient


def section(**options):  # type: ignore[no-untyped-def]
    return section_at(library(), 0, 3, 2, Target.typical(3.0, 1), None, **options)


@pytest.mark.parametrize("held", range(16))
def test_rows_are_legal_as_the_mapper_defines_it(held: int) -> None:
    ours = [kernels.is_legal(code, held, False, 0) for code in range(256)]
    assert ours == LEGAL[held].tolist()


def test_late_holds_and_resting_columns_are_not_legal() -> None:
    late = [kernels.is_legal(code, 0, True, 0) for code in range(256)]
    assert late == (LEGAL[0] & ~STARTS_HOLD).tolist()
    resting = [kernels.is_legal(code, 0, False, 0b0101) for code in range(256)]
    assert resting == (LEGAL[0] & (SYMBOLS[:, [0, 2]] == 0).all(1)).tolist()


def test_a_tap_is_written_where_the_action_says() -> None:
    state = core.initial(library(), [section()])
    result = core.step(library(), state, np.array([5]), np.array([1]))
    assert result.tolist() == [kernels.WROTE]
    token = state.tokens[0, 1]
    assert token[[kernels.CODE, kernels.SLOT]].tolist() == [
        1,
        state.sections[0].first_slot - state.sections[0].window_slot + 5,
    ]


@pytest.mark.parametrize(
    ("offset", "code", "why"),
    [
        (0, 0, "a row without an event"),
        (0, 3, "the end of a hold that is not held"),
        (1, 1, "a slot of the beat's grid that is closed or a column at rest"),
    ],
)
def test_impossible_rows_are_not_written(offset: int, code: int, why: str) -> None:
    state = core.initial(library(), [section()])
    core.step(library(), state, np.array([0]), np.array([1]))
    known = state.tokens_known.copy()
    result = core.step(library(), state, np.array([offset]), np.array([code]))
    assert result.tolist() == [kernels.ILLEGAL], why
    assert state.tokens_known.tolist() == known.tolist()


def test_looking_on_ends_the_section_and_all_its_bars() -> None:
    state = core.initial(library(), [section()])
    for _ in range(8):
        assert not state.over[0]
        core.step(library(), state, np.array([OFFSETS]), np.array([0]))
    assert state.over[0]
    assert state.bars_done.tolist() == [8]
    before = state.numbers.copy()
    core.step(library(), state, np.array([0]), np.array([1]))
    assert (state.numbers == before).all(), "what is over stays as it is"


def test_bars_are_done_when_the_scan_has_passed_them() -> None:
    state = core.initial(library(), [section()])
    done = []
    for _ in range(8):
        core.step(library(), state, np.array([OFFSETS - 1]), np.array([1]))
        done.append(int(state.bars_done[0]))
    assert done == list(range(1, 9))


def test_no_hold_begins_in_the_last_two_beats_of_a_song() -> None:
    piece = library().pieces[0]
    phrase = int(np.flatnonzero(piece.phrases[0] < piece.grid.slot_ms[piece.last_slot])[-1]) - 1
    state = core.initial(library(), [section_at(library(), 0, phrase, 2, Target.typical(3.0, 1), None)])
    late = state.numbers[0, kernels.LATE_TICK]
    slot = int(np.flatnonzero((library().tick > late) & library().open_slots)[0])
    state.numbers[0, kernels.SCAN] = slot - 1
    assert core.step(library(), state, np.array([0]), np.array([2])).tolist() == [kernels.ILLEGAL]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), edit=st.booleans())
def test_whatever_the_mask_allows_makes_a_valid_chart(seed: int, edit: bool) -> None:
    random = np.random.default_rng(seed)
    one = draw_section(library(), SectionConfig(edit=edit), random)
    state = core.initial(library(), [one])
    for _ in range(2000):
        if state.over[0]:
            break
        action = obedient(core.observe(library(), state)["mask"], random)
        core.step(library(), state, action[:, 0], action[:, 1])
    assert state.over[0]
    for phrase in range(one.bars // PHRASE_BARS):
        chart = chart_of(library(), state, Job(0, phrase, PHRASE_BARS, 0))
        assert not [problem for problem in find_problems(chart) if "timing" not in problem.message]
    rows = state.tokens[0, 1 : state.tokens_known[0]]
    assert (np.diff(rows[:, kernels.SLOT]) > 0).all()


def test_the_rows_before_a_section_are_known_to_it() -> None:
    human = library().pieces[0].humans[0]
    one = section_at(library(), 0, 3, 2, Target.typical(2.5, 1), human.rows)
    state = core.initial(library(), [one])
    known = state.tokens[0, 1 : state.tokens_known[0]]
    assert len(known) > 10
    assert (known[:, kernels.SLOT] + one.window_slot).tolist() == one.before.slot.tolist()
    last = np.searchsorted(human.rows.slot, one.first_slot)
    assert (known[:, kernels.HELD_AFTER_ROW] == human.held[last - len(known) : last]).all()
    tick = library().pieces[0].grid.tick
    assert known[1:, kernels.ELAPSED].tolist() == np.diff(tick[one.before.slot]).tolist()


def test_observations_show_masks_and_the_beat() -> None:
    state = core.initial(library(), [section()])
    seen = core.observe(library(), state)
    assert seen["mask"].shape == (1, MASK_SIZE)
    ahead = seen["ahead"].reshape(OFFSETS, core.AHEAD)
    assert ahead[0, 2] == 0, "the section begins on a beat"
    assert ahead[6 * 4, 2] == 0, "24 slots further is the next beat"
    assert (ahead[:, 1] == seen["mask"][0, :OFFSETS]).all()
    assert seen["target"][0, 0] == 3.0


def test_sections_hang_on_the_seed() -> None:
    drawn = [draw_section(library(), SectionConfig(), np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert (drawn[0].piece, drawn[0].first_slot, drawn[0].target) == (
        drawn[1].piece,
        drawn[1].first_slot,
        drawn[1].target,
    )
    assert (drawn[0].first_slot, drawn[0].target) != (drawn[2].first_slot, drawn[2].target)


def test_an_edited_section_keeps_what_stands_behind_it() -> None:
    rows = library().pieces[0].humans[0].rows
    one = section_at(library(), 0, 3, 2, Target.typical(2.5, 1), rows, edit=True)
    assert one.draft is not None
    assert one.after is not None
    assert one.draft.slot[0] >= one.first_slot
    assert one.draft.slot[-1] < one.end_slot <= one.after.slot[0]
    state = core.initial(library(), [one])
    for _ in range(8):
        core.step(library(), state, np.array([OFFSETS]), np.array([0]))
    chart: Chart = chart_of(library(), state, Job(0, 1, PHRASE_BARS, 0))
    assert (chart.time_ms >= one.bar_ms[-1] - 2).sum() > 0


def test_long_sections_leave_less_before_them() -> None:
    rows = Rows(library().pieces[0].humans[0].rows.slot, library().pieces[0].humans[0].rows.code)
    long = section_at(library(), 0, 4, 4, Target.typical(3.0, 1), rows)
    short = section_at(library(), 0, 4, 1, Target.typical(3.0, 1), rows)
    assert long.end_slot - long.window_slot <= 320 * 6
    assert long.window_slot > short.window_slot


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"phrases": 0}, "--phrases is 0; give 1–4 phrases"),
        ({"min_stars": 4.0, "max_stars": 2.0}, "are no range of stars"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SectionConfig(**options)


def test_a_library_of_short_songs_is_refused() -> None:
    from env.task.songs import demo_songs

    with pytest.raises(ConfigError, match="no song of the library has room for sections of 4 phrases"):
        draw_section(demo_songs(beats=20), SectionConfig(phrases=4), np.random.default_rng(0))
