"""The policy is the mapper: its log-probabilities are those of the sampler, its weights go in and come back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from env.gym_api.chart_env import action_space, observation_space
from env.policy import decision_kernels
from env.policy.action_heads import ActionHeads
from env.policy.chart_sampler import ChartSampler, PolicySampling, Request
from env.policy.decisions import DecisionBatch, decisions_of, states_of
from env.policy.distributions import NEVER, code_log_probs, entropy, kl, offset_log_probs
from env.policy.sb3_policy import MapperPolicy
from env.task import dynamics, kernels
from env.task.episodes import MAX_ROWS, NO_ROWS, EpisodeConfig, draw_outline, episode_of
from env.task.kernels import OFFSETS
from mapper.network.checkpoint import load_mapper, save_mapper
from mapper.network.model import Mapper
from mapper.sampling import sampler as sampler_module
from mapper.tokens.row_codes import Rows
from tests.env_cases import episode_at, library, tiny_mapper

WAYS = PolicySampling(1.5, 0.5, 0.5, 1.2)


def requests(count: int = 3, human: bool = True) -> list[Request]:
    """Sections behind a person's rows, of differing songs and targets."""
    random, config = np.random.default_rng(3), EpisodeConfig(human_ratio=float(human))
    found = []
    for number in range(count):
        outline = draw_outline(library(), config, random)
        one = episode_of(library(), outline, config, outline.human)
        bias = 0.3 * (number - 1)
        found.append(Request(one.song, one.target, one.first_slot, one.end_slot, one.context, bias, -bias))
    return found


def sampled(model: Mapper, requested: list[Request], versions: int, ways: PolicySampling = WAYS):  # type: ignore[no-untyped-def]
    """(requests, rows, batch of decisions) of several versions of each request."""
    every = [one for one in requested for _ in range(versions)]
    rows, timeline = ChartSampler(model, library(), ways).sections(every, np.arange(len(every)) + 1)
    return every, rows, decisions_of(model, every, rows, timeline)


@torch.no_grad()
@pytest.mark.parametrize("human", [True, False])
def test_sampled_actions_are_as_likely_as_the_heads_evaluate_them(human: bool) -> None:
    """The log-probabilities of some thousand decisions miss the negative entropy by chance alone (5 standard errors)."""
    model = tiny_mapper(onset=0.5)
    _, rows, batch = sampled(model, requests(human=human), 16)
    assert sum(map(len, rows)) > 1500
    found = ActionHeads(model, WAYS).evaluate(batch)
    taken = batch.taken
    for log_prob, choices in (
        (
            found.offsets.gather(2, batch.column(decision_kernels.OFFSET)[..., None]).squeeze(-1)[taken],
            found.offsets[taken],
        ),
        (found.codes.gather(1, batch.column(decision_kernels.CODE)[found.wrote][:, None])[:, 0], found.codes),
    ):
        chance = choices.exp()
        known = torch.where(choices > NEVER / 2, choices, 0.0)
        spread = (chance * (known + entropy(choices)[:, None]) ** 2).sum(-1).sum().sqrt()
        off = float((log_prob + entropy(choices)).sum() / spread)
        assert abs(off) < 5, f"{off:.1f} standard errors"
        assert log_prob.min() > NEVER / 2, "nothing impossible was sampled"


