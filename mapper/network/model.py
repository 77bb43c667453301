"""The mapper's network: an audio encoder over grid cells and a causal decoder over rows.

The encoder reads the song around each cell (a quarter beat) and attends both ways; the decoder advances only on rows
that have notes. Two heads read the decoder's state after the last row: the *hazard* head gives, for each later slot
in turn, the probability that the next row falls on it; the *row* head the distribution over legal rows. Together they are an exact
likelihood of the chart. Shapes use: batch, cell, slot (6 a cell), sub (slot within its cell), frame, row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mapper.network.decoder import CausalDecoder, HazardTerms, RowTokens, time_gap_bin
from mapper.network.encoder import AudioEncoder, Cells, Encoding, cells_of
from mapper.network.interface import EncodedWindow
from mapper.network.layers import Block, Motif, Stem, rotate, rotation_of
from mapper.tokens.vocabulary import ENCODER_PARTS, ModelConfig

__all__ = [
    "AudioEncoder",
    "Block",
    "CausalDecoder",
    "Cells",
    "Encoding",
    "HazardTerms",
    "Mapper",
    "ModelConfig",
    "Motif",
    "RowTokens",
    "Stem",
    "cells_of",
    "rotate",
    "rotation_of",
    "time_gap_bin",
]


class Mapper(AudioEncoder, CausalDecoder):
    """The whole network; see the module's docstring."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.add_encoder_layers(config)
        self.add_decoder_layers(config)
        self.apply(_initialise)
        nn.init.zeros_(self.lean.weight)

    def train_only(self, part: str) -> None:
        """Train only the decoder ("writing") or only the encoder ("hearing")."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_((name.split(".")[0] in ENCODER_PARTS) == (part == "hearing"))

    def set_dropout(self, share: float) -> None:
        """Set the dropout of the encoder's stem and of each block's residual branch, 0–1; used while training."""
        self.stem_dropout = share
        for block in (*self.encoder, *self.decoder):
            block.dropout = share

    @torch.inference_mode()
    def encode_window(self, controls: NDArray[np.float32], stretch: dict[str, Any]) -> EncodedWindow:
        """As `mapper.network.interface.Network.encode_window`, on the device where the weights are."""
        device = self.unheard_cell.device
        tensors = {name: torch.from_numpy(array)[None].to(device) for name, array in stretch.items()}
        valid = torch.ones(tensors["quarter"].shape, dtype=torch.bool, device=device)
        encoder_control, decoder_control = self.control_vectors(torch.from_numpy(controls).to(device))
        encoding = self.encode(cells_of(tensors, valid), encoder_control)  # one sound, as many controls as charts
        results = (encoding.cell, encoding.slot, encoding.onset_logit, decoder_control[:, 0])
        return EncodedWindow(*(tensor.float().cpu().numpy() for tensor in results))

    @property
    def runs_on(self) -> str:
        """As `mapper.network.interface.Network.runs_on`."""
        return f"torch, {self.unheard_cell.device}"

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """As `mapper.network.interface.Network.arrays`."""
        return {name: tensor.detach().float().cpu().numpy() for name, tensor in self.named_parameters()}


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.3)  # as strong as what the linear layers add to the same sums
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
