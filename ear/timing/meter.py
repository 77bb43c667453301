"""Metre and downbeat: which beats begin a bar.

Each beat is described by what sounds on it and half a beat later (kick, snare, hi-hat) and by how much the music
changes there over one, two, four and more beats (chords, bass line, section). The beats are then folded by bar:
the metre is the bar length that explains most of their variety, and the downbeat is the rotation of the bar that
looks most like the bars of charts (weights learnt by `python -m ear.fitting.fit_timing`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ear.audio.spectrogram import HIGH_HZ, LOW_HZ, log_bands, mel_filters, semitone_filters
from ear.timing.fitted.onset_grid import DOWNBEAT_WEIGHTS
from ear.tracker.peak_picking import Peaks, relative_strength, strength_at

COMMON_METER = 4
"""Beats a bar, unless another metre stands out; the weights are learnt on bars of four."""

METER_EVIDENCE = {3: 1.5, 5: 2.0, 7: 2.0}
"""By how much another metre must explain the beats better than four to be believed: rhythm-game music is in four."""

METER_LOG_CHANCE = {4: 0.0, 3: -1.75, 2: -3.0, 5: -3.0, 7: -3.0, 6: -3.0}
"""Nats against other metres where a network's downbeats are weighed too."""

ROTATION_WEIGHT, DOWNBEAT_WEIGHT, EVIDENCE_WEIGHT = 2.1, 3.2, 1.6
"""What the log-chance of a rotation from the onsets, the logarithm of the network's mean strength on its downbeats, and
the logarithm of the metre's evidence over that of four count: a logistic regression on 118 `train` songs and 41 rendered
pieces of one tempo. Those of 5, 6 and 7 were not among the pieces; their chances are a guess."""

MIN_DOWNBEAT, MIN_EVIDENCE = 0.05, 0.3
"""Added to the strength, and the least evidence, before the logarithms: less is noise."""

DOWNBEAT_REACH_MS, DOWNBEAT_SHARE = 60.0, 0.3
"""A downbeat heard this near a beat, within this share of it, is on it."""

MIN_METER_EVIDENCE = 3.0
"""Variance ratio (1 = chance) below which no odd metre is believed."""

MIN_BEATS = 16
"""With fewer beats than this there is no saying where bars begin."""

COLOUR_FPS, COLOUR_N_FFT, COLOUR_BANDS = 50.0, 1024, 32
"""The coarse log-mel spectrogram that shows changes of timbre and section."""

COLOUR_GROUPS = ((0, 4), (4, 16), (16, 32))
"""Bands of the colour spectrogram: bass, middle, treble."""

TONE_FPS, TONE_N_FFT, TONE_LOW_HZ, TONES = 20.0, 4096, 82.4, 57
"""Semitones from E2 to C7: they show changes of chord."""

BASS_TONES = 15

MIN_DEVIATION = 0.05
"""Added to a feature's deviation: beats that differ by less (in log magnitude) are equal to the ear."""

MAX_DEVIATIONS = 3.0
"""A single odd beat (a break, a cut) must not decide the metre."""

BEFORE_MS, AFTER_MS = 8.0, 12.0
"""Onsets this far around a beat belong to it."""


