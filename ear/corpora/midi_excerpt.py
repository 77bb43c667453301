"""A part of a MIDI file, so that no more is synthesised than is wanted."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np

from ear.corpora.midi import META, SYSEX, MidiEvent, events_of, read_midi_times, split_midi, variable_length

END_OF_TRACK = 0x2F
MAX_CUTS = 100_000
"""Places where a file can be cut; those of one that lasts for days are further apart."""

ALL_SILENT = (64, 123, 120)
"""Controllers that release the pedal, end all notes, and cut off what still sounds: without them held notes never end."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A MIDI file that begins at `start_ms` of another."""

    data: bytes = field(repr=False)
    start_ms: float


def excerpt(data: bytes, start_ms: float, end_ms: float) -> Excerpt:
    """The part of a MIDI file from `start_ms` to `end_ms`, to an eighth of a quarter note. Raises MidiError.

    What was set before (instruments, controllers, tempo) is set at its start; notes begun before are left out.
    """
    times = read_midi_times(data)
    step = max(1, times.ticks_per_quarter // 8, times.last_note // MAX_CUTS)
    tick = np.arange(0, times.last_note + times.ticks_per_quarter, step, dtype=np.float64)
    time_ms = times.to_ms(tick)
    at = np.minimum(np.searchsorted(time_ms, [start_ms, end_ms]), tick.size - 1)
    first, last = (int(edge) for edge in tick[at])
    division, tracks = split_midi(data)
    parts = [_cut(track, first, last) for track in tracks]
    head = b"MThd" + struct.pack(">IHHH", 6, 1, len(parts), division)
    chunks = [b"MTrk" + struct.pack(">I", len(part)) + part for part in parts]
    return Excerpt(head + b"".join(chunks), float(times.to_ms(np.array([float(first)]))[0]))


def _cut(track: bytes, first: int, last: int) -> bytes:
    """A track from tick `first` to `last`, ending in silence."""
    out, now = [], 0
    for event in events_of(track):
        ends = event.status == META and event.data[:1] == bytes([END_OF_TRACK])
        if ends or event.tick > last or (event.tick < first and event.is_note):
            continue
        at = max(0, event.tick - first)
        out.append(variable_length(at - now) + _encoded(event))
        now = at
    ending = [bytes([0xB0 | channel, controller, 0]) for channel in range(16) for controller in ALL_SILENT]
    wait = variable_length(max(0, last - first - now))
    return b"".join(out) + wait + b"\0".join([*ending, bytes([META, END_OF_TRACK, 0])])


def _encoded(event: MidiEvent) -> bytes:
    """An event as a track holds it, without its wait."""
    if event.status == META:
        return bytes([META]) + event.data[:1] + variable_length(len(event.data) - 1) + event.data[1:]
    if event.status in SYSEX:
        return bytes([event.status]) + variable_length(len(event.data)) + event.data
    return bytes([event.status]) + event.data
