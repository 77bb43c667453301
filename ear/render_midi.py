"""Rendered MIDI with exact beats for a Beat This training set: `python -m ear.render_midi SOURCE -o DATA`.

    python -m ear.render_midi pop909.zip -o DATA --name pop --group "pop piano" --limit 300 --latency-ms 5 \\
        --soundfont FluidR3_GM.sf2 --soundfont TimGM6mb.sf2 --leave-out timing.json

SOURCE is a `.mid`, a folder or `.zip` of them, or a Doom `.wad`. Beats come from `beat_midi.txt` beside a file (POP909),
`<file>_annotations.txt` (ASAP), or the file's own tempo map. Needs the `fluidsynth` program; each piece gets one of the
soundfonts, a level and reverb or none, all drawn from the seed and the piece's name. Pieces named in `--leave-out`
(a `timing.json`: the test pieces) are not rendered, nor other performances of them, nor the same file under
another name; `python -m ear.render_midi --check …` only prints what would be left out. `--timed` writes audio files and a
`timing.json` instead, which `ear.fit_timing` and `ear.fit_choice` learn from; `--not-in DATA` leaves out what a training set has
for training, so that they see what a network makes of music it does not know.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np
import soundfile
from numpy.typing import NDArray

from chart.command import Command, progress, use_utf8
from chart.errors import ConfigError
from chart.saving import save_bytes
from ear.audio import SAMPLE_RATE
from ear.beat_data import BeatPiece, PieceEntry, add_to_index, file_stem, quantised, read_index, split_of, write_piece
from ear.midi import MidiError, last_note_ms, midi_beats
from ear.midi_excerpt import Excerpt, excerpt
from ear.midi_sources import MidiSource, read_sources, without_test_pieces
from ear.spectrogram import beat_this_mel

RENDER_TIMEOUT_S = 120.0
MIN_SECONDS = 10.0
LEVELS = (0.2, 0.9)
"""fluidsynth's gain; above about 1 loud pieces clip."""


@dataclass(frozen=True, slots=True)
class RenderConfig:
    """How pieces are rendered."""

    soundfonts: tuple[Path, ...]
    group: str
    latency_ms: float = 2.0  # sound after the event: envelopes and blocks; pianos about 5
    max_seconds: float = 150.0  # longer pieces give one stretch of this length
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """A piece as it sounds, and its beats in audio time."""

    samples: NDArray[np.float32] = field(repr=False)  # [sample] at 22,050 Hz
    beat_ms: NDArray[np.float64]  # [beat]
    is_downbeat: NDArray[np.bool_]  # [beat]


def render(source: MidiSource, config: RenderConfig) -> Rendered:
    """One MIDI file, or a part of it of the longest length allowed. Raises MidiError where it cannot be used."""
    beat_ms, is_downbeat = source.beats() if source.annotation is not None else midi_beats(source.data)
    if beat_ms.size < 8:
        raise MidiError("has fewer than 8 beats")
    seed = np.random.SeedSequence([config.seed, *source.name.encode()])
    rng = np.random.default_rng(seed)
    part = _part(source.data, config.max_seconds * 1000, rng)
    samples = fluidsynth(part.data, config, rng)[: round(config.max_seconds * SAMPLE_RATE)]
    if samples.size < MIN_SECONDS * SAMPLE_RATE:
        raise MidiError("is too short")
    beat_ms = beat_ms + (config.latency_ms - part.start_ms)
    inside = (beat_ms >= 0) & (beat_ms < samples.size * 1000 / SAMPLE_RATE)
    beat_ms, is_downbeat = beat_ms[inside], is_downbeat[inside]
    if beat_ms.size < 8:
        raise MidiError("has too few beats where it sounds")
    return Rendered(samples, beat_ms, is_downbeat)


def _part(data: bytes, longest_ms: float, rng: np.random.Generator) -> Excerpt:
    """All of a MIDI file, or of a longer one a part from anywhere."""
    end_ms = last_note_ms(data)
    if end_ms <= longest_ms:
        return Excerpt(data, 0.0)
    start_ms = rng.uniform(0, end_ms - longest_ms)
    return excerpt(data, start_ms, start_ms + longest_ms)


def render_piece(source: MidiSource, config: RenderConfig) -> BeatPiece:
    """One MIDI file as a training piece. Raises MidiError where it cannot be used."""
    found = render(source, config)
    beat_ms, is_downbeat = found.beat_ms, found.is_downbeat
    mel = quantised(beat_this_mel(found.samples))
    period_ms = float(np.median(np.diff(beat_ms)))
    first_ms, last_ms = max(0.0, beat_ms[0] - 0.9 * period_ms), beat_ms[-1] + 0.9 * period_ms
    return BeatPiece(source.name, config.group, mel, beat_ms, is_downbeat, first_ms, last_ms, bool(is_downbeat.any()))


