"""Standard MIDI Files for tests."""

import struct


def number(value: int) -> bytes:
    """A variable-length quantity."""
    parts = [value & 0x7F]
    while value := value >> 7:
        parts.append(value & 0x7F | 0x80)
    return bytes(reversed(parts))


def tempo(bpm: float) -> bytes:
    return b"\xff\x51\x03" + round(60_000_000 / bpm).to_bytes(3, "big")


def signature(beats: int, unit_power: int) -> bytes:
    return b"\xff\x58\x04" + bytes((beats, unit_power, 24, 8))


def midi_file(events: list[tuple[int, bytes]], division: int = 480) -> bytes:
    """One track of (ticks since the event before, event)."""
    body = b"".join(number(wait) + event for wait, event in [*events, (0, b"\xff\x2f\x00")])
    head = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, division)
    return head + struct.pack(">4sI", b"MTrk", len(body)) + body


def quarter_notes(count: int, *before: bytes, division: int = 480) -> bytes:
    """Drum hits on each quarter note, with running status."""
    events = [(0, event) for event in before] + [(0, b"\x99\x26\x64")]
    events += [(division, b"\x26\x64")] * (count - 1)
    return midi_file(events, division)
