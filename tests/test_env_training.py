"""Training: stable-baselines3 steps the environment, advantages, KL control, PPO that climbs, runs that resume."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

import env
from env.monitor.reward_hacking import degraded_metrics, holds_kept
from env.ppo.ppo import AdaptiveKL, SectionBuffer, Settings, hold_rate_kl
from env.ppo.returns import by_bar, by_last_step, generalised_advantage, leave_one_out_advantage
from env.refine import RefineConfig
from env.task.episodes import EpisodeConfig
from runtime.errors import ConfigError
from runtime.training.resume import load_state, save_state
from tests.env_cases import FEW, SMALL, algorithm, collect, library, update


def test_advantages_are_the_hand_formula() -> None:
    reward = np.array([[1.0, 0.0, 2.0], [0.5, 9.0, 9.0]])
    value = np.array([[0.1, 0.2, 0.3], [0.4, 9.0, 9.0]], np.float32)
    taken = np.array([[True, True, True], [True, False, False]])
    found = generalised_advantage(reward, value, taken, 0.9)
    last = 2.0 - 0.3
    middle = 0.0 + 0.3 - 0.2 + 0.9 * last
    first = 1.0 + 0.2 - 0.1 + 0.9 * middle
    np.testing.assert_allclose(found, [[first, middle, last], [0.5 - 0.4, 0, 0]], atol=1e-6)


def test_versions_are_compared_bar_by_bar() -> None:
    reward = np.array([[1.0, 0.0], [0.0, 0.0], [5.0, 1.0], [5.0, 3.0]])
    assert leave_one_out_advantage(reward, 2).tolist() == [[1.0, 0.0], [-1.0, 0.0], [0.0, -2.0], [0.0, 2.0]]


def test_rewards_are_summed_by_bar_and_come_back_with_the_bars_last_step() -> None:
    bar = np.array([[0, 0, 1, 3], [0, 2, 2, 2]])
    taken = np.array([[True] * 4, [True, True, False, False]])
    reward = np.array([[0.0, 1.0, 2.0, 4.0], [8.0, 16.0, 99.0, 99.0]])
    summed = by_bar(reward, bar, taken, 4)
    assert summed.tolist() == [[1.0, 2.0, 0.0, 4.0], [8.0, 0.0, 16.0, 0.0]]
    assert by_last_step(summed, bar, taken).tolist() == [[0.0, 1.0, 2.0, 4.0], [8.0, 16.0, 0.0, 0.0]]


def test_the_kl_coefficient_rises_when_too_far_and_falls_when_near() -> None:
    control = AdaptiveKL(0.02, 1.0)
    control.adapt(0.1)
    assert control.coefficient > 1.0
    tight = control.coefficient
    control.adapt(0.02)
    assert control.coefficient == tight
    control.adapt(0.001)
    assert control.coefficient < tight
    with pytest.raises(ConfigError, match="--leash is 0; give the nats"):
        AdaptiveKL(0)


def test_the_hold_term_pushes_back_where_holds_become_likelier() -> None:
    usual = torch.zeros(2, 256).log_softmax(1)
    logits = torch.zeros(2, 256)
    logits[0, 2], logits[1, 1] = 9.0, 9.0  # likelier a hold in one row, less likely in the other: the mean is kept
    logits.requires_grad_(True)
    drift = hold_rate_kl(logits.log_softmax(1), usual)
    assert float(hold_rate_kl(usual, usual)) == 0.0
    assert float(drift.detach()) > 0.2
    drift.backward()
    assert logits.grad is not None
    assert float(logits.grad[0, 2]) > 0, "descending makes the hold less likely"
    assert float(logits.grad[1, 1]) > 0


def test_the_hold_term_is_the_divergence_of_two_coins() -> None:
    one, two = (torch.full((1, 256), -30.0) for _ in "ab")
    for row, chance in ((one, 0.1), (two, 0.05)):
        row[0, 2], row[0, 1] = np.log(chance), np.log(1 - chance)
    expected = 0.1 * np.log(2) + 0.9 * np.log(0.9 / 0.95)
    assert float(hold_rate_kl(one, two)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("context", ["draft", "open", "chart"])
def test_logged_timesteps_are_the_steps_that_the_environment_took(context: str) -> None:
    ppo = collect(algorithm(context=context))
    lengths = [info["l"] for info in ppo.ep_info_buffer]  # type: ignore[union-attr]
    assert len(lengths) == 8, "every section is written"
    assert ppo.num_timesteps == sum(lengths) == ppo.env.get_attr("steps_taken")[0]  # type: ignore[union-attr]
    buffer = ppo.rollout_buffer
    assert isinstance(buffer, SectionBuffer)
    assert buffer.batch is not None
    assert buffer.batch.taken.sum(1).tolist() == ppo.env.get_attr("session")[0].steps.tolist()  # type: ignore[union-attr]
    rewards = [info["r"] for info in ppo.ep_info_buffer]  # type: ignore[union-attr]
    assert buffer.bar_reward.sum() == pytest.approx(sum(rewards), abs=1e-3)


def test_evaluate_policy_on_the_registered_environment_returns_what_training_logs() -> None:
    """Same seeds of environments and policy: registered environments, one a version, against those that training steps."""
    ppo = collect(algorithm(context="open"))
    logged = sorted((info["l"], round(info["r"], 4)) for info in ppo.ep_info_buffer)  # type: ignore[union-attr]
    options = {"library": library(), "episodes": EpisodeConfig(phrases=1), "scoring": FEW}
    made = DummyVecEnv([lambda: Monitor(gymnasium.make(env.CHART_ENV, **options))] * 8)
    first, noise = np.random.SeedSequence([ppo.settings.seed, 0]).generate_state(2).tolist()
    made._seeds = [first % 2**31 + 4 * (number // 4) for number in range(8)]  # four versions of two sections
    ppo.policy.reseed(noise)
    rewards, lengths = evaluate_policy(ppo.policy, made, 8, deterministic=False, return_episode_rewards=True)
    assert isinstance(rewards, list)
    assert isinstance(lengths, list)
    found = sorted((length, round(reward, 4)) for reward, length in zip(rewards, lengths, strict=True))
    assert [length for length, _ in found] == [length for length, _ in logged]
    np.testing.assert_allclose([reward for _, reward in found], [reward for _, reward in logged], atol=2e-4)
    assert np.mean(rewards) == pytest.approx(np.mean([info["r"] for info in ppo.ep_info_buffer]), abs=1e-4)  # type: ignore[union-attr]


def test_minibatches_hold_every_section_once() -> None:
    ppo = collect(algorithm())
    buffer = ppo.rollout_buffer
    assert isinstance(buffer, SectionBuffer)
    seen = [env for envs in buffer.minibatches(2, np.random.default_rng(0)) for env in envs.tolist()]
    assert sorted(seen) == list(range(8))
    assert buffer.batch is not None
    left = buffer.batch.left
    assert float(left[:, 0].min()) == 1.0
    assert bool(((left >= 0) & (left <= 1)).all())


def test_before_any_update_the_divergence_is_nothing_and_ratios_are_one() -> None:
    ppo = update(algorithm(replace(SMALL, learning_rate=0.0)))
    logged = ppo.logger.name_to_value
    assert abs(logged["leash/kl"]) < 1e-6
    assert abs(logged["train/step_kl"]) < 1e-5
    assert logged["train/clipped_share"] == 0.0


def test_ppo_climbs_a_reward_that_is_easy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rewarded for notes in column 0 alone, the mapper learns to write there."""
    ratio: list[float] = []

    def paid(session, state, bars, reward, infos) -> None:  # type: ignore[no-untyped-def]
        for number in np.flatnonzero(state.over & (bars < 4)):
            codes = state.rows_of(int(number), since_start=True).code
            reward[number] = (codes & 3 == 1).sum() / max(codes.size, 1)
            ratio.append(float(reward[number]))

    monkeypatch.setattr("env.gym_api.session.Session._pay_bars", paid)
    ppo = algorithm(Settings(minibatches=1, epochs=2, learning_rate=3e-3, kl_target=10.0), context="open")
    ppo.adaptive_kl.coefficient = 0.0
    update(ppo, 14)
    assert np.mean(ratio[-24:]) > np.mean(ratio[:24]) + 0.05, "about five standard errors"


