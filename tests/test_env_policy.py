"""The policy is the mapper: its probabilities, its weights, its observations, written with and without a cache."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from env.gym_api.chart_env import action_space, observation_space
from env.policy.action_heads import ActionHeads, DecisionBatch, PolicySampling, codes_at, states_of
from env.policy.actions import WINDOW_SLOTS
from env.policy.distributions import NEVER, code_log_probs, draw, entropy, kl, legal_table, offset_log_probs
from env.policy.sb3_policy import MapperPolicy
from env.policy.torch_decoder import Decoder, hear, ticks_of
from env.ppo.rollout import write
from env.task import dynamics as core
from env.task import kernels
from env.task.episodes import SectionConfig, draw_section
from env.task.kernels import OFFSETS
from mapper.network.checkpoint import load_mapper, save_mapper
from mapper.network.model import Mapper, time_gap_bin
from mapper.tokens.row_codes import LEGAL, STARTS_HOLD, SYMBOLS
from tests.env_cases import library, tiny_mapper

LIKELIHOOD = PolicySampling(1.0, 1.0, 1.0, 1.0)


def written(model: Mapper, sampling: PolicySampling | None = None, versions: int = 2):  # type: ignore[no-untyped-def]
    random = np.random.default_rng(3)
    sections = [draw_section(library(), SectionConfig(), random) for _ in range(3)]
    return write(library(), ActionHeads(model, sampling or PolicySampling()), sections, versions, [1, 2])


def read_again(model: Mapper, one, sampling: PolicySampling):  # type: ignore[no-untyped-def]
    decisions = one.decisions.tensors()
    reading = DecisionBatch(
        decisions,
        one.windows,
        one.group,
        torch.from_numpy(one.open_slots),
        codes_at(torch.from_numpy(one.state.tokens)),
        one.lean,
    )
    tokens = torch.from_numpy(one.state.tokens[:, : int(one.state.tokens_known.max())])
    state = states_of(model, one.windows.picked(one.group), tokens, decisions.token)
    return ActionHeads(model, sampling).judge(reading, state), np.arange(one.log_prob.shape[1]) < one.steps[:, None]


def test_a_rollouts_log_probabilities_are_those_of_training() -> None:
    model = tiny_mapper()
    one = written(model)
    judged, taken = read_again(model, one, PolicySampling())
    np.testing.assert_allclose(judged.log_prob.detach().numpy()[taken], one.log_prob[taken], atol=2e-4)
    assert one.steps.min() > 3


def test_with_weights_of_one_it_is_the_mappers_likelihood() -> None:
    """Hazard of every open slot passed over and taken, and cross-entropy of the legal rows, as `mapper.pretraining.loss` sums them."""
    model = tiny_mapper()
    one = written(model, LIKELIHOOD)
    judged, taken = read_again(model, one, LIKELIHOOD)
    with torch.no_grad():
        for env in range(len(one.steps)):
            ours = float(judged.log_prob[env][torch.from_numpy(taken[env])].sum())
            assert abs(ours - _likelihood(model, one, env)) < 0.02


def _likelihood(model: Mapper, one, env: int) -> float:  # type: ignore[no-untyped-def]
    from env.policy.torch_decoder import row_tokens

    windows = one.windows.picked(one.group[env : env + 1])
    known, section = int(one.state.tokens_known[env]), one.state.sections[env]
    rows = row_tokens(one.state.tokens[env : env + 1, :known])
    state = model.decode(rows, windows.encoding, windows.control)
    first = 1 + len(section.before)
    slots = torch.arange(section.first_slot - section.window_slot, section.end_slot - section.window_slot)
    row_slot = rows.slot[0]
    previous = torch.searchsorted(row_slot[1:].contiguous(), slots)  # the last row before each slot
    tick = ticks_of(slots)
    last_tick = torch.where(previous > 0, ticks_of(row_slot)[previous], _tick_before(one, env))
    elapsed = time_gap_bin(tick - last_tick)
    rhythm = model.hazard_terms(state).rhythm(previous[None], windows.encoding.slot[:, slots], elapsed[None])
    assert windows.encoding.alike is not None
    code_at = torch.zeros(1, WINDOW_SLOTS, dtype=torch.int64)
    code_at[0, row_slot[1:]] = rows.code[0, 1:]
    earlier = model.motif.earlier(code_at)
    alike = windows.encoding.alike.repeat_interleave(6, 1)
    rhythm = rhythm + model.motif.rhythm_logit(earlier, alike)[:, slots]
    logit = (windows.encoding.onset_logit[:, slots] + rhythm)[0]
    target = torch.isin(slots, row_slot[first:])
    scored = torch.from_numpy(one.open_slots[env])[slots] & _rested(one, env, slots, previous)
    hazard = functional.binary_cross_entropy_with_logits(logit[scored], target[scored].float(), reduction="sum")
    total = -float(hazard)
    for number in range(first, known):
        slot, cell = row_slot[number], row_slot[number] // 6
        logits = model.row_logits(
            state[:, number - 1],
            windows.encoding.slot[:, slot],
            windows.encoding.cell[:, cell],
            rows.elapsed[:, number],
            rows.held[:, number - 1],
            model.motif.row_vector(earlier[:, slot], alike[:, slot], model.symbols_of_code),
        )[0]
        legal = _legal(one, env, number)
        total += float(logits.masked_fill(~legal, -torch.inf).log_softmax(0)[rows.code[0, number]])
    return total


def _tick_before(one, env: int) -> int:  # type: ignore[no-untyped-def]
    section = one.state.sections[env]
    return section.tick_before - int(library().pieces[section.piece].grid.tick[section.window_slot])


def _events(one, env: int, number: int) -> np.ndarray:  # type: ignore[no-untyped-def]
    """[column] ms of each column's last event up to token `number`."""
    section = one.state.sections[env]
    slot_ms = library().pieces[section.piece].grid.slot_ms[section.window_slot :]
    last = np.full(4, -np.inf)
    for token in one.state.tokens[env, 1 : number + 1]:
        last[SYMBOLS[token[kernels.CODE]] != 0] = slot_ms[token[kernels.SLOT]]
    return last


