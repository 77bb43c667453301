"""Random accompaniments at any tempo and metre, as MIDI: `python -m ear.corpora.accompaniments -o FOLDER --count 300`.

Needs the program `mma` (Musical MIDI Accompaniment) and its grooves. Each piece has one groove (or two), a random chord
progression in a random key, and a tempo of 40–320 BPM that is not a whole number. A fifth of the pieces go without drums, a fifth without anything but drums and bass. For `ear.corpora.render_midi`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import click
import numpy as np

from runtime.command import Command, use_utf8
from runtime.errors import ConfigError
from runtime.progress import progress

BPM_RANGE = (40.0, 320.0)
TYPICAL_BPM, SPREAD = 128.0, 0.35
"""Median, and standard deviation of the logarithm: two thirds are at 90–180 BPM, as music is."""

BARS_MS = 80_000.0
"""About this long."""

ROOTS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
DEGREES = ((0, ""), (9, "m"), (5, ""), (7, "7"), (2, "m7"), (4, "m"), (7, ""), (0, "M7"), (10, ""))
MMA_TIMEOUT_S = 30.0
DRUMLESS, RHYTHM_ONLY = 0.2, 0.2
"""Shares of pieces without drums, and with nothing but drums and bass."""

_TEMPO_EVENT = re.compile(rb"\xff\x51\x03(...)", re.DOTALL)


def grooves(folder: Path) -> list[str]:
    """Names of the grooves defined below mma's library `folder`, without intros and endings."""
    names = set()
    for path in sorted(folder.rglob("*.mma")):
        text = path.read_text(encoding="utf-8", errors="replace")
        names.update(re.findall(r"^\s*DefGroove\s+(\S+)", text, re.IGNORECASE | re.MULTILINE))
    return sorted(name for name in names if not re.search(r"intro|end|fill|metronome", name, re.IGNORECASE))


def write_script(rng: np.random.Generator, names: list[str], bpm: float) -> str:
    """An mma song: a groove or two, a chord loop, bars enough for the tempo."""
    root = int(rng.integers(12))
    loop = [DEGREES[int(index)] for index in rng.integers(len(DEGREES), size=int(rng.choice([4, 4, 8])))]
    bars = int(np.clip(BARS_MS / (4 * 60_000 / bpm), 12, 120))
    kind = rng.random()
    quiet: tuple[str, ...] = ("Drum",) if kind < DRUMLESS else ()
    if kind > 1 - RHYTHM_ONLY:
        quiet = ("Chord", "Arpeggio", "Scale", "Walk", "Melody", "Solo")
    lines = [f"Tempo {max(1, round(bpm))}", f"Groove {rng.choice(names)}", *(f"AllTracks {name} Off" for name in quiet)]
    for bar in range(bars):
        degree, quality = loop[bar % len(loop)]
        lines.append(f"{bar + 1} {ROOTS[(root + degree) % 12]}{quality}")
    return "\n".join(lines) + "\n"


def with_tempo(midi: bytes, bpm: float) -> bytes:
    """The MIDI file at exactly `bpm`: mma itself rounds to whole beats a minute."""
    quarter_us = round(60_000_000 / bpm).to_bytes(3, "big")
    return _TEMPO_EVENT.sub(lambda _: b"\xff\x51\x03" + quarter_us, midi)


def draw_bpm(rng: np.random.Generator) -> float:
    """A tempo as music has it, now and then an extreme one."""
    low, high = BPM_RANGE
    if rng.random() < 0.1:
        return float(rng.uniform(low, high))
    return float(np.clip(TYPICAL_BPM * np.exp(SPREAD * rng.standard_normal()), low, high))


def write_accompaniments(out: Path, count: int, library: Path, seed: int = 0) -> int:
    """Write `count` MIDI files to `out`; returns how many mma refused."""
    if shutil.which("mma") is None:
        raise ConfigError("the program mma is not installed; install it to make accompaniments")
    names = grooves(library)
    if not names:
        raise ConfigError(f"{library}: holds no mma grooves; name mma's library with --library")
    out.mkdir(parents=True, exist_ok=True)
    refused = 0
    for index in progress(range(count), "composing"):
        rng = np.random.default_rng([seed, index])
        bpm = draw_bpm(rng)
        script, midi = out / f"{index:04d}.mma", out / f"{index:04d}.mid"
        script.write_text(write_script(rng, names, bpm), encoding="ascii")
        done = subprocess.run(
            ["mma", "-f", str(midi), str(script)], capture_output=True, timeout=MMA_TIMEOUT_S, check=False
        )
        script.unlink()
        if done.returncode or not midi.is_file():
            refused += 1
            continue
        midi.write_bytes(with_tempo(midi.read_bytes(), bpm))
    return refused


@click.command(cls=Command)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder for the MIDI files.")
@click.option("--count", default=300, show_default=True, type=click.IntRange(1))
@click.option(
    "--library", default=Path("/usr/share/mma/lib/stdlib"), show_default=True, type=click.Path(path_type=Path)
)
@click.option("--seed", default=0, show_default=True)
def main(out: Path, count: int, library: Path, seed: int) -> None:
    """Compose random accompaniments as MIDI files."""
    use_utf8()
    refused = write_accompaniments(out, count, library, seed)
    click.echo(f"{count - refused} files in {out}, {refused} refused by mma")


if __name__ == "__main__":
    main()
