"""A stable-baselines3 policy that is the mapper: its heads are the distribution, a small value head stands beside it.

What hears the song is frozen; `MapperPolicy.mapper` is the network that `mapper.generate` loads. An observation holds
everything needed, so `predict` works on any observation; rollouts and training (`env.ppo`) read whole sections at once
instead, through `judge`, which gives the same numbers.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn

from chart.grid import SLOTS_PER_CELL
from env import kernels
from env.core import AHEAD
from env.decisions import WINDOW_SLOTS, DecisionTensors
from env.decoding import Windows, hear, row_tokens, ticks_of
from env.kernels import OFFSETS
from env.library import Library
from env.row_distribution import code_log_probs, draw, entropy, kl, legal_table, offset_log_probs
from env.sections import MAX_TOKENS, Section, Target
from mapper.model import MOTIF_LAGS, Encoding, Mapper, elapsed_bucket
from mapper.rows import Rows

REMEMBERED_WINDOWS = 64
"""Encoded windows that a policy keeps for single observations."""


@dataclass(frozen=True)
class PolicySampling:
    """How the hazard's log-odds are made, as in `mapper.sampling.Sampling`; 1, 1, 1 is the model's own likelihood."""

    onset_weight: float = 1.5
    rhythm_weight: float = 0.5
    hazard_temperature: float = 0.5
    row_temperature: float = 1.0


@dataclass(frozen=True)
class Judged:
    """What a network says of decisions; arrays are [env, step] and log-probabilities [env, step, choice]."""

    log_prob: Tensor  # of the action
    offsets: Tensor  # [env, step, OFFSETS + 1] log-probabilities
    codes: Tensor  # [row, code] log-probabilities where a row was written, in order of env and step
    wrote: Tensor  # [env, step], whether a row was written

    def entropy(self) -> Tensor:
        """[env, step] nats: of the offset, and of the row where one was written."""
        return _with_rows(entropy(self.offsets), self.wrote, entropy(self.codes))

    def kl(self, other: Judged) -> Tensor:
        """[env, step] nats from `other`, exact for the offset and, given the offset, for the row."""
        return _with_rows(kl(self.offsets, other.offsets), self.wrote, kl(self.codes, other.codes))


def _with_rows(offsets: Tensor, wrote: Tensor, codes: Tensor) -> Tensor:
    total = offsets.clone()
    total[wrote] = total[wrote] + codes
    return total


class ValueHead(nn.Module):
    """The value of a state: rewards still to come, against those of the section's other versions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width + 2, 64), nn.Tanh(), nn.Linear(64, 1))
        last = self.layers[2]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, state: Tensor, left: Tensor, stars: Tensor) -> Tensor:
        """[env, step] from states [env, step, width], share of the section left and stars asked [env, step].

        The states are taken as they are: what the value learns does not move the mapper.
        """
        told = torch.stack((left, stars / 4), -1)
        return self.layers(torch.cat((state.detach(), told), -1)).squeeze(-1)


@dataclass(frozen=True)
class Reading:
    """Sections with what was decided in them, as the network reads them."""

    decisions: DecisionTensors  # [env, step]
    windows: Windows  # [window]
    window: Tensor  # [env], which of the windows each reads
    open_slots: Tensor  # [env, slot], of the window
    code_at: Tensor  # [env, slot], int64 codes of the rows known, 0 elsewhere


def states_of(model: Mapper, windows: Windows, tokens: Tensor, token: Tensor) -> Tensor:
    """[env, step, width] the decoder's state after the tokens numbered `token` [env, step], in one causal pass.

    `windows` are those of the environments, tokens is [env, token, kernels.TOKEN].
    """
    state = model.decode(row_tokens(tokens), windows.encoding, windows.control)
    return state.gather(1, token[..., None].expand(-1, -1, state.shape[-1]))


