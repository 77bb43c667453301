"""Refine the mapper by play: `python -m env.refine --init CHECKPOINT --songs DATA -o RUN`.

PPO (`env.ppo.ppo`) on the dataset's `train` songs: the mapper writes whole charts and sections of them in several
versions, simulated players play them, the reward values them phrase by phrase and as a whole, and what a version earns
above its siblings is learnt, on a leash to the pretrained mapper. How far whole charts are off teaches how dense they are
to be (`env.ppo.density_bias`). Every eighth song is held out to watch (`env.monitor.evaluate`); `val` is not touched.

    python -m env.refine --songs data/songs -o runs/refined
    tensorboard --logdir runs

RUN holds `config.json`, `state.pt` (run the same command again to go on), `refined.safetensors` (best held-out charts
so far with the share of holds kept; `mania4k generate --checkpoint` takes it) and the TensorBoard log. Tags: docs/env.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from runtime.command import Command, use_utf8
from runtime.errors import ConfigError
from runtime.training.run_config import require_positive, save_config

ROLLOUTS = ("charts", "density", "sections", "edits")
HELD_OUT_EVERY = 8
"""Every so many-th song of `train` is held out."""


@dataclass(frozen=True)
class RefineConfig:
    """Settings of a refinement run."""

    songs: str
    out: str
    init: str = "pretrained"
    updates: int = 40
    rollout: str = "charts"
    songs_a_rollout: int = 6
    charts: int = 2
    groups: int = 12
    versions: int = 8
    epochs: int = 1
    minibatches: int = 4
    learning_rate: float = 1e-4
    leash: float = 0.03  # nats a step
    players: int = 32
    phrases: int = 2
    evaluate_every: int = 10
    charts_every: int = 10
    heldout_sections: int = 24
    heldout_charts: int = 10
    save_every: int = 5
    max_songs: int = 0  # of the training songs; 0: all
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        counts = ("updates", "songs_a_rollout", "groups", "epochs", "minibatches")
        require_positive(self, (*counts, "evaluate_every", "charts_every", "save_every"))
        if self.rollout not in ROLLOUTS:
            raise ConfigError(f"--rollout is {self.rollout!r}; give one of {', '.join(ROLLOUTS)}")
        if self.versions < 2:
            raise ConfigError(
                f"--versions is {self.versions}; a version needs siblings to be compared with: give 2 or more"
            )
        if self.charts < 2 or self.charts % 2:
            raise ConfigError(f"--charts is {self.charts}; half of them lean to more rows: give an even number")
        sections = self.songs_a_rollout * self.charts if self.whole_charts else self.groups
        if self.minibatches > sections * self.versions:
            raise ConfigError(f"--minibatches {self.minibatches} are more than the {sections * self.versions} episodes")

    @property
    def whole_charts(self) -> bool:
        """Whether rollouts are whole charts."""
        return self.rollout in ("charts", "density")


def refine(config: RefineConfig) -> dict[str, float]:
    """Refine until `updates` or an alarm; returns the last held-out figures."""
    from stable_baselines3.common.logger import configure

    from env.monitor.callback import RefinementCallback
    from runtime.training.resume import checkpoint_errors, load_state

    out = Path(config.out)
    ppo, heldout = prepare(config)
    save_config(out, config)
    ppo.set_logger(configure(str(out), ["tensorboard"]))
    watch = RefinementCallback(config, heldout, out)
    saved = load_state(out, ppo.device, {**ppo.state(), **watch.state()}, "refinement run")
    if saved is not None:
        with checkpoint_errors(out):
            ppo.restore(saved)
            watch.restore(saved)
    if ppo.updates < config.updates:
        ppo.learn(1 << 60, callback=watch, reset_num_timesteps=False, tb_log_name="")
    return watch.last


def prepare(config: RefineConfig) -> tuple[Any, Any]:
    """(SectionPPO, HeldOut) of a run, before any state is restored."""
    from env.gym_api.vec_env import ChartVecEnv
    from env.monitor.evaluate import EvaluationSet
    from env.policy.action_heads import PolicySampling
    from env.ppo.ppo import SectionPPO, Settings, frozen_copy
    from env.returns.section_return import ScoringConfig
    from env.task.episodes import SectionConfig
    from env.task.songs import song_set_of
    from mapper.data.corpus import open_corpus
    from mapper.network.checkpoint import checkpoint_named, load_mapper
    from runtime.training.device import pick_device

    device = pick_device(config.device)
    mapper = load_mapper(checkpoint_named(config.init)).to(device)
    corpus = open_corpus(Path(config.songs))
    train, held = split_songs(corpus, config.max_songs)
    if not train or not held:
        raise ConfigError(f"{config.songs}: refinement needs at least {HELD_OUT_EVERY} songs in the train split")
    sections = SectionConfig(phrases=config.phrases, edit=config.rollout == "edits")
    env = ChartVecEnv(song_set_of(corpus, train), 2, sections, ScoringConfig(players=config.players), config.seed)
    settings = Settings(
        groups=config.groups,
        versions=config.versions,
        songs=config.songs_a_rollout if config.whole_charts else 0,
        density=config.updates if config.rollout == "density" else 0,
        charts=config.charts,
        minibatches=config.minibatches,
        epochs=config.epochs,
        learning_rate=config.learning_rate,
        leash=config.leash,
        seed=config.seed,
    )
    import torch

    torch.manual_seed(config.seed)
    ppo = SectionPPO(env, mapper, frozen_copy(mapper), settings, PolicySampling())
    heldout = EvaluationSet(song_set_of(corpus, held), config.heldout_sections, charts=config.heldout_charts)
    return ppo, heldout


def split_songs(corpus: Any, max_songs: int = 0) -> tuple[list[int], list[int]]:
    """(charts to learn on, charts held out) of the train split; all charts of a song are on one side."""
    charts = corpus.split("train")
    songs = sorted({corpus.charts[chart].song for chart in charts})
    held = set(songs[::HELD_OUT_EVERY])
    learnt = [song for song in songs if song not in held]
    kept = set(learnt[:: max(len(learnt) // max_songs, 1)][:max_songs] if max_songs else learnt)
    return (
        [chart for chart in charts if corpus.charts[chart].song in kept],
        [chart for chart in charts if corpus.charts[chart].song in held],
    )


@click.command(cls=Command, help="Refine the mapper by play. Run again to go on where it stopped.")
@click.option("--songs", required=True, type=click.Path(file_okay=False), help="Dataset of mapper.dataset.")
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False), help="Folder for the run.")
@click.option(
    "--init",
    default=RefineConfig.init,
    show_default=True,
    help="Checkpoint to start from: pretrained, bundled or a file.",
)
@click.option("--updates", default=RefineConfig.updates, show_default=True, help="Rollouts with their training.")
@click.option(
    "--rollout",
    type=click.Choice(ROLLOUTS),
    default=RefineConfig.rollout,
    show_default=True,
    help="What is written: the mapper's own charts and sections of them anew; such charts alone, which teach only how "
    "dense they are to be; sections by themselves; sections of people's charts anew.",
)
@click.option("--songs-a-rollout", default=RefineConfig.songs_a_rollout, show_default=True)
@click.option("--charts", default=RefineConfig.charts, show_default=True, help="Of each song; in each, one section.")
@click.option("--groups", default=RefineConfig.groups, show_default=True, help="Sections a rollout, if not of charts.")
@click.option("--versions", default=RefineConfig.versions, show_default=True, help="Versions of each section.")
@click.option("--epochs", default=RefineConfig.epochs, show_default=True)
@click.option("--minibatches", default=RefineConfig.minibatches, show_default=True)
@click.option("--learning-rate", default=RefineConfig.learning_rate, show_default=True)
@click.option("--leash", default=RefineConfig.leash, show_default=True, help="Nats a step from the pretrained mapper.")
@click.option("--players", default=RefineConfig.players, show_default=True, help="Simulated players of a section.")
@click.option("--phrases", default=RefineConfig.phrases, show_default=True, help="Phrases of 16 beats in a section.")
@click.option("--evaluate-every", default=RefineConfig.evaluate_every, show_default=True, help="Updates.")
@click.option("--charts-every", default=RefineConfig.charts_every, show_default=True, help="Updates.")
@click.option("--heldout-sections", default=RefineConfig.heldout_sections, show_default=True)
@click.option("--heldout-charts", default=RefineConfig.heldout_charts, show_default=True, help="Songs charted whole.")
@click.option("--save-every", default=RefineConfig.save_every, show_default=True, help="Updates.")
@click.option("--max-songs", default=RefineConfig.max_songs, help="Songs to learn on; default: all.")
@click.option("--seed", default=RefineConfig.seed, show_default=True)
@click.option("--device", default=RefineConfig.device, show_default=True, help="auto, cpu, cuda, …")
def main(**options: Any) -> None:
    use_utf8()
    figures = refine(RefineConfig(**options))
    for name, value in figures.items():
        click.echo(f"{name:42} {value:.4f}")


if __name__ == "__main__":
    main()
