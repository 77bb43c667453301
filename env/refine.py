"""Refine the mapper by reinforcement learning: `python -m env.refine --init CHECKPOINT --songs DATA -o RUN`.

PPO (`env.ppo.ppo`) on the dataset's `train` songs, in the gymnasium environment `Mania4KChart-v2`: the mapper writes whole
charts and sections of them in several versions, simulated players play them, the reward scores them phrase by phrase and as a
whole, and the policy learns from what a version earns above the others, near the pretrained mapper. The distance of whole
charts from their targets trains the density bias (`env.ppo.density_bias`). Every eighth song is held out for evaluation
(`env.monitor.evaluate`); `val` is not touched.

    python -m env.refine --songs data/songs -o runs/refined
    mania4k tensorboard runs

RUN holds `config.json`, `state.pt` (run the same command again to resume), `refined.safetensors` (best held-out charts so
far with the hold ratio kept; `mania4k generate --checkpoint` takes it) and the TensorBoard log. Tags: docs/env.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from env.run_config import CONTEXTS, REFINED, ROLLOUTS, RefineConfig
from runtime.command import Command, use_utf8
from runtime.errors import ConfigError
from runtime.limits import limit_options
from runtime.progress import training_bar, waiting
from runtime.training.run_config import save_config

HELD_OUT_EVERY = 8
"""One song in so many of `train` is held out."""


def refine(config: RefineConfig) -> dict[str, float]:
    """Refine until `updates` or the alarm; returns the last held-out figures. Raises ConfigError and CheckpointError."""
    from stable_baselines3.common.logger import configure

    from env.monitor.callback import RefinementCallback
    from runtime.training.resume import checkpoint_errors, load_state

    out = Path(config.out)
    with waiting("Reading songs and players"):
        ppo, heldout = prepare(config)
        callback = RefinementCallback(config, heldout, out)
    save_config(out, config)
    ppo.set_logger(configure(str(out), ["tensorboard"]))
    saved = load_state(out, ppo.device, {**ppo.state(), **callback.state()}, "refinement run")
    if saved is not None:
        with checkpoint_errors(out):
            ppo.restore(saved)
            callback.restore(saved)
    if ppo.updates < config.updates:
        with training_bar("refining", config.updates, ppo.updates) as callback.report:
            ppo.learn(1 << 60, callback=callback, reset_num_timesteps=False, tb_log_name="")
    return callback.last


def prepare(config: RefineConfig) -> tuple[Any, Any]:
    """(SectionPPO, EvaluationSet) of a run, before any state is restored."""
    import torch
    from stable_baselines3.common.vec_env import VecMonitor

    from env.gym_api.vec_env import ChartVecEnv
    from env.monitor.evaluate import EvaluationSet
    from env.ppo.ppo import SectionPPO, Settings
    from env.returns.section_return import ScoringConfig
    from env.task.episodes import EpisodeConfig
    from env.task.songs import song_set_of
    from mapper.data.corpus import open_corpus
    from mapper.network.checkpoint import checkpoint_named, load_mapper
    from runtime.training.device import pick_device

    corpus = open_corpus(Path(config.songs))
    train, held = split_songs(corpus, config.max_songs)
    if not train or not held:
        raise ConfigError(
            f"{config.songs}: fewer than two songs in the train split; refinement learns on some and is measured on "
            "others: build a dataset of more maps"
        )
    mapper = load_mapper(checkpoint_named(config.init)).to(pick_device(config.device))
    episodes = EpisodeConfig(phrases=config.phrases, context=CONTEXTS[config.rollout])
    scoring, (count, versions, sections) = ScoringConfig(players=config.players), config.environments
    env = ChartVecEnv(
        song_set_of(corpus, train), count, episodes, scoring, config.seed, versions=versions, sections=sections
    )
    settings = Settings(
        updates=config.updates,
        density_only=config.rollout == "density",
        minibatches=config.minibatches,
        epochs=config.epochs,
        learning_rate=config.learning_rate,
        kl_target=config.leash,
        seed=config.seed,
    )
    torch.manual_seed(config.seed)
    ppo = SectionPPO(VecMonitor(env), mapper, settings)
    return ppo, EvaluationSet(song_set_of(corpus, held), config.heldout_sections, charts=config.heldout_charts)


def split_songs(corpus: Any, max_songs: int = 0) -> tuple[list[int], list[int]]:
    """(charts to train on, charts held out) of the train split; all charts of a song are on one side."""
    charts = corpus.split("train")
    songs = sorted({corpus.charts[chart].song for chart in charts})
    held = set(songs[::HELD_OUT_EVERY])
    trained = [song for song in songs if song not in held]
    kept = set(trained[:: max(len(trained) // max_songs, 1)][:max_songs] if max_songs else trained)
    return (
        [chart for chart in charts if corpus.charts[chart].song in kept],
        [chart for chart in charts if corpus.charts[chart].song in held],
    )


@click.command(cls=Command, help="Refine the mapper by reinforcement learning. Run again to resume.")
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
    help="charts: sections of the mapper's own drafts; density: drafts alone, to learn the density bias; sections: "
    "sections behind people's rows or nothing; edits: sections of people's charts.",
)
@click.option("--songs-a-rollout", default=RefineConfig.songs_a_rollout, show_default=True)
@click.option(
    "--charts",
    default=RefineConfig.charts,
    show_default=True,
    help="Drafts of each song; one section of each is written.",
)
@click.option(
    "--groups", default=RefineConfig.groups, show_default=True, help="Sections of a rollout, if not of drafts."
)
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
@click.option("--max-songs", default=RefineConfig.max_songs, help="Songs to train on; default: all.")
@click.option("--seed", default=RefineConfig.seed, show_default=True)
@click.option("--device", default=RefineConfig.device, show_default=True, help="auto, cpu, cuda, …")
@limit_options
def main(**options: Any) -> None:
    use_utf8()
    config = RefineConfig(**options)
    with waiting("Starting"):
        from mapper.network.checkpoint import checkpoint_named, origin_of

        origin = origin_of(checkpoint_named(config.init))
    click.echo(f"refining {origin.line}", err=True)
    if origin.warning:
        click.echo(f"warning: {origin.warning}", err=True)
    figures = refine(config)
    for name, value in figures.items():
        click.echo(f"{name:42} {value:.4f}")
    refined = Path(config.out) / REFINED
    if refined.is_file():
        click.echo(f"\n{refined}: {origin_of(refined).notes}")
        click.echo(f"\nnext: mania4k generate SONG --checkpoint {refined}", err=True)


if __name__ == "__main__":
    main()
