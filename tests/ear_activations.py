"""Activations as a beat network might give them, for beats that are known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Activations:
    """As `ear.tracker.tracker.BeatActivations`, without its module."""

    beat: NDArray[np.float32]  # [frame]
    downbeat: NDArray[np.float32]  # [frame]
    frames_per_s: float = 50.0


def activations_of(
    beat_ms: NDArray[np.float64],
    position: NDArray[np.int64],
    duration_ms: float,
    *,
    jitter_ms: float = 5.0,
    missed: float = 0.1,
    half_beats: float = 0.05,
    strength: float = 0.85,
    floor: float = 0.01,
    seed: int = 0,
) -> Activations:
    """Bumps three frames wide on the beats: late or early by `jitter_ms`, some `missed`, some between two beats."""
    rng = np.random.default_rng(seed)
    halves = (beat_ms[:-1] + beat_ms[1:]) / 2
    halves = halves[rng.random(halves.size) < half_beats]
    detected = rng.random(beat_ms.size) >= missed
    down = beat_ms[detected & (position == 1)]
    frames = int(duration_ms / 20) + 1
    return Activations(
        _bumps(np.concatenate([beat_ms[detected], halves]), frames, jitter_ms, strength, floor, rng),
        _bumps(down, frames, jitter_ms, strength * 0.9, floor, rng),
    )


def _bumps(
    time_ms: NDArray[np.float64], frames: int, jitter_ms: float, strength: float, floor: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    grid = np.arange(frames) * 20.0
    noise = floor * rng.lognormal(0.0, 0.7, frames)
    line = np.minimum(noise, 0.3)
    for moment in time_ms + jitter_ms * rng.standard_normal(time_ms.size):
        height = np.clip(strength + 0.1 * rng.standard_normal(), 0.05, 0.98)
        near = np.abs(grid - moment) < 60
        line[near] = np.maximum(line[near], height * np.exp(-0.5 * ((grid[near] - moment) / 14.0) ** 2))
    return np.asarray(line, np.float32)
