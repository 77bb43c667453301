"""The loop of a supervised run: steps, logging, saving, validation, early stopping, resuming.

    state = TrainingState(network, optimizers)
    state.resume(out)
    run_steps(state, config, batches, take_step, validate, board)

`mapper.train` and `ear.training.train` bring the network, the loss and the validation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import nn

from runtime.progress import training_bar
from runtime.training.distributed import ProcessGroup
from runtime.training.ema import init_ema, update_ema
from runtime.training.resume import checkpoint_errors, load_state, save_state

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

B = TypeVar("B")
N = TypeVar("N", bound=nn.Module)


class TrainingState(Generic[N]):
    """Weights, their moving average, optimizers and progress of a run; saved as `state.pt`."""

    def __init__(
        self, network: N, optimizers: list[torch.optim.Optimizer], best: float = math.inf, key: str = "network"
    ) -> None:
        """`best`: a value worse than any validation; `key`: name of the network in the saved state."""
        self.network, self.optimizers, self.key = network, optimizers, key
        self.average = init_ema(network)
        self.step, self.best, self.since_best = 0, best, 0

    @property
    def device(self) -> torch.device:
        """Device of the network."""
        return next(self.network.parameters()).device

    def saved(self) -> dict[str, Any]:
        """The state as plain data and tensors."""
        return {
            self.key: self.network.state_dict(),
            "average": self.average,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "best": self.best,
            "since_best": self.since_best,
        }

    def resume(self, out: Path) -> None:
        """Restore the state saved in `out`, if there is one. Raises CheckpointError where it does not fit this run."""
        saved = load_state(out, self.device, self.saved())
        if saved is None:
            return
        with checkpoint_errors(out):
            self.network.load_state_dict(saved[self.key])
            for optimizer, content in zip(self.optimizers, saved["optimizers"], strict=True):
                optimizer.load_state_dict(content)
            self.average, self.step = saved["average"], saved["step"]
            self.best, self.since_best = saved["best"], saved["since_best"]

    def update(self, rate: float, clip: float, decay: float) -> float:
        """Step every optimizer at this learning rate and update the average; returns the gradient's norm.

        Gradients are clipped to the norm `clip`; a step whose gradients are not finite leaves the weights as they are.
        """
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), clip)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            if torch.isfinite(norm):
                optimizer.step()
        self.step += 1
        update_ema(self.average, self.network, decay, self.step)
        return float(norm)

    def record(self, value: float, is_best: bool) -> None:
        """Count a validation with this value towards early stopping."""
        if is_best:
            self.best, self.since_best = value, 0
        else:
            self.since_best += 1


def log_scalars(board: SummaryWriter, figures: Mapping[str, float], step: int) -> None:
    """Write scalars by TensorBoard tag."""
    for tag, value in figures.items():
        board.add_scalar(tag, value, step)


def run_steps(
    state: TrainingState[Any],
    config: Any,
    batches: Iterable[B],
    take_step: Callable[[B], dict[str, float]],
    validate: Callable[[], str],
    board: SummaryWriter | None,
    group: ProcessGroup | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Take a step for each batch until `config.steps` or early stopping, then save the state and close the board.

    `config` has `out` and, counted in steps, `steps`, `save_every` and `validate_every`, and `patience`, validations.
    `take_step` returns scalars by TensorBoard tag, `loss/total` among them; `validate` calls `state.record` and returns
    its figures as text. The main process of the `group` logs, validates and saves; it alone has a board.
    """
    group, out = group or ProcessGroup(), Path(config.out)
    with training_bar("training", config.steps, state.step, visible=board is not None) as bar:
        for batch in batches:
            figures = take_step(batch)
            if board:
                log_scalars(board, figures, state.step)
            stopped = False
            if state.step % config.validate_every == 0 or state.step == config.steps:
                bar(state.step, "validating")
                if board:
                    say(f"step {state.step}: train {figures['loss/total']:.3f} {validate()}")
                stopped = group.any_on_main(state.since_best >= config.patience, state.device)
            if board and state.step % config.save_every == 0:
                save_state(out, state.saved())  # after the validation: a run that goes on from here has had it
            if stopped:
                say(f"stopped early: no better validation for {config.patience} rounds")
                break
            bar(state.step, "")
    if board:
        save_state(out, state.saved())
        board.close()
