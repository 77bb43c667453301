"""Train the mapper on human charts: `python -m mapper.train DATA -o RUN`.

Minimises the negative log-likelihood of human charts, in nats a row: the hazard head says when the next row falls,
the row head which it is (mapper.pretraining.loss). Each step takes windows of songs, and of charts without audio if the dataset has
any: those teach patterns to the decoder. Left out here: refinement by play (env.refine).

    python -m mapper.dataset Songs -o data/songs
    python -m mapper.train data/songs -o runs/mine                  # from the shipped weights, for own maps
    python -m mapper.train data/songs -o runs/first --init none     # from random ones
    mania4k tensorboard runs

On several processes or hosts: `torchrun --nproc-per-node 2 -m mapper.train …`; they share each step's windows.

RUN holds `config.json` (resolved settings, versions), `state.pt` (to resume from), `best.safetensors` (lowest
validation loss, averaged weights, float16) and the TensorBoard log. Running the same command again resumes where it
stopped. TensorBoard tags: docs/mapper.md.
"""

from __future__ import annotations

import math
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch

from mapper.data.batches import Batch, WindowSampler
from mapper.data.corpus import Corpus, open_corpus
from mapper.network.checkpoint import checkpoint_named, origin_of, parameter_count
from mapper.network.model import Mapper
from mapper.pretraining.config import FROM_TRAINED, RANDOM, TrainConfig
from mapper.pretraining.evaluate import Validation, validate
from mapper.pretraining.loss import encoder_losses, losses
from mapper.pretraining.run import BEST, Run, start_or_resume
from mapper.pretraining.tensorboard import Log
from mapper.pretraining.windows import FOLDS, WindowDraw, fold_of, random_batches
from runtime.command import Command, use_utf8
from runtime.errors import ConfigError
from runtime.limits import limit_options
from runtime.progress import waiting
from runtime.training.device import pick_device
from runtime.training.distributed import ProcessGroup, join_process_group
from runtime.training.loop import TrainingState, run_steps


def train(config: TrainConfig) -> Validation:
    """Train until `steps` or early stopping; returns the last validation of the averaged weights."""
    corpus = open_corpus(Path(config.data))
    charts = charts_by_part(corpus, config)
    if not charts["loss"]:
        raise ConfigError(f"{config.data}: the dataset has no chart in its train split")
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    device = pick_device(config.device)
    team = join_process_group(device)
    if config.batch < team.size:
        raise ConfigError(f"--batch {config.batch} is too small to share among {team.size} processes")
    run = Run(config, out, start_or_resume(config, out, device), WindowSampler(corpus), corpus.split("val"), team)
    run.log = Log(out, config, run.state.step) if team.is_main else None
    sizes = "{} charts, {} without audio, {} without columns".format(*map(len, charts.values()))
    process = f"{device}, process {team.rank + 1} of {team.size}"
    print(
        f"{parameter_count(run.state.network):,} parameters, {sizes}, from step {run.state.step}, {process}", flush=True
    )
    if run.log:
        announce_start(run)
    validation = take_steps(run, charts, device)
    team.leave()
    return validation


def announce_start(run: Run) -> None:
    """Say what a run begins with; a fresh one on trained weights is validated first, so that it never ends with worse ones."""
    config, state = run.config, run.state
    if not run.val:
        print("no song to validate on: every step is run, and the last weights are kept (a dataset of 3 songs has one)")
    if state.step:
        return
    origin = None if config.init in RANDOM else origin_of(checkpoint_named(config.init))
    print(f"starting from {origin.line if origin else 'random weights'}", flush=True)
    if origin and origin.warning:
        print(f"warning: {origin.warning}", file=sys.stderr)
    if origin and run.val:
        with waiting("Validating"):
            found = validate(run.averaged(), run.stretches, run.val, encoder_only=config.tune == "hearing")
        run.keep(found)
        print(f"step 0: {found.line()}", flush=True)


def take_steps(run: Run, charts: dict[str, list[int]], device: torch.device) -> Validation:
    """Every step that is left, with validations; returns the last one."""
    config, state, team, validation = run.config, run.state, run.team, Validation.unknown()
    steps = range(state.step, config.steps)
    flows = [random_batches(run.stretches, charts[part], draw, steps, team) for part, draw in draws_of(config).items()]

    def step(drawn: tuple[Batch | None, ...]) -> dict[str, float]:
        parts = {kind: part.to(device) for kind, part in zip(charts, drawn, strict=True) if part is not None}
        return take_step(state, parts, config, team)

    def check() -> str:
        nonlocal validation
        assert run.log is not None, "the main process validates"
        validation = check_validation(run, run.log)
        return validation.line()

    board, say = run.log.board if run.log else None, partial(print, flush=True)
    run_steps(state, config, zip(*flows, strict=True), step, check, board, team, say)
    return validation


def charts_by_part(corpus: Corpus, config: TrainConfig) -> dict[str, list[int]]:
    """Charts of a step's parts, by the TensorBoard tags of their losses: songs, charts without audio, charts of other games."""
    silent = corpus.split("train", has_audio=False) if config.silent_batch else []
    rhythm = corpus.split("train", has_columns=False) if config.rhythm_batch and config.tune != "writing" else []
    parts = {"loss": corpus.split("train"), "loss_without_audio": silent, "loss_without_columns": rhythm}
    if config.leave_out < 0:
        return parts
    kept = {number for number, song in enumerate(corpus.songs) if fold_of(song) != config.leave_out}
    return {part: [chart for chart in charts if corpus.charts[chart].song in kept] for part, charts in parts.items()}


