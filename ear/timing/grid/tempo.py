"""Tempo of a whole song: the pulse that fits all onsets.

A constant tempo puts sharp lines into the spectrum of the onset strength, at multiples and simple fractions of the
beat frequency. The pulse with the strongest comb of lines is found first, then refined until its harmonics stay in
phase over the whole song, which fixes it to a few millionths. The multiple of the pulse that is the beat is chosen last,
among `RATIOS`, by fitted weights (`python -m ear.fitting.fit_timing`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ear.audio.onset import OnsetStrength, parabola_offset
from ear.timing.grid.weights import timing_weights

MIN_BPM, MAX_BPM = 40.0, 320.0
"""Pulses searched; the beat may be a multiple, within `MIN_BEAT_BPM`–`MAX_BEAT_BPM`."""

MIN_BEAT_BPM, MAX_BEAT_BPM = 50.0, 330.0
"""Range of beats considered: outside, listeners feel half or double."""

LEVEL_WINDOW_MS = 4000.0
"""Onset strength is divided by its mean over this window, so that quiet passages count too."""

LEVEL_FLOOR = 0.3
"""Share of the song's mean added to the local mean, so that silence is not amplified."""

SPECTRUM_FRAME_MS = 4.0
"""Onset strength is summed to this step for the spectrum (up to 125 Hz)."""

COMB = ((1, 1.0), (2, 1.0), (3, 0.5), (4, 1.0), (6, 0.5), (8, 1.0), (12, 0.5), (16, 0.5))
"""(harmonic of the pulse, weight): halves count whole, thirds half."""

RATIOS = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 1.0, 4 / 3, 3 / 2, 2.0, 3.0, 4.0)
"""Beats considered, as multiples of the pulse found."""

LINES = (1 / 8, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 1, 4 / 3, 3 / 2, 2, 3, 4, 5, 6, 8, 12, 16)
"""Spectral lines that tell a beat from its multiples, in units of the beat frequency."""

LINE_FLOOR = 0.03
"""Added to a line before its logarithm: a drum machine's pattern has empty lines, music has none."""

TYPICAL_BPM = 160.0
"""Origin of the tempo features."""

FOLD_BINS = 192
"""Bins of a beat when it is folded for refinement."""

FOLD_WINDOW_S = 4.0
"""The song is folded in windows this long, whose phases are then aligned."""

MAX_HARMONIC_HZ = 120.0
"""Harmonics up to here sharpen the refinement; above, a real onset has no phase left."""

MAX_HARMONIC = 48

REFINE_SHARE = 6e-4
"""Refinement searches this far to either side, as a share of the tempo: more than the comb is ever off."""

SNAP_DRIFT_MS, SNAP_COHERENCE = 20.0, 0.6
"""A whole BPM is taken if it leaves the fit by less than this over the song and keeps this share of its coherence.
On the `train` songs every chart with a whole BPM passes but two, and of those without only two, off by 16 ms."""


@dataclass(frozen=True, slots=True)
class Tempo:
    """A constant tempo fitted to a whole segment of audio."""

    hz: float  # beats a second
    coherence: float  # 0–1: share of the harmonics' strength that stays in phase from start to end

    @property
    def bpm(self) -> float:
        return 60.0 * self.hz


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """Magnitude of the onset strength's spectrum, each band scaled to unit power per frame."""

    magnitude: NDArray[np.float32] = field(repr=False)  # [band, bin]
    bin_hz: float

    def at(self, band: int, hz: NDArray[np.float64]) -> NDArray[np.float64]:
        """Magnitude at these frequencies [...], linear between bins."""
        line = self.magnitude[band]
        return np.interp(hz / self.bin_hz, np.arange(line.size), line)


