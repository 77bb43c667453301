"""Training: the buffer's arithmetic, the leash, PPO that climbs, runs that go on after a crash."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from stable_baselines3.common.logger import configure

from env.gym_api.vec_env import ChartVecEnv
from env.monitor.reward_hacking import degraded_metrics, holds_kept
from env.policy.action_heads import PolicySampling
from env.ppo.buffer import EpisodeBuffer, generalised_advantage
from env.ppo.hold_penalty import hold_rate_kl, holds_and_notes
from env.ppo.kl_control import AdaptiveKL
from env.ppo.ppo import SectionPPO, Settings, frozen_copy
from env.ppo.rollout import Returns
from env.refine import RefineConfig
from env.returns.section_return import ScoringConfig
from env.task import dynamics as core
from env.task import kernels
from env.task.episodes import SectionConfig, Target, section_at
from runtime.errors import ConfigError
from runtime.training.resume import load_state, save_state
from tests.env_cases import library, tiny_mapper

SMALL = Settings(songs=1, charts=2, versions=4, minibatches=2, epochs=1, learning_rate=1e-3)


def algorithm(settings: Settings = SMALL, seed: int = 0) -> SectionPPO:
    torch.manual_seed(seed)
    model = tiny_mapper()
    vector = ChartVecEnv(library(), 2, SectionConfig(phrases=1), ScoringConfig(players=4))
    ppo = SectionPPO(vector, model, frozen_copy(model), settings, PolicySampling(1.5, 0.5, 0.3))
    ppo.set_logger(configure(None, []))
    return ppo


def update(ppo: SectionPPO, count: int = 1) -> SectionPPO:
    """Some rollouts with their training."""
    _, callback = ppo._setup_learn(1, reset_num_timesteps=False)
    for _ in range(count):
        ppo.collect_rollouts(ppo.env, callback, ppo.rollout_buffer, 0)
        ppo.train()
    return ppo


def test_advantages_are_the_hand_formula() -> None:
    reward = np.array([[1.0, 0.0, 2.0], [0.5, 9.0, 9.0]])
    value = np.array([[0.1, 0.2, 0.3], [0.4, 9.0, 9.0]], np.float32)
    found = generalised_advantage(reward, value, np.array([3, 1]), 0.9)
    last = 2.0 - 0.3
    middle = 0.0 + 0.3 - 0.2 + 0.9 * last
    first = 1.0 + 0.2 - 0.1 + 0.9 * middle
    np.testing.assert_allclose(found, [[first, middle, last], [0.5 - 0.4, 0, 0]], atol=1e-6)


def test_the_leash_tightens_when_too_far_and_loosens_when_near() -> None:
    leash = AdaptiveKL(0.02, 1.0)
    leash.adapt(0.1)
    assert leash.coefficient > 1.0
    tight = leash.coefficient
    leash.adapt(0.02)
    assert leash.coefficient == tight
    leash.adapt(0.001)
    assert leash.coefficient < tight
    with pytest.raises(ConfigError, match="--leash is 0; give the nats"):
        AdaptiveKL(0)


def test_the_guard_sees_holds_become_likelier_and_pushes_back() -> None:
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


def test_the_drift_is_the_divergence_of_two_coins() -> None:
    one, two = (torch.full((1, 256), -30.0) for _ in "ab")
    for row, chance in ((one, 0.1), (two, 0.05)):
        row[0, 2], row[0, 1] = np.log(chance), np.log(1 - chance)
    expected = 0.1 * np.log(2) + 0.9 * np.log(0.9 / 0.95)
    assert float(hold_rate_kl(one, two)) == pytest.approx(expected, rel=1e-3)


def test_holds_and_notes_that_were_written_are_counted() -> None:
    section = section_at(library(), 0, 3, 2, Target.typical(3.0, 1), None)
    state = core.initial(library(), [section])
    core.step(library(), state, np.array([0]), np.array([2 | 4]))  # a hold and a tap
    core.step(library(), state, np.array([95]), np.array([3]))  # released a bar later
    holds, notes = holds_and_notes(state)
    assert holds.tolist() == [1]
    assert notes.tolist() == [2]


def test_minibatches_hold_every_episode_once_with_its_own_steps() -> None:
    ppo = algorithm()
    _, callback = ppo._setup_learn(1)
    ppo.collect_rollouts(ppo.env, callback, ppo.rollout_buffer, 0)
    buffer = ppo.rollout_buffer
    assert isinstance(buffer, EpisodeBuffer)
    assert buffer.written is not None
    seen = []
    for episodes in buffer.minibatches(2, np.random.default_rng(0), torch.device("cpu")):
        seen += episodes.numbers.tolist()
        assert episodes.taken.sum(1).tolist() == buffer.written.steps[episodes.numbers.numpy()].tolist()
        assert float(episodes.left[:, 0].min()) == 1.0
        assert bool(((episodes.left >= 0) & (episodes.left <= 1)).all())
    assert sorted(seen) == list(range(8))
    with pytest.raises(TypeError, match="takes whole rollouts"):
        buffer.add()


def test_before_any_update_the_divergence_is_nothing_and_ratios_are_one() -> None:
    ppo = algorithm(replace(SMALL, learning_rate=0.0))
    _, callback = ppo._setup_learn(1)
    ppo.collect_rollouts(ppo.env, callback, ppo.rollout_buffer, 0)
    ppo.train()
    logged = ppo.logger.name_to_value
    assert abs(logged["leash/kl"]) < 1e-6
    assert abs(logged["train/step_kl"]) < 1e-5
    assert logged["train/clipped_share"] == 0.0


def test_ppo_climbs_a_reward_that_is_easy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paid for notes in column 0 alone, the mapper learns to write there."""
    share: list[float] = []

    def paid(scorer, state, seeds) -> Returns:  # type: ignore[no-untyped-def]
        tokens, known, first = state.tokens, state.tokens_known, state.numbers[:, kernels.FIRST_COUNT]
        written = [tokens[env, first[env] : known[env], kernels.CODE] for env in range(len(known))]
        part = np.array([(codes & 3 == 1).sum() / max(codes.size, 1) for codes in written])
        share.append(float(part.mean()))
        reward = np.zeros((len(known), 4))
        reward[:, -1] = part
        return Returns(reward, {}, {})

    monkeypatch.setattr("env.ppo.ppo.section_returns", paid)
    ppo = algorithm(Settings(songs=0, groups=2, versions=8, minibatches=1, epochs=2, learning_rate=3e-3, leash=10.0))
    ppo.leash.coefficient = 0.0
    update(ppo, 14)
    assert np.mean(share[-3:]) > np.mean(share[:3]) + 0.1


