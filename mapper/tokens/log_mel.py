"""Audio as the mapper hears it: a quantised log-mel spectrogram, 100 frames a second."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ear.audio.decode import Audio
from ear.audio.spectrogram import log_mel

FRAMES_PER_SECOND = 100
MS_PER_FRAME = 1000 / FRAMES_PER_SECOND
BANDS = 64
QUANTUM = 1 / 32
"""Log-mel units a step of the stored bytes: the loudest frames reach about 7 units, 224 steps."""
SCALE = 4.0
"""Log-mel units that the network sees as 1."""


def song_features(audio: Audio) -> NDArray[np.uint8]:
    """[frame, band]: the log-mel spectrogram in steps of `QUANTUM`; frame k is centred at k · 10 ms."""
    mel = log_mel(
        audio.samples,
        audio.sample_rate,
        frames_per_second=FRAMES_PER_SECOND,
        n_fft=1024,
        bands=BANDS,
        low_hz=30.0,
        high_hz=11_000.0,
    )
    return np.clip(np.round(mel / QUANTUM), 0, 255).astype(np.uint8)


def as_network_input(features: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Stored bytes → what `Cells.mel` holds."""
    return features.astype(np.float32) * np.float32(QUANTUM / SCALE)
