"""Sound for the demo song with numpy alone: drums from noise and swept sines, the rest from summed harmonics.

Every function is pure; noise comes from a generator seeded by the caller, so the same notes give the same samples.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from demo_score import SILENT_BAR, STEPS, Note, step_ms
from numpy.typing import NDArray

RATE = 44_100  # samples a second
PEAK = 10 ** (-2.1 / 20)  # the encoder adds 1.0 dB, so that the decoded file stays under −1 dBFS
TAIL_S = 2.5  # after the last note, for the crash and the room to fade
FADE_S = 0.02  # of the edges of the silent bar
Sound = NDArray[np.float64]  # [sample], or [sample, 2] for left and right

MIX = {  # instrument: (gain, pan −1…1, share sent to the room, share sent to the echo)
    "kick": (0.95, 0.0, 0.0, 0.0),
    "snare": (0.62, 0.05, 0.16, 0.0),
    "hat": (0.28, 0.30, 0.02, 0.0),
    "open_hat": (0.30, -0.25, 0.05, 0.0),
    "crash": (0.34, -0.15, 0.15, 0.0),
    "tom_high": (0.62, -0.35, 0.15, 0.0),
    "tom_mid": (0.65, 0.0, 0.15, 0.0),
    "tom_low": (0.70, 0.35, 0.15, 0.0),
    "riser": (0.16, 0.0, 0.20, 0.0),
    "bass": (0.40, 0.0, 0.0, 0.0),
    "stab": (0.10, -0.1, 0.12, 0.0),
    "pad": (0.085, 0.1, 0.35, 0.0),
    "pluck": (0.20, -0.2, 0.25, 0.25),
    "soft_lead": (0.20, 0.1, 0.25, 0.20),
    "lead": (0.25, 0.05, 0.18, 0.22),
    "harmony": (0.13, -0.2, 0.20, 0.10),
}


def seconds(duration_s: float) -> Sound:
    """[sample] times from 0, in seconds."""
    return np.arange(int(duration_s * RATE)) / RATE


def filtered_noise(rng: np.random.Generator, duration_s: float, low_hz: float, high_hz: float) -> Sound:
    """White noise kept between two frequencies with soft edges, peak 1."""
    size = int(duration_s * RATE)
    spectrum = np.fft.rfft(rng.standard_normal(size))
    frequency = np.fft.rfftfreq(size, 1 / RATE)
    spectrum *= 1 / (1 + (low_hz / np.maximum(frequency, 1.0)) ** 6) / (1 + (frequency / high_hz) ** 6)
    noise = np.fft.irfft(spectrum, size)
    return noise / np.abs(noise).max()


def swept_sine(duration_s: float, start_hz: float, end_hz: float, sweep_s: float, decay_s: float) -> Sound:
    """A sine falling from one frequency to another: kicks and toms."""
    t = seconds(duration_s)
    phase = 2 * np.pi * (end_hz * t + (start_hz - end_hz) * sweep_s * (1 - np.exp(-t / sweep_s)))
    return np.cos(phase) * np.exp(-t / decay_s)


def kick(rng: np.random.Generator) -> Sound:
    sound = swept_sine(0.35, 230.0, 47.0, 0.022, 0.11)
    click = filtered_noise(rng, 0.01, 1500.0, 9000.0) * np.exp(-seconds(0.01) / 0.002)
    sound[: click.size] += 0.5 * click
    return sound


def snare(rng: np.random.Generator) -> Sound:
    t = seconds(0.3)
    body = swept_sine(0.3, 320.0, 185.0, 0.015, 0.055)
    return 0.55 * body + 0.75 * filtered_noise(rng, 0.3, 900.0, 9500.0) * np.exp(-t / 0.065)


def cymbal(rng: np.random.Generator, duration_s: float, low_hz: float, decay_s: float) -> Sound:
    return filtered_noise(rng, duration_s, low_hz, 15_000.0) * np.exp(-seconds(duration_s) / decay_s)


def riser(rng: np.random.Generator, duration_s: float) -> Sound:
    """Noise whose level and brightness grow: a mix that fades from dark to bright."""
    position = seconds(duration_s) / duration_s
    dark, bright = filtered_noise(rng, duration_s, 300.0, 1200.0), filtered_noise(rng, duration_s, 2500.0, 9000.0)
    size = min(position.size, dark.size)
    position = position[:size]
    return ((1 - position) * dark[:size] + position * bright[:size]) * position**2


def harmonics(pitch: int, duration_s: float, brightness: float, decay: float, odd_only: bool = False) -> Sound:
    """Summed harmonics under 14 kHz, the n-th at n^-brightness and dying `decay`·n faster than the first."""
    t = seconds(duration_s)
    base_hz = 440.0 * 2 ** ((pitch - 69) / 12)
    sound = np.zeros_like(t)
    for n in range(1, min(24, int(14_000 / base_hz)) + 1, 2 if odd_only else 1):
        sound += n**-brightness * np.sin(2 * np.pi * n * base_hz * t) * np.exp(-decay * n * t)
    return sound


def envelope(duration_s: float, attack_s: float, release_s: float) -> Sound:
    """[sample] straight up in `attack_s`, straight down in the last `release_s`."""
    t = seconds(duration_s)
    return np.minimum(1.0, np.minimum(t / attack_s, np.maximum(duration_s - t, 0.0) / release_s))


def tone(instrument: str, pitch: int, length_s: float) -> Sound:
    """A pitched note of one of the melodic instruments."""
    if instrument == "bass":
        return harmonics(pitch, length_s, 1.15, 0.9) * envelope(length_s, 0.003, 0.02)
    if instrument == "pluck":
        length_s = max(length_s, 0.35)
        return harmonics(pitch, length_s, 1.3, 3.5) * envelope(length_s, 0.002, 0.05)
    if instrument == "stab":
        length_s *= 0.8
        detuned = harmonics(pitch, length_s, 1.0, 1.5) + 0.7 * np.roll(harmonics(pitch, length_s, 1.2, 1.5), 60)
        return detuned * envelope(length_s, 0.003, 0.03)
    if instrument == "pad":
        length_s += 0.12  # overlaps the next chord
        slow = 1 + 0.15 * np.sin(2 * np.pi * 4.5 * seconds(length_s))
        return harmonics(pitch, length_s, 1.6, 0.0) * slow * envelope(length_s, 0.09, 0.15)
    if instrument == "soft_lead":
        return harmonics(pitch, length_s, 1.8, 0.6, odd_only=True) * envelope(length_s, 0.006, 0.06)
    bright = 1.05 if instrument == "lead" else 1.4
    body = harmonics(pitch, length_s, bright, 0.7) + 0.5 * harmonics(pitch, length_s, bright, 0.7, odd_only=True)
    return body * envelope(length_s, 0.004, 0.03)


def make_sound(note: Note, rng: np.random.Generator) -> Sound:
    """The sound of one note, before its velocity."""
    drums: dict[str, Callable[[], Sound]] = {
        "kick": lambda: kick(rng),
        "snare": lambda: snare(rng),
        "hat": lambda: cymbal(rng, 0.09, 7000.0, 0.018),
        "open_hat": lambda: cymbal(rng, 0.3, 6000.0, 0.075),
        "crash": lambda: cymbal(rng, 2.2, 3500.0, 0.5),
        "tom_high": lambda: swept_sine(0.35, 330.0, 190.0, 0.03, 0.11),
        "tom_mid": lambda: swept_sine(0.4, 260.0, 140.0, 0.03, 0.13),
        "tom_low": lambda: swept_sine(0.45, 200.0, 95.0, 0.03, 0.15),
    }
    if note.instrument in drums:
        return drums[note.instrument]()
    length_s = (step_ms(note.length) - step_ms(0)) / 1000
    return riser(rng, length_s) if note.instrument == "riser" else tone(note.instrument, note.pitch, length_s)


def render_stems(notes: tuple[Note, ...], size: int) -> dict[str, Sound]:
    """{instrument: [sample] mono}, each note added at its time rounded to a sample."""
    stems = {name: np.zeros(size) for name in MIX}
    rng = np.random.default_rng(158)
    cache: dict[tuple[str, int, int], Sound] = {}
    for note in notes:
        key = (note.instrument, note.pitch, note.length)
        if key not in cache:
            cache[key] = make_sound(note, rng)
        start = round(note.time_ms * RATE / 1000)
        sound = cache[key][: size - start]
        stems[note.instrument][start : start + sound.size] += note.velocity * sound
    return stems


def ducked(stem: Sound, notes: tuple[Note, ...]) -> Sound:
    """`stem` made quieter for a moment at every kick, so that the beat breathes."""
    gain = np.ones(stem.size)
    dip = 1 - 0.5 * np.exp(-seconds(0.25) / 0.07)
    for note in notes:
        if note.instrument == "kick":
            start = round(note.time_ms * RATE / 1000)
            part = gain[start : start + dip.size]
            np.minimum(part, dip[: part.size], out=part)
    return stem * gain


def convolve(dry: Sound, response: Sound) -> Sound:
    """`dry` through `response`, cut to the length of `dry`."""
    size = 1 << int(np.ceil(np.log2(dry.size + response.size)))
    return np.fft.irfft(np.fft.rfft(dry, size) * np.fft.rfft(response, size), size)[: dry.size]


def room(send: Sound) -> Sound:
    """[sample, 2] a small room: decaying noise, another for each ear, 12 ms after the sound."""
    t = seconds(0.9)
    ears = []
    for seed in (1, 2):
        response = filtered_noise(np.random.default_rng(seed), 0.9, 250.0, 6000.0) * np.exp(-t / 0.22)
        response[: int(0.012 * RATE)] = 0.0
        ears.append(convolve(send, response / np.sqrt(np.sum(response**2))))
    return np.stack(ears, axis=1)


def echo(send: Sound) -> Sound:
    """[sample, 2] repeats three sixteenths apart, left and right in turn, each softer."""
    apart = round((step_ms(3) - step_ms(0)) * RATE / 1000)
    result = np.zeros((send.size, 2))
    for i, gain in enumerate((0.6, 0.35, 0.2)):
        delay = apart * (i + 1)
        result[delay:, i % 2] += gain * send[: send.size - delay]
    return result


def mute_silent_bar(mix: Sound) -> None:
    """Make the silent bar silent to the last sample: room and echo stop as well."""
    start, end = (round(step_ms(bar * STEPS) * RATE / 1000) for bar in (SILENT_BAR, SILENT_BAR + 1))
    if len(mix) < start:  # an excerpt that ends before it
        return
    fade = int(FADE_S * RATE)
    mix[start - fade : start] *= np.linspace(1, 0, fade)[:, None]
    mix[start:end] = 0.0


def render(notes: tuple[Note, ...]) -> Sound:
    """[sample, 2] the finished song at `RATE`, peak `PEAK`."""
    size = int((notes[-1].time_ms / 1000 + TAIL_S) * RATE)
    mix, to_room, to_echo = np.zeros((size, 2)), np.zeros(size), np.zeros(size)
    for name, stem in render_stems(notes, size).items():
        gain, pan, room_share, echo_share = MIX[name]
        if name in ("bass", "pad", "stab", "riser"):
            stem = ducked(stem, notes)
        stem *= gain
        angle = (pan + 1) * np.pi / 4
        mix += stem[:, None] * np.sqrt(2) * np.array([np.cos(angle), np.sin(angle)])
        to_room += room_share * stem
        to_echo += echo_share * stem
    mix += room(to_room) + echo(to_echo)
    mute_silent_bar(mix)
    mix = np.tanh(0.9 * mix)  # soft edges instead of clipping where everything sounds at once
    fade = int(1.0 * RATE)
    mix[-fade:] *= np.linspace(1, 0, fade)[:, None] ** 2
    return mix * (PEAK / np.abs(mix).max())
