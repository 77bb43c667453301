"""The stages that made the bundled encoder, one after the other: `python -m mapper.recipe DATA -o RUN --init WEIGHTS`.

Each stage is a run of `mapper.train` in a folder of its own, which resumes where it was stopped; the next begins with its best
weights. RUN/joint/best.safetensors is the result. On one core with AVX512-BF16 they take 40 minutes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from mapper.train import TrainConfig, train
from runtime.command import Command, use_utf8
from runtime.errors import ConfigError

SHARED: dict[str, Any] = {"weight_decay": 0.05, "dropout": 0.15, "bf16": True, "patience": 20}
STAGES: dict[str, dict[str, Any]] = {
    "hearing": SHARED
    | {"tune": "hearing", "steps": 1000, "batch": 6, "silent_batch": 0, "learning_rate": 8e-4, "warmup": 60}
    | {"validate_every": 125},
    "joint": SHARED
    | {"steps": 420, "batch": 4, "rhythm_batch": 1, "charts_a_window": 2, "silent_batch": 3}
    | {"learning_rate": 5e-4, "warmup": 30, "validate_every": 210},
}
"""Settings of `TrainConfig` by stage; the encoder alone, then all of the network."""


def follow_recipe(data: str, out: Path, init: str = "", seed: int = 0, share: float = 1.0) -> Path:
    """Run (or resume) every stage; returns the path of the last one's best weights. `share` of the steps, 0–1, for a trial."""
    best = Path(init) if init else None
    for name, settings in STAGES.items():
        config = replace(TrainConfig(data, str(out / name), init=str(best or ""), seed=seed), **settings)
        steps = max(round(config.steps * share), 1)
        train(replace(config, steps=steps, validate_every=min(config.validate_every, steps)))
        best = out / name / "best.safetensors"
        if not best.is_file():
            raise ConfigError(f"{best}: the stage left no weights; remove {best.parent} to run it anew")
    assert best is not None, "there are stages"
    return best


@click.command(cls=Command, help="Run the stages that made the bundled mapper on the dataset DATA; run again to go on.")
@click.argument("data", type=click.Path(file_okay=False))
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the runs."
)
@click.option(
    "--init", default="", help="Weights to begin with; default: random ones, which need many times the steps."
)
@click.option("--seed", default=0, show_default=True)
@click.option("--share", default=1.0, show_default=True, help="Share of each stage's steps, for a trial.")
def main(data: str, out: Path, init: str, seed: int, share: float) -> None:
    use_utf8()
    click.echo(follow_recipe(data, out, init, seed, share))


if __name__ == "__main__":
    main()