def test_training_is_the_same_for_a_seed() -> None:
    def after(seed: int) -> torch.Tensor:
        ppo = update(algorithm(replace(SMALL, seed=seed)))
        return ppo.policy.mapper.next_code.weight.detach().clone()

    assert torch.equal(after(1), after(1))
    assert not torch.equal(after(1), after(2))


def test_density_alone_moves_at_its_last_update_and_leaves_rows_as_they_are() -> None:
    ppo = algorithm(replace(SMALL, density_only=True, updates=2))
    before = {name: value.clone() for name, value in ppo.policy.mapper.state_dict().items()}

    def changed() -> set[str]:
        now = ppo.policy.mapper.state_dict()
        return {name for name, value in now.items() if not torch.equal(value, before[name])}

    update(ppo)
    assert not changed()
    once = ppo.density.seen.clone()
    update(ppo)
    assert changed() == {"lean.weight", "lean.bias"}
    assert (ppo.density.seen.diagonal() >= once.diagonal()).all(), "nothing is forgotten"
    assert ppo.num_timesteps > 0


def test_a_resumed_run_equals_one_that_never_stopped(tmp_path: Path) -> None:
    whole = update(algorithm(), 2)
    half = update(algorithm(), 1)
    save_state(tmp_path, half.state() | {"before": {}, "best": 0.0})
    again = algorithm(seed=7)
    saved = load_state(tmp_path, "cpu", again.state())
    assert saved is not None
    again.restore(saved)
    update(again, 1)
    assert (again.updates, again.num_timesteps) == (whole.updates, whole.num_timesteps)
    assert again.adaptive_kl.coefficient == whole.adaptive_kl.coefficient
    for name, tensor in whole.policy.state_dict().items():
        assert torch.equal(tensor, again.policy.state_dict()[name]), name


