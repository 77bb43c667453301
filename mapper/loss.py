"""The likelihood of human charts under the mapper, by head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from chart.grid import SLOTS_PER_CELL
from mapper.batches import Batch
from mapper.model import Encoding, Mapper
from mapper.rows import LEGAL

ONSET_WEIGHT = 0.5
"""Weight of the encoder's own guess at where rows fall: it keeps `onset_logit` meaningful by itself."""


@dataclass(frozen=True)
class Losses:
    """Sums over a batch in nats; divide by `rows`."""

    hazard: Tensor  # when the next row falls
    row: Tensor  # which row it is
    onset: Tensor  # when rows fall, from the audio and the controls alone
    rows: Tensor  # number of rows
    right_rows: Tensor  # rows whose most likely code was the human's
    onset_logit: Tensor  # [batch, slot]

    @property
    def total(self) -> Tensor:
        """What training minimises: nats a row."""
        return (self.hazard + self.row + ONSET_WEIGHT * self.onset) / self.rows.clamp(min=1)


def losses(model: Mapper, batch: Batch) -> Losses:
    """Run the network on a batch and score every row and every empty slot between rows."""
    encoder_control, decoder_control = model.control_vectors(batch.controls)
    encoding = model.encode(batch.cells, encoder_control)
    state = model.decode(batch.rows, encoding, decoder_control)
    rhythm = model.hazard_terms(state).rhythm(batch.previous_row, encoding.slot, batch.elapsed)
    hazard = encoding.onset_logit + rhythm
    target = batch.target[batch.scored].float()
    logits = next_row_logits(model, batch, encoding, state)
    codes, valid = batch.rows.code[:, 1:], batch.row_valid[:, 1:]
    return Losses(
        hazard=functional.binary_cross_entropy_with_logits(hazard[batch.scored], target, reduction="sum"),
        row=functional.cross_entropy(logits[valid], codes[valid], reduction="sum"),
        onset=functional.binary_cross_entropy_with_logits(encoding.onset_logit[batch.scored], target, reduction="sum"),
        rows=valid.sum(),
        right_rows=(logits.argmax(-1) == codes)[valid].sum(),
        onset_logit=encoding.onset_logit,
    )


def next_row_logits(model: Mapper, batch: Batch, encoding: Encoding, state: Tensor) -> Tensor:
    """[batch, row - 1, 256]: for each row after the start token, the logits of the legal codes."""
    rows = batch.rows
    number = torch.arange(rows.code.shape[0], device=rows.code.device)[:, None]
    slot, held_before = rows.slot[:, 1:], rows.held[:, :-1]
    logits = model.row_logits(
        state[:, :-1],
        encoding.slot[number, slot],
        encoding.cell[number, slot // SLOTS_PER_CELL],
        rows.elapsed[:, 1:],
        held_before,
    )
    legal = torch.as_tensor(LEGAL, device=logits.device)[held_before]
    return logits.masked_fill(~legal, -1e4)
