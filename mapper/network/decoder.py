"""The row decoder: a causal transformer over rows that have notes, and the two heads that read its state.

The *hazard* head gives, for each later slot in turn, the probability that the next row falls on it; the *row* head the
distribution over legal rows. Together they are an exact likelihood of the chart. Shapes use: batch, slot (of a window), row.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from chart.grid import SLOTS_PER_CELL
from chart.model import KEYS
from mapper.network.encoder import Encoding
from mapper.network.layers import Block, Motif, rotation_of
from mapper.tokens.row_codes import HELD_STATES, ROW_CODES, SYMBOLS
from mapper.tokens.vocabulary import SYMBOLS_PER_COLUMN, TIME_GAP_BINS, ModelConfig


@dataclass(frozen=True)
class RowTokens:
    """Input tokens of the decoder. The first row of a window is a start token with code 0."""

    code: Tensor  # [batch, row], int64
    held: Tensor  # [batch, row], int64, held state after the row
    slot: Tensor  # [batch, row], int64, slot within the window
    elapsed: Tensor  # [batch, row], int64, `time_gap_bin` of the ticks since the row before
    beat: Tensor  # [batch, row], float, position in beats, for the rotation
    index: Tensor  # [batch, row], float, number of the row, for the rotation


@dataclass(frozen=True)
class HazardTerms:
    """Terms of the hazard head that depend on the decoder's state alone."""

    query: Tensor  # [batch, row, hazard width]
    by_elapsed: Tensor  # [batch, row, elapsed bucket], logits

    def rhythm(self, row: Tensor, encoding_slot: Tensor, elapsed: Tensor) -> Tensor:
        """[batch, slot], logits of the next row on each slot, given the rows up to number `row` [batch, slot].

        `encoding_slot` [batch, slot, hazard width]; `elapsed` [batch, slot] bucket of the ticks since that row. With
        the encoder's onset logit added it is the logit of the hazard: that the next row falls there, none having fallen since.
        """
        batch = torch.arange(row.shape[0], device=row.device)[:, None]
        match = (self.query[batch, row] * encoding_slot).sum(-1)
        return match + self.by_elapsed[batch, row, elapsed]


def time_gap_bin(ticks: Tensor) -> Tensor:
    """Ticks (48 a beat) → 0–63: exact to a 16th or a 12th within a beat, coarser to 16 beats and more."""
    fine = ticks.clamp(0, 48)  # 0–48
    coarse = torch.log2(ticks.clamp(min=48).float() / 48) * 3.5
    return (fine + coarse.ceil().long()).clamp(max=TIME_GAP_BINS - 1)


class CausalDecoder(nn.Module):
    """Causal transformer layers over rows, the hazard head and the row head."""

    config: ModelConfig
    symbols_of_code: Tensor  # [code, column], row of `symbol` and of `next_symbol`

    def add_decoder_layers(self, config: ModelConfig) -> None:
        """Create the layers, in the order in which their weights are drawn."""
        width = config.width
        self.code = nn.Embedding(ROW_CODES, width)
        self.symbol = nn.Embedding(KEYS * SYMBOLS_PER_COLUMN, width)
        self.held = nn.Embedding(HELD_STATES, width)
        self.elapsed = nn.Embedding(TIME_GAP_BINS, width)
        self.row_from_cell = nn.Linear(width, width)
        self.row_from_slot = nn.Linear(config.hazard_width, width)
        blocks = [Block(width, config.heads, config.dropout) for _ in range(config.decoder_layers)]
        self.decoder = nn.ModuleList(blocks)
        self.decoder_norm = nn.LayerNorm(width)
        self.hazard_query = nn.Linear(width, config.hazard_width)
        self.hazard_elapsed = nn.Linear(width, TIME_GAP_BINS)
        self.next_from_state = nn.Linear(width, width)
        self.next_from_slot = nn.Linear(config.hazard_width, width)
        self.next_from_cell = nn.Linear(width, width)
        self.next_elapsed = nn.Embedding(TIME_GAP_BINS, width)
        self.next_held = nn.Embedding(HELD_STATES, width)
        self.next_row = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())
        self.motif = Motif(width)
        self.next_code = nn.Linear(width, ROW_CODES)
        self.next_symbol = nn.Linear(width, KEYS * SYMBOLS_PER_COLUMN, bias=False)
        symbols = torch.from_numpy(SYMBOLS) + SYMBOLS_PER_COLUMN * torch.arange(KEYS)
        self.register_buffer("symbols_of_code", symbols, persistent=False)

    def embed_rows(self, rows: RowTokens, encoding: Encoding, control: Tensor) -> Tensor:
        """[batch, row, width]: the decoder's input."""
        batch = torch.arange(rows.code.shape[0], device=rows.code.device)[:, None]
        x = (
            self.code(rows.code)
            + self.symbol(self.symbols_of_code[rows.code]).sum(-2)
            + self.held(rows.held)
            + self.elapsed(rows.elapsed)
            + control
        )
        x = x + self.row_from_cell(encoding.cell[batch, rows.slot // SLOTS_PER_CELL])
        return x + self.row_from_slot(encoding.slot[batch, rows.slot])

    def row_rotation(self, rows: RowTokens) -> tuple[Tensor, Tensor]:
        """Half of each head turns with musical time, half with the count of rows."""
        return rotation_of(rows.beat, rows.index, head_width=self.config.width // self.config.heads)

    def decode(self, rows: RowTokens, encoding: Encoding, control: Tensor) -> Tensor:
        """[batch, row, width]: the state after each row (causal)."""
        x = self.embed_rows(rows, encoding, control)
        rotation = self.row_rotation(rows)
        for block in self.decoder:
            x = block(x, rotation, None, causal=True)
        return self.decoder_norm(x)

    def hazard_terms(self, state: Tensor) -> HazardTerms:
        """The state's terms of the hazard for the slots after it; states are [batch, row, width]."""
        return HazardTerms(self.hazard_query(state) / self.config.hazard_width**0.5, self.hazard_elapsed(state))

    def row_logits(
        self, state: Tensor, slot: Tensor, cell: Tensor, elapsed: Tensor, held: Tensor, motif: Tensor | None = None
    ) -> Tensor:
        """[…, 256]: logits of the row on the slot; illegal rows are not masked here. `motif` is `Motif.row_vector`."""
        x = self.next_from_state(state) + self.next_from_slot(slot) + self.next_from_cell(cell)
        if motif is not None:
            x = x + motif
        x = self.next_row(x + self.next_elapsed(elapsed) + self.next_held(held))
        return self.next_code(x) + self.next_symbol(x)[..., self.symbols_of_code].sum(-1)
