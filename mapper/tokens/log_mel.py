"""The log-mel spectrogram of the encoder: bytes, 100 frames a second."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ear.audio.spectrogram import BANDS as BANDS
from ear.audio.spectrogram import FRAMES_PER_SECOND

MS_PER_FRAME = 1000 / FRAMES_PER_SECOND
QUANTUM = 1 / 32
"""Log-mel units a step of the stored bytes: the loudest frames reach about 7 units, 224 steps."""
SCALE = 4.0
"""Log-mel units that are 1 in the network's input."""


def quantized(mel: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[frame, band] log-mel spectrogram (`ear.audio.spectrogram.log_mel`) in steps of `QUANTUM`."""
    return np.clip(np.round(mel / QUANTUM), 0, 255).astype(np.uint8)


def log_mel_of(features: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[frame, band] in log-mel units: the first channels of stored features [frame, channel]."""
    return features[:, :BANDS].astype(np.float32) * np.float32(QUANTUM)


def as_network_mel(mel: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Stored bytes → the units of the network's input."""
    return mel.astype(np.float32) * np.float32(QUANTUM / SCALE)
