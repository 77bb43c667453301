"""The gymnasium and stable-baselines3 faces of the environment."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_sb3

import env
from env.gym_api.chart_env import ChartEnv
from env.gym_api.session import ILLEGAL_PENALTY
from env.gym_api.vec_env import ChartVecEnv
from env.returns.section_return import ScoringConfig
from env.task.episodes import SectionConfig
from env.task.kernels import OFFSETS
from tests.env_cases import library, obedient

FEW = ScoringConfig(players=4)


@pytest.mark.parametrize("name", [env.CHART_ENV, env.EDIT_ENV])
def test_both_checkers_are_content(name: str) -> None:
    made = gymnasium.make(name, scoring=FEW).unwrapped  # pytest turns warnings into errors
    check_env(made)
    check_env_sb3(made)
    assert made.unwrapped.session.config.edit == (name == env.EDIT_ENV)


def test_the_docstring_has_gymnasiums_headings() -> None:
    headings = [line.strip()[3:] for line in (ChartEnv.__doc__ or "").splitlines() if line.strip().startswith("## ")]
    assert headings == [
        "Description",
        "Action Space",
        "Observation Space",
        "Rewards",
        "Starting State",
        "Episode End",
        "Arguments",
        "Version History",
    ]


def play_through(made: ChartEnv, seed: int) -> tuple[list, list[float], dict, bool, bool]:
    random = np.random.default_rng(seed)
    seen, _ = made.reset(seed=seed)
    observations, rewards = [seen], []
    for _ in range(3000):
        seen, reward, terminated, truncated, info = made.step(obedient(seen["mask"], random)[0])
        observations.append(seen)
        rewards.append(reward)
        if terminated or truncated:
            return observations, rewards, info, terminated, truncated
    raise AssertionError("the episode does not end")


def test_two_copies_with_one_seed_are_equal_and_another_seed_is_not() -> None:
    one, two, other = (play_through(ChartEnv(library(), scoring=FEW), seed) for seed in (5, 5, 6))
    assert one[1] == two[1]
    for left, right in zip(one[0], two[0], strict=True):
        assert all((left[name] == right[name]).all() for name in left)
    assert one[1] != other[1]


def test_rewards_sum_to_the_potential_and_info_has_every_term() -> None:
    _, rewards, info, terminated, truncated = play_through(ChartEnv(library(), scoring=FEW), 3)
    illegal = -ILLEGAL_PENALTY * sum(1 for reward in rewards if reward == -ILLEGAL_PENALTY)
    assert abs(sum(rewards) - illegal - info["potential"]) < 0.03, "a penalty may fall on a bar's end"
    assert {"value", "fairness/level", "measure/fairness/level", "musicality/choice", "bar"} <= set(info)
    assert truncated != terminated


def test_the_last_section_of_a_song_terminates_and_others_truncate() -> None:
    from env.task.episodes import Target, section_at

    made = ChartEnv(library(), scoring=FEW)
    ends = {}
    piece = library().pieces[0]
    last = int(np.flatnonzero(piece.phrases[0] < piece.grid.slot_ms[piece.last_slot])[-1]) - 1
    for phrase in (2, last):
        made.reset(seed=0)
        from env.task import dynamics as core

        assert made.session.state is not None
        core.put(library(), made.session.state, 0, section_at(library(), 0, phrase, 2, Target.typical(3.0, 1), None))
        for _ in range(20):
            _, _, terminated, truncated, _ = made.step(np.array([OFFSETS, 0]))
            if terminated or truncated:
                ends[phrase] = (terminated, truncated)
                break
    assert ends == {2: (False, True), last: (True, False)}


def test_an_impossible_action_costs_a_little_and_writes_nothing() -> None:
    made = ChartEnv(library(), scoring=FEW)
    seen, _ = made.reset(seed=1)
    after, reward, _, _, info = made.step(np.array([0, 0]))
    assert reward == -ILLEGAL_PENALTY
    assert info["illegal"]
    assert after["known"] == seen["known"]


def test_rendering_draws_what_is_written() -> None:
    made = ChartEnv(library(), scoring=FEW, render_mode="rgb_array")
    made.reset(seed=1)
    before = made.render()
    random = np.random.default_rng(0)
    for _ in range(40):
        made.step(obedient(made.action_masks(), random)[0])
    after = made.render()
    assert before is not None
    assert after is not None
    assert before.dtype == np.uint8
    assert before.shape[2] == 3
    assert (before != after).any()


def test_an_edit_that_repeats_the_draft_earns_nothing() -> None:
    made = ChartEnv(library(), SectionConfig(edit=True), ScoringConfig(players=32))
    made.reset(seed=2)
    state = made.session.state
    assert state is not None
    section = state.sections[0]
    assert section.draft is not None
    total, done = 0.0, False
    for slot, code in zip(section.draft.slot, section.draft.code, strict=True):
        scan = int(made._observation()["place"][2]) + section.window_slot
        _, reward, *ends, info = made.step(np.array([slot - scan - 1, code]))
        assert "illegal" not in info
        total, done = total + reward, any(ends)
    while not done:
        _, reward, *ends, _ = made.step(np.array([OFFSETS, 0]))
        total, done = total + reward, any(ends)
    assert abs(total) < 0.03


def test_the_vectorised_environment_is_the_single_one() -> None:
    many = ChartVecEnv(library(), 3, scoring=FEW, seed=4)
    seen = many.reset()
    random, rewards, ends = np.random.default_rng(1), np.zeros(3), 0
    for _ in range(400):
        assert (many.action_masks() == seen["mask"].astype(bool)).all()
        seen, reward, dones, infos = many.step(obedient(seen["mask"], random))
        rewards += reward
        for number in np.flatnonzero(dones):
            ends += 1
            last = infos[number]["terminal_observation"]
            assert last["progress"][0] == 1.0 or last["known"][0] == 256
            assert seen["progress"][number, 0] == 0.0, "a new section has begun"
            assert isinstance(infos[number]["TimeLimit.truncated"], bool)
    assert ends >= 3
    assert (rewards > 0).all()


def test_vectorised_seeds_act() -> None:
    def first(seed: int) -> list:
        return ChartVecEnv(library(), 4, scoring=FEW, seed=seed).reset()["target"].tolist()

    assert first(1) == first(1)
    assert first(1) != first(2)
    again = ChartVecEnv(library(), 2, scoring=FEW)
    again.seed(9)
    one = again.reset()["target"].tolist()
    again.seed(9)
    assert one == again.reset()["target"].tolist()
