"""What generation needs of a network, whatever runs it: torch (mapper.model) or onnxruntime (mapper.onnx_network)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mapper.architecture import ModelConfig

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class HeardWindow:
    """What the encoder hears in a stretch, for each chart's controls."""

    cell: Floats  # [chart, cell, width]
    slot: Floats  # [chart, slot, hazard width]
    onset_logit: Floats  # [chart, slot], that a row falls here, the rows before it unseen
    decoder_control: Floats  # [chart, width], what the decoder is told


class Network(Protocol):
    """A mapper ready to generate."""

    @property
    def config(self) -> ModelConfig:
        """Its sizes."""

    def hear_stretch(self, controls: Floats, stretch: dict[str, Any]) -> HeardWindow:
        """Encode one stretch (`mapper.stretch.cell_arrays`) for all `controls` [chart, CONTROL_FEATURES]."""

    def arrays(self) -> dict[str, Floats]:
        """Every array of its checkpoint by name, float32; `mapper.architecture.shapes_of` has their shapes."""
