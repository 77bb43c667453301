"""Run a Beat This network over a whole song: the probability of a beat and of a downbeat in each frame.

    tracker = load_beat_tracker()                  # the bundled weights
    activations = tracker(load_audio(path))        # 50 frames a second
    beats = pick_beats(activations)                # ear.tracker.peak_picking

Network and windows are those of `beat_this` (Foscarin, Schlüter, Widmer: Beat This! Accurate beat tracking without
DBN postprocessing, ISMIR 2024). The library's own inference module needs torchaudio and is not used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ear.audio.decode import Audio
from ear.audio.shared import network_mel_of
from ear.tracker.checkpoint import find_checkpoint
from ear.tracker.interface import (
    BORDER_FRAMES,
    DEFAULT_WINDOW_FRAMES,
    BeatActivations,
    OpenedNetwork,
    RunWindow,
)
from runtime.onnx.backend import Library, choose_library


@dataclass(frozen=True, slots=True)
class BeatTracker:
    """A loaded network with its back end: audio in, activations out. Equal audio gives equal activations."""

    network: OpenedNetwork = field(repr=False)
    checkpoint: Path
    backend: Library

    @property
    def device(self) -> str:
        return self.network.device

    def __call__(self, audio: Audio) -> BeatActivations:
        """Activations of a whole song; audio at another rate than 22,050 Hz is resampled."""
        return activations_of(network_mel_of(audio), self.network.run_window, self.network.window_frames)


def load_beat_tracker(checkpoint: str = "bundled", backend: str = "auto", device: str = "auto") -> BeatTracker:
    """A beat tracker from a checkpoint: `bundled`, an official name (`final0`, `small0`, …), or a file.

    `backend` is auto, torch or onnx (runtime.onnx.backend); an `.onnx` file always runs on onnxruntime.
    `device`: auto, cpu, cuda, cuda:1 …, and dml or directml with onnxruntime. Raises CheckpointError or ConfigError.
    """
    path = find_checkpoint(checkpoint)
    library = choose_library("onnx" if path.suffix.lower() == ".onnx" else backend, device)
    if library == "onnx":
        from ear.tracker.onnx_runner import open_onnx

        return BeatTracker(open_onnx(path, device), path, "onnx")
    from ear.tracker.torch_runner import open_torch

    return BeatTracker(open_torch(path, device), path, "torch")


def activations_of(
    mel: NDArray[np.float32], run_window: RunWindow, window_frames: int = DEFAULT_WINDOW_FRAMES
) -> BeatActivations:
    """Activations of a spectrogram [frame, 128] of any length, from overlapping windows."""
    logits = np.full((2, len(mel)), -np.inf, np.float32)
    for window in reversed(list(windows(len(mel), window_frames))):  # of overlapping windows the earlier one counts
        padded = np.pad(mel[window.first : window.last], ((window.left, window.right), (0, 0)))
        found = run_window(padded)[:, BORDER_FRAMES : len(padded) - BORDER_FRAMES]
        start = window.first - window.left + BORDER_FRAMES
        logits[:, start : start + found.shape[1]] = found
    beat, downbeat = 1.0 / (1.0 + np.exp(-logits.clip(-80.0, 80.0)))
    return BeatActivations(beat.astype(np.float32), downbeat.astype(np.float32))


class Window(NamedTuple):
    """Frames [first, last) of the song, padded with `left` and `right` frames of silence."""

    first: int
    last: int
    left: int
    right: int


def windows(frames: int, length: int = DEFAULT_WINDOW_FRAMES) -> Iterator[Window]:
    """Windows of `length` whose inner frames cover a song; the last window is moved back so that it is full."""
    usable = length - 2 * BORDER_FRAMES
    starts = np.arange(-BORDER_FRAMES, max(frames - BORDER_FRAMES, 1 - BORDER_FRAMES), usable)
    if frames > usable:
        starts[-1] = frames + BORDER_FRAMES - length
    for start in map(int, starts):
        end = start + length
        yield Window(max(start, 0), min(end, frames), max(-start, 0), max(0, min(BORDER_FRAMES, end - frames)))
