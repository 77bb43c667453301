"""Beat This on onnxruntime: CPU, CUDA, ROCm or DirectML, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ear.tracker.checkpoint import read_checkpoint, window_frames_of
from ear.tracker.interface import DEFAULT_WINDOW_FRAMES, WINDOW_BOUNDS, OpenedNetwork
from ear.tracker.onnx_graph import INPUT, OUTPUT, beat_graph
from runtime.atomic_write import save_bytes
from runtime.errors import CheckpointError
from runtime.onnx.session import open_session

if TYPE_CHECKING:
    import onnxruntime
    from beat_this.model.beat_tracker import BeatThis

WINDOW_KEY = "window_frames"
"""In the file's metadata."""


def open_onnx(path: Path, device: str = "auto") -> OpenedNetwork:
    """The network of a checkpoint on onnxruntime; a checkpoint of another format is converted in memory."""
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
    """Write a network as `.onnx` that takes any number of frames; the file is replaced atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_bytes(path, onnx_bytes(network, window_frames))


def onnx_bytes(network: BeatThis, window_frames: int = DEFAULT_WINDOW_FRAMES) -> bytes:
    """A network as the bytes of an `.onnx` file."""
    from beat_this.model.beat_tracker import SumHead

    arrays = {name: tensor.detach().float().cpu().numpy() for name, tensor in network.state_dict().items()}
    return _file(arrays, isinstance(network.task_heads, SumHead), window_frames)


def _exported(path: Path) -> bytes:
    """A checkpoint as the bytes of an `.onnx` file; `.safetensors` needs no torch."""
    config, arrays = read_checkpoint(path)
    try:
        return _file(arrays, bool(config.get("sum_head", True)), window_frames_of(path))
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: the weights do not fit their own config ({error}); is it from a fork?"
        ) from error


def _file(arrays: Mapping[str, NDArray[Any]], sum_head: bool, window_frames: int) -> bytes:
    return beat_graph(arrays, sum_head).file({WINDOW_KEY: str(window_frames)})


def _check_shapes(session: onnxruntime.InferenceSession, path: Path) -> None:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    named = [value.name for value in inputs] == [INPUT] and [value.name for value in outputs] == [OUTPUT]
    if not named or inputs[0].shape[-1] != 128:
        raise CheckpointError(
            f"{path}: is an ONNX model, but not a beat network; export one with `python -m ear.export`"
        )
