"""Audio as the mapper hears it: a quantised log-mel spectrogram, 100 frames a second."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ear.audio.decode import Audio
from ear.audio.spectrogram import BANDS as BANDS
from ear.audio.spectrogram import FRAMES_PER_SECOND, log_mel

MS_PER_FRAME = 1000 / FRAMES_PER_SECOND
QUANTUM = 1 / 32
"""Log-mel units a step of the stored bytes: the loudest frames reach about 7 units, 224 steps."""
SCALE = 4.0
"""Log-mel units that the network sees as 1."""


def song_features(audio: Audio) -> NDArray[np.uint8]:
    """[frame, band]: the log-mel spectrogram in steps of `QUANTUM`; frame k is centred at k · 10 ms."""
    return quantized(log_mel(audio.samples, audio.sample_rate))


def quantized(mel: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[frame, band] log-mel spectrogram (`ear.audio.spectrogram.log_mel`) in steps of `QUANTUM`."""
    return np.clip(np.round(mel / QUANTUM), 0, 255).astype(np.uint8)


def as_network_input(features: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Stored bytes → what `Cells.mel` holds."""
    return features.astype(np.float32) * np.float32(QUANTUM / SCALE)
