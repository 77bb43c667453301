"""Settings of a refinement run: the options of `env.refine`, which its callback reads too."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.errors import ConfigError
from runtime.training.run_config import require_positive

REFINED = "refined.safetensors"
"""The best mapper of a run, in its folder."""
ROLLOUTS = ("charts", "density", "sections", "edits")
CONTEXTS = {"charts": "draft", "density": "draft", "sections": "open", "edits": "chart"}
"""--rollout → context of the episodes (`env.task.episodes.EpisodeConfig`)."""


@dataclass(frozen=True)
class RefineConfig:
    """Settings of a refinement run."""

    songs: str
    out: str
    init: str = "pretrained"
    updates: int = 40
    rollout: str = "charts"
    songs_a_rollout: int = 6
    charts: int = 2
    groups: int = 12
    versions: int = 8
    epochs: int = 1
    minibatches: int = 4
    learning_rate: float = 1e-4
    leash: float = 0.03  # nats a step
    players: int = 32
    phrases: int = 2
    evaluate_every: int = 10
    charts_every: int = 10
    heldout_sections: int = 24
    heldout_charts: int = 10
    save_every: int = 5
    max_songs: int = 0  # of the training songs; 0: all
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        counts = ("updates", "songs_a_rollout", "groups", "epochs", "minibatches")
        require_positive(self, (*counts, "evaluate_every", "charts_every", "save_every"))
        if self.rollout not in ROLLOUTS:
            raise ConfigError(f"--rollout is {self.rollout!r}; give one of {', '.join(ROLLOUTS)}")
        if self.versions < 2:
            raise ConfigError(f"--versions is {self.versions}; versions are compared with one another: give 2 or more")
        if self.charts < 2 or self.charts % 2:
            raise ConfigError(f"--charts is {self.charts}; half of them are written denser: give an even number")
        sections = self.songs_a_rollout * self.charts if self.whole_charts else self.groups
        if self.minibatches > sections * self.versions:
            raise ConfigError(f"--minibatches {self.minibatches} are more than the {sections * self.versions} episodes")

    @property
    def whole_charts(self) -> bool:
        """Whether rollouts are whole charts."""
        return self.rollout in ("charts", "density")

    @property
    def environments(self) -> tuple[int, int, int]:
        """(environments, versions of a section, sections of a song). The density needs one version alone."""
        versions = 1 if self.rollout == "density" else self.versions
        sections = self.charts if self.whole_charts else 1
        return (self.songs_a_rollout * self.charts if self.whole_charts else self.groups) * versions, versions, sections
