"""Decodes a song to mono samples at one rate, with bounded memory; reads its title and artist.

The audio clock of the whole project starts at the first sample libsndfile decodes: encoder delay that libsndfile
skips (mp3 with a LAME header, Opus pre-skip) is not on it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import soxr
from numpy.typing import NDArray

from ear.audio.reader import DECODER_ERRORS, SoundReader, with_mending
from runtime.errors import AudioFileError
from runtime.text import one_line, printable

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

CANCELLED_SHARE = 0.01
"""Power of the mean of all channels, as a ratio of a channel's, below which channels are opposite; unrelated ones have 0.5."""

MAX_TAG_CHARS = 200
"""Longer titles are cut; they come from strangers and go into file names."""

FORMATS = "mp3, ogg, opus, flac or wav"
FOREIGN_SUFFIXES = frozenset(
    (".m4a", ".aac", ".mp4", ".wma", ".webm", ".mkv", ".mka", ".ape", ".wv", ".alac", ".amr", ".mid", ".mov", ".raw")
)
"""File name endings libsndfile cannot decode, so that the message can say so by name."""

BROWSER_SUFFIXES = frozenset((".m4a", ".aac", ".mp4"))
"""Of them, what browsers decode, and so the studio's page; its wav.js has the same."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Audio:
    """A decoded song: finite float32 samples in about -1…1, at least `MIN_AUDIO_S` and at most `MAX_AUDIO_S` long."""

    samples: NDArray[np.float32] = field(repr=False)  # [sample], mono
    sample_rate: int = SAMPLE_RATE
    name: str = "audio"  # the file's name, for messages and titles
    path: Path | None = None  # None when it was decoded from memory
    notice: str = ""  # what of the file could not be read, for the user; empty where all of it was

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

    Reads, down-mixes and resamples block by block: memory is that of the result (5 MB a minute at 22,050 Hz) and of a
    compressed file. Damage is read past, and reported in `Audio.notice`. Raises `AudioFileError`, one line fit to be shown.
    """
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    name = name or (path.name if path else getattr(source, "name", None)) or "audio"
    label = printable(str(path) if path else str(name))
    if path is not None:
        _check_path(path)
    if Path(label).suffix.lower() in FOREIGN_SUFFIXES:
        raise AudioFileError(
            f"{label}: {Path(label).suffix} files cannot be decoded; convert the song to {FORMATS}{_by_browser(label)}"
        )
    data = path or (source if isinstance(source, bytes) else source.read())  # type: ignore[union-attr]
    if not data:
        raise AudioFileError(f"{label}: the file is empty")
    try:
        reader = SoundReader(data)
        _check_header(reader, label)
        samples = _decoded(reader, sample_rate, label)
    except DECODER_ERRORS as error:
        raise AudioFileError(
            f"{label}: not audio that can be decoded (damaged, or another kind of file renamed?); use {FORMATS}"
        ) from error
    _check_samples(samples, sample_rate, label)
    samples.flags.writeable = False
    return Audio(samples, sample_rate, str(name), path, _notice(reader, label))


def _by_browser(label: str) -> str:
    """Advice about a file that browsers can decode."""
    return ", or drop it in `mania4k studio`" if Path(label).suffix.lower() in BROWSER_SUFFIXES else ""


def _decoded(reader: SoundReader, sample_rate: int, label: str) -> NDArray[np.float32]:
    """[sample] of the whole file, mended where a decoder alone fails, of one channel where the mean of all is nothing."""
    mixed = _Mixed(reader, label)
    samples = with_mending(reader, lambda _: _resampled(mixed, sample_rate))
    if mixed.cancels:
        samples = _resampled(_Mixed(reader, label, only_first=True), sample_rate)
    return samples


def _notice(reader: SoundReader, label: str) -> str:
    """One line about parts that could not be read; empty if all was read."""
    if not reader.lost_s:
        return ""
    declared, found = reader.declared_s, min(reader.read_s, reader.declared_s - reader.lost_s)
    if round(declared) > round(found):
        return f"{label}: only {clock(found)} of {clock(declared)} could be read; the file is damaged or cut off"
    return f"{label}: {reader.lost_s:.2f} s of {clock(declared)} could not be read; the file is damaged"


def clock(seconds: float) -> str:
    """Minutes and seconds, as in 3:07."""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02}"


def _check_path(path: Path) -> None:
    if os.path.isdir(path):
        raise AudioFileError(f"{path}: is a folder; name one audio file ({FORMATS})")
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise AudioFileError(f"{path}: no such file; check the name") from error
    except OSError as error:
        raise AudioFileError(f"{path}: cannot be opened ({error.strerror or error})") from error
    except ValueError as error:  # a null byte in the name
        raise AudioFileError(f"{path!r}: is not a file name") from error
    if not path.is_file():
        raise AudioFileError(f"{path}: is a pipe or device, not a file; save what it gives first")
    if size == 0:
        raise AudioFileError(f"{path}: the file is empty")


def _check_header(reader: SoundReader, label: str) -> None:
    rate, length_s = reader.check_header()
    low, high = SOURCE_RATES
    if not low <= rate <= high:
        raise AudioFileError(f"{label}: sample rate of {rate} Hz is outside {low}–{high} Hz; is it damaged?")
    if length_s > MAX_AUDIO_S:
        raise AudioFileError(_too_long(label, f"{length_s / 60:.0f} minutes"))


def _too_long(label: str, length: str) -> str:
    return f"{label}: audio is {length} long, the limit is {MAX_AUDIO_S / 60:.0f} minutes; cut out the song"


class _Mixed:
    """Mono blocks of a file, by link; stops at the limit even where the header lies."""

    def __init__(self, reader: SoundReader, label: str, only_first: bool = False) -> None:
        self._reader = reader
        self._label = label
        self._only_first = only_first  # channel, in place of the mean of all
        self._mono_power = self._channel_power = 0.0

    @property
    def cancels(self) -> bool:
        """Whether the channels are opposite, so that their mean is next to nothing."""
        return self._mono_power < CANCELLED_SHARE * self._channel_power

    def __iter__(self) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
        self._mono_power = self._channel_power = 0.0
        for block in self._reader.blocks():
            if self._reader.read_s > MAX_AUDIO_S:
                raise AudioFileError(_too_long(self._label, "too"))
            mono = block.samples[:, 0] if self._only_first else block.samples.mean(axis=1, dtype=np.float32)
            if not np.isfinite(mono).all():
                raise AudioFileError(f"{self._label}: audio holds samples that are not numbers (NaN); export it again")
            self._mono_power += float(np.vdot(mono, mono))
            self._channel_power += float(np.vdot(block.samples, block.samples)) / block.samples.shape[1]
            yield block.link, block.rate, mono


def _resampled(blocks: Iterable[tuple[int, int, NDArray[np.float32]]], target_rate: int) -> NDArray[np.float32]:
    """[sample] at one rate; links of a chain are resampled apart, each from its own rate."""
    pieces: list[NDArray[np.float32]] = []
    for (_, rate), link in groupby(blocks, key=lambda block: block[:2]):
        if rate == target_rate:
            pieces += [mono for *_, mono in link]
            continue
        stream = soxr.ResampleStream(rate, target_rate, 1, dtype="float32", quality="HQ")
        pieces += [stream.resample_chunk(np.ascontiguousarray(mono)) for *_, mono in link]
        pieces.append(stream.resample_chunk(np.zeros(0, np.float32), last=True))
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


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
    return one_line(text)[:MAX_TAG_CHARS]
