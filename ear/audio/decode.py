"""Decode a song to mono samples at one rate, with bounded memory, and read its title and artist.

The audio clock of the whole project starts at the first sample libsndfile decodes: encoder delay that libsndfile
skips (mp3 with a LAME header, Opus pre-skip) is not on it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from runtime.errors import AudioFileError

SAMPLE_RATE = 22_050
"""Hz; Beat This's rate, and enough for every onset (the shared songs hold nothing above 11 kHz)."""

MIN_AUDIO_S = 5.0
"""Shorter audio has too few beats to time."""

MAX_AUDIO_S = 20 * 60.0
"""Longer audio is refused: it is a mix or a mistake, and would cost minutes and gigabytes."""

SILENCE_PEAK = 1e-4
"""A song whose loudest sample is below this (-80 dBFS: dither) is digital silence."""

SOURCE_RATES = (4_000, 768_000)
"""Hz; sample rates outside are damage, and absurd ratios would cost memory in the resampler."""

BLOCK_SAMPLES = 1 << 18
"""Samples over all channels decoded at a time: 1 MB of float32."""

MAX_TAG_CHARS = 200
"""Longer titles are cut; they come from strangers and go into file names."""

FORMATS = "mp3, ogg, opus, flac or wav"
FOREIGN_SUFFIXES = frozenset(
    (".m4a", ".aac", ".mp4", ".wma", ".webm", ".mkv", ".mka", ".ape", ".wv", ".alac", ".amr", ".mid", ".mov", ".raw")
)
"""File name endings libsndfile cannot decode, so that the message can say so by name."""


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """A decoded song: finite float32 samples in about -1…1, at least `MIN_AUDIO_S` and at most `MAX_AUDIO_S` long."""

    samples: NDArray[np.float32] = field(repr=False)  # [sample], mono
    sample_rate: int = SAMPLE_RATE
    name: str = "audio"  # the file's name, for messages and titles
    path: Path | None = None  # None when it was decoded from memory

    @property
    def duration_ms(self) -> float:
        return self.samples.size * 1000.0 / self.sample_rate


class Tags(NamedTuple):
    """Title and artist as the file says; empty where it does not."""

    title: str = ""
    artist: str = ""


def load_audio(
    source: str | os.PathLike[str] | bytes | BinaryIO, sample_rate: int = SAMPLE_RATE, name: str | None = None
) -> Audio:
    """Decode `source` (a path, a file's bytes or an open binary file) to mono at `sample_rate` Hz.

    Reads, down-mixes and resamples block by block: memory is that of the result (5 MB a minute at 22,050 Hz),
    whatever the rate and channel count of the file. Raises `AudioFileError`, one line fit to be shown.
    """
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    name = name or (path.name if path else getattr(source, "name", None)) or "audio"
    label = str(path) if path else str(name)
    if path is not None:
        _check_path(path)
    if Path(label).suffix.lower() in FOREIGN_SUFFIXES:
        raise AudioFileError(f"{label}: {Path(label).suffix} files cannot be decoded; convert the song to {FORMATS}")
    stream = io.BytesIO(source) if isinstance(source, bytes) else path or source
    if isinstance(source, bytes) and not source:
        raise AudioFileError(f"{label}: the file is empty")
    try:
        with soundfile.SoundFile(stream) as file:
            _check_header(file, label)
            blocks = list(_resampled(_mono_blocks(file, label), file.samplerate, sample_rate))
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        if isinstance(error, AudioFileError):
            raise
        raise AudioFileError(
            f"{label}: not audio that can be decoded (damaged, or another kind of file renamed?); use {FORMATS}"
        ) from error
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    _check_samples(samples, sample_rate, label)
    samples.flags.writeable = False
    return Audio(samples, sample_rate, str(name), path)


def _check_path(path: Path) -> None:
    if path.is_dir():
        raise AudioFileError(f"{path}: is a folder; name one audio file ({FORMATS})")
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise AudioFileError(f"{path}: no such file; check the name") from error
    except OSError as error:
        raise AudioFileError(f"{path}: cannot be opened ({error.strerror or error})") from error
    except ValueError as error:  # a null byte in the name
        raise AudioFileError(f"{path!r}: is not a file name") from error
    if size == 0:
        raise AudioFileError(f"{path}: the file is empty")


def _check_header(file: soundfile.SoundFile, label: str) -> None:
    low, high = SOURCE_RATES
    if not low <= file.samplerate <= high:
        raise AudioFileError(f"{label}: sample rate of {file.samplerate} Hz is outside {low}–{high} Hz; is it damaged?")
    if file.frames > MAX_AUDIO_S * file.samplerate:
        raise AudioFileError(_too_long(label, f"{file.frames / file.samplerate / 60:.0f} minutes"))


def _too_long(label: str, length: str) -> str:
    return f"{label}: audio is {length} long, the limit is {MAX_AUDIO_S / 60:.0f} minutes; cut out the song"


def _mono_blocks(file: soundfile.SoundFile, label: str) -> Iterator[NDArray[np.float32]]:
    """Yield [sample] blocks, the mean of the channels; stops at the limit even where the header lies."""
    block_frames = max(1, BLOCK_SAMPLES // file.channels)
    limit, seen = int(MAX_AUDIO_S * file.samplerate), 0
    while True:
        block = file.read(block_frames, dtype="float32", always_2d=True)  # [sample, channel]
        if not block.shape[0]:
            return
        seen += block.shape[0]
        if seen > limit:
            raise AudioFileError(_too_long(label, "too"))
        mono = block.mean(axis=1, dtype=np.float32)
        if not np.isfinite(mono).all():
            raise AudioFileError(f"{label}: audio holds samples that are not numbers (NaN); export it again")
        yield mono


def _resampled(
    blocks: Iterator[NDArray[np.float32]], source_rate: int, target_rate: int
) -> Iterator[NDArray[np.float32]]:
    if source_rate == target_rate:
        yield from blocks
        return
    stream = soxr.ResampleStream(source_rate, target_rate, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _check_samples(samples: NDArray[np.float32], sample_rate: int, label: str) -> None:
    duration_s = samples.size / sample_rate
    if not samples.size:
        raise AudioFileError(f"{label}: the file holds no audio")
    if duration_s < MIN_AUDIO_S:
        raise AudioFileError(f"{label}: audio is {duration_s:.1f} s long, at least {MIN_AUDIO_S:.0f} s are needed")
    if not max(samples.max(), -samples.min()) > SILENCE_PEAK:
        raise AudioFileError(f"{label}: audio is silent from start to end; was the right track exported?")


def read_tags(source: str | os.PathLike[str] | BinaryIO) -> Tags:
    """Title and artist of an audio file, on one line each and at most `MAX_TAG_CHARS` long; never raises."""
    import mutagen

    try:
        tags = mutagen.File(source, easy=True)
        return Tags(_tag(tags, "title"), _tag(tags, "artist"))
    except Exception:  # tags are decoration: whatever a damaged file does to the parser, the song is still usable
        return Tags()


def _tag(tags: object, key: str) -> str:
    values = tags.get(key) if tags else None  # type: ignore[attr-defined]
    if not values:
        return ""
    text = str(values[0] if isinstance(values, list | tuple) else values)
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())[:MAX_TAG_CHARS]
