"""Beat This on onnxruntime: CPU, CUDA, ROCm or DirectML, without torch's GPU builds."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from chart.errors import CheckpointError
from chart.saving import save_bytes
from ear.beat_network import OpenedNetwork
from ear.checkpoints import DEFAULT_WINDOW_FRAMES, WINDOW_BOUNDS, load_network, window_frames_of
from ear.onnx_session import open_session

if TYPE_CHECKING:
    from beat_this.model.beat_tracker import BeatThis

INPUT, OUTPUT = "mel", "logits"
"""[batch, frame, 128] in, [batch, 2, frame] out: log-odds of beat and downbeat."""

OPSET = 17

WINDOW_KEY = "window_frames"
"""In the file's metadata."""


def open_onnx(path: Path, device: str = "auto") -> OpenedNetwork:
    """The network of a checkpoint on onnxruntime; what is not `.onnx` is exported in memory."""
    content = path.read_bytes() if path.suffix.lower() == ".onnx" else _exported(path)
    opened = open_session(content, device, str(path))
    session = opened.session
    _check_shapes(session, path)

    def run_window(mel: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = session.run([OUTPUT], {INPUT: np.ascontiguousarray(mel, np.float32)[None]})[0]
        return np.asarray(logits[0], np.float32)

    said = session.get_modelmeta().custom_metadata_map.get(WINDOW_KEY, "")
    frames = int(said) if said.isdecimal() and len(said) < 6 else DEFAULT_WINDOW_FRAMES
    return OpenedNetwork(run_window, opened.device, min(max(frames, WINDOW_BOUNDS[0]), WINDOW_BOUNDS[1]))


def export_onnx(network: BeatThis, path: Path, window_frames: int = DEFAULT_WINDOW_FRAMES) -> None:
    """Write a network as `.onnx` that takes any number of frames; half a file is never left under its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_bytes(path, onnx_bytes(network, window_frames))


def onnx_bytes(network: BeatThis, window_frames: int = DEFAULT_WINDOW_FRAMES) -> bytes:
    """A network as the bytes of an `.onnx` file."""
    import onnx
    import torch

    class Stacked(torch.nn.Module):
        """One output in place of a dict."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, mel: torch.Tensor) -> torch.Tensor:
            out = self.network(mel)
            return torch.stack((out["beat"], out["downbeat"]), dim=1)

    rotary = [module for module in network.modules() if hasattr(module, "cache_if_possible")]
    before = [module.cache_if_possible for module in rotary]
    for module in rotary:
        module.cache_if_possible = False  # a cache would be traced as a constant of the example's length
    try:
        with warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="mania4k-") as folder:
            path = Path(folder) / "network.onnx"
            warnings.simplefilter("ignore")  # the tracer's, about Python values that do not change here
            torch.onnx.export(
                Stacked().eval(),
                (torch.zeros(1, 200, 128),),
                path,
                dynamo=False,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_axes={INPUT: {0: "batch", 1: "frame"}, OUTPUT: {0: "batch", 2: "frame"}},
            )
            model = onnx.load(path)
            model.metadata_props.add(key=WINDOW_KEY, value=str(window_frames))
            return bytes(model.SerializeToString())
    finally:
        for module, cached in zip(rotary, before, strict=True):
            module.cache_if_possible = cached


def _exported(path: Path) -> bytes:
    return onnx_bytes(load_network(path), window_frames_of(path))


def _check_shapes(session: onnxruntime.InferenceSession, path: Path) -> None:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    named = [value.name for value in inputs] == [INPUT] and [value.name for value in outputs] == [OUTPUT]
    if not named or inputs[0].shape[-1] != 128:
        raise CheckpointError(
            f"{path}: is an ONNX model, but not a beat network; export one with `python -m ear.export`"
        )