def test_the_alarm_names_auditors_that_get_worse_while_the_reward_rises() -> None:
    before = {"held_out/reward": 0.9, "auditors/ngram_bits": 2.8, "charts/hold_share": 0.1}
    assert degraded_metrics(before, before | {"held_out/reward": 0.95}) == []
    worse = before | {"held_out/reward": 0.95, "auditors/ngram_bits": 3.2, "charts/hold_share": 0.04}
    found = degraded_metrics(before, worse)
    assert [text.split()[0] for text in found] == ["auditors/ngram_bits", "charts/hold_share"]
    assert degraded_metrics(before, worse | {"held_out/reward": 0.9}) == [], "no rise, nothing gamed"


def test_a_checkpoint_with_another_hold_ratio_is_not_kept() -> None:
    before = {"charts/hold_share": 0.1, "held_out/hold_share": 0.09}
    assert holds_kept(before, {"charts/hold_share": 0.12, "held_out/hold_share": 0.3})
    assert not holds_kept(before, {"charts/hold_share": 0.33})
    assert not holds_kept(before, {"charts/hold_share": 0.0})
    assert holds_kept({}, before), "the first evaluation"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"updates": 0}, "--updates must be at least 1, not 0"),
        ({"versions": 1}, "--versions is 1; versions are compared with one another"),
        ({"charts": 3}, "--charts is 3; half of them are written denser: give an even number"),
        ({"rollout": "songs"}, "--rollout is 'songs'; give one of charts, density, sections, edits"),
        (
            {"rollout": "sections", "groups": 1, "versions": 2, "minibatches": 3},
            "--minibatches 3 are more than the 2 ep",
        ),
        (
            {"songs_a_rollout": 1, "charts": 2, "versions": 2, "minibatches": 5},
            "--minibatches 5 are more than the 4 ep",
        ),
    ],
)
def test_invalid_settings_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RefineConfig(songs="data", out="run", **options)
