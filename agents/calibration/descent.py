"""Lowering the squares of rough residuals: Levenberg–Marquardt on widely taken differences, then one constant at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

STRIDE = 0.1
"""Distance, in log, over which slopes are taken."""
STEPS = 4
"""Steps a round: the first with slopes that were measured, the others with slopes that the steps before corrected."""
LEAST_STEP = 0.001
"""A constant whose step has shrunk below this, in log, rests."""


def descend(
    residuals: Callable[[NDArray], NDArray], start: NDArray, rounds: int, on_progress: Callable[[int, float], None]
) -> NDArray[np.float64]:
    """Levenberg–Marquardt on differences taken widely, for simulated residuals are rough at a small scale.

    Measuring slopes costs a run for every constant, so that between two measurements they are kept up by Broyden's rule.
    """
    here, damping = start.astype(np.float64), 1.0
    now = residuals(here)
    for number in range(rounds):
        slope = np.stack([(residuals(here + STRIDE * axis) - now) / STRIDE for axis in np.eye(here.size)], axis=1)
        for _ in range(STEPS):
            tried = []
            for factor in (damping / 3, damping * 3):
                step = np.linalg.solve(slope.T @ slope + factor * np.eye(here.size), -slope.T @ now)
                step = np.clip(step, -0.4, 0.4)
                got = residuals(here + step)
                tried.append((float(got @ got), factor, step, got))
            cost, factor, step, got = min(tried, key=lambda one: one[0])
            if not step.any():  # nothing left to gain
                return here
            slope += np.outer(got - now - slope @ step, step) / float(step @ step)
            if cost < float(now @ now):
                damping, here, now = factor, here + step, got
            else:
                damping *= 8
        on_progress(number, float(now @ now))
    return here


def polish(
    residuals: Callable[[NDArray], NDArray], start: NDArray, passes: int, on_progress: Callable[[int, float], None]
) -> NDArray[np.float64]:
    """One constant at a time, up or down by a step that shrinks where it does not help: for the last, rough part."""
    here = start.astype(np.float64)
    now = float(np.sum(residuals(here) ** 2)) if passes else 0.0
    step = np.full(here.size, STRIDE)
    for number in range(passes):
        for axis in np.flatnonzero(step >= LEAST_STEP):
            for way in (1.0, -1.0):
                there = here.copy()
                there[axis] += way * step[axis]
                got = float(np.sum(residuals(there) ** 2))
                if got < now:
                    here, now, step[axis] = there, got, 1.3 * step[axis]
                    break
            else:
                step[axis] *= 0.5
        on_progress(number, now)
    return here
