"""The demo song as a score: every note of every instrument on a grid of sixteenths, and the truth that follows from it.

A minor, 4/4. Melody of the chorus: motif A (two bars, syncopated 3+3+2), its answer A' a step lower, a contrasting B,
and A'' which leads back. The verse plays A in half tempo, the break alone on a pluck. Composed for this project.
"""

from __future__ import annotations

from dataclasses import dataclass

TITLE = "Paper Comet"
ARTIST = "The OsuManiaTransformer4K team"
BPM = 158.0
OFFSET_MS = 1234.0  # first downbeat on the audio's clock
METRE = 4  # beats in a bar
STEPS = 16  # sixteenths in a bar

SECTIONS = (
    ("intro", 4),
    ("verse", 8),
    ("build", 4),
    ("chorus", 8),
    ("break", 6),
    ("build", 2),
    ("chorus", 12),
    ("outro", 4),
)
"""(name, bars) in playing order."""
BARS = sum(bars for _, bars in SECTIONS)
SILENT_BAR = 28  # the fifth bar of the break: nothing sounds at all

CHORDS = {
    "Am": (57, 60, 64, 69),
    "F": (57, 60, 64, 65),
    "C": (55, 60, 64, 67),
    "G": (55, 59, 62, 67),
    "Em": (55, 59, 62, 64),
    "Dm": (57, 60, 62, 65),
    "E": (56, 59, 62, 64),
}
"""MIDI pitches, voiced close together so that the parts move little."""
ROOTS = {"Am": 33, "F": 41, "C": 36, "G": 43, "Em": 40, "Dm": 38, "E": 40}

PROGRESSIONS = {
    "intro": ("Am", "F", "C", "G"),
    "verse": ("Am", "F", "C", "G", "Am", "F", "Dm", "E"),
    "build": ("Dm", "Em", "F", "G"),
    "chorus": ("F", "G", "Em", "Am", "F", "G", "C", "E"),
    "break": ("Am", "F", "C", "G", "Am", "E"),
    "ending": ("F", "G", "Am", "Am"),
    "outro": ("Am", "F", "G", "Am"),
}

# Melodies: one tuple a bar of (step, length in steps, MIDI pitch).
CHORUS_MELODY = (
    ((0, 3, 69), (3, 3, 72), (6, 2, 76), (8, 3, 74), (11, 3, 72), (14, 2, 74)),  # A
    ((0, 3, 71), (3, 3, 74), (6, 5, 79), (12, 2, 74), (14, 2, 76)),
    ((0, 3, 67), (3, 3, 71), (6, 2, 76), (8, 3, 74), (11, 3, 71), (14, 2, 72)),  # A'
    ((0, 3, 69), (3, 3, 72), (6, 4, 76), (10, 2, 81), (12, 2, 79), (14, 2, 76)),
    ((0, 2, 77), (2, 2, 76), (4, 2, 72), (6, 4, 69), (10, 2, 72), (12, 2, 77), (14, 2, 76)),  # B
    ((0, 3, 74), (3, 3, 76), (6, 2, 74), (8, 4, 71), (12, 2, 67), (14, 2, 71)),
    ((0, 3, 72), (3, 3, 76), (6, 2, 79), (8, 3, 81), (11, 3, 79), (14, 2, 76)),  # A''
    ((0, 6, 76), (6, 4, 80), (10, 2, 76), (12, 1, 74), (13, 1, 76), (14, 2, 71)),
)
ENDING_MELODY = (
    *CHORUS_MELODY[4:6],
    ((0, 3, 69), (3, 3, 72), (6, 2, 76), (8, 3, 79), (11, 3, 76), (14, 2, 79)),
    ((0, 6, 81), (6, 2, 79), (8, 4, 76), (12, 4, 72)),
)
VERSE_MELODY = (
    ((0, 6, 69), (6, 6, 72), (12, 4, 76)),
    ((0, 6, 74), (6, 2, 72), (8, 6, 69)),
    ((0, 6, 67), (6, 6, 72), (12, 4, 76)),
    ((0, 8, 74), (10, 2, 71), (12, 4, 67)),
    ((0, 6, 69), (6, 6, 72), (12, 4, 76)),
    ((0, 6, 77), (6, 2, 76), (8, 6, 72)),
    ((0, 4, 74), (4, 4, 72), (8, 4, 69), (12, 4, 72)),
    ((0, 6, 71), (6, 4, 74), (10, 4, 76)),
)
BREAK_MELODY = (
    ((0, 8, 69), (8, 8, 72)),
    ((0, 12, 76), (12, 4, 74)),
    ((0, 8, 67), (8, 8, 72)),
    ((0, 10, 71),),
    (),
    ((8, 2, 71), (10, 2, 74), (12, 2, 76), (14, 2, 80)),
)