def _rested(one, env: int, slots: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:  # type: ignore[no-untyped-def]
    section = one.state.sections[env]
    slot_ms = library().pieces[section.piece].grid.slot_ms[section.window_slot :]
    earliest = {number: _events(one, env, number).min() for number in set(previous.tolist())}
    return torch.tensor(
        [
            slot_ms[slot] - earliest[before] >= 60.0
            for slot, before in zip(slots.tolist(), previous.tolist(), strict=True)
        ]
    )


def _legal(one, env: int, number: int) -> torch.Tensor:  # type: ignore[no-untyped-def]
    section, token = one.state.sections[env], one.state.tokens[env, number]
    piece = library().pieces[section.piece]
    at = section.window_slot + token[kernels.SLOT]
    resting = piece.grid.slot_ms[at] - _events(one, env, number - 1) < 60.0
    legal = LEGAL[one.state.tokens[env, number - 1, kernels.HELD_AFTER_ROW]] & ~((SYMBOLS != 0) & resting).any(-1)
    late = piece.grid.tick[at] > piece.grid.tick[piece.last_slot] - 2 * 48
    return torch.from_numpy(legal & ~(STARTS_HOLD & late))


def test_the_cached_decoder_is_one_causal_pass() -> None:
    model = tiny_mapper()
    one = written(model)
    windows = one.windows.picked(one.group)
    known, first = one.state.tokens_known, one.state.numbers[:, kernels.FIRST_COUNT]
    with torch.no_grad():
        decoder = Decoder(model, windows, one.state.tokens, first)
        for number in range(int((known - first).max())):
            fresh = first + number < known
            decoder.read(one.state.tokens[np.arange(len(known)), np.minimum(first + number, 255)], fresh)
        tokens = torch.from_numpy(one.state.tokens[:, : int(known.max())])
        whole = states_of(model, windows, tokens, torch.from_numpy(known - 1)[:, None])[:, 0]
    torch.testing.assert_close(decoder.state, whole, atol=1e-4, rtol=1e-4)
    decoder.keep(torch.tensor([2, 0]))
    torch.testing.assert_close(decoder.state, whole[[2, 0]], atol=1e-4, rtol=1e-4)


def policy_of(model: Mapper, sampling: PolicySampling | None = None) -> MapperPolicy:
    return MapperPolicy(observation_space(), action_space(), lambda _: 1e-3, model, library(), sampling)


def test_single_observations_give_the_same_probabilities_as_rollouts() -> None:
    model = tiny_mapper()
    policy = policy_of(model)
    one = written(model)
    sections = one.state.sections
    state = core.initial(library(), sections)
    with torch.no_grad():
        for step in range(int(min(one.steps.min(), 12))):
            seen = {name: torch.from_numpy(array) for name, array in core.observe(library(), state).items()}
            actions = torch.from_numpy(np.stack([one.decisions.offset[:, step], one.decisions.code[:, step]], 1))
            _, log_prob, _ = policy.evaluate_actions(seen, actions)
            np.testing.assert_allclose(log_prob.numpy(), one.log_prob[:, step], atol=1e-3)
            core.step(library(), state, one.decisions.offset[:, step], one.decisions.code[:, step])


def test_predicted_actions_are_possible_and_hang_on_the_seed() -> None:
    policy = policy_of(tiny_mapper())
    state = core.initial(library(), written(policy.mapper).state.sections)
    torch.manual_seed(0)
    for _ in range(10):
        actions, _ = policy.predict(core.observe(library(), state))
        result = core.step(library(), state, actions[:, 0], actions[:, 1])
        assert kernels.ILLEGAL not in result[~state.over]
    again = core.initial(library(), state.sections)
    first = [policy.predict(core.observe(library(), again), deterministic=True)[0].tolist() for _ in range(2)]
    assert first[0] == first[1]


def test_a_seed_writes_the_same_and_another_does_not() -> None:
    model, random = tiny_mapper(), np.random.default_rng(3)
    sections = [draw_section(library(), SectionConfig(), random)]
    judge = ActionHeads(model, PolicySampling())
    one, same, other = (write(library(), judge, sections, 3, seed).state.tokens for seed in ([1], [1], [2]))
    assert (one == same).all()
    assert (one != other).any()
    assert (one[0] != one[1]).any(), "versions differ"


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


def test_what_hears_is_frozen_and_dropout_never_runs() -> None:
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


def test_legal_rows_are_the_mappers() -> None:
    table = legal_table().numpy()
    assert (table[:, 0, 0] == LEGAL).all()
    assert not table[0, 0b0001, 0, 1], "column 0 rests"
    assert table[0, 0b0001, 0, 4]
    assert not table[0, 0, 1][STARTS_HOLD].any()


def test_drawing_follows_the_probabilities() -> None:
    """20,000 draws: a share is off by 0.02 with probability below 1e-6 (Hoeffding)."""
    log_probs = torch.log(torch.tensor([0.1, 0.6, 0.3])).expand(20_000, 3)
    drawn = draw(log_probs, torch.rand(20_000, generator=torch.Generator().manual_seed(0)))
    share = torch.bincount(drawn, minlength=3) / 20_000
    assert (share - torch.tensor([0.1, 0.6, 0.3])).abs().max() < 0.02


def test_what_cannot_be_is_not_drawn_even_by_a_zero() -> None:
    log_probs = torch.tensor([[NEVER, 0.0, NEVER], [NEVER, NEVER, 0.0]])
    assert draw(log_probs, torch.zeros(2)).tolist() == [1, 2]
    assert draw(log_probs, torch.full((2,), 1 - 2**-24)).tolist() == [1, 2]


def test_divergence_and_entropy_are_finite_where_things_cannot_be() -> None:
    legal = torch.tensor([True, True, False])
    one, two = (code_log_probs(torch.tensor(values), legal) for values in ([0.0, 0.0, 9.0], [1.0, 0.0, 5.0]))
    half = torch.tensor([0.5, 0.5])
    other = torch.tensor([1.0, 0.0]).softmax(0)
    torch.testing.assert_close(kl(one, two), (half * (half / other).log()).sum())
    torch.testing.assert_close(entropy(one), torch.tensor(2.0).log())
    assert float(kl(one, one)) == 0.0


def test_none_is_chosen_when_all_is_closed() -> None:
    log_probs = offset_log_probs(torch.zeros(2, OFFSETS), torch.zeros(2, OFFSETS, dtype=torch.bool))
    assert draw(log_probs, torch.tensor([0.01, 0.99])).tolist() == [OFFSETS, OFFSETS]


@pytest.mark.shared
def test_the_bundled_mapper_is_a_policy() -> None:
    policy = policy_of(load_mapper())
    state = core.initial(library(), [draw_section(library(), SectionConfig(), np.random.default_rng(0))])
    actions, _ = policy.predict(core.observe(library(), state))
    assert actions.shape == (1, 2)
    assert hear(policy.mapper, library(), state.sections).encoding.cell.shape[0] == 1
