"""Choice of the torch device."""

from __future__ import annotations

import torch

from runtime.errors import ConfigError


def pick_device(name: str) -> torch.device:
    """`auto` is a GPU where torch finds one (CUDA or ROCm), else the CPU. Raises ConfigError where torch cannot use it."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"--device {name}: torch cannot use it ({str(error).splitlines()[0]}); try auto or cpu"
        ) from error
    return torch.device(name)