# Drums: sixteen steps a bar. X accent, x normal, - ghost note.
VELOCITIES = {"X": 1.0, "x": 0.8, "-": 0.45}
GROOVES = {
    "intro": {"hat": "x...x...x...x..."},
    "lift": {"kick": "X...x...x...x...", "hat": "x.x.x.x.x.x.x.x."},
    "verse": {"kick": "X.....x.x.......", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
    "verse2": {"kick": "X.....x.x.x.....", "snare": "....X..-....X..-", "hat": "x.x.x.x.x.x.xxx."},
    "build1": {"kick": "X...X...X...X...", "snare": "x...x...x...x..."},
    "build2": {"kick": "X...X...X...X...", "snare": "x.x.x.x.x.x.x.x."},
    "build3": {"kick": "X...X...X.......", "snare": "x.x.x.x.xxxxxxxx"},
    "chorus": {
        "kick": "X...X...X...X...",
        "snare": "....X.......X...",
        "hat": "x-.-x-.-x-.-x-.-",
        "open_hat": "..x...x...x...x.",
    },
    "chorus2": {
        "kick": "X...X..xX...X.x.",
        "snare": "....X..-.-..X...",
        "hat": "x-.-x-.-x-.-x-.-",
        "open_hat": "..x...x...x...x.",
    },
    "half_fill": {"kick": "X...X...X.......", "snare": "....X.......X.xx", "hat": "x.x.x.x.x.x....."},
    "fill": {
        "kick": "X...X...X.......",
        "snare": "....X...xx......",
        "tom_high": "..........xx....",
        "tom_mid": "............xx..",
        "tom_low": "..............XX",
    },
    "big_fill": {
        "kick": "X.....x.X.......",
        "snare": "X.xxX.xxXx......",
        "tom_high": "..........xx....",
        "tom_mid": "............xx..",
        "tom_low": "..............XX",
    },
    "stop": {"kick": "X..x..X.........", "snare": "X..x..X........."},
    "none": {},
}
DRUM_BARS = {
    "intro": ("intro", "intro", "lift", "fill"),
    "verse": ("verse", "verse2", "verse", "half_fill", "verse", "verse2", "verse", "fill"),
    "build": ("build1", "build1", "build2", "build3"),
    "chorus": ("chorus", "chorus2", "chorus", "half_fill", "chorus", "chorus2", "chorus", "big_fill"),
    "break": ("none",) * 6,
    "build_short": ("build2", "build3"),
    "ending": ("chorus", "chorus2", "chorus", "big_fill"),
    "outro": ("verse", "verse2", "stop", "none"),
}
DYNAMICS = {"intro": 0.6, "verse": 0.75, "build": 0.85, "chorus": 1.0, "break": 0.5, "outro": 0.75}
"""Velocity of everything in a section, relative to the chorus."""


@dataclass(frozen=True, order=True)
class Note:
    """One sound: `step` and `length` in sixteenths from the first downbeat; `pitch` is MIDI, 0 for drums."""

    step: int
    instrument: str
    pitch: int
    length: int
    velocity: float  # 0–1

    @property
    def time_ms(self) -> float:
        """Start on the audio's clock."""
        return step_ms(self.step)


def step_ms(step: int) -> float:
    """Time of a sixteenth on the audio's clock, in ms."""
    return OFFSET_MS + step * 4 * 60_000.0 / (BPM * STEPS)


def _drum_notes(bar: int, groove: str, level: float) -> list[Note]:
    return [
        Note(bar * STEPS + step, drum, 0, 1, round(VELOCITIES[mark] * level, 3))
        for drum, pattern in GROOVES[groove].items()
        for step, mark in enumerate(pattern)
        if mark != "."
    ]


def _melody_notes(bar: int, instrument: str, melody: tuple[tuple[int, int, int], ...], level: float) -> list[Note]:
    return [
        Note(bar * STEPS + step, instrument, pitch, length, level if step % 4 == 0 else round(0.9 * level, 3))
        for step, length, pitch in melody
    ]


def _bass_notes(bar: int, section: str, chord: str, level: float) -> list[Note]:
    root = ROOTS[chord]
    patterns = {
        "verse": ((0, 4, 0), (6, 2, 0), (8, 4, 0), (12, 2, 7), (14, 2, 12)),
        "build": tuple((step, 2, 0) for step in range(0, STEPS, 2)),
        "chorus": tuple((step, 2, 12 if step % 4 else 0) for step in range(0, STEPS, 2)),
        "outro": ((0, 6, 0), (6, 2, 0), (8, 6, 0)),
    }
    return _melody_notes(
        bar, "bass", tuple((step, length, root + up) for step, length, up in patterns.get(section, ())), level
    )


def _chord_notes(bar: int, section: str, chord: str, level: float) -> list[Note]:
    """Stabs in the chorus (3+3+2+3+3+2), long pads elsewhere, and a broken chord in the quiet sections."""
    if section == "chorus":
        hits = ((0, 3), (3, 3), (6, 2), (8, 3), (11, 3), (14, 2))
        stabs = [(step, length, pitch) for step, length in hits for pitch in CHORDS[chord]]
        return _melody_notes(bar, "stab", tuple(stabs), 0.85 * level)
    notes = _melody_notes(bar, "pad", tuple((0, STEPS, pitch) for pitch in CHORDS[chord]), level)
    if section in ("intro", "verse", "outro"):
        order = (0, 2, 1, 3, 2, 1, 3, 2)
        arpeggio = tuple((2 * i, 2, CHORDS[chord][k] + 12) for i, k in enumerate(order))
        notes += _melody_notes(bar, "pluck", arpeggio, 0.7 * level)
    return notes


def _accompaniment(section: str, start: int, chords: tuple[str, ...], grooves: tuple[str, ...]) -> list[Note]:
    notes: list[Note] = []
    level = DYNAMICS[section]
    for i, (chord, groove) in enumerate(zip(chords, grooves, strict=True)):
        bar = start + i
        if bar == SILENT_BAR or bar == BARS - 1:
            continue
        swell = 0.75 + 0.25 * (i + 1) / len(chords) if section == "build" else 1.0
        notes += _drum_notes(bar, groove, round(level * swell, 3))
        notes += _bass_notes(bar, section, chord, level)
        notes += _chord_notes(bar, section, chord, level)
        if section == "chorus" and i % 4 == 0:
            notes.append(Note(bar * STEPS, "crash", 0, STEPS, 0.9))
    return notes


def _lead(instrument: str, start: int, bars: tuple[tuple[tuple[int, int, int], ...], ...], level: float) -> list[Note]:
    return [note for i, melody in enumerate(bars) for note in _melody_notes(start + i, instrument, melody, level)]


def _final_chorus(start: int) -> list[Note]:
    """Twelve bars: the chorus with a second voice an octave below, then the ending."""
    notes = _accompaniment("chorus", start, PROGRESSIONS["chorus"], DRUM_BARS["chorus"])
    notes += _accompaniment("chorus", start + 8, PROGRESSIONS["ending"], DRUM_BARS["ending"])
    melody = CHORUS_MELODY + ENDING_MELODY
    lower = tuple(tuple((step, length, pitch - 12) for step, length, pitch in bar) for bar in melody)
    return notes + _lead("lead", start, melody, 1.0) + _lead("harmony", start, lower, 0.8)


def _crashes_and_risers(starts: dict[str, int]) -> list[Note]:
    """A crash where a section opens, a noise riser through each build, and the last hit of the song."""
    notes = [Note(starts[name] * STEPS, "crash", 0, STEPS, 0.7) for name in ("intro", "verse", "outro")]
    notes.append(Note(starts["intro"] * STEPS, "kick", 0, 1, 0.8))
    notes.append(Note(starts["build"] * STEPS, "riser", 0, 4 * STEPS, 0.7))
    notes.append(Note(starts["build_short"] * STEPS - STEPS, "riser", 0, 3 * STEPS, 0.7))
    last = (BARS - 1) * STEPS
    notes += [Note(last, drum, 0, STEPS, 0.8) for drum in ("kick", "crash")]
    notes += [Note(last, "pad", pitch, STEPS, 0.7) for pitch in CHORDS["Am"]]
    return [*notes, Note(last, "bass", ROOTS["Am"], STEPS, 0.8), Note(last, "lead", 69, STEPS, 0.7)]


def section_starts() -> tuple[int, ...]:
    """First bar of each section of `SECTIONS`."""
    return tuple(sum(bars for _, bars in SECTIONS[:i]) for i in range(len(SECTIONS)))


def compose() -> tuple[Note, ...]:
    """The whole song, sorted by time; the same on every call."""
    intro, verse, build, chorus, quiet, build_short, final, outro = section_starts()
    notes = _accompaniment("intro", intro, PROGRESSIONS["intro"], DRUM_BARS["intro"])
    notes += _accompaniment("verse", verse, PROGRESSIONS["verse"], DRUM_BARS["verse"])
    notes += _lead("soft_lead", verse, VERSE_MELODY, 0.8)
    notes += _accompaniment("build", build, PROGRESSIONS["build"], DRUM_BARS["build"])
    notes += _accompaniment("chorus", chorus, PROGRESSIONS["chorus"], DRUM_BARS["chorus"])
    notes += _lead("lead", chorus, CHORUS_MELODY, 1.0)
    notes += _accompaniment("break", quiet, PROGRESSIONS["break"], DRUM_BARS["break"])
    notes += _lead("pluck", quiet, BREAK_MELODY, 0.7)
    notes += _accompaniment("build", build_short, PROGRESSIONS["build"][2:], DRUM_BARS["build_short"])
    notes += _final_chorus(final)
    notes += _accompaniment("outro", outro, PROGRESSIONS["outro"], DRUM_BARS["outro"])
    notes += _lead("soft_lead", outro, (VERSE_MELODY[0], VERSE_MELODY[1]), 0.7)
    starts = {"intro": intro, "verse": verse, "build": build, "build_short": build_short, "outro": outro}
    return tuple(sorted(notes + _crashes_and_risers(starts)))


def truth(notes: tuple[Note, ...]) -> dict[str, object]:
    """Ground truth about the song, times in ms on the audio's clock, rounded to a microsecond."""
    onsets: dict[str, list[float]] = {}
    for note in notes:
        onsets.setdefault(note.instrument, []).append(round(note.time_ms, 3))
    beats = [round(step_ms(4 * beat), 3) for beat in range(BARS * METRE + 1)]
    return {
        "title": TITLE,
        "artist": ARTIST,
        "bpm": BPM,
        "offset_ms": OFFSET_MS,
        "metre": METRE,
        "beats_ms": beats,
        "downbeats_ms": beats[::METRE],
        "sections": [
            {"name": name, "start_ms": beats[METRE * start], "end_ms": beats[METRE * (start + bars)], "bars": bars}
            for (name, bars), start in zip(SECTIONS, section_starts(), strict=True)
        ],
        "silence_ms": [beats[METRE * SILENT_BAR], beats[METRE * (SILENT_BAR + 1)]],
        "onsets_ms": {name: sorted(set(times)) for name, times in sorted(onsets.items())},
    }