def fluidsynth(data: bytes, config: RenderConfig, rng: np.random.Generator) -> NDArray[np.float32]:
    """A MIDI file as mono samples [sample] at 22,050 Hz."""
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
            raise MidiError(f"fluidsynth cannot render it ({error})") from error
    assert rate == SAMPLE_RATE, "fluidsynth was told the rate"
    return np.asarray(samples.mean(axis=1), np.float32)


def render_sources(sources: Sequence[MidiSource], out: Path, config: RenderConfig) -> list[str]:
    """Render all into the dataset `out`, adding what is not there yet; returns what was skipped."""
    done = {entry.name for entry in read_index(out)} if (out / "pieces.json").is_file() else set()

    def add(source: MidiSource) -> None:
        piece = render_piece(source, config)
        write_piece(out, piece)
        add_to_index(out, [PieceEntry(piece.name, piece.group, split_of(piece.name), round(piece.seconds, 2))])

    return _add_all([source for source in sources if source.name not in done], add, config.group)


def render_timed(sources: Sequence[MidiSource], out: Path, config: RenderConfig) -> list[str]:
    """Render all as audio files with a `timing.json`, adding what is not there yet; returns what was skipped."""
    index = out / "timing.json"
    rows = json.loads(index.read_text(encoding="utf-8")) if index.is_file() else []
    done = {row["file"] for row in rows}

    def add(source: MidiSource) -> None:
        found = render(source, config)
        out.mkdir(parents=True, exist_ok=True)
        soundfile.write(out / _audio_name(source), np.clip(found.samples, -1, 1), SAMPLE_RATE)
        row = {"file": _audio_name(source), "group": config.group}
        row |= {"beats_s": np.round(found.beat_ms / 1000, 6).tolist(), "downbeat": found.is_downbeat.tolist()}
        rows.append(row)
        save_bytes(index, json.dumps(rows).encode("utf-8"))

    return _add_all([source for source in sources if _audio_name(source) not in done], add, config.group)


def _audio_name(source: MidiSource) -> str:
    return f"{file_stem(source.name)}.flac"


def _add_all(sources: Sequence[MidiSource], add: Callable[[MidiSource], None], group: str) -> list[str]:
    """Add one by one, each with its entry in the index: rendering is slow, and may be stopped and gone on with."""
    if shutil.which("fluidsynth") is None:
        raise ConfigError("the program fluidsynth is not installed; install it to render MIDI")
    skipped = []
    for source in progress(sources, f"rendering {group}"):
        try:
            add(source)
        except MidiError as error:
            skipped.append(f"{source.name}: {error}")
    return skipped


@click.command(cls=Command)
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder of the dataset.")
@click.option("--name", default="midi", show_default=True, help="First part of the pieces' names.")
@click.option("--group", default="midi", show_default=True, help="What kind of music it is, for the figures.")
@click.option("--soundfont", "soundfonts", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--latency-ms", default=2.0, show_default=True, help="Sound after the MIDI event.")
@click.option("--max-seconds", default=150.0, show_default=True, type=click.FloatRange(10, 1200))
@click.option("--limit", type=click.IntRange(1), help="Render this many, drawn by the seed.")
@click.option("--leave-out", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A timing.json.")
@click.option("--not-in", type=click.Path(exists=True, path_type=Path), help="A training set: leave its pieces out.")
@click.option("--timed", is_flag=True, help="Write audio and a timing.json instead of a training set.")
@click.option("--seed", default=0, show_default=True)
@click.option("--check", is_flag=True, help="Only print what would be left out.")
def main(
    sources: tuple[Path, ...],
    out: Path | None,
    name: str,
    leave_out: Path | None,
    limit: int | None,
    not_in: Path | None,
    timed: bool,
    check: bool,
    **settings: object,
) -> None:
    """Render the MIDI files of SOURCES, with their beats, into a training set."""
    use_utf8()
    found = [source for path in sources for source in read_sources(path, name)]
    if not found:
        raise ConfigError(f"{sources[0]}: holds no MIDI files")
    if leave_out is not None:
        test_names = [Path(row["file"]).stem for row in json.loads(leave_out.read_text(encoding="utf-8"))]
        kept = without_test_pieces(found, test_names)
        for source in sorted({s.name for s in found} - {s.name for s in kept}):
            click.echo(f"left out: {source}", err=True)
        found = kept
    if not_in is not None:
        heard = {entry.name for entry in read_index(not_in) if entry.split == "train"}
        found = [source for source in found if source.name not in heard]
    if check:
        click.echo(f"{len(found)} pieces would be rendered")
        return
    config = RenderConfig(**settings)  # type: ignore[arg-type]
    if not config.soundfonts or out is None:
        raise ConfigError("give at least one --soundfont, and the dataset's folder with -o")
    if limit is not None and limit < len(found):
        chosen = np.random.default_rng(config.seed).permutation(len(found))[:limit]
        found = [found[index] for index in sorted(chosen)]
    skipped = (render_timed if timed else render_sources)(found, out, config)
    for line in skipped:
        click.echo(f"skipped: {line}", err=True)
    click.echo(f"{len(found) - len(skipped)} pieces rendered, {len(skipped)} skipped")


if __name__ == "__main__":
    main()
