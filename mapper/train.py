"""Pretrain the mapper on human charts: `python -m mapper.train DATA -o RUN`.

Minimises the negative log-likelihood of human charts, in nats a row: the hazard head says when the next row falls,
the row head which it is (mapper.pretraining.loss). Each step takes stretches of songs, and of charts without audio if the dataset has
any: those teach patterns to the parts that write. Left out here: refinement by play (env.refine).

    python -m mapper.dataset Songs -o data/songs
    python -m mapper.train data/songs -o runs/first
    tensorboard --logdir runs

On several processes or hosts: `torchrun --nproc-per-node 2 -m mapper.train …`; they share each step's stretches.

RUN holds `config.json` (resolved settings, versions), `state.pt` (to go on from), `best.safetensors` (lowest
validation loss, averaged weights, float16) and the TensorBoard log. Running the same command again goes on where it
stopped. TensorBoard tags: docs/mapper.md.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from mapper.data.batches import Batch, WindowSampler
from mapper.data.corpus import Corpus, open_corpus
from mapper.network.checkpoint import load_mapper, parameter_count, save_mapper
from mapper.network.model import Mapper
from mapper.pretraining.config import TrainConfig
from mapper.pretraining.evaluate import Validation, validate
from mapper.pretraining.loss import encoder_losses, losses
from mapper.pretraining.tensorboard import Log
from mapper.pretraining.windows import WindowDraw, random_batches
from runtime.command import Command, use_utf8
from runtime.errors import ConfigError
from runtime.training.device import pick_device
from runtime.training.distributed import ProcessGroup, join_process_group
from runtime.training.ema import init_ema, update_ema
from runtime.training.muon import muon_and_adamw
from runtime.training.resume import checkpoint_errors, load_state, save_state

LEFT_TO_ADAMW = (
    *("quarter", "beat_in_bar", "bar_of_phrase", "code", "symbol", "held", "elapsed", "next_elapsed", "next_held"),
    *("motif", "unheard", "onset", "next_code", "next_symbol", "hazard_elapsed"),
)
"""Beginnings of the names of embeddings and output heads; matrices of the other layers are trained by Muon."""


@dataclass
class State:
    """What a run must remember to go on: saved as `state.pt`."""

    model: Mapper
    average: dict[str, Tensor]
    optimizers: list[torch.optim.Optimizer]
    step: int = 0
    best: float = math.inf
    since_best: int = 0

    def saved(self) -> dict[str, Any]:
        """As plain data and tensors."""
        return {
            "model": self.model.state_dict(),
            "average": self.average,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "best": self.best,
            "since_best": self.since_best,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from what `saved` gave."""
        self.model.load_state_dict(saved["model"])
        for optimizer, content in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(content)
        self.average, self.step = saved["average"], saved["step"]
        self.best, self.since_best = saved["best"], saved["since_best"]


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
    state = start_or_resume(config, out, device)
    stretches = WindowSampler(corpus)
    log = Log(out, config, state.step) if team.is_main else None
    sizes = "{} charts, {} without audio, {} without columns".format(*map(len, charts.values()))
    process = f"{device}, process {team.rank + 1} of {team.size}"
    print(f"{parameter_count(state.model):,} parameters, {sizes}, from step {state.step}, {process}")
    validation, val = Validation.unknown(), corpus.split("val")
    steps = range(state.step, config.steps)
    flows = [random_batches(stretches, charts[part], draw, steps, team) for part, draw in draws_of(config).items()]
    for drawn in zip(*flows, strict=True):
        parts = {kind: part.to(device) for kind, part in zip(charts, drawn, strict=True) if part is not None}
        figures = take_step(state, parts, config, team)
        if log:
            log.step(figures, state.step)
        if log and state.step % config.save_every == 0:
            save_state(out, state.saved())
        if state.step % config.validate_every == 0 or state.step == config.steps:
            if log:
                validation = check_validation(state, stretches, val, out, log, config.tune == "hearing")
                print(f"step {state.step}: train {figures['loss/total']:.3f} {validation.line()}", flush=True)
            if team.any_on_main(state.since_best >= config.patience, device):
                print(f"stopped early: no better validation for {config.patience} rounds")
                break
    if log:
        save_state(out, state.saved())
        log.close()
    team.leave()
    return validation


def charts_by_part(corpus: Corpus, config: TrainConfig) -> dict[str, list[int]]:
    """What a step learns from, by the TensorBoard tags of its losses: songs, charts without audio, charts of other games."""
    silent = corpus.split("train", has_audio=False) if config.silent_batch else []
    rhythm = corpus.split("train", has_columns=False) if config.rhythm_batch and config.tune != "writing" else []
    return {"loss": corpus.split("train"), "loss_without_audio": silent, "loss_without_columns": rhythm}


def draws_of(config: TrainConfig) -> dict[str, WindowDraw]:
    """How many windows of each part a step takes, and of how many charts."""
    return {
        "loss": WindowDraw(config.batch, config.charts_a_window, config.seed),
        "loss_without_audio": WindowDraw(config.silent_batch, 1, config.seed),
        "loss_without_columns": WindowDraw(config.rhythm_batch, config.charts_a_window, config.seed),
    }


