"""The state of a pretraining run, kept in its folder: what it goes on from, and the best weights so far."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from mapper.data.batches import WindowSampler
from mapper.network.checkpoint import checkpoint_named, load_mapper, origin_of, save_mapper
from mapper.network.model import Mapper
from mapper.pretraining.config import RANDOM, TrainConfig
from mapper.pretraining.evaluate import Validation
from mapper.pretraining.tensorboard import Log
from runtime.training.distributed import ProcessGroup
from runtime.training.loop import TrainingState
from runtime.training.muon import muon_and_adamw

LEFT_TO_ADAMW = (
    *("quarter", "beat_in_bar", "bar_of_phrase", "code", "symbol", "held", "elapsed", "next_elapsed", "next_held"),
    *("motif", "unheard", "onset", "next_code", "next_symbol", "hazard_elapsed"),
)
"""Beginnings of the names of embeddings and output heads; matrices of the other layers are trained by Muon."""

BEST = "best.safetensors"


@dataclass
class Run:
    """A run and what it writes to."""

    config: TrainConfig
    out: Path
    state: TrainingState[Mapper]
    stretches: WindowSampler
    val: list[int]  # charts to validate on
    team: ProcessGroup
    log: Log | None = None  # of the leading process

    def averaged(self) -> Mapper:
        """A network with the averaged weights."""
        model = Mapper(self.state.network.config).to(self.state.device)
        model.load_state_dict(self.state.average)
        return model.eval()

    def keep(self, validation: Validation) -> None:
        """Save the averaged weights as the best ones where they are, or where nothing says which are."""
        state = self.state
        is_best = not self.val or validation.loss < state.best
        state.record(validation.loss, is_best)
        if not is_best:
            return
        steps = self.steps_before
        notes = f"step {state.step}, {validation.line()}"
        random_steps = None if steps is None else steps + state.step
        save_mapper(self.averaged(), self.out / BEST, notes=notes, random_steps=random_steps)

    @property
    def steps_before(self) -> int | None:
        """Steps that the first weights had taken since random ones; None for weights of a released mapper."""
        return 0 if self.config.init in RANDOM else origin_of(checkpoint_named(self.config.init)).random_steps


def start_or_resume(config: TrainConfig, out: Path, device: torch.device) -> TrainingState[Mapper]:
    """A fresh state, or the one in `out/state.pt`."""
    torch.manual_seed(config.seed)
    random = config.init in RANDOM
    model = (Mapper(config.model) if random else load_mapper(checkpoint_named(config.init))).to(device)
    if config.dropout is not None:
        model.set_dropout(config.dropout)
    if config.tune != "all":
        model.train_only(config.tune)
    trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
    optimizers = muon_and_adamw(trained, LEFT_TO_ADAMW, config.learning_rate, config.weight_decay, config.bf16)
    state = TrainingState(model, optimizers, key="model")
    state.resume(out)
    return state
