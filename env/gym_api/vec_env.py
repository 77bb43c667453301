"""Many environments in one process as a stable-baselines3 `VecEnv`: one compiled step, one batched valuation for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from env.gym_api.chart_env import action_space, observation_space
from env.gym_api.session import Session, seeded
from env.returns.section_return import Scorer, ScoringConfig
from env.task import dynamics as core
from env.task.episodes import SectionConfig
from env.task.songs import SongSet


class ChartVecEnv(VecEnv):
    """`count` environments of `Mania4KChart-v1`; those that are over begin anew at once, as `VecEnv` asks."""

    def __init__(
        self,
        library: SongSet,
        count: int,
        sections: SectionConfig | None = None,
        scoring: ScoringConfig | None = None,
        seed: int = 0,
    ) -> None:
        self.render_mode = None
        super().__init__(count, observation_space(), action_space())
        self.library = library
        self.session = Session(library, Scorer(library, scoring), sections or SectionConfig(), count)
        seeded(self.session, np.random.SeedSequence(seed).generate_state(count).tolist())
        self._actions = np.zeros((count, 2), np.int64)

    def reset(self) -> VecEnvObs:
        """Begin a new section in each environment."""
        if any(seed is not None for seed in self._seeds):
            seeded(self.session, [0 if seed is None else seed for seed in self._seeds])
        for env in range(self.num_envs):
            self.session.reset(env)
        self._reset_seeds()
        self._reset_options()
        return self._observe()

    def step_async(self, actions: NDArray) -> None:
        self._actions = np.asarray(actions)

    def step_wait(self) -> VecEnvStepReturn:
        stepped = self.session.step(self._actions)
        dones = stepped.terminated | stepped.truncated
        infos = stepped.infos
        observations = self._observe()
        for env in np.flatnonzero(dones):
            infos[env]["terminal_observation"] = {name: array[env].copy() for name, array in observations.items()}
            infos[env]["TimeLimit.truncated"] = bool(stepped.truncated[env])
            self.session.reset(int(env))
        if dones.any():
            fresh = self._observe()
            for name, array in observations.items():
                array[dones] = fresh[name][dones]
        return observations, stepped.reward.astype(np.float32), dones, infos

    def action_masks(self) -> NDArray[np.bool_]:
        """[env, 353] which offsets and which rows may be chosen."""
        assert self.session.state is not None, "reset before the first step"
        return core.observe(self.library, self.session.state)["mask"].astype(bool)

    def _observe(self) -> dict[str, NDArray]:
        assert self.session.state is not None, "reset before the first step"
        return core.observe(self.library, self.session.state)

    def close(self) -> None:
        """Nothing is open."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **options: Any) -> list[Any]:
        chosen: Sequence[int] = list(self._get_indices(indices))
        result = getattr(self, method_name)(*args, **options)
        return [result[env] for env in chosen]

    def env_is_wrapped(self, wrapper_class: type, indices: VecEnvIndices = None) -> list[bool]:
        return [False for _ in self._get_indices(indices)]
