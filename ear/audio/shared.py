"""Measures of a song that several parts read, computed once while its `Audio` lives; their arrays are read-only.

Threads may ask for them at the same time: the second waits for what the first computes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from threading import Lock
from typing import TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from ear.audio.decode import SAMPLE_RATE, Audio, load_audio
from ear.audio.onset import OnsetStrength, onset_strength
from ear.audio.spectrogram import beat_this_mel

T = TypeVar("T")
_DECODED: WeakValueDictionary[tuple[str, int, int], Audio] = WeakValueDictionary()


def once_a_song(measure: Callable[[Audio], T]) -> Callable[[Audio], T]:
    """A measure that is computed once while a song's `Audio` lives, whichever thread asks first."""
    known: WeakKeyDictionary[Audio, T] = WeakKeyDictionary()
    lock = Lock()

    @wraps(measure)
    def of(audio: Audio) -> T:
        with lock:
            if audio not in known:
                known[audio] = measure(audio)
            return known[audio]

    return of


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


@once_a_song
def onset_of(audio: Audio) -> OnsetStrength:
    """`ear.audio.onset.onset_strength` of the song, a frame a millisecond."""
    onset = onset_strength(audio.samples, audio.sample_rate)
    onset.strength.flags.writeable = False
    return onset


@once_a_song
def network_mel_of(audio: Audio) -> NDArray[np.float32]:
    """[frame, 128] input of a beat network; audio at another rate than 22,050 Hz is resampled."""
    mel = beat_this_mel(at_network_rate(audio))
    mel.flags.writeable = False
    return mel


def at_network_rate(audio: Audio) -> NDArray[np.float32]:
    """The samples at 22,050 Hz."""
    if audio.sample_rate == SAMPLE_RATE:
        return audio.samples
    import soxr

    resampled: NDArray[np.float32] = soxr.resample(audio.samples, audio.sample_rate, SAMPLE_RATE, quality="HQ")
    return resampled
