"""Advantages of a rollout: rewards per bar against the other versions of the section, then generalised advantages.

Shapes use: step, env, bar, version. The versions of a section are neighbouring environments.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def leave_one_out_advantage(reward: NDArray[np.float64], versions: int) -> NDArray[np.float64]:
    """[env, bar] rewards less the mean of the other versions' rewards in the same bar (RLOO, Kool et al. 2019)."""
    grouped = reward.reshape(-1, versions, reward.shape[1])
    others = (grouped.sum(1, keepdims=True) - grouped) / max(versions - 1, 1)
    return (grouped - others).reshape(reward.shape)


def by_bar(
    reward: NDArray[np.float64], bar: NDArray[np.int64], taken: NDArray[np.bool_], bars: int
) -> NDArray[np.float64]:
    """[env, step] rewards and the bar in which each step began → [env, bar] sums of the steps `taken`."""
    result = np.zeros((len(reward), bars))
    env = np.broadcast_to(np.arange(len(reward))[:, None], reward.shape)
    np.add.at(result, (env[taken], bar[taken]), reward[taken])
    return result


def by_last_step(
    advantage: NDArray[np.float64], bar: NDArray[np.int64], taken: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """[env, bar] → [env, step]: a bar's part comes with the last step before the bar in which the next step begins."""
    running = np.concatenate((np.zeros((len(bar), 1)), np.cumsum(advantage, axis=1)), axis=1)
    following = np.concatenate((bar[:, 1:], bar[:, -1:]), axis=1)
    last = np.zeros_like(taken)
    last[np.arange(len(taken)), np.maximum(taken.sum(1) - 1, 0)] = True
    after = np.where(last, advantage.shape[1], following)
    result = np.take_along_axis(running, after, axis=1) - np.take_along_axis(running, bar, axis=1)
    return np.where(taken, result, 0.0)


def generalised_advantage(
    reward: NDArray[np.float64], value: NDArray[np.float32], taken: NDArray[np.bool_], decay: float
) -> NDArray[np.float64]:
    """[env, step] advantages without discount (Schulman et al. 2016); no reward comes after an episode's last step."""
    advantage = np.zeros_like(reward)
    later, running = np.zeros(len(reward)), np.zeros(len(reward))
    for step in reversed(range(reward.shape[1])):
        inside = taken[:, step]
        running = np.where(inside, reward[:, step] + later - value[:, step] + decay * running, 0.0)
        later = np.where(inside, value[:, step], 0.0)
        advantage[:, step] = running
    return advantage
