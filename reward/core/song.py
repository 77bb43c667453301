"""Features of a song for the reward: onset strength, loudness and sustain, as plain arrays.

Built from a log-mel spectrogram (`ear.audio.spectrogram.log_mel`) or given directly; the reward itself decodes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chart.model import Chart

FLUX_FRAMES_MS = 20.0
"""Rise of a band is taken over this time: half an analysis window, short against any playable interval."""
LOUDNESS_SMOOTH_MS = 500.0
"""Loudness is averaged over half a second: longer than a beat's decay, shorter than a section."""
LOCAL_MS = 3_000.0
"""Onset strength is judged against its surroundings of about two bars."""
SILENCE_DROP = 0.5
"""A frame is silent when its loudness is below this share of the song's median loudness (log-mel units)."""
LAG_RANGE_MS = (-40, 60)
"""Range of the sync lags of real maps (osu!mania +20…+25, StepMania −5…0), plus the bias of a windowed onset."""
PEAK_APART_MS = 60.0
"""Onsets closer than this are perceived and played as one (flams smear from 50 ms down)."""
PEAK_RISE = 0.1
"""A peak stands out from what lies beside it by this share; ripples on a held note do not count."""
SUSTAIN_MS = (30.0, 40.0, 250.0)
"""A sound's rise is taken over the first time to both sides; what is left of it between the other two is sustained.
A kick or a snare is gone after 250 ms, a voice, a pad or a string is not (people's holds, docs/LOG.md)."""
BANDS = 3
"""Low, middle and high: enough to tell a kick from a snare from a voice."""


