"""How fast the playtest loop runs: `python -m bench.env DATA`.

Steps are rows. Without a network: compiled steps and observations with actions that the mask allows, then the same as a
`VecEnv` that values every bar while it is written, also in `--processes` at the same time, then valued when all are written,
as training on sections does. With the mapper: rollouts in batch, and the parts of one training step on whole charts.
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
from env.monitor.evaluate import write_piece
from env.policy.action_heads import ActionHeads, PolicySampling
from env.ppo.ppo import SectionPPO, Settings, frozen_copy
from env.ppo.rollout import section_returns, write
from env.returns.chart_return import value_charts
from env.returns.section_return import Scorer, ScoringConfig
from env.task import dynamics as core
from env.task.episodes import SectionConfig, draw_section
from env.task.kernels import OFFSETS
from env.task.songs import SongSet, demo_songs, song_set_of
from mapper.network.model import Mapper
from runtime.command import Command, use_utf8
from runtime.workers import Workers, all_results

GEOMETRIC = 0.2
"""Chance to take each next open slot: rows about as dense as in a chart of 3 stars."""


@dataclass(frozen=True)
class Cost:
    """Cost of a piece of work."""

    wall_s: float
    cpu_s: float  # of this process, all threads

    def rate(self, count: float) -> dict[str, float]:
        """So many a second, by both clocks."""
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
    sections = [draw_section(library, SectionConfig(), random) for _ in range(count)]
    state = core.initial(library, sections)

    def work() -> None:
        for _ in range(steps):
            actions = quick_actions(core.observe(library, state)["mask"], random)
            core.step(library, state, actions[:, 0], actions[:, 1])
            for env in np.flatnonzero(state.over):
                core.put(library, state, int(env), sections[env])

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
    """A `VecEnv` on its own in a process."""

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


def with_the_mapper(library: SongSet, model: Mapper, groups: int, versions: int) -> dict[str, object]:
    """Sections written by the policy in batch, and the cost of playing and scoring them afterwards."""
    random, judge, scorer = (
        np.random.default_rng(1),
        ActionHeads(model, PolicySampling()),
        Scorer(library, ScoringConfig()),
    )
    seeds = np.repeat(np.arange(groups), versions)
    found: dict[str, object] = {}
    for _ in range(2):  # the first time compiles
        sections = [draw_section(library, SectionConfig(), random) for _ in range(groups)]
        kept: list = []
        rollout = cost_of(partial(_keep, kept, write, library, judge, sections, versions, [1]))
        play = cost_of(partial(_keep, kept, section_returns, scorer, kept[0].state, seeds))
        steps = int(kept[0].steps.sum())
        found = {"mapper_rollout": rollout.rate(steps), "valued_when_written": play.rate(steps), "steps": steps}
    return found


def training_parts(library: SongSet, model: Mapper) -> dict[str, object]:
    """Costs of the parts of one training step on whole charts, with the settings of `env.refine`."""
    from stable_baselines3.common.logger import configure

    settings = Settings()
    ppo = SectionPPO(ChartVecEnv(library, 2), model, frozen_copy(model), settings, PolicySampling())
    ppo.set_logger(configure(None, []))
    _, callback = ppo._setup_learn(1)
    pieces = library.pieces[: settings.songs]
    charts = [write_piece(model, piece, [3.5] * settings.charts, 0) for piece in pieces]
    found: dict[str, object] = {}
    for _ in range(2):  # the first time compiles
        rollout = cost_of(partial(ppo.collect_rollouts, ppo.env, callback, ppo.rollout_buffer, 0))  # type: ignore[arg-type]
        play = cost_of(lambda: [value_charts(one, piece, 3.5, 0) for one, piece in zip(charts, pieces, strict=True)])
        valued = (1 + settings.versions) * play.cpu_s  # the charts, and with each of their sections' versions
        learn = cost_of(ppo.train)
        whole = rollout.cpu_s + learn.cpu_s
        found = {
            "cpu_s": round(whole, 2),
            "share_of_training_step": {
                "writing": round((rollout.cpu_s - valued) / whole, 3),
                "playtest_and_terms": round(valued / whole, 3),
                "learning": round(learn.cpu_s / whole, 3),
            },
        }
    return {"training_step": found}


def _keep(results: list, function: Callable, *arguments: object) -> None:
    results.append(function(*arguments))


@click.command(cls=Command, help="Speed of the playtest loop, on the dataset DATA or the synthetic song.")
@click.argument("data", required=False, type=click.Path(path_type=Path))
@click.option("--envs", default=256, show_default=True, help="Environments side by side without a network.")
@click.option("--steps", default=200, show_default=True, help="Steps of each, without a network.")
@click.option("--groups", default=16, show_default=True)
@click.option("--versions", default=8, show_default=True)
@click.option("--processes", default=2, show_default=True, help="VecEnvs side by side, one a core.")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Default: the bundled mapper.")
def main(
    data: Path | None, envs: int, steps: int, groups: int, versions: int, processes: int, checkpoint: Path | None
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
    figures |= with_the_mapper(library, model, groups, versions) | training_parts(library, model)
    for name, value in figures.items():
        print(f"{name:24} {value}")
    print_json("env", figures)


if __name__ == "__main__":
    main()
