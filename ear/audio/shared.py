"""Measures of a song that several parts read, computed once while its `Audio` lives; their arrays are read-only.

Threads may ask for them at the same time: the second waits for what the first computes.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from weakref import WeakKeyDictionary, WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from ear.audio.decode import SAMPLE_RATE, Audio, load_audio
from ear.audio.onset import OnsetStrength, onset_strength
from ear.audio.spectrogram import beat_this_mel

_DECODED: WeakValueDictionary[tuple[str, int, int], Audio] = WeakValueDictionary()
_ONSETS: WeakKeyDictionary[Audio, OnsetStrength] = WeakKeyDictionary()
_MELS: WeakKeyDictionary[Audio, NDArray[np.float32]] = WeakKeyDictionary()
_ONSET_LOCK, _MEL_LOCK = Lock(), Lock()


def audio_of(path: Path) -> Audio:
    """`ear.audio.decode.load_audio`, or the same song if somebody still holds it and its file is as it was."""
    if not path.is_file():
        return load_audio(path)  # which says why it cannot
    state = path.stat()
    key = (str(path.resolve()), state.st_mtime_ns, state.st_size)
    audio = _DECODED.get(key)
    if audio is None:
        audio = _DECODED[key] = load_audio(path)
    return audio


def onset_of(audio: Audio) -> OnsetStrength:
    """`ear.audio.onset.onset_strength` of the song, a frame a millisecond."""
    with _ONSET_LOCK:
        if audio not in _ONSETS:
            onset = onset_strength(audio.samples, audio.sample_rate)
            onset.strength.flags.writeable = False
            _ONSETS[audio] = onset
        return _ONSETS[audio]


def network_mel_of(audio: Audio) -> NDArray[np.float32]:
    """[frame, 128] input of a beat network; audio at another rate than 22,050 Hz is resampled."""
    with _MEL_LOCK:
        if audio not in _MELS:
            mel = beat_this_mel(at_network_rate(audio))
            mel.flags.writeable = False
            _MELS[audio] = mel
        return _MELS[audio]


def at_network_rate(audio: Audio) -> NDArray[np.float32]:
    """The samples at 22,050 Hz."""
    if audio.sample_rate == SAMPLE_RATE:
        return audio.samples
    import soxr

    resampled: NDArray[np.float32] = soxr.resample(audio.samples, audio.sample_rate, SAMPLE_RATE, quality="HQ")
    return resampled