def locally_normalized(onset: OnsetStrength) -> NDArray[np.float32]:
    """Onset strength [band, frame] divided by its local mean, so that bands and passages weigh alike."""
    window = max(1, round(LEVEL_WINDOW_MS / onset.frame_ms))
    out = np.empty(onset.strength.T.shape, np.float32)
    for band, strength in enumerate(onset.strength.T):
        total = np.concatenate([[0.0], np.cumsum(strength, dtype=np.float64)])
        first = np.clip(np.arange(strength.size) - window // 2, 0, None)
        last = np.clip(np.arange(strength.size) + (window + 1) // 2, None, strength.size)
        local = (total[last] - total[first]) / (last - first)
        mean = total[-1] / strength.size
        out[band] = strength / (local + LEVEL_FLOOR * mean + 1e-9)
    return out


def onset_spectrum(strength: NDArray[np.float32], frame_ms: float) -> Spectrum:
    """Spectrum of locally normalized onset strength [band, frame], with the sum of the bands as a last row."""
    step = max(1, round(SPECTRUM_FRAME_MS / frame_ms))
    count = strength.shape[1] // step
    coarse = strength[:, : count * step].reshape(len(strength), count, step).mean(axis=2)
    coarse = np.vstack([coarse, coarse.sum(axis=0)])
    coarse -= coarse.mean(axis=1, keepdims=True)
    size = 1 << int(np.ceil(np.log2(max(count, 2) * 4)))
    power = np.sqrt((coarse**2).sum(axis=1, keepdims=True) * count) + 1e-9
    magnitude = np.abs(np.fft.rfft(coarse, size, axis=1)) / power
    return Spectrum(magnitude.astype(np.float32), 1000.0 / (frame_ms * step * size))


def strongest_pulse_hz(spectrum: Spectrum, duration_s: float) -> float:
    """Frequency whose comb of harmonics is strongest in the sum of the bands."""
    step_hz = 1.0 / (3 * COMB[-1][0] * max(duration_s, 1.0))
    hz = np.arange(MIN_BPM / 60, MAX_BPM / 60, step_hz)
    comb = np.zeros_like(hz)
    for harmonic, weight in COMB:
        comb += weight * spectrum.at(-1, harmonic * hz)
    return float(hz[comb.argmax()])


def beat_candidates(spectrum: Spectrum, pulse_hz: float) -> list[tuple[float, float]]:
    """(beat frequency, probability) of the pulse's multiples, likeliest first."""
    hz, features = candidate_features(spectrum, pulse_hz)
    score = features @ timing_weights().beat_level
    chance = np.exp(score - score.max())
    chance /= chance.sum()
    return [(float(hz[i]), float(chance[i])) for i in np.argsort(-chance, kind="stable")]


def candidate_features(spectrum: Spectrum, pulse_hz: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Multiples of the pulse that may be the beat [candidate] in Hz, and their features [candidate, feature]."""
    hz = np.array([pulse_hz * ratio for ratio in RATIOS if MIN_BEAT_BPM <= 60 * pulse_hz * ratio <= MAX_BEAT_BPM])
    return hz, np.array([_level_features(spectrum, float(one)) for one in hz])


def _level_features(spectrum: Spectrum, beat_hz: float) -> NDArray[np.float64]:
    """[feature]: logarithm of each band's lines around `beat_hz`, and the tempo itself."""
    lines = np.array(LINES) * beat_hz
    bands = [np.log(spectrum.at(band, lines) + LINE_FLOOR) + 3.0 for band in range(len(spectrum.magnitude) - 1)]
    octave = np.log2(60 * beat_hz / TYPICAL_BPM)
    return np.concatenate([*bands, [octave, octave**2, abs(octave)]])


def refine_tempo(total: NDArray[np.float32], frame_ms: float, hz: float, search_share: float = REFINE_SHARE) -> Tempo:
    """The tempo within `search_share` of `hz` whose harmonics stay most in phase over `total` [frame]."""
    harmonics, middle_s = _windowed_harmonics(total, frame_ms, hz)  # [window, harmonic], [window]
    span_s = max(float(np.ptp(middle_s)), FOLD_WINDOW_S)
    step = 1.0 / (harmonics.shape[1] * span_s * 6)
    shifts = np.arange(-np.ceil(search_share * hz / step), np.ceil(search_share * hz / step) + 1) * step
    coherence = _phase_coherence(harmonics, middle_s, shifts)
    best = int(coherence.argmax())
    fitted = hz + float(shifts[best]) + parabola_offset(coherence, best) * step
    snapped = round(60 * fitted) / 60
    drift_ms = abs(fitted / snapped - 1) * total.size * frame_ms
    kept = _phase_coherence(harmonics, middle_s, np.array([snapped - hz]))[0] if drift_ms <= SNAP_DRIFT_MS else 0.0
    if kept >= SNAP_COHERENCE * coherence[best]:
        return Tempo(snapped, float(kept))
    return Tempo(fitted, float(coherence[best]))


def _windowed_harmonics(
    total: NDArray[np.float32], frame_ms: float, hz: float
) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
    """Complex harmonics of `hz` in each window [window, harmonic], and the windows' middles in s from the centre."""
    folded = fold_windows(total, frame_ms, hz)
    count = int(np.clip(MAX_HARMONIC_HZ / hz, 4, MAX_HARMONIC))
    harmonics = np.fft.rfft(folded - folded.mean(axis=1, keepdims=True), axis=1)[:, 1 : count + 1]
    middle_s = (np.arange(len(folded), dtype=np.float64) - (len(folded) - 1) / 2) * FOLD_WINDOW_S
    return harmonics, middle_s


def fold_windows(total: NDArray[np.float32], frame_ms: float, hz: float) -> NDArray[np.float64]:
    """Onset strength by phase of the beat [window, bin]; phase 0 is time 0 for every window."""
    time_s = np.arange(total.size) * (frame_ms / 1000)
    phase = (time_s * hz) % 1.0 * FOLD_BINS
    left = np.minimum(phase.astype(np.int64), FOLD_BINS - 1)
    share = phase - left
    row = (time_s / FOLD_WINDOW_S).astype(np.int64) * FOLD_BINS
    size = int(row[-1]) + FOLD_BINS
    here = np.bincount(row + left, total * (1 - share), size)
    there = np.bincount(row + (left + 1) % FOLD_BINS, total * share, size)
    return (here + there).astype(np.float64).reshape(-1, FOLD_BINS)


def _phase_coherence(
    harmonics: NDArray[np.complex128], middle_s: NDArray[np.float64], shift_hz: NDArray[np.float64]
) -> NDArray[np.float64]:
    """0–1 for each shift of the beat frequency: harmonics summed with their phases over their sum without."""
    strength = np.zeros(shift_hz.size)
    for number, column in enumerate(harmonics.T, start=1):
        strength += np.abs(np.exp(-2j * np.pi * number * np.outer(shift_hz, middle_s)) @ column)
    return strength / (np.abs(harmonics).sum() + 1e-9)
