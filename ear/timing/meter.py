"""Meter and downbeat of steady beats.

Features of a beat: onset strength on it and half a beat later (kick, snare, hi-hat), and the change of timbre and chroma
over one, two, four and more beats (chords, bass line, section). The beats are folded by bar: the meter is the bar length
that explains most of their variance, and the downbeat is the rotation of the bar most like the bars of charts (weights
fitted by `python -m ear.fitting.fit_timing`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ear.audio.decode import Audio
from ear.audio.shared import once_a_song
from ear.audio.spectrogram import HIGH_HZ, LOW_HZ, log_bands, mel_filters, semitone_filters
from ear.timing.grid.weights import timing_weights
from ear.tracker.peak_picking import Peaks, relative_strength, strength_at

COMMON_METER = 4
"""Default beats per bar; the weights are fitted on bars of four."""

METER_EVIDENCE = {3: 1.5, 5: 2.0, 7: 2.0}
"""Factor by which another meter must explain the beats better than four: rhythm-game music is in four."""

METER_LOG_CHANCE = {4: 0.0, 3: -1.75, 2: -3.0, 5: -3.0, 7: -3.0, 6: -3.0}
"""Prior of each meter in nats, used with a network's downbeats."""

ROTATION_WEIGHT, DOWNBEAT_WEIGHT, EVIDENCE_WEIGHT = 2.1, 3.2, 1.6
"""Weights of the log-probability of a rotation from the onsets, of the logarithm of the network's mean strength on its
downbeats, and of the logarithm of the meter's evidence relative to four: a logistic regression on 118 `train` songs and
41 rendered pieces of one tempo. Meters of 5, 6 and 7 were not among them; their priors are a guess."""

MIN_DOWNBEAT, MIN_EVIDENCE = 0.05, 0.3
"""Added to the strength, and least evidence, before the logarithms."""

DOWNBEAT_REACH_MS, DOWNBEAT_SHARE = 60.0, 0.3
"""A downbeat peak within this distance of a beat, and this share of the interval, is on it."""

MIN_METER_EVIDENCE = 3.0
"""Variance ratio (1 = chance) below which no odd meter is accepted."""

MIN_BEATS = 16
"""Fewer beats do not locate the bars."""

TIMBRE_FPS, TIMBRE_N_FFT, TIMBRE_BANDS = 50.0, 1024, 32
"""A coarse log-mel spectrogram, for changes of timbre and section."""

TIMBRE_GROUPS = ((0, 4), (4, 16), (16, 32))
"""Band ranges of the timbre spectrogram: bass, middle, treble."""

CHROMA_FPS, CHROMA_N_FFT, CHROMA_LOW_HZ, CHROMA_SEMITONES = 20.0, 4096, 82.4, 57
"""A spectrogram of semitones from E2 to C7, for changes of chord."""

BASS_SEMITONES = 15

MIN_DEVIATION = 0.05
"""Added to a feature's deviation (log magnitude): smaller differences are not audible."""

MAX_DEVIATIONS = 3.0
"""Features are clipped here, so that a single odd beat (a break, a cut) does not decide the meter."""

BEFORE_MS, AFTER_MS = 8.0, 12.0
"""Onsets this far around a beat belong to it."""