def draws_of(config: TrainConfig) -> dict[str, WindowDraw]:
    """Number of windows of each part of a step, and of charts in each."""
    return {
        "loss": WindowDraw(config.batch, config.charts_a_window, config.seed),
        "loss_without_audio": WindowDraw(config.silent_batch, 1, config.seed),
        "loss_without_columns": WindowDraw(config.rhythm_batch, config.charts_a_window, config.seed),
    }


def take_step(
    state: TrainingState[Mapper], parts: dict[str, Batch], config: TrainConfig, team: ProcessGroup
) -> dict[str, float]:
    """One optimizer step of the team on all parts (of `charts_by_part`) together; returns the scalars to log, by part."""
    began = time.perf_counter()
    state.network.train()
    torch.manual_seed(config.seed + state.step)  # dropout is then the same in a run that was stopped and resumed
    rate = learning_rate(config, state.step)
    state.network.zero_grad(set_to_none=True)
    scored = {}
    total_rows = team.total(sum((part.weighted_rows for part in parts.values()), torch.tensor(0.0)))
    for kind, part in parts.items():  # one graph at a time, to save memory
        with torch.autocast(part.targets.code.device.type, torch.bfloat16, enabled=config.bf16):
            encoder_alone = config.tune == "hearing" or kind == "loss_without_columns"
            result = (encoder_losses if encoder_alone else losses)(state.network, part)
        (result.total * result.rows / total_rows).backward()
        scored[kind] = result.per_row()
    team.sum_gradients(state.network.parameters())
    norm = state.update(rate, config.clip, config.average)
    figures = {"optimizer/learning_rate": rate, "optimizer/gradient_norm": norm}
    for prefix, heads in scored.items():
        figures |= {f"{prefix}/{name}": value for name, value in heads.items()}
    return figures | {"speed/rows_per_s": float(total_rows) / (time.perf_counter() - began)}


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then a cosine down to a twentieth of the peak."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    done = (step - config.warmup) / max(config.steps - config.warmup, 1)
    return config.learning_rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(done, 1))))


def check_validation(run: Run, log: Log) -> Validation:
    """Validate the averaged weights, log, and keep them when they are the best so far."""
    averaged = run.averaged()
    validation = validate(averaged, run.stretches, run.val, encoder_only=run.config.tune == "hearing")
    log.validation(validation, averaged, run.stretches, run.val, run.state.step)
    run.keep(validation)
    return validation


def next_commands(config: TrainConfig) -> str:
    """Result of the run and commands to go on with, for the user."""
    best = Path(config.out) / BEST
    notes = origin_of(best).notes
    worse = "; no step was better on the validation songs than the first weights" if notes.startswith("step 0,") else ""
    return (
        f"{best}: {notes}{worse}\n\nnext: mania4k generate SONG --checkpoint {best}\n"
        f"  or: mania4k refine --songs {config.data} -o {config.out}-refined --init {best}\n"
        f"  or: mania4k tensorboard {config.out}"
    )


def _with_defaults(text: str, name: str) -> str:
    own = TrainConfig.__dataclass_fields__[name].default
    return f"{text}; default: {FROM_TRAINED[name]:g} from trained weights, {own:g} from random ones."


@click.command(cls=Command, help="Train the mapper on the dataset DATA. Run again to go on where it stopped.")
@click.argument("data", type=click.Path(file_okay=False))
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False), help="Folder for the run.")
@click.option("--steps", type=int, help=_with_defaults("Optimizer steps", "steps"))
@click.option("--batch", type=int, help=_with_defaults("Windows of half a minute a step", "batch"))
@click.option(
    "--charts-a-window", default=TrainConfig.charts_a_window, show_default=True, help="Charts learnt from in each."
)
@click.option(
    "--rhythm-batch", default=TrainConfig.rhythm_batch, show_default=True, help="Windows without 4K columns a step."
)
@click.option(
    "--silent-batch", default=TrainConfig.silent_batch, show_default=True, help="Stretches without audio a step."
)
@click.option("--learning-rate", type=float, help=_with_defaults("Its peak", "learning_rate"))
@click.option("--warmup", type=int, help=_with_defaults("Steps until the full rate", "warmup"))
@click.option("--validate-every", type=int, help=_with_defaults("Steps between validations", "validate_every"))
@click.option("--save-every", default=TrainConfig.save_every, show_default=True, help="Steps between saved states.")
@click.option(
    "--patience", default=TrainConfig.patience, show_default=True, help="Validations without gain to stop after."
)
@click.option(
    "--init",
    default="pretrained",
    show_default=True,
    help="Weights to start from: pretrained (before play), bundled (refined by play), a file, or none (random).",
)
@click.option(
    "--tune", type=click.Choice(["all", "writing", "hearing"]), default="all", show_default=True, help="What to train."
)
@click.option("--weight-decay", default=TrainConfig.weight_decay, show_default=True)
@click.option("--dropout", type=float, help="Share of each layer's output dropped; default: the network's own.")
@click.option(
    "--leave-out",
    type=click.IntRange(-1, FOLDS - 1),
    default=TrainConfig.leave_out,
    help=f"Part of the songs, of {FOLDS}, not to learn from; default: none.",
)
@click.option("--seed", default=TrainConfig.seed, show_default=True)
@click.option("--device", default=TrainConfig.device, show_default=True, help="auto, cpu, cuda, …")
@click.option(
    "--bf16/--no-bf16",
    default=TrainConfig.bf16,
    show_default=True,
    help="Fast on GPUs, and on CPUs with AMX or AVX512-BF16.",
)
@limit_options
def main(**options: Any) -> None:
    use_utf8()
    config = TrainConfig.of_options(options)
    train(config)
    click.echo(next_commands(config))


if __name__ == "__main__":
    main()
