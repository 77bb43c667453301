"""Log-mel spectrograms: the mapper's input (100 frames a second) and Beat This's (50).

Both are log1p(1000·m), where m is the magnitude of a Hann-windowed transform divided by sqrt(n_fft) and summed in
triangular bands equally spaced on the Slaney mel scale (linear below 1 kHz, logarithmic above; triangles peak at 1),
as in `beat_this/preprocessing.py` (torchaudio's `MelSpectrogram(power=1, normalized="frame_length")`).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ear.audio.decode import SAMPLE_RATE

FRAMES_PER_SECOND = 100.0
"""The mapper's frames: 10 ms, finer than a 1/16 slot at any playable tempo."""

N_FFT = 1024
"""Samples in a window: 46 ms at 22,050 Hz."""

BANDS = 64
"""Mel bands of the mapper's spectrogram; half of Beat This's, since pitch matters less than onsets."""

LOW_HZ, HIGH_HZ = 30.0, 11_000.0
"""Edges of the lowest and highest band; Beat This's own."""

BEAT_THIS_FRAMES_PER_SECOND = 50.0
BEAT_THIS_BANDS = 128

LOG_GAIN = 1000.0
"""Beat This's gain before log1p: silence stays 0 and music falls in about 0–8."""

CHUNK_FRAMES = 512
"""Frames transformed at a time: 2 MB of windows stay in the cache."""


def log_mel(
    samples: NDArray[np.float32],
    sample_rate: int,
    *,
    frames_per_second: float = FRAMES_PER_SECOND,
    n_fft: int = N_FFT,
    bands: int = BANDS,
    low_hz: float = LOW_HZ,
    high_hz: float = HIGH_HZ,
) -> NDArray[np.float32]:
    """Log-mel spectrogram [frame, band] of mono `samples` [sample], ≥ 0.

    Frame k is centred at k / frames_per_second seconds, rounded to the nearest sample; the signal is silence before
    its start and after its end. There is a frame for every centre in the signal, its very end included.
    """
    assert samples.ndim == 1, "samples must be mono, [sample]"
    filters = mel_filters(sample_rate, n_fft, bands, low_hz, high_hz)
    return log_bands(samples, sample_rate, filters, frames_per_second=frames_per_second)


def log_bands(
    samples: NDArray[np.float32], sample_rate: int, filters: NDArray[np.float32], *, frames_per_second: float
) -> NDArray[np.float32]:
    """As `log_mel`, with any `filters` [bin, band]; the window is twice the bins, less two, long."""
    n_fft = 2 * (len(filters) - 1)
    count = int(samples.size * frames_per_second / sample_rate + 1e-9) + 1
    centres = np.rint(np.arange(count) * (sample_rate / frames_per_second)).astype(np.int64)
    padded = np.pad(np.asarray(samples, np.float32), n_fft // 2 + 1)  # one more than half: centres are rounded
    return _log_bands_at(padded, centres + 1, filters)


def beat_this_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Beat This's input [frame, 128] from mono `samples` at 22,050 Hz: 50 frames a second, ends mirrored."""
    assert samples.ndim == 1, "samples must be mono, [sample]"
    hop = round(SAMPLE_RATE / BEAT_THIS_FRAMES_PER_SECOND)
    centres = np.arange(samples.size // hop + 1) * hop
    padded = np.pad(np.asarray(samples, np.float32), N_FFT // 2, mode="reflect")
    return _log_bands_at(padded, centres, mel_filters(SAMPLE_RATE, N_FFT, BEAT_THIS_BANDS, LOW_HZ, HIGH_HZ))


def _log_bands_at(
    padded: NDArray[np.float32], starts: NDArray[np.int64], filters: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Log magnitudes [frame, band] of the windows of `padded` [sample] that begin at `starts` [frame]."""
    n_fft = 2 * (len(filters) - 1)
    window = hann(n_fft)
    gain = np.float32(LOG_GAIN)
    windows = np.lib.stride_tricks.sliding_window_view(padded, n_fft)  # [start, sample], a view
    out = np.empty((starts.size, filters.shape[1]), np.float32)
    for first in range(0, starts.size, CHUNK_FRAMES):
        part = slice(first, first + CHUNK_FRAMES)
        magnitude = np.abs(spectra(windows[starts[part]] * window))
        np.log1p(gain * (magnitude @ filters), out=out[part])
    return out


def spectra(windows: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Discrete Fourier transforms [window, bin] of `windows` [window, sample], divided by the root of their length.

    numpy 2 computes in double precision without `norm`, twice as long (findings/numpy-rfft-of-float32-is-double.sh); numpy 1 always does.
    """
    return np.fft.rfft(windows, axis=1, norm="ortho").astype(np.complex64, copy=False)


@lru_cache(maxsize=8)
def hann(n_fft: int) -> NDArray[np.float32]:
    """The periodic Hann window [sample], torch's default."""
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)
    window.flags.writeable = False
    return window


@lru_cache(maxsize=8)
def mel_filters(sample_rate: int, n_fft: int, bands: int, low_hz: float, high_hz: float) -> NDArray[np.float32]:
    """Triangular filters [bin, band] with peak 1, edges equally spaced in Slaney mel from `low_hz` to `high_hz`."""
    assert 0 <= low_hz < high_hz <= sample_rate / 2, "bands must lie below half the sample rate"
    bin_hz = np.linspace(0.0, sample_rate / 2, n_fft // 2 + 1)
    edges = _mel_to_hz(np.linspace(_hz_to_mel(low_hz), _hz_to_mel(high_hz), bands + 2))  # [band + 2]
    return triangles(bin_hz, edges)


@lru_cache(maxsize=8)
def semitone_filters(sample_rate: int, n_fft: int, low_hz: float, semitones: int) -> NDArray[np.float32]:
    """Triangular filters [bin, semitone] with peak 1 at `low_hz` and each semitone above."""
    edges = low_hz * 2.0 ** (np.arange(-1, semitones + 1) / 12)
    assert edges[-1] <= sample_rate / 2, "tones must lie below half the sample rate"
    return triangles(np.linspace(0.0, sample_rate / 2, n_fft // 2 + 1), edges)


def triangles(bin_hz: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float32]:
    """Filters [bin, band], read-only: band k rises from edge k to 1 at edge k + 1 and falls to edge k + 2."""
    rising = (bin_hz[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bin_hz[:, None]) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)
    filters.flags.writeable = False
    return filters


MEL_HZ = 200.0 / 3
"""Width of one mel below the bend."""

BEND_HZ, BEND_MEL = 1000.0, 15.0
LOG_STEP = np.log(6.4) / 27.0
"""Above the bend 27 mels are a factor of 6.4 (Slaney's Auditory Toolbox)."""


def _hz_to_mel(hz: float) -> float:
    return hz / MEL_HZ if hz < BEND_HZ else BEND_MEL + float(np.log(hz / BEND_HZ)) / LOG_STEP


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < BEND_MEL, mel * MEL_HZ, BEND_HZ * np.exp(LOG_STEP * (mel - BEND_MEL)))