@dataclass(frozen=True, slots=True, eq=False)
class RunningSum:
    """Sums of frames from the start, so that the mean over any stretch costs two look-ups."""

    total: NDArray[np.float64] = field(repr=False)  # [frame + 1, band]
    frames_per_ms: float

    @classmethod
    def of(cls, frames: NDArray[np.float32], frames_per_second: float) -> RunningSum:
        """From frames [frame, band]."""
        start = np.zeros((1, frames.shape[1]))
        return cls(np.vstack([start, np.cumsum(frames, axis=0, dtype=np.float64)]), frames_per_second / 1000)

    def mean(self, start_ms: NDArray[np.float64], end_ms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean frame [stretch, band] from start to end, cut to the song; 0 for stretches outside it."""
        last = len(self.total) - 1
        start = np.clip(start_ms * self.frames_per_ms, 0, last)
        end = np.clip(end_ms * self.frames_per_ms, 0, last)
        return (self._at(end) - self._at(start)) / np.maximum(end - start, 1e-6)[:, None]

    def change(self, time_ms: NDArray[np.float64], span_ms: float) -> NDArray[np.float64]:
        """Mean after less mean before each time [time, band], over `span_ms` either side."""
        return self.mean(time_ms, time_ms + span_ms) - self.mean(time_ms - span_ms, time_ms)

    def _at(self, frame: NDArray[np.float64]) -> NDArray[np.float64]:
        left = np.minimum(frame.astype(np.int64), len(self.total) - 2)
        share = (frame - left)[:, None]
        return self.total[left] * (1 - share) + self.total[left + 1] * share


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """What a song sounds like over time, for telling bars and chords apart."""

    colour: RunningSum  # log-mel
    tone: RunningSum  # semitones


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of `meter` beats; beat `downbeat` (counted from 0) begins one."""

    meter: int
    downbeat: int  # 0…meter − 1
    chance: float  # 0–1 among the rotations of the bar


def texture(samples: NDArray[np.float32], sample_rate: int) -> Texture:
    """The texture of mono `samples` [sample]."""
    mel = mel_filters(sample_rate, COLOUR_N_FFT, COLOUR_BANDS, LOW_HZ, min(HIGH_HZ, sample_rate / 2))
    semitones = semitone_filters(sample_rate, TONE_N_FFT, TONE_LOW_HZ, TONES)
    return Texture(
        RunningSum.of(log_bands(samples, sample_rate, mel, frames_per_second=COLOUR_FPS), COLOUR_FPS),
        RunningSum.of(log_bands(samples, sample_rate, semitones, frames_per_second=TONE_FPS), TONE_FPS),
    )


def beat_features(
    strength: NDArray[np.float32], frame_ms: float, song: Texture, beat_ms: NDArray[np.float64]
) -> NDArray[np.float64]:
    """[beat, feature], each feature with mean 0 and deviation ≤ 1 over the beats [beat] of one steady stretch."""
    period_ms = float(np.median(np.diff(beat_ms)))
    columns: list[NDArray[np.float64]] = []
    around = np.arange(round(-BEFORE_MS / frame_ms), round(AFTER_MS / frame_ms) + 1)
    for half in (0.0, 0.5):
        frame = np.rint((beat_ms + half * period_ms) / frame_ms).astype(np.int64)[:, None] + around
        columns.extend(np.log(strength[:, np.clip(frame, 0, strength.shape[1] - 1)].mean(axis=2) + 0.1))
    for beats in (1, 2, 4):
        colour = np.abs(song.colour.change(beat_ms, beats * period_ms))
        columns.extend(colour[:, first:last].mean(axis=1) for first, last in COLOUR_GROUPS)
        tone = song.tone.change(beat_ms, beats * period_ms)
        columns.append(np.abs(tone).mean(axis=1))
        columns.append(np.maximum(tone, 0.0).mean(axis=1))
        columns.append(np.abs(tone[:, :BASS_TONES]).mean(axis=1))
    eight = song.colour.change(beat_ms, 8 * period_ms)
    columns.append(eight.mean(axis=1))
    columns.append(np.abs(eight).mean(axis=1))
    columns.append(np.abs(song.colour.change(beat_ms, 16 * period_ms)).mean(axis=1))
    features = np.array(columns).T
    features = (features - features.mean(axis=0)) / (features.std(axis=0) + MIN_DEVIATION)
    return np.clip(features, -MAX_DEVIATIONS, MAX_DEVIATIONS)


def find_bars(features: NDArray[np.float64], heard: Peaks | None = None, beat_ms: float = 0.0) -> Bars:
    """Metre and downbeat of steady beats `beat_ms` apart from their features [beat, feature].

    With the downbeats a network `heard`, counted from the first beat, every metre and rotation is weighed with their
    strength on it; without, the metre is settled first.
    """
    if len(features) < MIN_BEATS:
        return Bars(COMMON_METER, 0, 1 / COMMON_METER)
    down = _downbeat_strength(heard, len(features), beat_ms) if heard is not None and heard.time_ms.size else None
    choices, scores = [], []
    for meter in (_find_meter(features),) if down is None else METER_LOG_CHANCE:
        score = rotations(features, meter) @ _weights(meter)
        score -= np.logaddexp.reduce(score)
        if down is not None:
            strength = np.array([down[beat::meter].mean() for beat in range(meter)])
            score = ROTATION_WEIGHT * score + DOWNBEAT_WEIGHT * np.log(strength + MIN_DOWNBEAT)
            score += METER_LOG_CHANCE[meter] + EVIDENCE_WEIGHT * _relative_evidence(features, meter)
        scores += score.tolist()
        choices += [(meter, downbeat) for downbeat in range(meter)]
    chance = np.exp(np.array(scores) - max(scores))
    chance /= chance.sum()
    best = int(chance.argmax())
    return Bars(*choices[best], float(chance[best]))


def _downbeat_strength(heard: Peaks, beats: int, beat_ms: float) -> NDArray[np.float64]:
    """Strength [beat] of the downbeats heard on each beat, 0–1."""
    reach_ms = min(DOWNBEAT_REACH_MS, DOWNBEAT_SHARE * beat_ms)
    return strength_at(heard, relative_strength(heard), np.arange(beats, dtype=np.float64) * beat_ms, reach_ms)


def _relative_evidence(features: NDArray[np.float64], meter: int) -> float:
    """Logarithm of a metre's evidence over that of four."""
    here, common = (max(meter_evidence(features, one), MIN_EVIDENCE) for one in (meter, COMMON_METER))
    return float(np.log(here / common))


def rotations(features: NDArray[np.float64], meter: int) -> NDArray[np.float64]:
    """Mean features of each beat of the bar, downbeat first, for every choice of downbeat [rotation, beat · feature]."""
    mean = np.array([features[beat::meter].mean(axis=0) for beat in range(meter)])
    return np.array([np.roll(mean, -downbeat, axis=0).ravel() for downbeat in range(meter)])


def _find_meter(features: NDArray[np.float64]) -> int:
    common = meter_evidence(features, COMMON_METER)
    best, best_share = COMMON_METER, 1.0
    for meter, needed in METER_EVIDENCE.items():
        evidence = meter_evidence(features, meter)
        share = evidence / (needed * common)
        if evidence > MIN_METER_EVIDENCE and share > best_share:
            best, best_share = meter, share
    return best


def meter_evidence(features: NDArray[np.float64], meter: int) -> float:
    """Variance between the beats of a bar over what chance gives (1 = chance), mean over the features."""
    mean = np.array([features[beat::meter].mean(axis=0) for beat in range(meter)])
    return float((mean**2).mean() * len(features) * meter / (meter - 1))


def _weights(meter: int) -> NDArray[np.float64]:
    """[beat · feature]: learnt for four beats; other bars use its downbeat and the mean of its other beats."""
    four = DOWNBEAT_WEIGHTS.reshape(COMMON_METER, -1)
    if meter == COMMON_METER:
        return four.ravel()
    return np.vstack([four[:1], np.repeat(four[1:].mean(axis=0, keepdims=True), meter - 1, axis=0)]).ravel()