def hazard_logits(model: Mapper, reading: Reading, state: Tensor, sampling: PolicySampling) -> Tensor:
    """[env, step, offset] log-odds that the next row falls on each slot asked; `state` is [env, step, width]."""
    slots, encoding, window = reading.decisions.slots, reading.windows.encoding, reading.window
    asked = slots.clamp(max=encoding.slot.shape[1] - 1)
    terms = model.hazard_terms(state)
    if slots.shape[1] == 1:
        match = terms.query @ encoding.slot[window[:, None], asked[:, 0]].transpose(1, 2)
    else:  # neighbouring steps ask many of the same slots: match them all once
        first = int(asked.min())
        near = encoding.slot[:, first : int(asked.max()) + 1][window]  # [env, slot, hazard width]
        match = (terms.query @ near.transpose(1, 2)).gather(2, asked - first)
    elapsed = elapsed_bucket((ticks_of(slots) - reading.decisions.last_tick[..., None]).clamp(min=0))
    earlier = _earlier(reading, slots)
    alike = _alike(encoding, window[:, None, None], asked)
    rhythm = match + terms.by_elapsed.gather(2, elapsed) + model.motif.rhythm_logit(earlier, alike)
    onset = encoding.onset_logit[window[:, None, None], asked]
    return (sampling.onset_weight * onset + sampling.rhythm_weight * rhythm) / sampling.hazard_temperature


