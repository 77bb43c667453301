"""Muon: momentum whose matrices are made orthogonal before they are applied (Jordan 2024; scale of Liu et al. 2025).

For the weight matrices of hidden layers; everything else is left to AdamW. `torch.optim.Muon` computes in bfloat16, which on
processors without it takes as long as the training step itself (0.55 s against 0.03 s here).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic Newton–Schulz iteration; they push singular values towards 1 quickly, to within about 0.7–1.2."""

ITERATIONS = 5

ADAM_RMS = 0.2
"""Updates get the root mean square that AdamW's have, so that both share a learning rate."""


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised; decoupled weight decay. Parameters must be matrices."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        bf16: bool = False,
    ) -> None:
        """With `bf16` the orthogonal matrices are computed in bfloat16, in half the time where a processor has it."""
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.iterated_in = torch.bfloat16 if bf16 else torch.float32

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is None, "a closure is not used"
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                blend = parameter.grad.lerp(state["momentum"], group["momentum"])
                update = orthogonal(blend.to(self.iterated_in)).to(parameter.dtype)
                scale = ADAM_RMS * max(parameter.shape) ** 0.5
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"] * scale)


def muon_and_adamw(
    weights: Mapping[str, Tensor],
    left_to_adamw: Collection[str],
    learning_rate: float,
    weight_decay: float,
    bf16: bool = False,
) -> list[torch.optim.Optimizer]:
    """Optimizers of the weights by name: Muon for matrices of hidden layers, AdamW for the rest.

    `left_to_adamw` are beginnings of the names of embeddings and output heads. Gains, biases and norms do not decay.
    """
    hidden = {
        name: value for name, value in weights.items() if value.ndim == 2 and not name.startswith(tuple(left_to_adamw))
    }
    rest = [value for name, value in weights.items() if name not in hidden]
    groups = [
        {"params": [value for value in rest if value.ndim >= 2], "weight_decay": weight_decay},
        {"params": [value for value in rest if value.ndim < 2], "weight_decay": 0.0},
    ]
    adam = torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98))
    return [adam, Muon(hidden.values(), learning_rate, weight_decay=weight_decay, bf16=bf16)] if hidden else [adam]


def orthogonal(matrix: Tensor) -> Tensor:
    """Approximately the nearest orthogonal matrix: singular values of about 0.7–1.2."""
    a, b, c = COEFFICIENTS
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide / (wide.norm() + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T
