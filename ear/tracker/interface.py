"""Types that the back ends, the tracker and its callers share: activations and a network that is ready to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ear.audio.spectrogram import BEAT_THIS_FRAMES_PER_SECOND

DEFAULT_WINDOW_FRAMES, WINDOW_BOUNDS = 1500, (50, 6000)
"""Frames in a network's window where its checkpoint does not say (30 s, the training length of Beat This), and the range
that a checkpoint may ask for."""

BORDER_FRAMES = 6
"""Frames dropped at each edge of a window: the training loss ignores them."""

Logits = NDArray[np.float32]
RunWindow = Callable[[NDArray[np.float32]], Logits]
"""Maps the spectrogram [frame, 128] of one window to logits [2, frame]: beat, downbeat."""


@dataclass(frozen=True, slots=True, eq=False)
class BeatActivations:
    """Probability of a beat and of a downbeat in each frame; frame k is centred on k / frames_per_s seconds."""

    beat: NDArray[np.float32] = field(repr=False)  # [frame], 0–1
    downbeat: NDArray[np.float32] = field(repr=False)  # [frame], 0–1
    frames_per_s: float = BEAT_THIS_FRAMES_PER_SECOND


class OpenedNetwork(NamedTuple):
    """A network on a device. Windows longer than those it was trained on lower its accuracy."""

    run_window: RunWindow
    device: str
    window_frames: int = DEFAULT_WINDOW_FRAMES