@dataclass(frozen=True)
class Song:
    """Onset strength and loudness of a song in frames; frame k is at k · hop_ms on the audio's clock."""

    onset: NDArray[np.float32]  # [frame, band], ≥ 0, rise of the log-mel spectrogram
    loudness: NDArray[np.float32]  # [frame], ≥ 0, smoothed mean log-mel
    hop_ms: float
    lag_ms: float = 0.0  # delay of a sound after the note that belongs to it
    sustain: NDArray[np.float32] | None = None  # [frame], 0–1, share of the rise at the frame that lasts 250 ms

    def __post_init__(self) -> None:
        assert self.onset.ndim == 2, "onset must be [frame, band]"
        assert self.sustain is None or self.sustain.shape == self.loudness.shape, "sustain must be [frame]"
        assert self.loudness.shape == self.onset.shape[:1], "loudness must be [frame], as many as onset"

    @property
    def duration_ms(self) -> float:
        """Length of the song."""
        return self.loudness.size * self.hop_ms

    @cached_property
    def strength(self) -> NDArray[np.float32]:
        """[frame] onset strength over all bands, relative to its surroundings; about 1 on average."""
        total = self.onset.mean(axis=1)
        around = _smooth(total, LOCAL_MS / self.hop_ms)
        return total / (around + 0.25 * max(float(total.mean()), 1e-6))

    @cached_property
    def silent(self) -> NDArray[np.bool_]:
        """[frame] true where the loudness is below a share of the song's own median."""
        return self.loudness < SILENCE_DROP * max(float(np.median(self.loudness)), 1e-6)

    @cached_property
    def peaks(self) -> NDArray[np.int64]:
        """[peak] frames where the strength is a local maximum, at least `PEAK_APART_MS` apart in effect."""
        half = round(PEAK_APART_MS / self.hop_ms / 2)
        highest, lowest = _window_max(self.strength, half), -_window_max(-self.strength, half)
        return np.flatnonzero((self.strength >= highest) & (lowest < (1 - PEAK_RISE) * highest))

    @cached_property
    def near_onset(self) -> NDArray[np.float32]:
        """[frame] the highest onset strength within one frame, all bands, not relative to the surroundings."""
        return _window_max(self.onset.mean(axis=1), 1)

    @cached_property
    def typical_onset(self) -> float:
        """Mean of the song's onset peaks, on the scale of `near_onset`."""
        return float(self.near_onset[self.peaks].mean()) if self.peaks.size else 0.0

    @cached_property
    def near_strength(self) -> NDArray[np.float32]:
        """[frame] the highest strength within one frame: forgives half a frame of rounding, not a jitter of 15 ms."""
        return _window_max(self.strength, 1)

    @cached_property
    def near_bands(self) -> NDArray[np.float32]:
        """[frame, band] the highest onset strength of each band within one frame."""
        return np.stack([_window_max(band, 1) for band in self.onset.T], axis=1)

    @cached_property
    def span_ms(self) -> tuple[float, float]:
        """Span of the song's sound: first to last frame that is not silent, on the clock of notes."""
        loud = np.flatnonzero(~self.silent)
        if not loud.size:
            return 0.0, 0.0
        return loud[0] * self.hop_ms - self.lag_ms, loud[-1] * self.hop_ms - self.lag_ms

    def frames(self, note_ms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fractional frame in which a note of this time sounds."""
        return (note_ms + self.lag_ms) / self.hop_ms

    def mean_loudness(self, start_ms: NDArray[np.float64], end_ms: NDArray[np.float64]) -> NDArray[np.float64]:
        """[span] mean loudness of spans on the clock of notes; what lies outside the song counts as silence."""
        edges = self.frames(np.stack([start_ms, end_ms]))
        cumulative = np.append(0.0, np.cumsum(self.loudness, dtype=np.float64))
        low, high = np.clip(np.round(edges), 0, self.loudness.size).astype(np.int64)
        return (cumulative[high] - cumulative[low]) / np.maximum(edges[1] - edges[0], 1.0)


def song_of_mel(mel: NDArray[np.float32], frames_per_second: float, lag_ms: float = 0.0) -> Song:
    """A song from its log-mel spectrogram [frame, mel]."""
    hop_ms = 1000.0 / frames_per_second
    back = max(round(FLUX_FRAMES_MS / hop_ms), 1)
    rise = np.zeros_like(mel)
    rise[back:] = np.maximum(mel[back:] - mel[:-back], 0.0)
    bands = np.stack([part.mean(axis=1) for part in np.array_split(rise, BANDS, axis=1)], axis=1)
    loudness = _smooth(mel.mean(axis=1), LOUDNESS_SMOOTH_MS / hop_ms)
    return Song(
        bands.astype(np.float32), loudness.astype(np.float32), hop_ms, lag_ms, sustained_rise(mel, frames_per_second)
    )


def sustained_rise(mel: NDArray[np.float32], frames_per_second: float) -> NDArray[np.float32]:
    """[frame] share of the rise of the log-mel spectrogram [frame, mel] at each frame that still sounds 250 ms later."""
    around, first, last = (round(ms / 1000.0 * frames_per_second) for ms in SUSTAIN_MS)
    padded = np.pad(mel, ((around, last), (0, 0)), mode="edge")
    size = len(mel)
    before, now = padded[:size], padded[2 * around : 2 * around + size]
    least = now.copy()
    for shift in range(first, last + 1, 2):
        np.minimum(least, padded[around + shift : around + shift + size], out=least)
    rise = np.maximum(now - before, 0.0)
    kept = np.minimum(np.maximum(least - before, 0.0), rise)
    return (kept.mean(axis=1) / (rise.mean(axis=1) + 1.0 / mel.shape[1])).astype(np.float32)


def estimate_lag_ms(chart: Chart, song: Song) -> float:
    """The lag in `LAG_RANGE_MS` at which the chart's notes meet the strongest onsets."""
    if not len(chart) or song.loudness.size < 2:
        return 0.0
    lags = np.arange(*LAG_RANGE_MS, 2.0)
    frames = (np.unique(chart.time_ms)[None, :] + lags[:, None]) / song.hop_ms
    sampled = np.interp(frames, np.arange(song.loudness.size), song.strength)
    return float(lags[np.argmax(sampled.mean(axis=1))])


def _smooth(values: NDArray, frames: float) -> NDArray[np.float32]:
    """Moving average over about `frames` frames; at the ends over the frames that exist."""
    half = max(int(frames / 2), 1)
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    index = np.arange(values.size)
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, values.size)
    return ((total[high] - total[low]) / (high - low)).astype(np.float32)


def _window_max(values: NDArray, half: int) -> NDArray[np.float32]:
    """Maximum over 2 · half + 1 frames."""
    padded = np.pad(values, half, constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1).max(axis=1)
