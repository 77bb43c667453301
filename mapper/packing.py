"""The song's audio in a form that every osu! client plays."""

from __future__ import annotations

from pathlib import Path

import soundfile

from chart.errors import AudioFileError, OutputError

PLAYED_BY_OSU = frozenset({".mp3", ".ogg", ".wav"})
"""What osu!stable plays; FLAC and Opus are for lazer alone."""
PLAYED_OGG = "VORBIS"
BLOCK_FRAMES = 1 << 16
VORBIS_QUALITY = 0.4  # libsndfile's compression level: about 190 kbit/s in stereo


def playable_audio(song: Path, folder: Path) -> Path:
    """The song itself where osu! plays it, else a Vorbis copy in `folder`, sample for sample in the same place."""
    try:
        with soundfile.SoundFile(song) as source:
            if song.suffix.lower() in PLAYED_BY_OSU and (source.format != "OGG" or source.subtype == PLAYED_OGG):
                return song
            copy = folder / "audio.ogg"
            _copy_as_vorbis(source, copy)
            return copy
    except soundfile.LibsndfileError as error:
        raise AudioFileError(f"{song}: cannot be turned into Vorbis for osu! ({error}); convert it to mp3") from error
    except OSError as error:
        raise OutputError(f"{folder}: no room for a Vorbis copy of the song ({error})") from error


def _copy_as_vorbis(source: soundfile.SoundFile, copy: Path) -> None:
    """Block by block: libsndfile's Vorbis encoder overflows its stack on long arrays."""
    settings = {"format": "OGG", "subtype": PLAYED_OGG, "compression_level": VORBIS_QUALITY}
    with soundfile.SoundFile(copy, "w", source.samplerate, min(source.channels, 2), **settings) as target:
        for block in source.blocks(BLOCK_FRAMES, dtype="float32", always_2d=True):
            target.write(block[:, :2])
