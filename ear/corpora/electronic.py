"""Random sequenced electronic music as MIDI: `python -m ear.corpora.electronic -o FOLDER --count 120`.

What game music and dance music have and accompaniments lack: kicks on every beat with hats and bass between them, broken
and half-time drums, leads and arpeggios in groups of three sixteenths, chords that come an eighth early, sections in
which only some of the layers play. Every bar is 4/4; the beat is where the sequencer has it. For `ear.corpora.render_midi`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from ear.corpora.midi import variable_length
from runtime.atomic_write import save_bytes
from runtime.command import Command, use_utf8
from runtime.progress import progress

TICKS = 24
"""Ticks in a sixteenth."""

STEPS = 16
"""Sixteenths in a bar."""

SECONDS = 75.0
"""About this long."""

BPM_RANGE = (90.0, 190.0)
WHOLE_BPM = 0.8
"""Share of pieces at a whole tempo."""

KICK, SNARE, CLAP, CLOSED, OPEN, CRASH = 36, 38, 39, 42, 46, 49
DRUMS = 9
"""Channel of the drums."""

MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
LEADS, BASSES, PADS = (80, 81, 82, 84, 86, 62, 29, 11), (38, 39, 36, 33, 87), (88, 89, 90, 92, 48, 50, 4)
KITS = (0, 8, 24, 25)

KICKS = (
    (0, 4, 8, 12),
    (0, 4, 8, 12),
    (0, 4, 8, 12, 14),
    (0, 10),
    (0, 6, 10),
    (0, 3, 8, 11),
    (0, 7, 10),
    (0, 8),
    (0, 2, 10, 13),
    (),
)
SNARES = ((4, 12), (4, 12), (4, 12), (4, 12), (4, 7, 9, 12), (8,), (4, 12, 14), ())
HATS = (
    ((), (2, 6, 10, 14)),
    (tuple(range(16)), (2, 6, 10, 14)),
    (tuple(range(0, 16, 2)), ()),
    (tuple(range(16)), ()),
    ((0, 3, 6, 8, 11, 14), ()),
    ((2, 6, 10, 14), ()),
    ((), ()),
)
"""(closed, open) hats."""

BASS_LINES = (
    (2, 6, 10, 14),
    (2, 3, 6, 7, 10, 11, 14, 15),
    (1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15),
    tuple(range(0, 16, 2)),
    tuple(range(16)),
    (0, 3, 6, 8, 11, 14),
    (0, 6, 12),
    (0,),
)
RHYTHMS = (
    (0, 3, 6, 9, 12, 14),
    (0, 3, 6, 8, 11, 14),
    (2, 6, 10, 14),
    (0, 2, 4, 6, 8, 10, 12, 14),
    (2, 5, 8, 10, 13),
    (0, 6, 12, 14),
    (3, 6, 9, 12, 15),
    tuple(range(16)),
    (0, 4, 8, 12),
)
"""Sixteenths on which leads play; half of the leads draw their own."""

SPARE_LAYER = 0.3
"""Chance of each layer to be silent in a section of eight bars."""

EARLY_CHORDS = 0.15
"""Share of pieces whose chords come an eighth before their bar."""

LATE_START = 0.3
"""Share of pieces whose first bar begins with a rest of one to three beats."""


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """One note; times in ticks."""

    start: int
    length: int
    channel: int
    pitch: int
    velocity: int


@dataclass(frozen=True, slots=True)
class Score:
    """A piece, before it is bytes."""

    bpm: float
    programs: dict[int, int]  # channel → General MIDI program
    notes: tuple[Note, ...]


def compose(rng: np.random.Generator) -> Score:
    """A piece of about `SECONDS` in 4/4."""
    bpm = float(np.exp(rng.uniform(*np.log(BPM_RANGE))))
    bpm = float(round(bpm)) if rng.random() < WHOLE_BPM else bpm
    bars = 4 * max(2, round(SECONDS * bpm / 60 / 16))
    chords = _chords(rng, bars)
    notes = [
        note
        for layer in (
            _drums(rng, bars),
            _bass(rng, chords),
            _lead(rng, chords, 1),
            _lead(rng, chords, 2),
            _pad(rng, chords),
        )
        for note in _with_breaks(rng, layer, bars)
    ]
    rest = int(rng.integers(1, 4)) * 4 * TICKS if rng.random() < LATE_START else 0
    kept = tuple(sorted(note for note in notes if note.start >= rest))
    programs = {channel: int(rng.choice(LEADS)) for channel in (1, 2)}
    programs |= {0: int(rng.choice(BASSES)), 3: int(rng.choice(PADS)), DRUMS: int(rng.choice(KITS))}
    return Score(bpm, programs, kept)


def _chords(rng: np.random.Generator, bars: int) -> list[tuple[int, ...]]:
    """The seven pitches of the scale from the chord's root up, for each half bar."""
    scale = MAJOR if rng.random() < 0.4 else MINOR
    key, halves_each = int(rng.integers(12)), int(rng.choice([1, 2, 2, 2, 4]))
    loop = rng.integers(7, size=int(rng.choice([4, 4, 8])))
    found = []
    for half in range(2 * bars):
        degree = int(loop[half // halves_each % loop.size])
        found.append(tuple(key + scale[(degree + step) % 7] + 12 * ((degree + step) // 7) for step in range(7)))
    return found


def _drums(rng: np.random.Generator, bars: int) -> list[Note]:
    kick, snare = KICKS[rng.integers(len(KICKS))], SNARES[rng.integers(len(SNARES))]
    closed, opened = HATS[rng.integers(len(HATS))]
    backbeat = CLAP if rng.random() < 0.3 else SNARE
    level = {pitch: int(rng.integers(60, 122)) for pitch in (KICK, backbeat, CLOSED, OPEN)}
    level[CLOSED] = int(0.7 * level[CLOSED])
    notes = []
    for bar in range(bars):
        fill = bar % 8 == 7 and rng.random() < 0.5
        for pitch, steps in ((KICK, kick), (backbeat, snare), (CLOSED, closed), (OPEN, opened)):
            notes += [_note(bar, step, 1, DRUMS, pitch, level[pitch]) for step in steps]
        notes += [_note(bar, step, 1, DRUMS, SNARE, 90) for step in range(10, 16) if fill]
        notes += [_note(bar, 0, 4, DRUMS, CRASH, 85)] if bar % 8 == 0 and rng.random() < 0.5 else []
    return notes


def _bass(rng: np.random.Generator, chords: list[tuple[int, ...]]) -> list[Note]:
    steps, velocity = BASS_LINES[rng.integers(len(BASS_LINES))], int(rng.integers(70, 120))
    octaves = rng.random() < 0.3
    return [
        _note(bar, step, 1, 0, 36 + chords[2 * bar + step // 8][0] + 12 * (octaves and step % 4 > 1), velocity)
        for bar in range(len(chords) // 2)
        for step in steps
    ]


def _lead(rng: np.random.Generator, chords: list[tuple[int, ...]], channel: int) -> list[Note]:
    """A motif of two bars, its pitches by the chords; a third of the time, its end is changed."""
    drawn = tuple(int(step) for step in np.flatnonzero(rng.random(STEPS) < rng.uniform(0.2, 0.6)))
    rhythms = [RHYTHMS[rng.integers(len(RHYTHMS))] if rng.random() < 0.5 else drawn for _ in range(2)]
    degrees, velocity = rng.integers(7, size=2 * STEPS), int(rng.integers(55, 120))
    accent, octave = int(rng.choice([2, 3, 4, 16])), int(rng.choice([60, 72]))
    notes = []
    for bar in range(len(chords) // 2):
        for step in rhythms[bar % 2]:
            degree = int(rng.integers(7)) if rng.random() < 0.1 else int(degrees[STEPS * (bar % 2) + step])
            loud = velocity if step % accent == 0 else int(0.75 * velocity)
            notes.append(_note(bar, step, 1, channel, octave + chords[2 * bar + step // 8][degree], loud))
    return notes


def _pad(rng: np.random.Generator, chords: list[tuple[int, ...]]) -> list[Note]:
    """Chords held, or struck off the beat."""
    velocity, early = int(rng.integers(40, 100)), 2 * (rng.random() < EARLY_CHORDS)
    struck = (2, 6, 10, 14) if rng.random() < 0.25 else ()
    notes = []
    for half, chord in enumerate(chords):
        new = half == 0 or chord != chords[half - 1] or half % 4 == 0
        steps = [step for step in struck if step // 8 == half % 2] or ([8 * (half % 2) - early] if new else [])
        length = 1 if struck else 7
        for step in steps:
            at = (half // 2, max(step, 0)) if half == 0 else (half // 2, step)
            notes += [_note(*at, length, 3, 60 + chord[degree], velocity) for degree in (0, 2, 4)]
    return notes


def _note(bar: int, step: int, steps: int, channel: int, pitch: int, velocity: int) -> Note:
    return Note((bar * STEPS + step) * TICKS, steps * TICKS - 2, channel, pitch, velocity)


def _with_breaks(rng: np.random.Generator, layer: list[Note], bars: int) -> list[Note]:
    """The layer without the sections of eight bars in which it rests."""
    plays = rng.random(bars // 8 + 1) >= SPARE_LAYER
    return [note for note in layer if plays[note.start // (8 * STEPS * TICKS)]]


def to_midi(score: Score) -> bytes:
    """A Standard MIDI File of one track."""
    events = [(0, b"\xff\x51\x03" + round(60_000_000 / score.bpm).to_bytes(3, "big"))]
    events += [(0, bytes([0xC0 | channel, program])) for channel, program in score.programs.items()]
    for note in score.notes:
        events.append((note.start, bytes([0x90 | note.channel, note.pitch, note.velocity])))
        events.append((note.start + note.length, bytes([0x80 | note.channel, note.pitch, 0])))
    track, now = b"", 0
    for tick, event in sorted(events, key=lambda event: event[0]):
        track += variable_length(tick - now) + event
        now = tick
    track += b"\x00\xff\x2f\x00"
    header = b"MThd" + (6).to_bytes(4, "big") + b"".join(part.to_bytes(2, "big") for part in (0, 1, 4 * TICKS))
    return header + b"MTrk" + len(track).to_bytes(4, "big") + track


def write_electronic(out: Path, count: int, seed: int = 0) -> None:
    """Write `count` MIDI files to `out`."""
    for index in progress(range(count), "composing"):
        save_bytes(out / f"{index:04d}.mid", to_midi(compose(np.random.default_rng([seed, index]))))


@click.command(cls=Command)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder for the MIDI files.")
@click.option("--count", default=120, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--seed", default=0, show_default=True)
def main(out: Path, count: int, seed: int) -> None:
    """Compose random sequenced electronic music as MIDI files."""
    use_utf8()
    out.mkdir(parents=True, exist_ok=True)
    write_electronic(out, count, seed)
    click.echo(f"{count} files in {out}")


if __name__ == "__main__":
    main()
