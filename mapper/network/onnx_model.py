"""The mapper on onnxruntime, without torch: the encoder as a graph on any device, rows by the compiled decoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mapper.network.checkpoint import read_checkpoint
from mapper.network.interface import EncodedWindow, Floats
from mapper.network.onnx_graphs import GRAPHS
from mapper.tokens.vocabulary import ModelConfig
from runtime.errors import CheckpointError
from runtime.onnx.session import Session, open_session

ENCODER_OUTPUTS = ("cell", "slot", "onset_logit", "decoder_control")
"""Outputs of the encoder, fields of `EncodedWindow`."""
WEIGHTS_FILE = "mapper.safetensors"
"""The checkpoint beside the graphs in an exported folder."""
MAX_GRAPH_BYTES = 1 << 31


class OnnxMapper:
    """A checkpoint, or a folder that `mania4k export` wrote, ready to generate; a `mapper.network.interface.Network`."""

    def __init__(self, checkpoint: Path | None = None, device: str = "auto") -> None:
        """Raises CheckpointError or ConfigError."""
        self.folder = checkpoint if checkpoint is not None and checkpoint.is_dir() else None
        self.checkpoint = read_checkpoint(self.folder / WEIGHTS_FILE if self.folder else checkpoint)
        self.device = device
        self.encoder = self._open("encoder")

    def _open(self, name: str) -> Session:
        """The graph on the device, from the exported folder or made of the checkpoint."""
        if self.folder is None:
            return open_session(GRAPHS[name](self.checkpoint).file(), self.device, name)
        path = self.folder / f"{name}.onnx"
        try:
            if path.stat().st_size > MAX_GRAPH_BYTES:
                raise CheckpointError(f"{path}: larger than {MAX_GRAPH_BYTES >> 20} MB, so not a graph of this project")
            content = path.read_bytes()
        except OSError as error:
            raise CheckpointError(
                f"{path}: cannot be read ({error.strerror or error}); is {self.folder} a folder of `mania4k export`?"
            ) from error
        return open_session(content, self.device, str(path))

    @property
    def config(self) -> ModelConfig:
        return self.checkpoint.config

    @property
    def runs_on(self) -> str:
        return f"onnxruntime, {self.encoder.device}"

    @property
    def notice(self) -> str:
        """Notice for the user about the device; empty if there is none."""
        return self.encoder.notice

    def encode_window(self, controls: Floats, stretch: dict[str, Any]) -> EncodedWindow:
        inputs = {name: stretch[name] for name in ("mel", "slot_frame", "beat_ms", "song_edges")}
        inputs |= {name: np.asarray(stretch[name], np.int64) for name in ("quarter", "beat_in_bar", "bar")}
        return EncodedWindow(*self.encoder.run(list(ENCODER_OUTPUTS), {"controls": controls, **inputs}))

    def arrays(self) -> dict[str, Floats]:
        return self.checkpoint.arrays
