"""Tracks of clicks at known times, encoded in every way that songs come in, where the encoders are installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 44_100
SECONDS = 12
LAME = "lame --quiet"
RECIPES = {
    "wav": "cp {wav} {out}",
    "flac": "flac",
    "mp3 of constant rate": f"{LAME} -b 192 {{wav}} {{out}}",
    "mp3 of varying rate": f"{LAME} -V 2 {{wav}} {{out}}",
    "mp3 of constant rate without tag": f"{LAME} -b 192 -t {{wav}} {{out}}",
    "mp3 of varying rate without tag": f"{LAME} -V 2 -t {{wav}} {{out}}",
    "mp3 without encoder delay": f"{LAME} -b 192 {{wav}} {{out}}",  # and the part of its header wiped out
    "vorbis": "oggenc -Q -q 5 -o {out} {wav}",
    "vorbis, cut": "oggenc -Q -q 5 -o {out}.whole.ogg {wav} && ffmpeg -v error -y -ss 2.5 -i {out}.whole.ogg -c copy {out}",
    "opus": "opusenc --quiet --bitrate 128 {wav} {out}",
}
DELAYED = ("mp3 of constant rate without tag", "mp3 of varying rate without tag", "mp3 without encoder delay")
"""Kinds of files whose sound every player has later than the track that was encoded."""
MP3_DELAY = 1105
"""Samples of that delay, at the file's own sampling rate: 576 of the encoder and 529 of every decoder."""
SUFFIXES = {"wav": ".wav", "flac": ".flac", "opus": ".opus", "vorbis": ".ogg", "vorbis, cut": ".ogg"}


def click_times_ms() -> NDArray[np.float64]:
    """[click], about two a second, at uneven times."""
    return np.cumsum(np.random.default_rng(3).uniform(350, 600, 22)) + 200


def delay_ms(kind: str, path: Path) -> float:
    """Delay of the sound in players after the encoded track, for a file of that kind."""
    return MP3_DELAY * 1000 / soundfile.info(path).samplerate if kind in DELAYED else 0.0


def click_track(path: Path, rate: int = RATE) -> Path:
    """Write the clicks over faint noise, which no encoder throws away, as stereo."""
    samples = np.random.default_rng(5).normal(0, 1e-3, (SECONDS * rate, 2))
    click = 0.8 * np.hanning(40 * rate // RATE)[:, None]
    for time_ms in click_times_ms():
        first = round(time_ms * rate / 1000)
        samples[first : first + len(click)] += click
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path


def encoded(kind: str, folder: Path, rate: int = RATE) -> Path | None:
    """The click track in one of the ways; None where its encoder is not installed."""
    wav = click_track(folder / "clicks.wav", rate)
    out = folder / f"{kind.replace(' ', '-').replace(',', '')}{SUFFIXES.get(kind, '.mp3')}"
    if kind == "flac":
        samples, rate = soundfile.read(wav)
        soundfile.write(out, samples, rate)
        return out
    recipe = RECIPES[kind]
    programs = {part.split()[0] for part in recipe.split(" && ")}
    if not all(shutil.which(program) for program in programs):
        return None
    subprocess.run(recipe.format(wav=wav, out=out), shell=True, check=True)
    if "delay" in kind:
        out.write_bytes(without_encoder_delay(out.read_bytes()))
    return out


def without_encoder_delay(data: bytes) -> bytes:
    """The mp3 with an Info frame as old encoders wrote it: it ends before the part that names encoder and delay."""
    at = data.index(b"LAME")
    return data[:at] + bytes(36) + data[at + 36 :]


def clicks_in(samples: NDArray[np.float32], rate: float) -> NDArray[np.float64]:
    """[click] ms of the loudest sample of each click."""
    loud = np.flatnonzero(np.abs(samples) > 0.35)
    groups = np.split(loud, np.flatnonzero(np.diff(loud) > rate * 0.1) + 1)
    return np.array([group[np.argmax(np.abs(samples[group]))] for group in groups if group.size]) * 1000 / rate
