"""Weights on disk: safetensors with the network's config in the header. Nothing in a checkpoint can run code.

A released checkpoint is float16; a training run's own state (float32 weights, optimizer) is kept by `mapper.train`.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from chart.errors import CheckpointError
from mapper.model import Mapper, ModelConfig

FORMAT_VERSION = 2
MAX_CHECKPOINT_BYTES = 1 << 30
MAX_WIDTH, MAX_LAYERS = 4096, 64
"""Bounds on what a stranger's checkpoint may make us allocate."""
BUNDLED = Path(__file__).parent / "weights" / "mapper.safetensors"
"""The checkpoint that ships with the package; docs/mapper.md is its model card."""


def save_mapper(model: Mapper, path: Path, weights: dict[str, Tensor] | None = None, notes: str = "") -> None:
    """Write `weights` (default: the model's own) as float16 with the config, to a temporary file and then in place."""
    tensors = {name: tensor.detach().half().contiguous() for name, tensor in (weights or model.state_dict()).items()}
    header = {"format_version": str(FORMAT_VERSION), "config": json.dumps(asdict(model.config)), "notes": notes}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    save_file(tensors, temporary, metadata=header)
    os.replace(temporary, path)


def load_mapper(path: Path | None = None) -> Mapper:
    """The mapper of a checkpoint (default: the bundled one), in float32 and ready to generate.

    Raises CheckpointError when it is missing, damaged, of another format version or does not fit its own config.
    """
    path = path or BUNDLED
    try:
        if path.stat().st_size > MAX_CHECKPOINT_BYTES:
            raise CheckpointError(
                f"{path}: larger than {MAX_CHECKPOINT_BYTES >> 20} MB, so not a mapper of this project"
            )
        with safe_open(path, framework="pt") as file:
            config = _config(file.metadata() or {}, path)
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - not a dict
    except OSError as error:
        raise CheckpointError(
            f"{path}: no checkpoint can be read there ({error.strerror or error}); train one with `mania4k train`"
        ) from error
    except SafetensorError as error:
        raise CheckpointError(f"{path}: not a safetensors file, or damaged ({error})") from error
    model = Mapper(config)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"{path}: the weights do not fit their own config; the file is damaged or from a fork"
        ) from error
    return model.eval()


def _config(header: dict[str, str], path: Path) -> ModelConfig:
    if header.get("format_version") != str(FORMAT_VERSION):
        found = header.get("format_version", "none")
        raise CheckpointError(f"{path}: checkpoint format {found}, this version reads {FORMAT_VERSION}")
    try:
        config = ModelConfig(**json.loads(header["config"]))
        sane = 0 < config.width <= MAX_WIDTH and config.encoder_layers + config.decoder_layers <= MAX_LAYERS
    except (KeyError, ValueError, TypeError, AssertionError) as error:
        raise CheckpointError(f"{path}: the checkpoint's config cannot be read ({error})") from error
    if not sane:
        raise CheckpointError(f"{path}: the checkpoint's config is out of bounds")
    return config


def parameter_count(model: torch.nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in model.parameters())
