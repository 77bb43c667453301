"""The Brain: dataset, model, training and generation of 4K charts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runtime.lazy import lazy_exports

# Numpy's matrices here are a few rows high: threads would only wait for one another, for ever on a busy machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

if TYPE_CHECKING:
    from mapper.generate import GeneratedSet, generate
    from mapper.network.checkpoint import load_mapper, read_checkpoint, save_mapper
    from mapper.request.options import GenerateConfig

__all__ = ["GenerateConfig", "GeneratedSet", "generate", "load_mapper", "read_checkpoint", "save_mapper"]

__getattr__ = lazy_exports(
    __name__,
    {
        "mapper.generate": ("GeneratedSet", "generate"),
        "mapper.network.checkpoint": ("load_mapper", "read_checkpoint", "save_mapper"),
        "mapper.request.options": ("GenerateConfig",),
    },
)
