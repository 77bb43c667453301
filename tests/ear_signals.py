"""Signals with known answers for the tests of the Ear."""

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from ear.audio.decode import SAMPLE_RATE, Audio

HIT_SAMPLES = 2000

AT_ONCE_MS = -1.8
"""Sounds that are there at once are placed this much early, as instruments rise for a while (`ear.audio.onset.EARLY_MS`)."""


def hit(rng: np.random.Generator, decay_s: float = 0.01, brightness: float = 1.0) -> NDArray[np.float64]:
    """A short burst of noise that starts at once; less bright ones are smoothed like a drum's."""
    noise = rng.standard_normal(HIT_SAMPLES)
    if brightness < 1:
        noise = np.convolve(noise, np.ones(40) / 40, mode="same") * 4
    return noise * np.exp(-np.arange(HIT_SAMPLES) / (decay_s * SAMPLE_RATE))


def hits_at(times_s: NDArray[np.float64], duration_s: float, level: float = 0.5, **sound: float) -> NDArray[np.float64]:
    """[sample]: a hit at each time."""
    rng = np.random.default_rng(1)
    samples = np.zeros(int(duration_s * SAMPLE_RATE) + HIT_SAMPLES)
    for time_s in times_s:
        start = round(float(time_s) * SAMPLE_RATE)
        samples[start : start + HIT_SAMPLES] += level * hit(rng, **sound)
    return samples[: int(duration_s * SAMPLE_RATE)]


def clicks(bpm: float, offset_s: float, duration_s: float, accents: tuple[float, ...] = (1.0,)) -> NDArray[np.float64]:
    """[sample]: a hit on every beat, louder and softer in turn as `accents` say."""
    times = np.arange(offset_s, duration_s - 0.1, 60 / bpm)
    return np.sum(
        [hits_at(times[k :: len(accents)], duration_s, 0.5 * level) for k, level in enumerate(accents)], axis=0
    )


def rock_beat(bpm: float, offset_s: float, duration_s: float) -> NDArray[np.float64]:
    """[sample]: kick on 1 and 3, snare on 2 and 4, hi-hat on eighths, a chord that changes with the bar."""
    beat_s = 60 / bpm
    times = np.arange(offset_s, duration_s - 0.2, beat_s)
    samples = hits_at(np.arange(offset_s, duration_s - 0.2, beat_s / 2), duration_s, 0.08, decay_s=0.004)
    samples += hits_at(times[0::4], duration_s, 0.9, decay_s=0.05, brightness=0.0)
    samples += hits_at(times[2::4], duration_s, 0.7, decay_s=0.05, brightness=0.0)
    samples += hits_at(times[1::2], duration_s, 0.4, decay_s=0.03)
    second = np.arange(samples.size) / SAMPLE_RATE
    bar = np.floor((second - offset_s) / (4 * beat_s)).astype(int)
    root_hz = np.array([110.0, 146.8, 98.0, 130.8])[bar % 4]
    since_s = (second - offset_s) - bar * 4 * beat_s
    for harmonic in (1, 2, 3, 5):
        samples += 0.05 / harmonic * np.sin(2 * np.pi * root_hz * harmonic * since_s) * np.exp(-since_s)
    return samples


def audio_of(samples: NDArray[np.float64]) -> Audio:
    return Audio(samples.astype(np.float32))


def write_wav(path: Path, samples: NDArray[np.float64], rate: int = SAMPLE_RATE, subtype: str = "PCM_16") -> Path:
    soundfile.write(path, samples, rate, subtype=subtype)
    return path
