"""The leash to the frozen pretrained mapper: a coefficient that keeps the refined one within so many nats a step."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.errors import ConfigError

SLACK = 1.3
"""The coefficient rests while the divergence is within this factor of the target."""
CHANGE = 1.25
"""Factor by which it changes after an update."""
MIN_COEFFICIENT, MAX_COEFFICIENT = 0.01, 100.0


@dataclass
class AdaptiveKL:
    """Adaptive KL penalty (Schulman et al. 2017, section 4): tighter when too far away, looser when near."""

    target: float  # nats a step
    coefficient: float = 0.3

    def __post_init__(self) -> None:
        if not self.target > 0:
            raise ConfigError(f"--leash is {self.target}; give the nats a step that the policy may move, such as 0.03")

    def adapt(self, divergence: float) -> None:
        """Take an update's mean divergence into account."""
        if divergence > self.target * SLACK:
            self.coefficient *= CHANGE
        elif divergence < self.target / SLACK:
            self.coefficient /= CHANGE
        self.coefficient = min(max(self.coefficient, MIN_COEFFICIENT), MAX_COEFFICIENT)
