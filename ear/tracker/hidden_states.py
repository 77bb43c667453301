"""The hidden states of a beat network over a whole song: inputs for networks that learn something else from music."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ear.audio.decode import Audio
from ear.audio.shared import network_mel_of
from ear.audio.spectrogram import BEAT_THIS_FRAMES_PER_SECOND
from ear.tracker.checkpoint import read_checkpoint, window_frames_of
from ear.tracker.onnx_graph import HIDDEN, INPUT, OUTPUT, beat_graph
from ear.tracker.tracker import BORDER_FRAMES, windows
from runtime.onnx.session import open_session


@dataclass(frozen=True, slots=True, eq=False)
class HiddenStates:
    """Hidden states of a beat network; frame k is centred on k / frames_per_s seconds."""

    log_odds: NDArray[np.float32] = field(repr=False)  # [frame, 2], of a beat and of a downbeat
    hidden: NDArray[np.float32] = field(repr=False)  # [frame, state], behind the convolutions, a layer, and all of them
    frames_per_s: float = BEAT_THIS_FRAMES_PER_SECOND


def load_hidden_states(checkpoint: Path) -> Callable[[Audio], HiddenStates]:
    """A function that computes the hidden states of a song, on onnxruntime's CPU: equal audio gives equal states.

    Raises CheckpointError when the file is missing or is not a checkpoint of a beat network.
    """
    config, arrays = read_checkpoint(checkpoint)
    graph = beat_graph(arrays, bool(config.get("sum_head", True)), hidden=True)
    session, length = open_session(graph.file(), "cpu", str(checkpoint)), window_frames_of(checkpoint)

    def states_of(audio: Audio) -> HiddenStates:
        mel = network_mel_of(audio)
        found: list[NDArray[np.float32]] = []
        for window in windows(len(mel), length):
            padded = np.pad(mel[window.first : window.last], ((window.left, window.right), (0, 0)))
            logits, hidden = session.run([OUTPUT, HIDDEN], {INPUT: padded[None].astype(np.float32)})
            kept = slice(BORDER_FRAMES, len(padded) - BORDER_FRAMES)
            start = window.first - window.left + BORDER_FRAMES
            new = np.concatenate((logits[0].T, hidden[0]), 1)[kept][sum(map(len, found)) - start :]
            found.append(new)  # where windows overlap, the earlier one counts
        joined = np.concatenate(found)
        return HiddenStates(joined[:, :2], joined[:, 2:])

    return states_of
