"""Rendered MIDI with exact beats for a Beat This training set: `python -m ear.corpora.render_midi SOURCE -o DATA`.

    python -m ear.corpora.render_midi pop909.zip -o DATA --name pop --group "pop piano" --limit 300 --latency-ms 5 \\
        --soundfont FluidR3_GM.sf2 --soundfont TimGM6mb.sf2 --leave-out timing.json

SOURCE is a `.mid`, a folder or `.zip` of them, or a Doom `.wad`. Beats come from `beat_midi.txt` beside a file (POP909),
`<file>_annotations.txt` (ASAP), or the file's own tempo map. Needs the `fluidsynth` program; each piece gets one of the
soundfonts, a level and reverb or none, all drawn from the seed and the piece's name. Pieces named in `--leave-out`
(a `timing.json`: the test pieces) are not rendered, nor other performances of them, nor the same file under
another name; `python -m ear.corpora.render_midi --check …` only prints what would be left out. `--timed` writes audio files and a
`timing.json` instead, which `ear.fitting.fit_timing` and `ear.fitting.fit_level` learn from; `--not-in DATA` leaves out what a training set has
for training, so that they see what a network makes of music it does not know.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import soundfile
from numpy.typing import NDArray

from ear.audio.decode import SAMPLE_RATE
from ear.corpora.midi import MidiError, last_note_ms, midi_beats
from ear.corpora.midi_excerpt import Excerpt, excerpt
from ear.corpora.render import (
    MIN_BEATS,
    Rendered,
    RenderError,
    Selection,
    checked,
    render_selected,
    rendering_options,
)
from ear.corpora.sources import MIDI_SUFFIXES, MusicSource
from runtime.command import Command, use_utf8
from runtime.errors import ConfigError

RENDER_TIMEOUT_S = 120.0
LEVELS = (0.2, 0.9)
"""fluidsynth's gain; above about 1 loud pieces clip."""


@dataclass(frozen=True, slots=True)
class RenderConfig:
    """Settings of rendering pieces."""

    soundfonts: tuple[Path, ...]
    latency_ms: float = 2.0  # sound after the event: envelopes and blocks; pianos about 5
    max_seconds: float = 150.0  # longer pieces give one stretch of this length
    seed: int = 0


def render(source: MusicSource, config: RenderConfig) -> Rendered:
    """One MIDI file, or a part of it of the longest length allowed. Raises RenderError where it cannot be used."""
    rng = np.random.default_rng(np.random.SeedSequence([config.seed, *source.name.encode()]))
    try:
        beat_ms, is_downbeat = source.beats() if source.annotation is not None else midi_beats(source.data)
        if beat_ms.size < MIN_BEATS:
            raise RenderError(f"has fewer than {MIN_BEATS} beats")
        part = _part(source.data, config.max_seconds * 1000, rng)
    except MidiError as error:
        raise RenderError(str(error)) from error
    samples = fluidsynth(part.data, config, rng)[: round(config.max_seconds * SAMPLE_RATE)]
    return checked(samples, beat_ms + (config.latency_ms - part.start_ms), is_downbeat)


def _part(data: bytes, longest_ms: float, rng: np.random.Generator) -> Excerpt:
    """All of a MIDI file, or of a longer one a part from anywhere."""
    end_ms = last_note_ms(data)
    if end_ms <= longest_ms:
        return Excerpt(data, 0.0)
    start_ms = rng.uniform(0, end_ms - longest_ms)
    return excerpt(data, start_ms, start_ms + longest_ms)


def fluidsynth(data: bytes, config: RenderConfig, rng: np.random.Generator) -> NDArray[np.float32]:
    """A MIDI file as mono samples [sample] at 22,050 Hz."""
    if shutil.which("fluidsynth") is None:
        raise ConfigError("the program fluidsynth is not installed; install it to render MIDI")
    font = config.soundfonts[int(rng.integers(len(config.soundfonts)))]
    level, wet = rng.uniform(*LEVELS), rng.random() < 0.5
    with tempfile.TemporaryDirectory(prefix="mania4k-") as folder:
        midi, wave = Path(folder) / "in.mid", Path(folder) / "out.wav"
        midi.write_bytes(data)
        command = ["fluidsynth", "-ni", "-q", "-r", str(SAMPLE_RATE), "-g", f"{level:.3f}"]
        command += ["-R", str(int(wet)), "-C", str(int(wet)), "-o", "synth.dynamic-sample-loading=1"]
        try:
            subprocess.run(
                [*command, "-F", str(wave), str(font), str(midi)],
                check=True,
                capture_output=True,
                timeout=RENDER_TIMEOUT_S,
                stdin=subprocess.DEVNULL,
            )
            samples, rate = soundfile.read(wave, dtype="float32", always_2d=True)
        except (subprocess.SubprocessError, soundfile.LibsndfileError) as error:
            raise RenderError(f"fluidsynth cannot render it ({error})") from error
    assert rate == SAMPLE_RATE, "fluidsynth was told the rate"
    return np.asarray(samples.mean(axis=1), np.float32)


@click.command(cls=Command)
@rendering_options
@click.option("--soundfont", "soundfonts", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--latency-ms", default=2.0, show_default=True, help="Sound after the MIDI event.")
def main(
    sources: tuple[Path, ...],
    soundfonts: tuple[Path, ...],
    latency_ms: float,
    max_seconds: float,
    group: str,
    **selection: object,
) -> None:
    """Render the MIDI files of SOURCES, with their beats, into a training set."""
    use_utf8()
    chosen = Selection(**selection)  # type: ignore[arg-type]
    if not soundfonts and not chosen.check:
        raise ConfigError("give at least one --soundfont")
    config = RenderConfig(soundfonts, latency_ms, max_seconds, chosen.seed)
    render_selected(sources, chosen, MIDI_SUFFIXES, group, lambda source: render(source, config))


if __name__ == "__main__":
    main()
