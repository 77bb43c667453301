"""Action distribution of the mapper policy: log-probabilities, entropy, KL divergence.

The heads are the mapper's own; the hazard's log-odds are weighed as the sampler weighs them. Shapes use: env, step,
offset, code, slot, lag.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from chart.grid import SLOTS_PER_CELL
from env.policy import decision_kernels as kernels
from env.policy.chart_sampler import PolicySampling
from env.policy.decisions import DecisionBatch, states_of
from env.policy.distributions import code_log_probs, entropy, kl, offset_log_probs
from mapper.network.model import Mapper, time_gap_bin
from mapper.sampling.kernels import HOLDS_BEGUN
from mapper.tokens.row_codes import legal_rows
from mapper.tokens.vocabulary import MOTIF_LAGS


@dataclass(frozen=True)
class ActionEvaluation:
    """A network's distribution at given decisions; log-probabilities are [env, step, choice]."""

    log_prob: Tensor  # [env, step], of the action
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


class ActionHeads:
    """A mapper with its sampling weights; evaluates decisions."""

    def __init__(self, model: Mapper, sampling: PolicySampling) -> None:
        self.model, self.sampling = model, sampling
        self.legal = torch.from_numpy(legal_rows()).to(next(model.parameters()).device)

    def evaluate(self, batch: DecisionBatch, state: Tensor | None = None) -> ActionEvaluation:
        """Log-probabilities of the decisions; `state` [env, step, width] is `states_of`, computed if not given."""
        state = states_of(self.model, batch) if state is None else state
        offsets = offset_log_probs(hazard_logits(self.model, batch, state, self.sampling), batch.is_open())
        wrote = batch.wrote & batch.taken
        chosen = offsets.gather(2, batch.column(kernels.OFFSET)[..., None]).squeeze(-1)
        logits = row_logits(self.model, batch, state, wrote, self.sampling)
        codes = code_log_probs(logits, self._legal(batch, wrote))
        rows = codes.gather(1, batch.column(kernels.CODE)[wrote][:, None]).squeeze(-1)
        return ActionEvaluation(_with_rows(chosen, wrote, rows), offsets, codes, wrote)

    def _legal(self, batch: DecisionBatch, wrote: Tensor) -> Tensor:
        late_tick = batch.late_tick[:, None].expand_as(wrote)[wrote]
        late = (batch.timeline.tick[batch.slot[wrote]] > late_tick).long()
        return self.legal[batch.column(kernels.HELD)[wrote], batch.column(kernels.RESTS)[wrote], late]


def hazard_logits(model: Mapper, batch: DecisionBatch, state: Tensor, sampling: PolicySampling) -> Tensor:
    """[env, step, offset] log-odds that the next row falls on each slot asked; `state` is [env, step, width]."""
    timeline, candidates = batch.timeline, batch.candidates
    near = timeline.near_of[candidates]
    onset = model.onset(timeline.encoding.slot[0, timeline.near]).squeeze(-1) + timeline.bias  # its head is trained
    logit = sampling.onset_weight * (onset[near] + batch.onset_bias[:, None, None])
    if sampling.rhythm_weight:
        logit = logit + sampling.rhythm_weight * _rhythm_logits(model, batch, state, candidates)
    return logit / sampling.hazard_temperature


def _rhythm_logits(model: Mapper, batch: DecisionBatch, state: Tensor, candidates: Tensor) -> Tensor:
    """[env, step, offset] log-odds of a row on each of the slots `candidates`, from the rows so far."""
    encoding, terms = batch.timeline.encoding, model.hazard_terms(state)
    near = batch.timeline.near_of[candidates]
    first_near = near.flatten(1).min(1).values  # neighbouring steps ask many of the same slots: match them all once
    width = int((near.flatten(1).max(1).values - first_near).max()) + 1
    own = (first_near[:, None] + torch.arange(width, device=near.device)).clamp(max=len(batch.timeline.near) - 1)
    slots = encoding.slot[0, batch.timeline.near[own]]  # [env, width, hazard width]
    match = (terms.query @ slots.transpose(1, 2)).gather(2, near - first_near[:, None, None])
    elapsed = time_gap_bin((batch.timeline.tick[candidates] - batch.last_tick[..., None]).clamp(min=0))
    return match + terms.by_elapsed.gather(2, elapsed) + model.motif.rhythm_logit(*_earlier(batch, candidates))


def row_logits(model: Mapper, batch: DecisionBatch, state: Tensor, wrote: Tensor, sampling: PolicySampling) -> Tensor:
    """[row, code] logits of the decisions that `wrote` [env, step] picks, in order; `state` is [env, step, width]."""
    encoding, slot = batch.timeline.encoding, batch.slot[wrote]
    earlier, alike = _earlier(batch, batch.slot[..., None])
    logits = model.row_logits(
        state[wrote],
        encoding.slot[0, slot],
        encoding.cell[0, slot // SLOTS_PER_CELL],
        time_gap_bin(batch.timeline.tick[slot] - batch.last_tick[wrote]),
        batch.column(kernels.HELD)[wrote],
        model.motif.row_vector(earlier[wrote][:, 0], alike[wrote][:, 0], model.symbols_of_code),
    )
    holds = torch.from_numpy(HOLDS_BEGUN).to(logits.device, logits.dtype)
    return (logits + batch.hold_bias[wrote][:, None] * holds) / sampling.row_temperature


def _earlier(batch: DecisionBatch, slots: Tensor) -> tuple[Tensor, Tensor]:
    """([env, step, offset, lag] codes a motif lag before `slots`, as known at the step; similarity of the cells)."""
    back = slots[..., None] - torch.tensor(MOTIF_LAGS, device=slots.device)
    at = back - batch.first_code[:, None, None, None]
    known = (at >= 0) & (back <= batch.column(kernels.SCAN)[..., None, None])
    codes = batch.code_at.gather(1, torch.where(known, at, 0).flatten(1)).view(back.shape)
    assert batch.timeline.encoding.alike is not None
    return torch.where(known, codes, 0), batch.timeline.encoding.alike[0, slots // SLOTS_PER_CELL]
