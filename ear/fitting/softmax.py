"""Multinomial logistic regression over candidates (weights: `ear.timing.grid.weights`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

MIN_STEP = 1e-6
"""The fit is done when no weight changes by more."""

FOLDS = 10
"""Tenths of the songs are held out in turn."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """Candidates of one part of a song, and the index of the right one."""

    song: int
    whole: bool  # the whole song, on which the share of songs right is counted
    features: NDArray[np.float64] = field(repr=False)  # [candidate, feature]
    answer: int


def fit_softmax(
    examples: Sequence[Example], penalty: float, steps: int = 30, centre: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Weights [feature] of the multinomial logistic regression, by Newton's method with halved steps.

    `penalty` is that of the squared distance from `centre` [feature]; None: from 0.
    """
    features = np.vstack([example.features for example in examples])  # [candidate of any example, feature]
    counts = np.array([len(example.features) for example in examples])
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    owner = np.repeat(np.arange(counts.size), counts)
    features = features - features[first + [example.answer for example in examples]][owner]  # the answer scores 0

    def judge(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """(loss, chance [candidate])."""
        score = features @ weights
        highest = np.maximum.reduceat(score, first)
        chance = np.exp(score - highest[owner])
        total = np.add.reduceat(chance, first)
        return float(
            (highest + np.log(total)).mean() + penalty * (weights - middle) @ (weights - middle)
        ), chance / total[owner]

    middle = np.zeros(features.shape[1]) if centre is None else centre
    weights = middle.copy()
    loss, chance = judge(weights)
    for _ in range(steps):
        mean = np.add.reduceat(chance[:, None] * features, first)  # [example, feature]
        gradient = 2 * penalty * (weights - middle) + mean.mean(axis=0)
        centred = features - mean[owner]
        bend = 2 * penalty * np.eye(weights.size) + centred.T @ (centred * chance[:, None]) / counts.size
        step = np.linalg.solve(bend, gradient)
        while np.abs(step).max() > MIN_STEP and judge(weights - step)[0] > loss:
            step /= 2
        if np.abs(step).max() <= MIN_STEP:
            break
        weights = weights - step
        loss, chance = judge(weights)
    return weights


def held_out_share(examples: list[Example], fit: Callable[[list[Example]], NDArray[np.float64]]) -> float:
    """Share of whole songs answered rightly by weights fitted on the other tenths of the songs."""
    right = []
    for fold in range(FOLDS):
        weights = fit([example for example in examples if example.song % FOLDS != fold])
        right += [
            int((example.features @ weights).argmax()) == example.answer
            for example in examples
            if example.whole and example.song % FOLDS == fold
        ]
    return float(np.mean(right))
