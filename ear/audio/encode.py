"""A song as Ogg Vorbis, which every osu! client plays: the same sound at the same time as `load_audio` decodes."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from ear.audio.reader import SoundReader, with_mending

VORBIS_QUALITY = 0.4  # libsndfile's compression level: about 190 kbit/s in stereo
MAX_CHANNELS = 2
WRITTEN_FRAMES = 1 << 15
"""Frames written at a time: libsndfile's Vorbis encoder overflows its stack on long arrays."""


def write_vorbis(source: Path, target: Path) -> None:
    """Encode the readable part of the song `source` as Ogg Vorbis into `target`. Raises `DECODER_ERRORS`."""
    with_mending(SoundReader(source), lambda reader: _write(reader, target))


def _write(reader: SoundReader, target: Path) -> None:
    """The first link sets rate and channels; further ones are resampled to them."""
    file = None
    try:
        for (_, rate), blocks in groupby(reader.blocks(), key=lambda block: (block.link, block.rate)):
            stream = None
            for block in blocks:
                samples = block.samples[:, :MAX_CHANNELS]
                if file is None:
                    file = _opened(target, rate, samples.shape[1])
                if rate != file.samplerate:
                    stream = stream or soxr.ResampleStream(rate, file.samplerate, file.channels, dtype="float32")
                    samples = stream.resample_chunk(_with_channels(samples, file.channels))
                _put(file, samples)
            if stream is not None and file is not None:
                _put(file, stream.resample_chunk(np.zeros((0, file.channels), np.float32), last=True))
    finally:
        if file is not None:
            file.close()


def _opened(target: Path, rate: int, channels: int) -> soundfile.SoundFile:
    settings = {"format": "OGG", "subtype": "VORBIS", "compression_level": VORBIS_QUALITY}
    return soundfile.SoundFile(target, "w", rate, channels, **settings)


def _put(file: soundfile.SoundFile, samples: NDArray[np.float32]) -> None:
    for at in range(0, samples.shape[0], WRITTEN_FRAMES):
        file.write(_with_channels(samples[at : at + WRITTEN_FRAMES], file.channels))


def _with_channels(samples: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """[frame, channel] with one channel repeated, or only the first ones kept."""
    wide = samples if samples.shape[1] >= channels else np.repeat(samples[:, :1], channels, axis=1)
    return np.ascontiguousarray(wide[:, :channels])
