"""Weights on disk: safetensors with the network's config in the header. Nothing in a checkpoint can run code.

A released checkpoint is float16; a training run's own state (float32 weights, optimizer) is kept by `mapper.train`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mapper.network.interface import Floats
from mapper.tokens.vocabulary import ModelConfig, shapes_of
from runtime.atomic_write import save_bytes
from runtime.errors import CheckpointError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mapper.network.model import Mapper

FORMAT_VERSION = 4
MAX_CHECKPOINT_BYTES = 1 << 30
MAX_WIDTH, MAX_LAYERS = 4096, 64
"""Bounds on the memory that a foreign checkpoint can claim."""
BUNDLED = Path(__file__).parents[1] / "weights" / "mapper.safetensors"
"""The checkpoint that ships with the package, refined by play; docs/model-cards/mapper.md describes it."""
PRETRAINED = Path(__file__).parents[1] / "weights" / "pretrained.safetensors"
"""The checkpoint before refinement. In the repository only: players do not need it."""


MIN_STEPS = 500
"""Steps from random weights before a mapper writes what can be played; half a run of the shipped one is 600."""


def checkpoint_named(name: str) -> Path:
    """The checkpoint called `bundled` or `pretrained`, or else the file of that name.

    Installations without the repository have the bundled one alone, and take it for both.
    """
    pretrained = PRETRAINED if PRETRAINED.is_file() else BUNDLED
    return {"bundled": BUNDLED, "pretrained": pretrained}.get(name, Path(name))


@dataclass(frozen=True)
class Origin:
    """Origin of a checkpoint's weights."""

    path: Path
    notes: str  # of whoever saved it, such as "step 420, val 2.117"
    random_steps: int | None  # steps since random weights; None where they began with a released mapper's

    @property
    def line(self) -> str:
        """For the user: which weights these are."""
        known = {BUNDLED: "the bundled mapper", PRETRAINED: "the pretrained mapper"}
        return f"{known.get(self.path, self.path)}{f' ({self.notes})' if self.notes else ''}"

    @property
    def warning(self) -> str:
        """Warning for users who write charts with the weights; empty for trained ones."""
        if self.random_steps is None or self.random_steps >= MIN_STEPS:
            return ""
        return f"{self.path}: is hardly trained ({self.random_steps} steps from random weights); its charts are noise"


def origin_of(path: Path) -> Origin:
    """Read a checkpoint's header; raises CheckpointError as `read_checkpoint`."""
    with _reading(path), safe_open(path, framework="np") as file:
        header = file.metadata() or {}
    steps = header.get("random_steps", "")
    return Origin(path, header.get("notes", ""), int(steps[:9]) if steps.isdecimal() else None)


def save_mapper(
    model: Mapper,
    path: Path,
    weights: dict[str, Tensor] | None = None,
    notes: str = "",
    random_steps: int | None = None,
) -> None:
    """Write `weights` (default: the model's own) as float16 with config and `Origin`, all or nothing."""
    tensors = weights or model.state_dict()
    arrays = {name: np.ascontiguousarray(tensor.detach().half().cpu().numpy()) for name, tensor in tensors.items()}
    header = {"format_version": str(FORMAT_VERSION), "config": json.dumps(asdict(model.config)), "notes": notes}
    if random_steps is not None:
        header["random_steps"] = str(random_steps)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_bytes(path, _in_order(save(arrays, metadata=header)))


@dataclass(frozen=True)
class Checkpoint:
    """Config and arrays of a checkpoint, without torch."""

    config: ModelConfig
    arrays: dict[str, Floats]  # by name, float32, of the shapes of `mapper.tokens.vocabulary.shapes_of`


def read_checkpoint(path: Path | None = None) -> Checkpoint:
    """The arrays of a checkpoint (default: the bundled one).

    Raises CheckpointError when it is missing, damaged, of another format version or does not fit its own config.
    """
    path = path or BUNDLED
    with _reading(path):
        if path.stat().st_size > MAX_CHECKPOINT_BYTES:
            raise CheckpointError(
                f"{path}: larger than {MAX_CHECKPOINT_BYTES >> 20} MB, so not a mapper of this project"
            )
        with safe_open(path, framework="np") as file:
            config = _config(file.metadata() or {}, path)
            arrays = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118 - not a dict
    if {name: array.shape for name, array in arrays.items()} != shapes_of(config):
        raise CheckpointError(f"{path}: the weights do not fit their own config; the file is damaged or from a fork")
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise CheckpointError(f"{path}: {name} holds values that are no numbers; train it again or take another")
    return Checkpoint(config, arrays)


def _in_order(file: bytes) -> bytes:
    """A safetensors file with its header's keys in order: the library leaves those of the metadata to chance."""
    size = int.from_bytes(file[:8], "little")
    text = json.dumps(json.loads(file[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + file[8 + size :]


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Around reading a checkpoint: raises errors of reading as CheckpointError."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"{path}: no checkpoint can be read there ({error.strerror or error}); train one with `mania4k train`"
        ) from error
    except (SafetensorError, TypeError) as error:  # TypeError: numbers that numpy does not know
        raise CheckpointError(f"{path}: not a safetensors file, or damaged ({error})") from error


def load_mapper(path: Path | None = None) -> Mapper:
    """The network of a checkpoint (default: the bundled one) in torch, float32; raises as `read_checkpoint`."""
    import torch

    from mapper.network.model import Mapper

    checkpoint = read_checkpoint(path)
    model = Mapper(checkpoint.config)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in checkpoint.arrays.items()})
    return model.eval()


def _config(header: dict[str, str], path: Path) -> ModelConfig:
    if header.get("format_version") != str(FORMAT_VERSION):
        found = header.get("format_version", "none")
        raise CheckpointError(f"{path}: checkpoint format {found}, this version reads {FORMAT_VERSION}")
    try:
        config = ModelConfig(**json.loads(header["config"]))
        sizes = {name: value for name, value in asdict(config).items() if name != "dropout"}
        if any(type(value) is not int or value < 0 for value in sizes.values()):
            raise ValueError(f"sizes must be whole numbers: {sizes}")
        sane = 0 < config.width <= MAX_WIDTH and config.encoder_layers + config.decoder_layers <= MAX_LAYERS
    except (KeyError, ValueError, TypeError, AssertionError, ArithmeticError) as error:
        raise CheckpointError(f"{path}: the checkpoint's config cannot be read ({error})") from error
    if not sane:
        raise CheckpointError(f"{path}: the checkpoint's config is out of bounds")
    return config


def parameter_count(model: torch.nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in model.parameters())