def test_training_is_the_same_for_a_seed() -> None:
    def after(seed: int) -> torch.Tensor:
        ppo = update(algorithm(replace(SMALL, seed=seed)))
        return ppo.policy.mapper.next_code.weight.detach().clone()

    assert torch.equal(after(1), after(1))
    assert not torch.equal(after(1), after(2))


def test_density_alone_moves_at_its_last_update_and_leaves_rows_as_they_are() -> None:
    ppo = algorithm(replace(SMALL, density=2))
    before = {name: value.clone() for name, value in ppo.policy.mapper.state_dict().items()}

    def changed() -> set[str]:
        now = ppo.policy.mapper.state_dict()
        return {name for name, value in now.items() if not torch.equal(value, before[name])}

    update(ppo)
    assert not changed()
    once = ppo.leaning.seen.clone()
    update(ppo)
    assert changed() == {"lean.weight", "lean.bias"}
    assert (ppo.leaning.seen.diagonal() >= once.diagonal()).all(), "nothing is forgotten"
    assert ppo.num_timesteps > 0


def test_a_run_that_goes_on_is_one_that_never_stopped(tmp_path: Path) -> None:
    whole = update(algorithm(), 2)
    half = update(algorithm(), 1)
    save_state(tmp_path, half.state() | {"before": {}, "best": 0.0})
    again = algorithm(seed=7)
    saved = load_state(tmp_path, "cpu", again.state())
    assert saved is not None
    again.restore(saved)
    update(again, 1)
    assert (again.updates, again.num_timesteps) == (whole.updates, whole.num_timesteps)
    assert again.leash.coefficient == whole.leash.coefficient
    for name, tensor in whole.policy.state_dict().items():
        assert torch.equal(tensor, again.policy.state_dict()[name]), name


def test_the_alarm_hears_auditors_that_get_worse_while_the_reward_rises() -> None:
    before = {"held_out/reward": 0.9, "auditors/ngram_bits": 2.8, "charts/hold_share": 0.1}
    assert degraded_metrics(before, before | {"held_out/reward": 0.95}) == []
    worse = before | {"held_out/reward": 0.95, "auditors/ngram_bits": 3.2, "charts/hold_share": 0.04}
    found = degraded_metrics(before, worse)
    assert [text.split()[0] for text in found] == ["auditors/ngram_bits", "charts/hold_share"]
    assert degraded_metrics(before, worse | {"held_out/reward": 0.9}) == [], "no rise, nothing gamed"


def test_a_checkpoint_that_sells_holds_is_not_kept() -> None:
    before = {"charts/hold_share": 0.1, "held_out/hold_share": 0.09}
    assert holds_kept(before, {"charts/hold_share": 0.12, "held_out/hold_share": 0.3})
    assert not holds_kept(before, {"charts/hold_share": 0.33})
    assert not holds_kept(before, {"charts/hold_share": 0.0})
    assert holds_kept({}, before), "the first evaluation"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"updates": 0}, "--updates must be at least 1, not 0"),
        ({"versions": 1}, "--versions is 1; a version needs siblings"),
        ({"charts": 3}, "--charts is 3; half of them lean to more rows: give an even number"),
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
def test_settings_that_make_no_sense_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RefineConfig(songs="data", out="run", **options)
