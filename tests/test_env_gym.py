"""The gymnasium and stable-baselines3 interfaces of the environment."""

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
from env.policy.chart_sampler import ChartSampler
from env.returns.section_return import ScoringConfig
from env.task import dynamics
from env.task.episodes import EpisodeConfig
from env.task.kernels import OFFSETS
from runtime.errors import ConfigError
from tests.env_cases import FEW, episode_at, library, obedient, tiny_mapper


@pytest.mark.parametrize("name", [env.CHART_ENV, env.EDIT_ENV])
def test_both_checkers_pass(name: str) -> None:
    made = gymnasium.make(name, scoring=FEW).unwrapped  # pytest turns warnings into errors
    check_env(made)
    check_env_sb3(made)
    assert (made.unwrapped.session.config.context == "chart") == (name == env.EDIT_ENV)


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
    made = ChartEnv(library(), EpisodeConfig(phrases=1), FEW)
    _, rewards, info, terminated, truncated = play_through(made, 3)
    illegal = -ILLEGAL_PENALTY * sum(1 for reward in rewards if reward == -ILLEGAL_PENALTY)
    assert abs(sum(rewards) - illegal - info["potential"]) < 0.03, "a penalty may fall on a bar's end"
    assert {"value", "fairness/level", "measure/fairness/level", "musicality/choice", "bar"} <= set(info)
    assert terminated
    assert not truncated


def test_an_illegal_action_costs_a_little_and_writes_nothing() -> None:
    made = ChartEnv(library(), scoring=FEW)
    seen, _ = made.reset(seed=1)
    after, reward, _, _, info = made.step(np.array([0, 0]))
    assert reward == -ILLEGAL_PENALTY
    assert info["illegal"]
    assert after["known"] == seen["known"]


def test_rendering_draws_the_written_rows() -> None:
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
    made = ChartEnv(library(), EpisodeConfig(context="chart"), ScoringConfig(players=32))
    made.reset(seed=2)
    state = made.session.state
    assert state is not None
    episode = state.episodes[0]
    assert episode.draft is not None
    total, done, info = 0.0, False, {}
    for slot, code in zip(episode.draft.slot, episode.draft.code, strict=True):
        if not done and slot < episode.end_slot:
            scan = int(made._observation()["place"][1])
            _, reward, done, _, info = made.step(np.array([slot - scan - 1, code]))
            total += reward
    while not done:
        _, reward, done, _, info = made.step(np.array([OFFSETS, 0]))
        total += reward
    assert abs(total) < 0.15
    assert 0 < info["chart/total"] < 1


def test_a_section_of_a_draft_is_paid_with_its_whole_chart() -> None:
    drafter = ChartSampler(tiny_mapper(onset=0.0), library()).draft
    made = ChartEnv(library(), EpisodeConfig(phrases=1, context="draft"), FEW, drafter)
    _, rewards, info, *_ = play_through(made, 4)
    original = made.session.drafts()[0]
    assert info["chart/total"] < original.values.total[0], "rows at random, only just legal"
    assert rewards[-1] < -0.02, "the last bar is paid with the loss of the whole chart"
    assert info["target/stars"] == original.outline.target.stars


def test_drafts_need_a_drafter() -> None:
    made = ChartEnv(library(), EpisodeConfig(context="draft"), FEW)
    with pytest.raises(ConfigError, match="give the environment a drafter"):
        made.reset(seed=0)


def test_vectorised_environments_are_valued_and_begin_anew() -> None:
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
            assert last["progress"][0] == 1.0 or last["known"][0] >= 320
            assert seen["progress"][number, 0] == 0.0, "a new section has begun"
            assert infos[number]["TimeLimit.truncated"] is False
    assert ends >= 3
    assert rewards.mean() > 0


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


def test_a_vectorised_environment_is_the_single_one() -> None:
    many, single = ChartVecEnv(library(), 2, scoring=FEW, seed=8), ChartEnv(library(), scoring=FEW)
    seen = many.reset()
    own, _ = single.reset(seed=9)  # the second of seed 8
    random, rewards = np.random.default_rng(1), []
    for _ in range(40):
        assert all((seen[name][1] == own[name]).all() for name in own)  # type: ignore[index]
        actions = obedient(seen["mask"], random)  # type: ignore[index]
        seen, reward, *_ = many.step(actions)
        own, mine, ended, *_ = single.step(actions[1])
        rewards.append((float(reward[1]), mine))
        if ended:
            break
    both = np.array(rewards)
    np.testing.assert_allclose(both[:, 0], both[:, 1], atol=1e-6)
    assert both.any()


def test_versions_share_an_episode_and_wait_for_one_another() -> None:
    many = ChartVecEnv(library(), 4, EpisodeConfig(phrases=1), FEW, versions=2)
    seen = many.reset()
    assert (seen["place"][0] == seen["place"][1]).all()  # type: ignore[index]
    assert (seen["target"][0] != seen["target"][2]).any()  # type: ignore[index]
    actions, ends = np.tile([OFFSETS, 0], (4, 1)), 0
    for _ in range(12):
        taken = many.steps_taken
        _, reward, dones, _ = many.step(actions)
        ends += int(dones.sum())
    assert ends == 4, "each ends once"
    assert many.steps_taken == taken, "an environment that is over takes no steps"
    assert not reward.any()
    assert (many.reset()["progress"] == 0).all()  # type: ignore[index]
    with pytest.raises(ConfigError, match="5 environments cannot hold 1 sections in 2 versions each"):
        ChartVecEnv(library(), 5, versions=2)


def test_rows_of_an_observation_are_those_of_the_state() -> None:
    state = dynamics.initial(library(), [episode_at(rows=library().songs[0].humans[0].rows)])
    seen = dynamics.observe(library(), state)
    rows = seen["rows"].reshape(-1, 2)[: seen["known"][0, 0]]
    assert rows[:, 1].tolist() == state.rows_of(0).slot.tolist()


def test_the_example_trains_a_plain_policy(capsys: pytest.CaptureFixture[str]) -> None:
    import runpy
    from pathlib import Path

    path = Path(__file__).resolve().parents[1] / "examples" / "train_plain_policy.py"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 60
    runpy.run_path(str(path))["main"](256, 4)
    assert "after 256 steps" in capsys.readouterr().out
