"""Settings of a pretraining run; stored beside its checkpoints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mapper.network.model import ModelConfig
from runtime.training.run_config import require_positive

RANDOM = ("", "none")
"""Values of `init` for random weights."""
FROM_TRAINED = {"steps": 400, "batch": 4, "learning_rate": 5e-4, "warmup": 30, "validate_every": 50}
"""Settings for own maps on top of trained weights, about those of the last stage of `mapper.recipe`."""


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a pretraining run; the defaults are those from random weights."""

    data: str
    out: str
    steps: int = 4000
    batch: int = 8  # windows of songs a step
    charts_a_window: int = 3  # charts a window, at most, that share its song
    rhythm_batch: int = 2  # windows a step of songs with charts of other games, if the dataset has any
    silent_batch: int = 4  # windows a step of charts without audio, if the dataset has any
    learning_rate: float = 1.0e-3  # peak, reached after `warmup` steps, then a cosine to a twentieth
    warmup: int = 200
    weight_decay: float = 0.02
    clip: float = 1.0  # gradient norm
    average: float = 0.998  # decay of the averaged weights
    validate_every: int = 250
    save_every: int = 50
    patience: int = 6  # validations without improvement before stopping
    init: str = "none"  # checkpoint to start from: bundled, pretrained or a file; one of RANDOM: random weights
    tune: str = "all"  # or "writing" (the decoder alone), "hearing" (the encoder alone)
    seed: int = 0
    device: str = "auto"
    dropout: float | None = None  # None: the network's own
    leave_out: int = -1  # fold of the songs that is not learnt from (mapper.pretraining.windows.fold_of); -1: none
    bf16: bool = False  # faster on GPUs and on CPUs with AMX or AVX512-BF16, slower elsewhere
    model: ModelConfig = field(default_factory=ModelConfig)

    @staticmethod
    def of_options(options: dict[str, Any]) -> TrainConfig:
        """The settings of a command line; those that are None have the default for their `init`."""
        given = {name: value for name, value in options.items() if value is not None}
        return TrainConfig(**({} if given["init"] in RANDOM else FROM_TRAINED) | given)

    def __post_init__(self) -> None:
        require_positive(self, ("steps", "batch", "validate_every", "save_every"))
