"""Speed of the environment and of refinement: `python -m bench.env DATA`.

Steps are rows. Without a network: compiled steps and observations with actions that the mask allows, then the same as a
`VecEnv` that scores every bar, also in `--processes` at the same time. With the mapper: refinement rollouts inside its own
drafts (all of `collect_rollouts`: drafts, sections, log-probabilities, plays and terms), then a training step on them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from bench.report import print_json
from env.gym_api.vec_env import ChartVecEnv
from env.ppo.ppo import SectionPPO, Settings
from env.task import dynamics
from env.task.episodes import EpisodeConfig, draw_outline, episode_of
from env.task.kernels import OFFSETS
from env.task.songs import SongSet, demo_songs, song_set_of
from mapper.network.model import Mapper
from runtime.command import Command, use_utf8
from runtime.workers import Workers, all_results

GEOMETRIC = 0.2
"""Chance to take each next open slot: rows about as dense as in a chart of 3 stars."""


@dataclass(frozen=True)
class Cost:
    """Processor and wall time of a piece of work."""

    wall_s: float
    cpu_s: float  # of this process, all threads

    def rate(self, count: float) -> dict[str, float]:
        """Rates a second for `count` items, by processor and wall time."""
        return {"per_s": round(count / self.wall_s), "per_cpu_s": round(count / self.cpu_s)}


def cost_of(work: Callable[[], object]) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def quick_actions(mask: NDArray, random: np.random.Generator) -> NDArray[np.int64]:
    """[env, 2] possible actions without a loop: an open slot not far off, and any row that fits the held columns."""
    slots = mask[:, :OFFSETS] * random.random((len(mask), OFFSETS), np.float32) > 1 - GEOMETRIC
    offset = np.where(slots.any(1), slots.argmax(1), OFFSETS)
    code = (mask[:, OFFSETS + 1 :] * random.random((len(mask), 256), np.float32)).argmax(1)
    return np.stack([offset, code], 1)


def without_reward(library: SongSet, count: int, steps: int) -> Callable[[], None]:
    random = np.random.default_rng(0)
    outlines = [draw_outline(library, EpisodeConfig(), random) for _ in range(count)]
    episodes = [episode_of(library, one, EpisodeConfig(), one.human) for one in outlines]
    state = dynamics.initial(library, episodes)

    def work() -> None:
        for _ in range(steps):
            actions = quick_actions(dynamics.observe(library, state)["mask"], random)
            dynamics.step(library, state, actions[:, 0], actions[:, 1])
            for env in np.flatnonzero(state.over):
                dynamics.put(library, state, int(env), episodes[env])

    return work


def as_vec_env(library: SongSet, count: int, steps: int) -> Callable[[], None]:
    vector = ChartVecEnv(library, count)
    seen, random = vector.reset(), np.random.default_rng(0)

    def work() -> None:
        nonlocal seen
        for _ in range(steps):
            seen, *_ = vector.step(quick_actions(seen["mask"], random))  # type: ignore[index]

    return work


@dataclass(frozen=True)
class VecEnvJob:
    """Job of a worker: step a `VecEnv` of its own."""

    data: Path | None
    envs: int
    steps: int


def vec_env_rate(job: VecEnvJob) -> float:
    """Steps a second by the wall clock, once everything is compiled."""
    library = library_of_data(job.data)
    as_vec_env(library, 8, 100)()
    return job.envs * job.steps / cost_of(as_vec_env(library, job.envs, job.steps)).wall_s


def library_of_data(data: Path | None) -> SongSet:
    """Some songs of a dataset, or the synthetic one."""
    from mapper.data.corpus import open_corpus

    if data is None:
        return demo_songs()
    corpus = open_corpus(data)
    return song_set_of(corpus, corpus.split("train")[::12])


def refinement(library: SongSet, model: Mapper, songs: int, charts: int, versions: int) -> dict[str, object]:
    """Rows of sections a second of a refinement rollout inside drafts, and the shares of a training step."""
    from stable_baselines3.common.logger import configure
    from stable_baselines3.common.vec_env import VecMonitor

    count = songs * charts * versions
    env = VecMonitor(ChartVecEnv(library, count, EpisodeConfig(context="draft"), versions=versions, sections=charts))
    ppo = SectionPPO(env, model, Settings())
    ppo.set_logger(configure(None, []))
    _, callback = ppo._setup_learn(1)
    found: dict[str, object] = {}
    for _ in range(2):  # the first time compiles
        before = ppo.num_timesteps
        rollout = cost_of(partial(ppo.collect_rollouts, env, callback, ppo.rollout_buffer, 0))  # type: ignore[arg-type]
        learn = cost_of(ppo.train)
        rows = ppo.num_timesteps - before
        found = {
            "rollout_rows": rows,
            "rollout_charts": songs * charts,
            "refinement_rollout": rollout.rate(rows),
            "rollout_charts_per_cpu_s": round(songs * charts / rollout.cpu_s, 2),
            "training_step_cpu_s": round(rollout.cpu_s + learn.cpu_s, 2),
            "learning_ratio": round(learn.cpu_s / (rollout.cpu_s + learn.cpu_s), 3),
        }
    return found


@click.command(
    cls=Command, help="Speed of the environment and of refinement, on the dataset DATA or the synthetic song."
)
@click.argument("data", required=False, type=click.Path(path_type=Path))
@click.option("--envs", default=256, show_default=True, help="Environments side by side without a network.")
@click.option("--steps", default=200, show_default=True, help="Steps of each, without a network.")
@click.option("--songs", default=6, show_default=True, help="Songs of a refinement rollout.")
@click.option("--charts", default=2, show_default=True, help="Drafts of each song.")
@click.option("--versions", default=8, show_default=True, help="Versions of a section of each draft.")
@click.option("--processes", default=2, show_default=True, help="VecEnvs side by side, one a dynamics.")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Default: the bundled mapper.")
def main(
    data: Path | None,
    envs: int,
    steps: int,
    songs: int,
    charts: int,
    versions: int,
    processes: int,
    checkpoint: Path | None,
) -> None:
    from mapper.network.checkpoint import load_mapper

    use_utf8()
    library = library_of_data(data)
    figures: dict[str, object] = {}
    for name, make in (("no_reward", without_reward), ("vec_env", as_vec_env)):
        make(library, 8, 100)()  # compiles
        figures[name] = cost_of(make(library, envs, steps)).rate(envs * steps)
    jobs = [VecEnvJob(data, envs, steps)] * processes
    figures["vec_env_processes"] = {
        "processes": processes,
        "per_s": round(sum(all_results(vec_env_rate, jobs, Workers(processes), "processes"))),
    }
    model = load_mapper(checkpoint)
    figures |= refinement(library, model, songs, charts, versions)
    for name, value in figures.items():
        print(f"{name:24} {value}")
    print_json("env", figures)


if __name__ == "__main__":
    main()