def start_or_resume(config: TrainConfig, out: Path, device: torch.device) -> State:
    """A fresh state, or the one in `out/state.pt`."""
    torch.manual_seed(config.seed)
    model = (load_mapper(Path(config.init)) if config.init else Mapper(config.model)).to(device)
    if config.dropout is not None:
        model.set_dropout(config.dropout)
    if config.tune != "all":
        model.train_only(config.tune)
    trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
    optimizers = muon_and_adamw(trained, LEFT_TO_ADAMW, config.learning_rate, config.weight_decay, config.bf16)
    state = State(model, init_ema(model), optimizers)
    saved = load_state(out, device, state.saved())
    if saved is not None:
        with checkpoint_errors(out):
            state.restore(saved)
    return state


def take_step(state: State, parts: dict[str, Batch], config: TrainConfig, team: ProcessGroup) -> dict[str, float]:
    """One optimizer step of the team on all parts (of `charts_by_part`) together; returns the scalars to log, by part."""
    began = time.perf_counter()
    state.model.train()
    rate = learning_rate(config, state.step)
    for group in (group for optimizer in state.optimizers for group in optimizer.param_groups):
        group["lr"] = rate
    state.model.zero_grad(set_to_none=True)
    scored = {}
    total_rows = team.total(sum((part.weighted_rows for part in parts.values()), torch.tensor(0.0)))
    for kind, part in parts.items():  # one graph at a time, to save memory
        with torch.autocast(part.targets.code.device.type, torch.bfloat16, enabled=config.bf16):
            encoder_alone = config.tune == "hearing" or kind == "loss_without_columns"
            result = (encoder_losses if encoder_alone else losses)(state.model, part)
        (result.total * result.rows / total_rows).backward()
        scored[kind] = result.per_row()
    team.sum_gradients(state.model.parameters())
    norm = torch.nn.utils.clip_grad_norm_(state.model.parameters(), config.clip)
    for optimizer in state.optimizers:
        optimizer.step()
    state.step += 1
    update_ema(state.average, state.model, config.average, state.step)
    figures = {"optimizer/learning_rate": rate, "optimizer/gradient_norm": float(norm)}
    for prefix, heads in scored.items():
        figures |= {f"{prefix}/{name}": value for name, value in heads.items()}
    return figures | {"speed/rows_per_s": float(total_rows) / (time.perf_counter() - began)}


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then a cosine down to a twentieth of the peak."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    done = (step - config.warmup) / max(config.steps - config.warmup, 1)
    return config.learning_rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(done, 1))))


def check_validation(
    state: State, stretches: WindowSampler, charts: list[int], out: Path, log: Log, encoder_only: bool
) -> Validation:
    """Validate the averaged weights, log, and keep them when they are the best so far."""
    averaged = Mapper(state.model.config).to(next(state.model.parameters()).device)
    averaged.load_state_dict(state.average)
    averaged.eval()
    validation = validate(averaged, stretches, charts, encoder_only=encoder_only)
    log.validation(validation, averaged, stretches, charts, state.step)
    if not charts or validation.loss < state.best:
        state.best, state.since_best = validation.loss, 0
        save_mapper(averaged, out / "best.safetensors", notes=f"step {state.step}, {validation.line()}")
    else:
        state.since_best += 1
    return validation


@click.command(cls=Command, help="Pretrain the mapper on the dataset DATA. Run again to go on where it stopped.")
@click.argument("data", type=click.Path(file_okay=False))
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False), help="Folder for the run.")
@click.option("--steps", default=TrainConfig.steps, show_default=True, help="Optimizer steps.")
@click.option("--batch", default=TrainConfig.batch, show_default=True, help="Windows of half a minute a step.")
@click.option(
    "--charts-a-window", default=TrainConfig.charts_a_window, show_default=True, help="Charts learnt from in each."
)
@click.option(
    "--rhythm-batch", default=TrainConfig.rhythm_batch, show_default=True, help="Windows without 4K columns a step."
)
@click.option(
    "--silent-batch", default=TrainConfig.silent_batch, show_default=True, help="Stretches without audio a step."
)
@click.option("--learning-rate", default=TrainConfig.learning_rate, show_default=True)
@click.option("--warmup", default=TrainConfig.warmup, show_default=True, help="Steps until the full rate.")
@click.option("--validate-every", default=TrainConfig.validate_every, show_default=True, help="Steps.")
@click.option(
    "--patience", default=TrainConfig.patience, show_default=True, help="Validations without gain to stop after."
)
@click.option("--init", default=TrainConfig.init, help="Checkpoint to start from; default: random weights.")
@click.option(
    "--tune", type=click.Choice(["all", "writing", "hearing"]), default="all", show_default=True, help="What to train."
)
@click.option("--weight-decay", default=TrainConfig.weight_decay, show_default=True)
@click.option("--dropout", type=float, help="Share of each layer's output dropped; default: the network's own.")
@click.option("--seed", default=TrainConfig.seed, show_default=True)
@click.option("--device", default=TrainConfig.device, show_default=True, help="auto, cpu, cuda, …")
@click.option(
    "--bf16/--no-bf16",
    default=TrainConfig.bf16,
    show_default=True,
    help="Fast on GPUs, and on CPUs with AMX or AVX512-BF16.",
)
def main(**options: Any) -> None:
    use_utf8()
    train(TrainConfig(**options))


if __name__ == "__main__":
    main()
