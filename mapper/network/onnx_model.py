"""The mapper on onnxruntime, without torch: the encoder as a graph on any device, rows by the compiled decoder.

`OnnxDecoder` runs the decoder's own graphs. It is what other programs would do with them and proves them right; for a
few charts at a time a call's overhead makes it many times slower than `mapper.network.cached_decoder`, so generation does without.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mapper.network.cached_decoder import CachedDecoder
from mapper.network.checkpoint import read_checkpoint
from mapper.network.interface import DecoderInput, EncodedWindow, Floats, Ints, RowDecoder
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

    def __init__(self, checkpoint: Path | None = None, device: str = "auto", graph_decoder: bool = False) -> None:
        """`graph_decoder` writes rows by the decoder's graphs too. Raises CheckpointError or ConfigError."""
        self.folder = checkpoint if checkpoint is not None and checkpoint.is_dir() else None
        self.checkpoint = read_checkpoint(self.folder / WEIGHTS_FILE if self.folder else checkpoint)
        self.device = device
        self.encoder = self._open("encoder")
        self.graphs = {name: self._open(name) for name in ("decoder", "hazard", "row")} if graph_decoder else {}

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
        """What the user should know of the device, or nothing."""
        return self.encoder.notice

    def encode_window(self, controls: Floats, stretch: dict[str, Any]) -> EncodedWindow:
        inputs = {name: stretch[name] for name in ("mel", "slot_frame", "beat_ms", "song_edges")}
        inputs |= {name: np.asarray(stretch[name], np.int64) for name in ("quarter", "beat_in_bar", "bar")}
        return EncodedWindow(*self.encoder.run(list(ENCODER_OUTPUTS), {"controls": controls, **inputs}))

    def row_decoder(self, charts: int, capacity: int) -> RowDecoder:
        if self.graphs:
            return OnnxDecoder(self.config, self.graphs, charts, capacity)
        return CachedDecoder(self, charts, capacity)

    def arrays(self) -> dict[str, Floats]:
        return self.checkpoint.arrays


class OnnxDecoder:
    """As `mapper.network.cached_decoder.CachedDecoder`, by the decoder's graphs; `graphs` are those of decoder, hazard and row."""

    def __init__(self, config: ModelConfig, graphs: dict[str, Session], charts: int, capacity: int) -> None:
        self.graphs = graphs
        shape = (config.decoder_layers, charts, config.heads, capacity, config.width // config.heads)
        self.keys, self.values = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self.length = np.zeros(charts, np.int64)
        self.state = np.zeros((charts, config.width), np.float32)

    def forget(self, charts: Ints) -> None:
        self.length[charts] = 0

    def read(self, rows: DecoderInput) -> None:
        waiting = np.arange(rows.chart.size)
        while waiting.size:  # a chart's rows one after another
            _, first = np.unique(rows.chart[waiting], return_index=True)
            self._read_one_each(rows, waiting[np.sort(first)])
            waiting = np.delete(waiting, first)

    def _read_one_each(self, rows: DecoderInput, items: Ints) -> None:
        charts = rows.chart[items]
        length = self.length[charts]
        seen = int(length.max())
        names = ("code", "held", "elapsed", "beat", "cell", "slot", "control")
        state, key, value = self.graphs["decoder"].run(
            ["state", "key", "value"],
            {
                **{name: getattr(rows, name)[items] for name in names},
                "index": length.astype(np.float32),
                "length": length,
                "keys": self.keys[:, charts, :, :seen],
                "values": self.values[:, charts, :, :seen],
            },
        )
        self.state[charts] = state
        self.keys[:, charts, :, length], self.values[:, charts, :, length] = key.swapaxes(0, 1), value.swapaxes(0, 1)
        self.length[charts] += 1

    def hazard_terms(self, charts: Ints) -> tuple[Floats, Floats]:
        query, by_elapsed = self.graphs["hazard"].run(["query", "by_elapsed"], {"state": self.state[charts]})
        return query, by_elapsed

    def row_logits(
        self, charts: Ints, slot: Floats, cell: Floats, elapsed: Ints, held: Ints, earlier: Ints, alike: Floats
    ) -> Floats:
        inputs = {"slot": slot, "cell": cell, "elapsed": elapsed, "held": held, "alike": alike}
        inputs |= {"state": self.state[charts], "earlier": np.asarray(earlier, np.int64)}
        logits: Floats = self.graphs["row"].run(["logits"], inputs)[0]
        return logits
