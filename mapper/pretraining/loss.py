"""The likelihood of human charts under the mapper, by head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from chart.grid import SLOTS_PER_CELL
from mapper.data.batches import Batch
from mapper.network.model import Encoding, Mapper
from mapper.tokens.row_codes import LEGAL

ONSET_WEIGHT = 0.5
"""Weight of the loss of the encoder's onset logits, which keeps them a prediction by themselves."""

EVENED, USUAL_ROWS, MIN_EVENED_ROWS = 0.5, 120, 16
"""A chart's weight in the onset loss grows with the power 1 - `EVENED` of its rows; with `USUAL_ROWS` it is unchanged."""


@dataclass(frozen=True)
class Losses:
    """Losses summed over a batch, nats; divide by `rows` for means."""

    hazard: Tensor  # when the next row falls
    row: Tensor  # which row it is
    onset: Tensor  # when rows fall, from the audio and the controls alone
    rows: Tensor  # number of rows
    right_rows: Tensor  # rows whose most likely code was the human's
    onset_logit: Tensor  # [batch, slot]

    @property
    def total(self) -> Tensor:
        """The training loss, nats a row."""
        return (self.hazard + self.row + ONSET_WEIGHT * self.onset) / self.rows.clamp(min=1)

    def per_row(self) -> dict[str, float]:
        """Figures to log, nats a row."""
        rows = max(float(self.rows), 1.0)
        heads = {name: float(getattr(self, name).detach()) / rows for name in ("hazard", "row", "onset")}
        return {"total": float(self.total.detach()), **heads}


def losses(model: Mapper, batch: Batch) -> Losses:
    """Run the network on a batch and score every row and every empty slot between rows."""
    encoder_control, decoder_control = model.control_vectors(batch.controls)
    encoding = model.encode(batch.cells, encoder_control, batch.window)
    state = model.decode(batch.rows, encoding, decoder_control)
    rhythm = model.hazard_terms(state).rhythm(batch.previous_row, encoding.slot, batch.elapsed)
    earlier = model.motif.earlier(codes_at(batch))
    assert encoding.alike is not None
    alike = encoding.alike.repeat_interleave(SLOTS_PER_CELL, 1)
    hazard = encoding.onset_logit + rhythm + model.motif.rhythm_logit(earlier, alike)
    target = batch.target[batch.scored].float()
    logits = next_row_logits(model, batch, encoding, state, earlier)
    codes, valid = batch.targets.code, batch.targets.valid
    return Losses(
        hazard=functional.binary_cross_entropy_with_logits(hazard[batch.scored].float(), target, reduction="sum"),
        row=functional.cross_entropy(logits[valid].float(), codes[valid], reduction="sum"),
        onset=_onset_loss(encoding, batch),
        rows=valid.sum(),
        right_rows=(logits.argmax(-1) == codes)[valid].sum(),
        onset_logit=encoding.onset_logit,
    )


def encoder_losses(model: Mapper, batch: Batch) -> Losses:
    """As `losses`, of the encoder's onset logits alone: a third of the work, for training the encoder."""
    encoding = model.encode(batch.cells, model.control_vectors(batch.controls)[0], batch.window)
    nothing = torch.zeros((), device=encoding.onset_logit.device)
    return Losses(
        hazard=nothing,
        row=nothing,
        onset=_onset_loss(encoding, batch),
        rows=batch.weighted_rows,
        right_rows=nothing,
        onset_logit=encoding.onset_logit,
    )


def _onset_loss(encoding: Encoding, batch: Batch) -> Tensor:
    logit, target = encoding.onset_logit[batch.scored].float(), batch.target[batch.scored].float()
    weight = (batch.weight * _evened(batch))[:, None].expand_as(batch.target)[batch.scored]
    return functional.binary_cross_entropy_with_logits(logit, target, weight, reduction="sum")


def _evened(batch: Batch) -> Tensor:
    """[batch]: weight that lets charts with few rows count for more than their rows, so that easy charts are learnt, too."""
    rows = batch.targets.valid.sum(1).clamp(min=MIN_EVENED_ROWS)
    return (USUAL_ROWS / rows) ** EVENED


def codes_at(batch: Batch) -> Tensor:
    """[batch, slot]: code of the row read there, 0 where there was none."""
    nothing = torch.zeros_like(batch.previous_row)
    return nothing.scatter_reduce(1, batch.rows.slot, batch.rows.code, "amax")  # padding is code 0 on slot 0


def next_row_logits(model: Mapper, batch: Batch, encoding: Encoding, state: Tensor, earlier: Tensor) -> Tensor:
    """[batch, target, 256]: logits of the legal codes for each row of the human chart.

    `earlier` [batch, slot, lag] is `Motif.earlier` of the rows that were read.
    """
    targets = batch.targets
    number = torch.arange(targets.code.shape[0], device=targets.code.device)[:, None]
    cell = targets.slot // SLOTS_PER_CELL
    assert encoding.alike is not None
    motif = model.motif.row_vector(earlier[number, targets.slot], encoding.alike[number, cell], model.symbols_of_code)
    logits = model.row_logits(
        state[number, targets.state],
        encoding.slot[number, targets.slot],
        encoding.cell[number, cell],
        targets.elapsed,
        targets.held,
        motif,
    )
    legal = torch.as_tensor(LEGAL, device=logits.device)[targets.held]
    return logits.masked_fill(~legal, -1e4)
