"""Onset strength at millisecond resolution, and how far a chart's notes are from the sound.

Onset strength is spectral flux: how much louder each frequency became within `RISE_MS`, on a logarithmic scale,
summed over the frequencies of a band. Its short window smears an attack by a few milliseconds only; the constant
part of that smear (`EARLY_MS`) is taken out, so that a frame's time is the time at which an instrument starts to sound.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ear.audio.spectrogram import hann, spectra

FRAME_MS = 1.0

BAND_EDGES_HZ = (0.0, 200.0, 1000.0, 4000.0, np.inf)
"""Bass and kick; body of snare and chords; attack of most instruments; hi-hats."""

N_FFT = 256
"""Samples in a window, 11.6 ms at 22,050 Hz: longer ones smear attacks by more than bands gain from them."""

RISE_MS = 6.0
"""Windows this far apart are compared: half a window, where the flux of a step is greatest."""

LOG_GAIN = 100.0
"""Gain before log1p, for magnitudes divided by sqrt(window): counts attacks under loud music, not noise in silence."""

EARLY_MS = 0.7
"""Lead of the flux peak over the onset. For sounds that are there at once it is 2.1–3.4 ms (synthesised kicks,
bells, tones, noise, clicks); instruments rise for a while, and with 24 pieces of rendered MIDI at a constant tempo it is
0.1 ms (median; median deviation 0.8), their notes sounding 2 ms after their time. Set for instruments, a little
towards the others: clicks come out 2 ms early."""

CHUNK_FRAMES = 512
"""Frames transformed at a time: half a megabyte of windows stays in the cache."""


@dataclass(frozen=True, slots=True, eq=False)
class OnsetStrength:
    """Onset strength ≥ 0; frame k is the evidence for an onset at k · frame_ms on the audio clock."""

    strength: NDArray[np.float32] = field(repr=False)  # [frame, band], low to high as `BAND_EDGES_HZ`
    frame_ms: float = FRAME_MS

    @property
    def total(self) -> NDArray[np.float32]:
        """[frame], sum of the bands; the high ones weigh most, which are also the sharpest."""
        return self.strength.sum(axis=1)


def onset_strength(samples: NDArray[np.float32], sample_rate: int, *, frame_ms: float = FRAME_MS) -> OnsetStrength:
    """Onset strength of mono `samples` [sample] in four bands; `frame_ms` of 1–5 is useful."""
    assert samples.ndim == 1, "samples must be mono, [sample]"
    rise = max(1, round(RISE_MS / frame_ms))  # frames between the windows compared
    frames = int(samples.size * 1000 / sample_rate / frame_ms) + 1
    first_ms = -EARLY_MS - rise * frame_ms / 2  # centre of the earlier window of frame 0
    centre_ms = first_ms + np.arange(frames + rise) * frame_ms
    margin = N_FFT + int(np.ceil((EARLY_MS + RISE_MS + 2 * frame_ms) * sample_rate / 1000))
    starts = np.rint(centre_ms * sample_rate / 1000).astype(np.int64) - N_FFT // 2 + margin
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(np.asarray(samples, np.float32), margin), N_FFT)
    window = hann(N_FFT) * np.float32(LOG_GAIN)
    bands = _band_filters(sample_rate)
    out = np.empty((frames, bands.shape[1]), np.float32)
    for first in range(0, frames, CHUNK_FRAMES):
        part = starts[first : min(first + CHUNK_FRAMES, frames) + rise]
        level = np.abs(spectra(windows[part] * window))
        level += 1.0
        np.log(level, out=level)  # to 3e-7 its log1p, which numpy computes number by number
        out[first : first + CHUNK_FRAMES] = np.maximum(level[rise:] - level[:-rise], 0.0) @ bands
    return OnsetStrength(out, frame_ms)


def _band_filters(sample_rate: int) -> NDArray[np.float32]:
    """[bin, band]: 1 where the bin lies in the band."""
    bin_hz = np.fft.rfftfreq(N_FFT, 1 / sample_rate)[:, None]
    edges = np.asarray(BAND_EDGES_HZ)
    return ((bin_hz >= edges[:-1]) & (bin_hz < edges[1:])).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Lag:
    """Lag of the sound after the notes as written (negative: before them)."""

    lag_ms: float
    confidence: float  # 0–1: how far the best lag stands out; below 0.5 it may be chance


SEARCH_MS = 60.0
"""Default search either way: no good chart is further off."""

WIDE_SEARCH_MS = 250.0
"""For charts synchronised to another encode of the song."""

PEAK_MS = 12.0
"""Lags this close to the best one belong to its peak, not to the background."""


def estimate_lag_ms(onset: OnsetStrength, note_ms: NDArray[np.float64], *, search_ms: float = SEARCH_MS) -> Lag:
    """The lag at which the mean onset strength under the notes [note] is greatest, to a fraction of a frame.

    Notes at one time count once. With fewer than two notes well inside the audio: lag 0, confidence 0.
    """
    note = np.unique(np.asarray(note_ms, np.float64))
    note = note[(note > search_ms) & (note < len(onset.strength) * onset.frame_ms - search_ms)]
    if note.size < 2:
        return Lag(0.0, 0.0)
    reach = int(np.ceil(search_ms / onset.frame_ms))
    total, frame = onset.total, np.arange(len(onset.strength))
    at_note = note / onset.frame_ms
    steps = np.arange(-reach, reach + 1)
    profile = np.array([np.interp(at_note + step, frame, total).mean() for step in steps])
    best = int(profile.argmax())
    lag = (steps[best] + parabola_offset(profile, best)) * onset.frame_ms
    return Lag(float(lag), _peak_confidence(profile, np.abs(steps - steps[best]) * onset.frame_ms > PEAK_MS))


def parabola_offset(values: NDArray[np.float64], best: int) -> float:
    """Where, in samples from `best` (-0.5…0.5), the parabola through it and its neighbours peaks; 0 at an end."""
    if not 0 < best < values.size - 1:
        return 0.0
    left, centre, right = (float(value) for value in values[best - 1 : best + 2])
    bend = left - 2 * centre + right
    return float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else 0.0


def _peak_confidence(profile: NDArray[np.float64], background: NDArray[np.bool_]) -> float:
    """0–1 from how many robust deviations the peak stands above the background."""
    rest = profile[background]
    if not rest.size:
        return 0.0
    middle = float(np.median(rest))
    spread = 1.4826 * float(np.median(np.abs(rest - middle))) + 1e-9
    return float(1 / (1 + np.exp(4.0 - (float(profile.max()) - middle) / spread)))
