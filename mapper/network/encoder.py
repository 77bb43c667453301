"""The audio encoder: a vector for each cell and slot of a window, from the audio on both sides of it.

Its layers lie at the top level of the network (`mapper.network.model.Mapper` is both halves), so that the names of a
checkpoint's arrays do not depend on which half reads them. Shapes use: batch, cell, slot (6 a cell), frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from chart.grid import SLOTS_PER_CELL
from mapper.network.layers import Block, Motif, Stem, drop_channels, rotation_of
from mapper.tokens.vocabulary import BARS_OF_PHRASE, CONTROL_FEATURES, EDGE_SECONDS, MAX_BEATS_OF_BAR, ModelConfig


@dataclass(frozen=True)
class Cells:
    """A window of the grid with its audio. Frames are 10 ms apart; `slot_frame` counts from the window's first."""

    mel: Tensor  # [batch, frame, channel], `mapper.tokens.song_features`, about -1–1; no frames: encoded without audio
    slot_frame: Tensor  # [batch, slot], float frame index of each slot's sound
    beat_ms: Tensor  # [batch, cell]
    quarter: Tensor  # [batch, cell], int64 0–3
    beat_in_bar: Tensor  # [batch, cell], int64
    bar: Tensor  # [batch, cell], int64
    song_edges: Tensor  # [batch, cell, edge feature], 0–1, nearness of the song's beginning and end
    valid: Tensor  # [batch, cell], bool, false for padding


def cells_of(padded: dict[str, Tensor], valid: Tensor) -> Cells:
    """`Cells` from the padded arrays of `mapper.tokens.window.cell_arrays`."""
    names = ("mel", "slot_frame", "beat_ms", "quarter", "beat_in_bar", "bar", "song_edges")
    return Cells(**{name: padded[name] for name in names}, valid=valid)


@dataclass(frozen=True)
class Encoding:
    """Output of the encoder for a batch of windows."""

    cell: Tensor  # [batch, cell, width]
    slot: Tensor  # [batch, slot, hazard width]
    onset_logit: Tensor  # [batch, slot], log-odds that a row falls here, from the audio and the controls alone
    alike: Tensor | None = None  # [batch, cell, motif lag] 0–1, `Motif.alike`; None: motifs are not looked up
    whole: Tensor | None = None  # [batch, width], mean of the cells


class AudioEncoder(nn.Module):
    """A convolutional stem over log-mel frames, then bidirectional transformer layers over cells."""

    config: ModelConfig
    motif: Motif
    stem_dropout: float

    def add_encoder_layers(self, config: ModelConfig) -> None:
        """Create the layers, in the order in which their weights are drawn."""
        width = config.width
        self.stem_dropout = config.dropout
        self.controls = nn.Sequential(nn.Linear(CONTROL_FEATURES, width), nn.GELU(), nn.Linear(width, 2 * width))
        self.stem = Stem(config)
        self.side = nn.Linear(config.side_channels, config.stem_width)
        self.cell_in = nn.Linear(SLOTS_PER_CELL * config.stem_width, width)
        self.quarter = nn.Embedding(4, width)
        self.beat_in_bar = nn.Embedding(MAX_BEATS_OF_BAR, width)
        self.bar_of_phrase = nn.Embedding(BARS_OF_PHRASE, width)
        self.tempo = nn.Linear(1, width)
        self.song_edges = nn.Linear(2 * len(EDGE_SECONDS), width)
        blocks = [Block(width, config.heads, config.dropout) for _ in range(config.encoder_layers)]
        self.encoder = nn.ModuleList(blocks)
        self.encoder_norm = nn.LayerNorm(width)
        self.slot_from_cell = nn.Linear(width, SLOTS_PER_CELL * config.hazard_width)
        self.slot_from_stem = nn.Linear(config.stem_width, config.hazard_width)
        self.onset = nn.Sequential(nn.GELU(), nn.Linear(config.hazard_width, 1))
        self.lean = nn.Linear(width, 1)  # density bias: more or fewer rows in the whole window; named so in checkpoints
        self.unheard_cell = nn.Parameter(torch.zeros(width))
        self.unheard_slot = nn.Parameter(torch.zeros(SLOTS_PER_CELL, config.hazard_width))

    def control_vectors(self, controls: Tensor) -> tuple[Tensor, Tensor]:
        """[batch, CONTROL_FEATURES] → two of [batch, 1, width]: for the encoder and for the decoder."""
        encoder, decoder = self.controls(controls)[:, None].chunk(2, -1)
        return encoder, decoder

    def encode(self, cells: Cells, control: Tensor, window: Tensor | None = None) -> Encoding:
        """Encode for `control` [chart, 1, width], the encoder's vector of `control_vectors`; without frames, from the grid alone.

        `window` [chart]: index of each chart's window among those of `cells`; None: its own, or the only one. The layers
        that do not depend on the controls run once a window.
        """
        window = torch.arange(len(cells.valid), device=control.device) if window is None else window
        place, valid = self._place(cells), cells.valid[window]
        if not cells.mel.shape[1]:
            x = self.encoder_norm(place[window] + control + self.unheard_cell)
            return self._encoding(x, self.unheard_slot.repeat(x.shape[1], 1), valid)
        stem = self._stem_slots(cells)  # [window, slot, stem width]
        x = self.cell_in(stem.unflatten(1, (-1, SLOTS_PER_CELL)).flatten(2)) + place
        position = torch.arange(x.shape[1], device=x.device)[None].float() / 4  # in beats
        rotation = rotation_of(position, head_width=self.config.width // self.config.heads)
        for block in self.encoder[: self.config.shared_layers]:
            x = block(x, rotation, cells.valid[:, None, None], causal=False)
        x = x[window] + control
        for block in self.encoder[self.config.shared_layers :]:
            x = block(x, rotation, valid[:, None, None], causal=False)
        return self._encoding(self.encoder_norm(x), self.slot_from_stem(stem)[window], valid)

    def _stem_slots(self, cells: Cells) -> Tensor:
        """[window, slot, stem width], the stem's output with the side channels added."""
        convolved, side = self.stem(cells.mel, cells.slot_frame)
        stem = functional.gelu(convolved + self.side(side))
        return drop_channels(stem, self.stem_dropout if self.training else 0.0)

    def _place(self, cells: Cells) -> Tensor:
        """[batch, cell, width]: embedding of each cell's place in beat, bar, phrase and song, and of its tempo."""
        x = self.quarter(cells.quarter) + self.beat_in_bar(cells.beat_in_bar.clamp(max=MAX_BEATS_OF_BAR - 1))
        x = x + self.bar_of_phrase(cells.bar % BARS_OF_PHRASE) + self.song_edges(cells.song_edges)
        return x + self.tempo((cells.beat_ms[..., None] / 400).log2())

    def _encoding(self, x: Tensor, stem_slot: Tensor, valid: Tensor) -> Encoding:
        slot = self.slot_from_cell(x).unflatten(2, (SLOTS_PER_CELL, -1)).flatten(1, 2) + stem_slot
        share = valid / valid.sum(1, keepdim=True).clamp(min=1)  # [batch, cell]
        whole = (x * share[..., None]).sum(1)
        logit = self.onset(slot).squeeze(-1) + self.lean(whole)
        return Encoding(x, slot, logit, self.motif.alike(x), whole)
