"""Beat times without jitter: a Kalman smoother over time and interval of tracked beats.

The interval between beats drifts as a random walk, and every beat is measured with its own uncertainty. The drift and
the scale of the uncertainties are chosen by maximum likelihood, so that a drummer's beats are smoothed over many bars
and a pianist's rubato is followed. (Rauch, Tung & Striebel, "Maximum likelihood
estimates of linear dynamic systems", AIAA Journal 3, 1965.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRIFTS = 10.0 ** np.arange(-3.25, 0.01, 0.25)
"""Standard deviations of the change of the interval from beat to beat, as shares of it."""

NOISE_SCALES = (0.7, 1.5, 3.0)
"""Factors on the uncertainties given."""

MIN_STEP_MS = 60.0
"""Beats are never nearer than this to each other: twice the fastest tempo tracked."""


@dataclass(frozen=True, slots=True, eq=False)
class SmoothBeats:
    """Beat times after Kalman smoothing."""

    time_ms: NDArray[np.float64]  # [beat], strictly increasing
    deviation_ms: NDArray[np.float64]  # [beat], uncertainty that remains
    drift: float  # share of the interval by which it changes from beat to beat


def smooth_beats(time_ms: NDArray[np.float64], noise_ms: NDArray[np.float64]) -> SmoothBeats:
    """Smooth measured beats [beat ≥ 3], each with a standard deviation; inf where nothing was measured."""
    interval = float(np.median(np.diff(time_ms)))
    drift = np.repeat(DRIFTS * interval, len(NOISE_SCALES)) ** 2  # [model]
    scale = np.tile(NOISE_SCALES, DRIFTS.size) ** 2
    known = np.isfinite(noise_ms)
    noise = np.where(known, noise_ms, 0.0) ** 2
    models, beats = drift.size, time_ms.size
    state = np.array([np.full(models, time_ms[0]), np.full(models, interval)])  # [time or interval, model]
    cover = np.array([np.full(models, interval**2), np.zeros(models), np.full(models, interval**2)])  # tt, ti, ii
    ahead_state, ahead_cover = np.empty((beats, 2, models)), np.empty((beats, 3, models))
    kept_state, kept_cover = np.empty((beats, 2, models)), np.empty((beats, 3, models))
    fit = np.zeros(models)
    for beat in range(beats):
        if beat:
            state = np.array([state[0] + state[1], state[1]])
            cover = np.array([cover[0] + 2 * cover[1] + cover[2], cover[1] + cover[2], cover[2] + drift])
        ahead_state[beat], ahead_cover[beat] = state, cover
        if known[beat]:
            spread = cover[0] + noise[beat] * scale
            error = time_ms[beat] - state[0]
            fit -= 0.5 * (error**2 / spread + np.log(spread))
            gain = cover[:2] / spread  # of time, of interval
            state = state + gain * error
            cover = np.array(
                [cover[0] - gain[0] * cover[0], cover[1] - gain[0] * cover[1], cover[2] - gain[1] * cover[1]]
            )
        kept_state[beat], kept_cover[beat] = state, cover
    best = int(fit.argmax())
    smooth, variance = _backwards(*(part[:, :, best] for part in (ahead_state, ahead_cover, kept_state, kept_cover)))
    gaps = np.maximum(np.diff(smooth), MIN_STEP_MS)
    smooth = (
        np.concatenate([smooth[:1], smooth[0] + np.cumsum(gaps)]) if (np.diff(smooth) < MIN_STEP_MS).any() else smooth
    )
    return SmoothBeats(smooth, np.sqrt(np.maximum(variance, 0.0)), float(np.sqrt(drift[best]) / interval))


def _backwards(
    ahead_state: NDArray[np.float64],
    ahead_cover: NDArray[np.float64],
    kept_state: NDArray[np.float64],
    kept_cover: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smoothed times and their variances [beat] from the filter's states [beat, 2] and covariances [beat, 3]."""

    def square(cover: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([[cover[0], cover[1]], [cover[1], cover[2]]])

    step = np.array([[1.0, 1.0], [0.0, 1.0]])
    state, cover = kept_state[-1], square(kept_cover[-1])
    time, variance = [state[0]], [cover[0, 0]]
    for beat in range(len(kept_state) - 2, -1, -1):
        kept, ahead = square(kept_cover[beat]), square(ahead_cover[beat + 1])
        gain = kept @ step.T @ np.linalg.inv(ahead)
        state = kept_state[beat] + gain @ (state - ahead_state[beat + 1])
        cover = kept + gain @ (cover - ahead) @ gain.T
        time.append(state[0])
        variance.append(cover[0, 0])
    return np.array(time[::-1]), np.array(variance[::-1])