@dataclass(frozen=True, slots=True, eq=False)
class RunningSum:
    """Cumulative sums of frames: the mean over any span costs two look-ups."""

    total: NDArray[np.float64] = field(repr=False)  # [frame + 1, band]
    frames_per_ms: float

    @classmethod
    def of(cls, frames: NDArray[np.float32], frames_per_second: float) -> RunningSum:
        """From frames [frame, band]."""
        start = np.zeros((1, frames.shape[1]))
        return cls(np.vstack([start, np.cumsum(frames, axis=0, dtype=np.float64)]), frames_per_second / 1000)

    def mean(self, start_ms: NDArray[np.float64], end_ms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean frame [span, band] from start to end, clipped to the song; 0 outside it."""
        last = len(self.total) - 1
        start = np.clip(start_ms * self.frames_per_ms, 0, last)
        end = np.clip(end_ms * self.frames_per_ms, 0, last)
        return (self._at(end) - self._at(start)) / np.maximum(end - start, 1e-6)[:, None]

    def change(self, time_ms: NDArray[np.float64], span_ms: float) -> NDArray[np.float64]:
        """[time, band] mean over `span_ms` after each time minus the mean before it."""
        return self.mean(time_ms, time_ms + span_ms) - self.mean(time_ms - span_ms, time_ms)

    def _at(self, frame: NDArray[np.float64]) -> NDArray[np.float64]:
        left = np.minimum(frame.astype(np.int64), len(self.total) - 2)
        share = (frame - left)[:, None]
        return self.total[left] * (1 - share) + self.total[left + 1] * share


@dataclass(frozen=True, slots=True, eq=False)
class TimbreChroma:
    """Timbre and chroma of a song over time."""

    timbre: RunningSum  # log-mel
    chroma: RunningSum  # semitones


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of `meter` beats each; the beat with number `downbeat`, from 0, begins a bar."""

    meter: int
    downbeat: int  # 0…meter − 1
    chance: float  # 0–1 among the rotations of the bar


def timbre_chroma(samples: NDArray[np.float32], sample_rate: int) -> TimbreChroma:
    """Timbre and chroma of mono `samples` [sample]."""
    mel = mel_filters(sample_rate, TIMBRE_N_FFT, TIMBRE_BANDS, LOW_HZ, min(HIGH_HZ, sample_rate / 2))
    semitones = semitone_filters(sample_rate, CHROMA_N_FFT, CHROMA_LOW_HZ, CHROMA_SEMITONES)
    return TimbreChroma(
        RunningSum.of(log_bands(samples, sample_rate, mel, frames_per_second=TIMBRE_FPS), TIMBRE_FPS),
        RunningSum.of(log_bands(samples, sample_rate, semitones, frames_per_second=CHROMA_FPS), CHROMA_FPS),
    )


@once_a_song
def timbre_of(audio: Audio) -> TimbreChroma:
    """`timbre_chroma` of the song."""
    return timbre_chroma(audio.samples, audio.sample_rate)


def beat_features(
    strength: NDArray[np.float32], frame_ms: float, song: TimbreChroma, beat_ms: NDArray[np.float64]
) -> NDArray[np.float64]:
    """[beat, feature], each feature with mean 0 and deviation ≤ 1 over the beats [beat] of one steady segment."""
    period_ms = float(np.median(np.diff(beat_ms)))
    columns: list[NDArray[np.float64]] = []
    around = np.arange(round(-BEFORE_MS / frame_ms), round(AFTER_MS / frame_ms) + 1)
    for half in (0.0, 0.5):
        frame = np.rint((beat_ms + half * period_ms) / frame_ms).astype(np.int64)[:, None] + around
        columns.extend(np.log(strength[:, np.clip(frame, 0, strength.shape[1] - 1)].mean(axis=2) + 0.1))
    for beats in (1, 2, 4):
        timbre = np.abs(song.timbre.change(beat_ms, beats * period_ms))
        columns.extend(timbre[:, first:last].mean(axis=1) for first, last in TIMBRE_GROUPS)
        chroma = song.chroma.change(beat_ms, beats * period_ms)
        columns.append(np.abs(chroma).mean(axis=1))
        columns.append(np.maximum(chroma, 0.0).mean(axis=1))
        columns.append(np.abs(chroma[:, :BASS_SEMITONES]).mean(axis=1))
    eight = song.timbre.change(beat_ms, 8 * period_ms)
    columns.append(eight.mean(axis=1))
    columns.append(np.abs(eight).mean(axis=1))
    columns.append(np.abs(song.timbre.change(beat_ms, 16 * period_ms)).mean(axis=1))
    features = np.array(columns).T
    features = (features - features.mean(axis=0)) / (features.std(axis=0) + MIN_DEVIATION)
    return np.clip(features, -MAX_DEVIATIONS, MAX_DEVIATIONS)


def find_bars(features: NDArray[np.float64], downbeats: Peaks | None = None, beat_ms: float = 0.0) -> Bars:
    """Meter and downbeat of steady beats `beat_ms` apart from their features [beat, feature].

    With a network's `downbeats`, relative to the first beat, all meters and rotations are compared together; without
    them the meter is chosen first.
    """
    if len(features) < MIN_BEATS:
        return Bars(COMMON_METER, 0, 1 / COMMON_METER)
    down = (
        _downbeat_strength(downbeats, len(features), beat_ms)
        if downbeats is not None and downbeats.time_ms.size
        else None
    )
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


def _downbeat_strength(downbeats: Peaks, beats: int, beat_ms: float) -> NDArray[np.float64]:
    """Strength [beat] of the downbeat peak on each beat, 0–1."""
    reach_ms = min(DOWNBEAT_REACH_MS, DOWNBEAT_SHARE * beat_ms)
    return strength_at(downbeats, relative_strength(downbeats), np.arange(beats, dtype=np.float64) * beat_ms, reach_ms)


def _relative_evidence(features: NDArray[np.float64], meter: int) -> float:
    """Logarithm of a meter's evidence over that of four."""
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
    """[beat · feature]: fitted for four beats; other meters use its downbeat and the mean of its other beats."""
    four = timing_weights().downbeat.reshape(COMMON_METER, -1)
    if meter == COMMON_METER:
        return four.ravel()
    return np.vstack([four[:1], np.repeat(four[1:].mean(axis=0, keepdims=True), meter - 1, axis=0)]).ravel()