@torch.no_grad()
def test_teacher_forced_states_are_those_of_the_samplers_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows fill the cache more than once: the sampler reads its last rows anew, and so do the sequences."""
    kept: list = []

    class Noted(sampler_module._Writing):
        def __init__(self, *arguments) -> None:  # type: ignore[no-untyped-def]
            super().__init__(*arguments)
            kept.append(self)

    monkeypatch.setattr(sampler_module, "_Writing", Noted)
    model, requested = tiny_mapper(onset=1.0), [replace(one, end_slot=one.first_slot + 120) for one in requests(2)]
    requested.append(Request(0, requested[0].target, 60, 410, NO_ROWS))
    every, rows, _ = sampled(model, requested, 1)
    longer = [replace(one, end_slot=one.end_slot + OFFSETS) for one in every]  # a decision behind the last row
    batch = decisions_of(model, longer, rows, ChartSampler(model, library(), WAYS).timeline(longer))
    assert sampler_module.CACHE_ROWS + 20 < len(rows[2]) < MAX_ROWS
    state, token = states_of(model, batch), batch.column(decision_kernels.TOKEN)
    compared = 0
    for env, one in enumerate(every):
        behind = torch.nonzero(token[env] == len(one.rows) + len(rows[env]) - 1)[:, 0]
        if len(behind):
            compared += 1
            np.testing.assert_allclose(state[env, behind[0]].numpy(), kept[0].decoder[1].state[env], atol=5e-4)
    assert compared >= 2


def test_a_part_of_a_batch_is_evaluated_as_in_the_whole() -> None:
    model = tiny_mapper(onset=0.5)
    _, _, batch = sampled(model, requests(), 4)
    heads = ActionHeads(model, WAYS)
    envs = torch.tensor([7, 2, 9])
    part = batch.picked(envs)
    whole, own = heads.evaluate(batch).log_prob, heads.evaluate(part).log_prob
    assert part.taken.sum(1).tolist() == batch.taken.sum(1)[envs].tolist()
    steps = part.taken.shape[1]
    torch.testing.assert_close(own[part.taken], whole[envs, :steps][part.taken], atol=1e-4, rtol=1e-4)


def test_decisions_lead_to_the_rows_in_the_environment() -> None:
    every, rows, batch = sampled(tiny_mapper(onset=0.5), requests(), 2)
    config, random = EpisodeConfig(human_ratio=1.0), np.random.default_rng(3)
    outlines = [draw_outline(library(), config, random) for _ in range(3)]
    episodes = [episode_of(library(), one, config, one.human) for one in outlines for _ in range(2)]
    state = dynamics.initial(library(), episodes)
    decision = batch.decision.numpy()
    for step in range(decision.shape[1]):
        writing = ~state.over
        assert (writing == batch.taken[:, step].numpy()).all()
        offset, code = decision[:, step, decision_kernels.OFFSET], decision[:, step, decision_kernels.CODE]
        scan = state.numbers[:, kernels.SCAN] - state.numbers[:, kernels.BASE]
        result = dynamics.step(library(), state, offset, code)
        assert kernels.ILLEGAL not in result[writing]
        assert (scan + 1 < state.numbers[:, kernels.END_SLOT] - state.numbers[:, kernels.BASE])[writing].all()
    assert state.over.all()
    for env, own in enumerate(rows):
        written = state.rows_of(env, since_start=True)
        kept = own.slot[: MAX_ROWS - len(every[env].rows)]
        assert written.slot[: len(kept)].tolist() == kept.tolist()
        assert len(written) - len(kept) in (0, 1), "at most a release at the end"


def policy_of(model: Mapper, sampling: PolicySampling | None = None) -> MapperPolicy:
    return MapperPolicy(observation_space(), action_space(), lambda _: 1e-3, model, library(), sampling)


def observed(state: dynamics.State) -> dict[str, np.ndarray]:
    return dynamics.observe(library(), state)


def test_single_observations_give_the_same_log_probabilities_as_plans() -> None:
    policy = policy_of(tiny_mapper(onset=0.5), WAYS)
    human = library().songs[0].humans[0].rows
    state = dynamics.initial(library(), [episode_at(rows=human), episode_at(phrase=4, stars=5.0)])
    with torch.no_grad():
        for _ in range(6):
            seen = {name: torch.from_numpy(array) for name, array in observed(state).items()}
            actions, values, log_prob = policy(seen)
            own_values, own, entropies = policy.evaluate_actions(seen, actions)
            torch.testing.assert_close(own, log_prob, atol=1e-3, rtol=1e-3)
            torch.testing.assert_close(own_values, values, atol=1e-4, rtol=1e-3)
            assert (entropies > 0).all()
            dynamics.step(library(), state, *actions.numpy().T.copy())


def test_predicted_actions_are_legal_and_depend_on_the_seed() -> None:
    policy = policy_of(tiny_mapper(onset=0.5))

    def written(seed: int, deterministic: bool = False) -> list[list[int]]:
        policy.reseed(seed)
        state = dynamics.initial(library(), [episode_at(), episode_at(phrase=4)])
        while not state.over.all():
            actions, _ = policy.predict(observed(state), deterministic=deterministic)
            result = dynamics.step(library(), state, *actions.T.copy())
            assert kernels.ILLEGAL not in result
        return [state.rows_of(env).code.tolist() for env in range(2)]

    one, same, other = written(1), written(1), written(2)
    assert one == same
    assert one != other
    assert written(1, deterministic=True) == written(2, deterministic=True)


def test_a_policy_led_off_its_plan_makes_a_new_one() -> None:
    policy = policy_of(tiny_mapper(onset=0.5))
    state = dynamics.initial(library(), [episode_at(), episode_at(phrase=4)])
    for step in range(8):
        actions, _ = policy.predict(observed(state))
        if step == 3:
            actions[0] = (OFFSETS, 0)
        assert kernels.ILLEGAL not in dynamics.step(library(), state, *actions.T.copy())


def test_the_value_of_a_written_section_is_nothing() -> None:
    policy = policy_of(tiny_mapper())
    with torch.no_grad():
        policy.value_head.layers[2].bias.fill_(1.0)
    state = dynamics.initial(library(), [episode_at(), episode_at()])
    state.numbers[0, kernels.SCAN] = state.numbers[0, kernels.END_SLOT] - 1
    seen = {name: torch.from_numpy(array) for name, array in observed(state).items()}
    assert policy.predict_values(seen)[:, 0].tolist() == [0.0, 1.0]


@pytest.mark.parametrize("known", [MAX_ROWS, MAX_ROWS + 1])
def test_an_environment_that_is_full_waits_for_the_others(known: int) -> None:
    """One row more than are shown is known where holds were released at the end."""
    policy = policy_of(tiny_mapper(onset=0.5))
    state = dynamics.initial(library(), [episode_at(), episode_at(phrase=4)])
    seen = {name: torch.from_numpy(array) for name, array in observed(state).items()}
    seen["known"][0] = known
    actions, values, log_prob = policy(seen)
    assert actions[0].tolist() == [OFFSETS, 0]
    assert (values[0], log_prob[0]) == (0.0, 0.0)
    assert log_prob[1] < 0


def test_weights_go_in_and_come_back_bit_by_bit(tmp_path) -> None:  # type: ignore[no-untyped-def]
    save_mapper(tiny_mapper(), tmp_path / "in.safetensors")
    model = load_mapper(tmp_path / "in.safetensors")
    policy = policy_of(model)
    save_mapper(policy.mapper, tmp_path / "out.safetensors")
    before, after = load_mapper(tmp_path / "in.safetensors"), load_mapper(tmp_path / "out.safetensors")
    for name, tensor in before.state_dict().items():
        assert torch.equal(tensor, after.state_dict()[name]), name
    fresh = policy_of(tiny_mapper(5))
    fresh.load_state_dict(policy.state_dict())
    assert all(
        torch.equal(a, b) for a, b in zip(fresh.state_dict().values(), policy.state_dict().values(), strict=True)
    )


def test_the_encoder_is_frozen_and_dropout_never_runs() -> None:
    policy = policy_of(tiny_mapper())
    policy.set_training_mode(True)
    assert not policy.mapper.training
    assert not policy.mapper.stem.convolutions[0].weight.requires_grad
    assert policy.mapper.next_code.weight.requires_grad
    trained = {id(one) for group in policy.optimizer.param_groups for one in group["params"]}
    assert id(policy.mapper.slot_from_cell.weight) not in trained
    assert id(policy.mapper.onset[-1].weight) in trained
    assert id(policy.mapper.hazard_query.weight) in trained


def test_offsets_follow_the_hazard() -> None:
    logit = torch.tensor([[0.0, 2.0, -1.0]])
    is_open = torch.tensor([[True, False, True]])
    probability = offset_log_probs(logit, is_open).exp()[0]
    first, third = torch.sigmoid(torch.tensor([0.0, -1.0]))
    expected = torch.stack((first, torch.tensor(0.0), (1 - first) * third, (1 - first) * (1 - third)))
    torch.testing.assert_close(probability, expected)


def test_divergence_and_entropy_are_finite_where_choices_are_impossible() -> None:
    legal = torch.tensor([True, True, False])
    one, two = (code_log_probs(torch.tensor(values), legal) for values in ([0.0, 0.0, 9.0], [1.0, 0.0, 5.0]))
    half = torch.tensor([0.5, 0.5])
    other = torch.tensor([1.0, 0.0]).softmax(0)
    torch.testing.assert_close(kl(one, two), (half * (half / other).log()).sum())
    torch.testing.assert_close(entropy(one), torch.tensor(2.0).log())
    assert float(kl(one, one)) == 0.0


def test_no_slot_is_chosen_when_all_are_closed() -> None:
    log_probs = offset_log_probs(torch.zeros(2, OFFSETS), torch.zeros(2, OFFSETS, dtype=torch.bool))
    assert log_probs.argmax(-1).tolist() == [OFFSETS, OFFSETS]
    assert log_probs[:, OFFSETS].tolist() == [0.0, 0.0]


def test_the_bundled_mapper_is_a_policy() -> None:
    policy = policy_of(load_mapper())
    state = dynamics.initial(library(), [episode_at()])
    actions, _ = policy.predict(observed(state))
    assert actions.shape == (1, 2)
    assert isinstance(policy.batch, DecisionBatch)
    assert isinstance(state.rows_of(0), Rows)
