"""Train a small policy of your own on `Mania4KChart-v2` with stable-baselines3's PPO: `python examples/train_plain_policy.py`.

The wrapper turns the environment's actions into plain ones that are nearly always legal: how far ahead the next taps fall,
and in which columns. Observations are those a small network can read. Some minutes on a CPU."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecMonitor

from env.gym_api.vec_env import ChartVecEnv
from env.returns.section_return import ScoringConfig
from env.task.episodes import EpisodeConfig
from env.task.kernels import OFFSETS
from env.task.songs import demo_songs

SPACING = np.array([6, 12, 24, 48])  # slots ahead: a quarter beat, half, one and two beats
TAPS = np.array([sum((taps >> column & 1) << 2 * column for column in range(4)) for taps in range(1, 16)])  # row codes
SEEN = ("ahead", "idle", "target", "progress")


class PlainActions(VecEnvWrapper):
    """`MultiDiscrete([4, 15])`: index into `SPACING`, index into `TAPS`."""

    def __init__(self, venv: VecEnv) -> None:
        seen = spaces.Dict({name: venv.observation_space[name] for name in SEEN})  # type: ignore[index]
        super().__init__(venv, seen, spaces.MultiDiscrete([SPACING.size, TAPS.size]))

    def reset(self) -> dict[str, np.ndarray]:
        return self._kept(self.venv.reset())

    def step_async(self, actions: np.ndarray) -> None:
        far_enough = np.arange(1, OFFSETS + 1) >= SPACING[actions[:, 0], None]
        slots = (self.mask[:, :OFFSETS] > 0) & far_enough
        offset = np.where(slots.any(1), slots.argmax(1), OFFSETS)
        self.venv.step_async(np.stack([offset, TAPS[actions[:, 1]]], 1))

    def step_wait(self):  # type: ignore[no-untyped-def]
        seen, *rest = self.venv.step_wait()
        return self._kept(seen), *rest

    def _kept(self, seen) -> dict[str, np.ndarray]:  # type: ignore[no-untyped-def]
        self.mask = seen["mask"]
        return {name: seen[name] for name in SEEN}


def main(steps: int = 150_000, envs: int = 64) -> None:
    env = VecMonitor(PlainActions(ChartVecEnv(demo_songs(), envs, EpisodeConfig(phrases=1), ScoringConfig(players=8))))
    ppo = PPO("MultiInputPolicy", env, n_steps=64, batch_size=16 * envs, n_epochs=4, learning_rate=1e-3, seed=0)
    before, _ = evaluate_policy(ppo, env, 2 * envs, deterministic=False)
    ppo.learn(steps)
    after, _ = evaluate_policy(ppo, env, 2 * envs, deterministic=False)
    print(f"mean reward of a section: {before:.3f} before, {after:.3f} after {ppo.num_timesteps} steps")


if __name__ == "__main__":
    main()
