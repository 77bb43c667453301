"""Settings of a pretraining run; stored beside its checkpoints."""

from __future__ import annotations

from dataclasses import dataclass, field

from mapper.network.model import ModelConfig
from runtime.training.run_config import require_positive


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a pretraining run."""

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
    init: str = ""  # checkpoint to start from; empty: random weights
    tune: str = "all"  # or "writing" (the decoder alone), "hearing" (the encoder alone)
    seed: int = 0
    device: str = "auto"
    dropout: float | None = None  # None: the network's own
    bf16: bool = False  # faster on GPUs and on CPUs with AMX or AVX512-BF16, slower elsewhere
    model: ModelConfig = field(default_factory=ModelConfig)

    def __post_init__(self) -> None:
        require_positive(self, ("steps", "batch", "validate_every", "save_every"))