def row_logits(model: Mapper, reading: Reading, state: Tensor, wrote: Tensor, sampling: PolicySampling) -> Tensor:
    """[row, code] logits of the decisions that `wrote` [env, step] picks, in order; `state` is [env, step, width]."""
    decisions, encoding = reading.decisions, reading.windows.encoding
    window = reading.window[torch.nonzero(wrote, as_tuple=True)[0]]
    slot = decisions.slot[wrote]
    logits = model.row_logits(
        state[wrote],
        encoding.slot[window, slot],
        encoding.cell[window, slot // SLOTS_PER_CELL],
        elapsed_bucket(ticks_of(slot) - decisions.last_tick[wrote]),
        decisions.held[wrote],
        model.motif.row_vector(
            _earlier(reading, torch.where(wrote, decisions.slot, 0)[..., None])[wrote][:, 0],
            _alike(encoding, window, slot),
            model.symbols_of_code,
        ),
    )
    return logits / sampling.row_temperature


def _earlier(reading: Reading, slots: Tensor) -> Tensor:
    """[env, step, offset, lag] codes of the rows a motif lag before `slots` [env, step, offset], as known at the step."""
    back = slots[..., None] - torch.tensor(MOTIF_LAGS, device=slots.device)
    known = (back >= 0) & (back <= reading.decisions.scan[..., None, None])
    codes = reading.code_at.gather(1, torch.where(known, back, 0).flatten(1)).view(back.shape)
    return torch.where(known, codes, 0)


def _alike(encoding: Encoding, window: Tensor, slot: Tensor) -> Tensor:
    """[…, lag] how alike the cells of the slots are to those a motif lag before."""
    assert encoding.alike is not None
    return encoding.alike[window, torch.div(slot, SLOTS_PER_CELL, rounding_mode="floor")]


def codes_at(tokens: Tensor) -> Tensor:
    """[env, slot] codes of the rows among tokens [env, token, kernels.TOKEN]; the start token and padding are 0."""
    nothing = torch.zeros(len(tokens), WINDOW_SLOTS, dtype=torch.int64, device=tokens.device)
    slot = tokens[..., kernels.SLOT].long().clamp(max=WINDOW_SLOTS - 1)
    return nothing.scatter_reduce(1, slot, tokens[..., kernels.CODE].long(), "amax")


class Judge:
    """A mapper with a way of sampling: gives the distribution of decisions, and draws them."""

    def __init__(self, model: Mapper, sampling: PolicySampling) -> None:
        self.model, self.sampling = model, sampling
        self.legal = legal_table().to(next(model.parameters()).device)

    def judge(self, reading: Reading, state: Tensor) -> Judged:
        """Log-probabilities of the decisions, from the decoder's states [env, step, width] before them."""
        decisions = reading.decisions
        logit = hazard_logits(self.model, reading, state, self.sampling)
        offsets = offset_log_probs(logit, decisions.open(reading.open_slots))
        wrote = decisions.wrote
        codes = code_log_probs(
            row_logits(self.model, reading, state, wrote, self.sampling), self._legal(decisions, wrote)
        )
        chosen = offsets.gather(2, decisions.offset[..., None]).squeeze(-1)
        rows = codes.gather(1, decisions.code[wrote][:, None]).squeeze(-1)
        return Judged(_with_rows(chosen, wrote, rows), offsets, codes, wrote)

    def draw_offsets(self, reading: Reading, state: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """([env] offsets, [env] their log-probabilities) for one step, from [env] numbers in 0–1."""
        logit = hazard_logits(self.model, reading, state, self.sampling)
        log_probs = offset_log_probs(logit, reading.decisions.open(reading.open_slots))[:, 0]
        offset = draw(log_probs, uniform)
        return offset, log_probs.gather(1, offset[:, None]).squeeze(1)

    def draw_codes(self, reading: Reading, state: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """([env] codes, [env] their log-probabilities) for one step; 0 where no row is written."""
        wrote = reading.decisions.wrote
        code, log_prob = torch.zeros_like(uniform, dtype=torch.int64), torch.zeros_like(uniform, dtype=torch.float32)
        if wrote.any():
            logits = row_logits(self.model, reading, state, wrote, self.sampling)
            log_probs = code_log_probs(logits, self._legal(reading.decisions, wrote))
            drawn = draw(log_probs, uniform[wrote[:, 0]])
            code[wrote[:, 0]] = drawn
            log_prob[wrote[:, 0]] = log_probs.gather(1, drawn[:, None]).squeeze(1)
        return code, log_prob

    def _legal(self, decisions: DecisionTensors, wrote: Tensor) -> Tensor:
        late = (ticks_of(decisions.slot[wrote]) > decisions.late_tick[wrote]).long()
        return self.legal[decisions.held[wrote], decisions.rests[wrote], late]


class MapperPolicy(ActorCriticPolicy):
    """The mapper as a policy of `Mania4KChart-v1`; see the module's docstring."""

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        lr_schedule: Schedule,
        mapper: Mapper,
        library: Library,
        sampling: PolicySampling | None = None,
        tune: str = "writing",
        **options: Any,
    ) -> None:
        self._given = (mapper, library, sampling or PolicySampling(), tune)
        super().__init__(observation_space, action_space, lr_schedule, **options)

    def _build(self, lr_schedule: Schedule) -> None:
        self.mapper, self.library, sampling, tune = self._given
        del self._given
        if tune == "writing":
            self.mapper.freeze_hearing()
        self.value_head = ValueHead(self.mapper.config.width)
        self.judge = Judge(self.mapper, sampling)
        self._windows: OrderedDict[tuple, Windows] = OrderedDict()
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(trained, lr=lr_schedule(1), eps=1e-5)

    def set_training_mode(self, mode: bool) -> None:
        """The mapper always runs as it generates, without dropout: a rollout's log-probabilities are training's."""
        self.training = mode
        self.mapper.eval()

    def forward(self, obs: PyTorchObs, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """([env, 2] actions, [env] values, [env] log-probabilities) for a batch of observations."""
        reading, state = self._read(obs, None)
        shape, device = (len(state), 2), state.device
        uniform = torch.full(shape, 0.5, device=device) if deterministic else torch.rand(shape, device=device)
        offset, offset_prob = self.judge.draw_offsets(reading, state, uniform[:, 0])
        reading, state = self._read(obs, torch.stack((offset, torch.zeros_like(offset)), 1))
        code, code_prob = self.judge.draw_codes(reading, state, uniform[:, 1])
        return torch.stack((offset, code), 1), self._values(obs, state), offset_prob + code_prob

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        return self.forward(observation, deterministic)[0]

    def predict_values(self, obs: PyTorchObs) -> Tensor:
        """[env, 1] values of a batch of observations."""
        return self._values(obs, self._read(obs, None)[1])[:, None]

    def evaluate_actions(self, obs: PyTorchObs, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """([env] values, [env] log-probabilities, [env] entropies) of [env, 2] actions that were legal."""
        reading, state = self._read(obs, actions.long())
        judged = self.judge.judge(reading, state)
        return self._values(obs, state), judged.log_prob[:, 0], judged.entropy()[:, 0]

    def _values(self, obs: PyTorchObs, state: Tensor) -> Tensor:
        assert isinstance(obs, dict)
        return self.value_head(state, 1 - obs["progress"].float(), obs["target"][:, :1].float())[:, 0]

    def _read(self, obs: PyTorchObs, actions: Tensor | None) -> tuple[Reading, Tensor]:
        """The observations as sections of one decision each, with the decoder's state before it [env, 1, width]."""
        assert isinstance(obs, dict)
        place, known = obs["place"].long(), obs["known"].long()
        tokens = obs["rows"].long().unflatten(1, (MAX_TOKENS, kernels.TOKEN))[:, : int(known.max())]
        offset = actions[:, :1] if actions is not None else torch.full_like(known, OFFSETS)
        at = (torch.where(offset < OFFSETS, offset, 0)).clamp(max=OFFSETS - 1)
        seconds = obs["ahead"].float()[:, ::AHEAD].gather(1, at)  # scan to the chosen slot
        rests = ((obs["idle"].float() + seconds) * 1000.0 < kernels.REST_MS - 1e-2).long()
        late_tick = place[:, 5:6]
        open_slots = torch.zeros(len(known), WINDOW_SLOTS, dtype=torch.bool, device=known.device)
        asked = place[:, 2:3] + 1 + torch.arange(OFFSETS, device=known.device)
        open_slots.scatter_(1, asked.clamp(max=WINDOW_SLOTS - 1), obs["mask"][:, :OFFSETS] > 0)
        decisions = DecisionTensors(
            token=known - 1,
            scan=place[:, 2:3],
            last_tick=place[:, 4:5],
            earliest=torch.zeros_like(known),
            end=place[:, 3:4],
            late_tick=late_tick,
            held=(obs["held"].long() << torch.arange(4, device=known.device)).sum(1, keepdim=True),
            offset=offset,
            code=actions[:, 1:] if actions is not None else torch.zeros_like(known),
            rests=(rests << torch.arange(4, device=known.device)).sum(1, keepdim=True),
        )
        windows = self._hear(place, obs["target"])
        reading = Reading(
            decisions, windows, torch.arange(len(known), device=known.device), open_slots, codes_at(tokens)
        )
        return reading, states_of(self.mapper, windows, tokens, decisions.token)

    def _hear(self, place: Tensor, target: Tensor) -> Windows:
        """The encoded windows of the observations, remembered by song, place and target."""
        parts = []
        for where, asked in zip(place.tolist(), target.tolist(), strict=True):
            key = (where[0], where[1], *asked)
            if key not in self._windows:
                self._windows[key] = hear(self.mapper, self.library, [_section_to_hear(where, asked)])
                if len(self._windows) > REMEMBERED_WINDOWS:
                    self._windows.popitem(last=False)
            self._windows.move_to_end(key)
            parts.append(self._windows[key])
        return Windows.joined(parts)


def _section_to_hear(place: list[int], target: list[float]) -> Section:
    nothing = Rows(np.empty(0, np.int64), np.empty(0, np.int64))
    asked = Target(target[0], target[1], target[2], int(target[3]))
    return Section(place[0], asked, place[1], place[1], place[1] + 1, np.zeros(1), nothing, 0, 0)
