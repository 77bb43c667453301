"""What the mapper says of decisions: distributions, log-probabilities, and draws from them.

The heads are the mapper's own; the hazard's log-odds are weighed as the sampler weighs them. Shapes use: env, step,
offset, code, slot, lag.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from chart.grid import SLOTS_PER_CELL
from env.policy.actions import WINDOW_SLOTS, DecisionTensors
from env.policy.distributions import code_log_probs, draw, entropy, kl, legal_table, offset_log_probs
from env.policy.torch_decoder import Windows, row_tokens, ticks_of
from env.task import kernels
from mapper.network.model import Encoding, Mapper, time_gap_bin
from mapper.sampling.kernels import HOLDS_BEGUN
from mapper.sampling.sampler import Sampling
from mapper.tokens.vocabulary import MOTIF_LAGS


@dataclass(frozen=True)
class PolicySampling:
    """How the hazard's log-odds are made; 1, 1, 1 is the model's own likelihood."""

    onset_weight: float = Sampling.onset_weight
    rhythm_weight: float = Sampling.rhythm_weight
    hazard_temperature: float = Sampling.hazard_temperature
    row_temperature: float = Sampling.row_temperature


@dataclass(frozen=True)
class ActionEvaluation:
    """What a network says of decisions; arrays are [env, step] and log-probabilities [env, step, choice]."""

    log_prob: Tensor  # of the action
    offsets: Tensor  # [env, step, OFFSETS + 1] log-probabilities
    codes: Tensor  # [row, code] log-probabilities where a row was written, in order of env and step
    wrote: Tensor  # [env, step], whether a row was written

    def entropy(self) -> Tensor:
        """[env, step] nats: of the offset, and of the row where one was written."""
        return _with_rows(entropy(self.offsets), self.wrote, entropy(self.codes))

    def kl(self, other: ActionEvaluation) -> Tensor:
        """[env, step] nats from `other`, exact for the offset and, given the offset, for the row."""
        return _with_rows(kl(self.offsets, other.offsets), self.wrote, kl(self.codes, other.codes))


def _with_rows(offsets: Tensor, wrote: Tensor, codes: Tensor) -> Tensor:
    total = offsets.clone()
    total[wrote] = total[wrote] + codes
    return total


@dataclass(frozen=True)
class DecisionBatch:
    """Sections with what was decided in them, as the network reads them."""

    decisions: DecisionTensors  # [env, step]
    windows: Windows  # [window]
    window: Tensor  # [env], which of the windows each reads
    open_slots: Tensor  # [env, slot], of the window
    code_at: Tensor  # [env, slot], int64 codes of the rows known, 0 elsewhere
    lean: Tensor  # [env], the policy's `Mapper.lean` of its window, log-odds; the pretrained mapper judges with it, too
    hold_lean: Tensor | None = None  # [env, step], log-odds that the sampler added for each hold of a row


def states_of(model: Mapper, windows: Windows, tokens: Tensor, token: Tensor) -> Tensor:
    """[env, step, width] the decoder's state after the tokens numbered `token` [env, step], in one causal pass.

    `windows` are those of the environments, tokens is [env, token, kernels.TOKEN].
    """
    state = model.decode(row_tokens(tokens), windows.encoding, windows.control)
    return state.gather(1, token[..., None].expand(-1, -1, state.shape[-1]))


def hazard_logits(model: Mapper, reading: DecisionBatch, state: Tensor, sampling: PolicySampling) -> Tensor:
    """[env, step, offset] log-odds that the next row falls on each slot asked; `state` is [env, step, width]."""
    encoding, window = reading.windows.encoding, reading.window
    asked = reading.decisions.slots.clamp(max=encoding.slot.shape[1] - 1)
    first = int(asked.min())
    onset = model.onset(encoding.slot[:, first : int(asked.max()) + 1]).squeeze(-1)  # heard anew: its head learns, too
    logit = sampling.onset_weight * (onset[window[:, None, None], asked - first] + reading.lean[:, None, None])
    if sampling.rhythm_weight:
        logit = logit + sampling.rhythm_weight * _rhythm_logits(model, reading, state, asked)
    return logit / sampling.hazard_temperature


def _rhythm_logits(model: Mapper, reading: DecisionBatch, state: Tensor, asked: Tensor) -> Tensor:
    """[env, step, offset] what the rows so far say for a row on each of the slots `asked` of the window."""
    slots, encoding, window = reading.decisions.slots, reading.windows.encoding, reading.window
    terms = model.hazard_terms(state)
    if slots.shape[1] == 1:
        match = terms.query @ encoding.slot[window[:, None], asked[:, 0]].transpose(1, 2)
    else:  # neighbouring steps ask many of the same slots: match them all once
        first = int(asked.min())
        near = encoding.slot[:, first : int(asked.max()) + 1][window]  # [env, slot, hazard width]
        match = (terms.query @ near.transpose(1, 2)).gather(2, asked - first)
    elapsed = time_gap_bin((ticks_of(slots) - reading.decisions.last_tick[..., None]).clamp(min=0))
    earlier = _earlier(reading, slots)
    alike = _alike(encoding, window[:, None, None], asked)
    return match + terms.by_elapsed.gather(2, elapsed) + model.motif.rhythm_logit(earlier, alike)


def row_logits(model: Mapper, reading: DecisionBatch, state: Tensor, wrote: Tensor, sampling: PolicySampling) -> Tensor:
    """[row, code] logits of the decisions that `wrote` [env, step] picks, in order; `state` is [env, step, width]."""
    decisions, encoding = reading.decisions, reading.windows.encoding
    window = reading.window[torch.nonzero(wrote, as_tuple=True)[0]]
    slot = decisions.slot[wrote]
    logits = model.row_logits(
        state[wrote],
        encoding.slot[window, slot],
        encoding.cell[window, slot // SLOTS_PER_CELL],
        time_gap_bin(ticks_of(slot) - decisions.last_tick[wrote]),
        decisions.held[wrote],
        model.motif.row_vector(
            _earlier(reading, torch.where(wrote, decisions.slot, 0)[..., None])[wrote][:, 0],
            _alike(encoding, window, slot),
            model.symbols_of_code,
        ),
    )
    if reading.hold_lean is not None:
        holds = torch.from_numpy(HOLDS_BEGUN).to(logits.device, logits.dtype)
        logits = logits + reading.hold_lean[wrote][:, None] * holds
    return logits / sampling.row_temperature


def _earlier(reading: DecisionBatch, slots: Tensor) -> Tensor:
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


class ActionHeads:
    """A mapper with a way of sampling: gives the distribution of decisions, and draws them."""

    def __init__(self, model: Mapper, sampling: PolicySampling) -> None:
        self.model, self.sampling = model, sampling
        self.legal = legal_table().to(next(model.parameters()).device)

    def judge(self, reading: DecisionBatch, state: Tensor) -> ActionEvaluation:
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
        return ActionEvaluation(_with_rows(chosen, wrote, rows), offsets, codes, wrote)

    def draw_offsets(self, reading: DecisionBatch, state: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """([env] offsets, [env] their log-probabilities) for one step, from [env] numbers in 0–1."""
        logit = hazard_logits(self.model, reading, state, self.sampling)
        log_probs = offset_log_probs(logit, reading.decisions.open(reading.open_slots))[:, 0]
        offset = draw(log_probs, uniform)
        return offset, log_probs.gather(1, offset[:, None]).squeeze(1)

    def draw_codes(self, reading: DecisionBatch, state: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
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
