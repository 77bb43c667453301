"""Beats of a Standard MIDI File from its own tempo map and time signatures (no notes are read but for their times)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

MAX_MIDI_BYTES = 20_000_000
MAX_BEATS = 20_000
DEFAULT_TEMPO_US = 500_000
"""Microseconds a quarter note where a file does not say."""

META, SYSEX = 0xFF, (0xF0, 0xF7)
"""Status of events that are not a channel's."""

_DATA_BYTES = {0x8: 2, 0x9: 2, 0xA: 2, 0xB: 2, 0xC: 1, 0xD: 1, 0xE: 2}


class MidiError(ValueError):
    """The bytes are not a MIDI file that can be used."""


@dataclass(frozen=True, slots=True)
class TimeSignature:
    """A time signature, which holds from `tick` on."""

    tick: int
    beats: int
    unit: int  # 4 = quarter notes

    def beats_per_bar(self) -> int:
        """Compound metres (6/8, 9/8, 12/8) are felt in three units a beat."""
        return self.beats // 3 if self.is_compound else self.beats

    @property
    def is_compound(self) -> bool:
        return self.unit >= 8 and self.beats > 3 and self.beats % 3 == 0


@dataclass(slots=True)
class MidiTimes:
    """Time information of a file; ticks are counted from its start."""

    ticks_per_quarter: int
    tempo: list[tuple[int, int]] = field(default_factory=list)  # (tick, µs a quarter)
    signatures: list[TimeSignature] = field(default_factory=list)
    first_note: int | None = None
    last_note: int = 0

    def to_ms(self, tick: NDArray[np.float64]) -> NDArray[np.float64]:
        """Time of each tick by the tempo map."""
        changes = {0: DEFAULT_TEMPO_US} | dict(sorted(self.tempo, key=lambda change: change[0]))
        at = np.array(list(changes), np.float64)
        slope = np.array(list(changes.values()), np.float64) / 1000 / self.ticks_per_quarter  # ms a tick
        start_ms = np.concatenate(([0.0], np.cumsum(np.diff(at) * slope[:-1])))
        ruling = np.searchsorted(at, tick, side="right") - 1
        return np.asarray(start_ms[ruling] + (tick - at[ruling]) * slope[ruling])


def midi_beats(data: bytes) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(beat_ms, is_downbeat) from the bar before the first note to the end. Raises MidiError."""
    times = read_midi_times(data)
    if times.first_note is None:
        raise MidiError("holds no notes")
    signatures = {0: TimeSignature(0, 4, 4)} | {signature.tick: signature for signature in times.signatures}
    order = [signatures[tick] for tick in sorted(signatures)]
    ends = [signature.tick for signature in order[1:]] + [times.last_note + 1]
    ticks: list[NDArray[np.float64]] = []
    downbeats: list[NDArray[np.bool_]] = []
    for signature, end in zip(order, ends, strict=True):
        step = times.ticks_per_quarter * 4 / signature.unit * (3 if signature.is_compound else 1)
        count = int(np.ceil((end - signature.tick) / step - 1e-9))
        if sum(map(len, ticks)) + count > MAX_BEATS:
            raise MidiError(f"holds more than {MAX_BEATS:,} beats")
        number = np.arange(max(count, 0))
        ticks.append(np.asarray(signature.tick + number * step, np.float64))
        downbeats.append(number % signature.beats_per_bar() == 0)
    return times.to_ms(np.concatenate(ticks)), np.concatenate(downbeats)


def last_note_ms(data: bytes) -> float:
    """Onset of the last note. Raises MidiError."""
    times = read_midi_times(data)
    return float(times.to_ms(np.array([times.last_note], np.float64))[0])


def read_midi_times(data: bytes) -> MidiTimes:
    """Tempo changes, time signatures and the span of the notes. Raises MidiError."""
    division, tracks = split_midi(data)
    times = MidiTimes(division)
    for track in tracks:
        for event in events_of(track):
            if event.status == META:
                _read_meta(event.data, event.tick, times)
            elif event.is_note_on:
                times.first_note = event.tick if times.first_note is None else min(times.first_note, event.tick)
                times.last_note = max(times.last_note, event.tick)
    return times


def split_midi(data: bytes) -> tuple[int, list[bytes]]:
    """(ticks a quarter, content of each track). Raises MidiError."""
    if len(data) > MAX_MIDI_BYTES or data[:4] != b"MThd" or len(data) < 14:
        raise MidiError("is not a MIDI file")
    division = struct.unpack(">H", data[12:14])[0]
    if division == 0 or division & 0x8000:
        raise MidiError("counts in seconds (SMPTE), not in beats")
    tracks, at = [], 8 + struct.unpack(">I", data[4:8])[0]
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], struct.unpack(">I", data[at + 4 : at + 8])[0]
        if kind == b"MTrk":
            tracks.append(data[at + 8 : at + 8 + size])
        at += 8 + size
    return division, tracks


@dataclass(frozen=True, slots=True)
class MidiEvent:
    """One event of a track."""

    tick: int
    status: int  # META, SYSEX, or a channel's
    data: bytes  # of a meta event its kind and content, of others what follows the status (and length)

    @property
    def is_note(self) -> bool:
        """Whether it begins or ends a note."""
        return self.status >> 4 in (0x8, 0x9)

    @property
    def is_note_on(self) -> bool:
        return self.status >> 4 == 0x9 and self.data[1] > 0


def events_of(track: bytes) -> Iterator[MidiEvent]:
    """The events of a track in order. Raises MidiError where it is damaged."""
    at, tick, running = 0, 0, 0
    try:
        while at < len(track):
            wait, at = _number(track, at)
            tick += wait
            status = running  # of the last channel event; some writers go on with it even after a meta event
            if track[at] & 0x80:
                status, at = track[at], at + 1
                running = status if status < 0xF0 else running
            if status == META:
                kind = track[at : at + 1]
                size, at = _number(track, at + 1)
                yield MidiEvent(tick, status, kind + track[at : at + size])
            elif status in SYSEX:
                size, at = _number(track, at)
                yield MidiEvent(tick, status, track[at : at + size])
            elif status >> 4 in _DATA_BYTES:
                size = _DATA_BYTES[status >> 4]
                track[at + size - 1]  # must be there
                yield MidiEvent(tick, status, track[at : at + size])
            else:
                raise MidiError("holds an event of no known kind")
            at += size
    except IndexError as error:
        raise MidiError("ends within an event") from error


def _read_meta(data: bytes, tick: int, times: MidiTimes) -> None:
    kind, content = data[0] if data else 0, data[1:]
    if kind == 0x51 and len(content) == 3 and any(content):
        times.tempo.append((tick, int.from_bytes(content, "big")))
    elif kind == 0x58 and len(content) >= 2 and content[0]:
        times.signatures.append(TimeSignature(tick, content[0], 2 ** min(content[1], 6)))


def _number(track: bytes, at: int) -> tuple[int, int]:
    """A variable-length number at `at`, and where the next byte is."""
    value = 0
    for _ in range(4):
        byte = track[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            break
    return value, at


def variable_length(number: int) -> bytes:
    """A number as MIDI writes waits and sizes: seven bits a byte, all but the last marked."""
    found = bytes([number & 0x7F])
    while number := number >> 7:
        found = bytes([0x80 | number & 0x7F]) + found
    return found
