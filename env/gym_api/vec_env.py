"""Many environments in one process as a stable-baselines3 `VecEnv`: one compiled step, one batched valuation for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from env.gym_api.chart_env import action_space, observation_space
from env.gym_api.session import Session
from env.returns.section_return import Scorer, ScoringConfig
from env.task import dynamics
from env.task.episodes import PHRASE_BARS, Drafter, EpisodeConfig
from env.task.songs import SongSet
from runtime.errors import ConfigError


class ChartVecEnv(VecEnv):
    """`count` environments of `Mania4KChart-v2` side by side.

    With `versions` 1 an environment that is over begins a new episode at once, as `VecEnv` asks. With more, each
    episode stands in so many environments (same song, target, chart, section and players); those that are over then
    take no steps and earn nothing until `reset`, so that all versions begin together. `sections` episodes lie in
    different sections of one song at one target. Raises ConfigError when `count` is no multiple of both.
    """

    def __init__(
        self,
        library: SongSet,
        count: int,
        episodes: EpisodeConfig | None = None,
        scoring: ScoringConfig | None = None,
        seed: int = 0,
        drafter: Drafter | None = None,
        versions: int = 1,
        sections: int = 1,
    ) -> None:
        if count % (versions * sections):
            raise ConfigError(f"{count} environments cannot hold {sections} sections in {versions} versions each")
        self.render_mode = None
        super().__init__(count, observation_space(), action_space())
        self.library, self.versions, self.sections = library, versions, sections
        self.session = Session(library, Scorer(library, scoring), episodes or EpisodeConfig(), count, drafter)
        self._random: list[np.random.Generator] = []
        self.seed(seed)
        self._actions = np.zeros((count, 2), np.int64)

    @property
    def steps_taken(self) -> int:
        """Steps of all environments so far, without those in which they were over."""
        return self.session.steps_taken

    @property
    def bars(self) -> int:
        """Bars of a section."""
        return self.session.phrases * PHRASE_BARS

    @property
    def drafter(self) -> Drafter | None:
        """Writes the drafts around sections."""
        return self.session.drafter

    @drafter.setter
    def drafter(self, drafter: Drafter) -> None:
        self.session.drafter = drafter

    def reset(self) -> VecEnvObs:
        """Begin a new episode in each environment; after `seed(n)`, environment e draws from the seed n + e."""
        songs = np.arange(0, self.num_envs, self.versions * self.sections)
        if any(seed is not None for seed in self._seeds) or not self._random:
            self._random = [np.random.default_rng(self._seeds[env]) for env in songs]
        outlines = []
        for random in self._random:
            states = random.bit_generator.state
            for section in range(self.sections):
                random.bit_generator.state = states  # the sections of a song share its draws
                variant = section if self.sections > 1 else int(random.integers(2))
                outlines.append(self.session.draw(random, variant))
        self.session.begin(np.arange(self.num_envs).reshape(-1, self.versions).tolist(), outlines)
        self._reset_seeds()
        self._reset_options()
        return self._observe()

    def step_async(self, actions: NDArray) -> None:
        self._actions = np.asarray(actions)

    def step_wait(self) -> VecEnvStepReturn:
        stepped = self.session.step(self._actions)
        observations, ended = self._observe(), np.flatnonzero(stepped.ended)
        for env in ended:
            stepped.infos[env]["terminal_observation"] = {
                name: array[env].copy() for name, array in observations.items()
            }
            stepped.infos[env]["TimeLimit.truncated"] = False
        if ended.size and self.versions * self.sections == 1:
            randoms = [self._random[env] for env in ended]
            outlines = [self.session.draw(random, int(random.integers(2))) for random in randoms]
            self.session.begin([[int(env)] for env in ended], outlines)
            fresh = self._observe()
            for name, array in observations.items():
                array[ended] = fresh[name][ended]
        return observations, stepped.reward.astype(np.float32), stepped.ended, stepped.infos

    def action_masks(self) -> NDArray[np.bool_]:
        """[env, 353] offsets and rows that may be chosen."""
        return self._observe()["mask"].astype(bool)

    def _observe(self) -> dict[str, NDArray]:
        assert self.session.state is not None, "reset before the first step"
        return dynamics.observe(self.library, self.session.state)

    def close(self) -> None:
        """Do nothing: the environment holds no file or process open."""

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
