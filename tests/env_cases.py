"""Shared by the tests of `env`: synthetic songs, a small mapper, episodes, an agent that obeys the mask, a small PPO."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import VecMonitor

from env.gym_api.vec_env import ChartVecEnv
from env.policy.chart_sampler import PolicySampling
from env.ppo.ppo import SectionPPO, Settings
from env.returns.section_return import ScoringConfig
from env.task.episodes import Episode, EpisodeConfig, Outline, Target, episode_of
from env.task.kernels import OFFSETS
from env.task.songs import SongSet, demo_songs
from mapper.network.model import Mapper
from mapper.tokens.row_codes import Rows
from mapper.tokens.vocabulary import ModelConfig

FEW = ScoringConfig(players=4)
SMALL = Settings(minibatches=2, epochs=1, learning_rate=1e-3)

TINY = ModelConfig(
    stem_width=16, width=48, heads=2, encoder_layers=1, shared_layers=0, decoder_layers=2, hazard_width=16, dropout=0.1
)


@lru_cache(maxsize=1)
def library() -> SongSet:
    """Two synthetic songs at two tempi."""
    one, two = demo_songs(0), demo_songs(1, bpm=180.0)
    return SongSet.of([*one.songs, *two.songs])


def tiny_mapper(seed: int = 0, onset: float = -1.0) -> Mapper:
    """A mapper of few parameters, drawn from the seed, whose hazard is neither 0 nor 1; with onset 0 it writes more rows."""
    torch.manual_seed(seed)
    model = Mapper(TINY)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        model.onset[-1].bias.fill_(onset)
        model.lean.weight.zero_()
        model.lean.bias.zero_()
    return model.eval()


def obedient(mask: NDArray, random: np.random.Generator) -> NDArray[np.int64]:
    """[env, 2] actions that the mask [env, 353] allows, mostly near slots."""
    actions = []
    for row in np.atleast_2d(mask).astype(bool):
        offsets, codes = np.flatnonzero(row[:OFFSETS]), np.flatnonzero(row[OFFSETS + 1 :])
        offset = offsets[min(int(random.geometric(0.2)) - 1, offsets.size - 1)] if offsets.size else OFFSETS
        actions.append((offset, random.choice(codes)))
    return np.array(actions)


def episode_at(
    phrase: int = 3,
    phrases: int = 2,
    stars: float = 3.0,
    rows: Rows | None = None,
    context: str = "open",
) -> Episode:
    """An episode of the first song, behind (context "chart": amid) these rows of its chart."""
    config = EpisodeConfig(phrases=phrases, context=context)
    return episode_of(library(), Outline(0, phrase, Target.typical(stars, 1), seed=1), config, rows)


def vector(context: str = "draft", versions: int = 4, count: int = 8, seed: int = 0, **options) -> VecMonitor:  # type: ignore[no-untyped-def]
    """Monitored environments with sections of one phrase; drafts in two sections a song."""
    sections = 2 if context == "draft" else 1
    config = EpisodeConfig(phrases=1, context=context)
    options = {"versions": versions, "sections": sections} | options
    return VecMonitor(ChartVecEnv(library(), count, config, FEW, seed, **options))


def algorithm(settings: Settings = SMALL, seed: int = 0, context: str = "draft", onset: float = 0.0) -> SectionPPO:
    """PPO with a tiny mapper; its value head is drawn from the seed."""
    torch.manual_seed(seed)
    ppo = SectionPPO(vector(context), tiny_mapper(onset=onset), settings, PolicySampling(1.5, 0.5, 0.3))
    ppo.set_logger(configure(None, []))
    return ppo


def collect(ppo: SectionPPO) -> SectionPPO:
    """One rollout."""
    _, callback = ppo._setup_learn(1, reset_num_timesteps=False)
    assert ppo.env is not None
    assert ppo.collect_rollouts(ppo.env, callback, ppo.rollout_buffer, 0)
    return ppo


def update(ppo: SectionPPO, count: int = 1) -> SectionPPO:
    """Some rollouts with their training."""
    for _ in range(count):
        collect(ppo).train()
    return ppo
