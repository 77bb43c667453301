"""Interface of a network for generation, implemented by torch (mapper.network.model) or onnxruntime (mapper.network.onnx_model)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mapper.tokens.vocabulary import ModelConfig

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class EncodedWindow:
    """Encoding of a window for each chart's controls."""

    cell: Floats  # [chart, cell, width]
    slot: Floats  # [chart, slot, hazard width]
    onset_logit: Floats  # [chart, slot], log-odds of a row here, from audio and controls alone
    decoder_control: Floats  # [chart, width], the decoder's conditioning vector


class DecoderInput(NamedTuple):
    """Rows to read, one array entry each; those of one chart in order. Fields as in `mapper.network.model.RowTokens`."""

    chart: Ints  # which of the cache's charts reads it
    code: Ints
    held: Ints  # held state after the row
    elapsed: Ints  # bucket
    beat: Floats  # position in beats
    cell: Floats  # [row, width], encoding of the row's cell
    slot: Floats  # [row, hazard width], encoding of its slot
    control: Floats  # [row, width], the chart's `decoder_control`


class Network(Protocol):
    """A mapper ready to generate."""

    @property
    def config(self) -> ModelConfig:
        """Sizes of the network."""

    @property
    def runs_on(self) -> str:
        """Back end and device in words."""

    def encode_window(self, controls: Floats, stretch: dict[str, Any]) -> EncodedWindow:
        """Encode one window (`mapper.tokens.window.cell_arrays`) for all `controls` [chart, CONTROL_FEATURES]."""

    def arrays(self) -> dict[str, Floats]:
        """Every array of its checkpoint by name, float32; `mapper.tokens.vocabulary.shapes_of` has their shapes."""
