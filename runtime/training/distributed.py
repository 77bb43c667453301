"""Training on several processes or hosts under `torchrun`: shares of the work and sums of gradients.

A step takes the same windows however many processes share it, so a run's curves do not depend on their number.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed

from runtime.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of a run; this one is number `rank` of `size`."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process validates, logs and saves."""
        return self.rank == 0

    def share(self, work: Sequence[T]) -> Sequence[T]:
        """This process's part of the work."""
        return work[self.rank :: self.size]

    def total(self, value: Tensor) -> Tensor:
        """The sum of a value over all processes."""
        value = value.clone()
        if self.size > 1:
            distributed.all_reduce(value)
        return value

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Make every process's gradients the sum of all."""
        if self.size == 1:
            return
        used = [parameter for parameter in parameters if parameter.requires_grad]
        flat = torch.cat([torch.zeros_like(one).ravel() if one.grad is None else one.grad.ravel() for one in used])
        distributed.all_reduce(flat)
        for parameter, summed in zip(used, flat.split([one.numel() for one in used]), strict=True):
            parameter.grad = summed.view_as(parameter)

    def any_on_main(self, flag: bool, device: torch.device) -> bool:
        """The main process's `flag`, on every process."""
        return bool(self.total(torch.tensor(float(flag and self.is_main), device=device)) > 0)

    def leave(self) -> None:
        """Wait for the others, then destroy the process group: leaving earlier would abort them."""
        if self.size > 1:
            distributed.barrier()
            distributed.destroy_process_group()


def join_process_group(device: torch.device) -> ProcessGroup:
    """The process group that `torchrun` started, or a group of one; NCCL for GPUs, gloo otherwise."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return ProcessGroup()
    try:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:
        raise ConfigError(
            f"cannot join the other processes of torchrun ({str(error).splitlines()[0]}); "
            "do all hosts reach the --rdzv-endpoint?"
        ) from error
    return ProcessGroup(distributed.get_rank(), size)
