"""The whole refinement by one command: `python -m env.refine_ensemble --songs DATA -o RUN`.

Several seeds are refined (`env.refine`) and merged into one mapper by extrapolating their mean change (`env.average_weights`),
whose density bias is learned last. RUN gets a folder for each run, `merged.safetensors` and `refined.safetensors`. Run again
to resume.

    tensorboard --logdir RUN
"""

from __future__ import annotations

from pathlib import Path

import click

from env.average_weights import merge
from env.refine import RefineConfig, refine
from runtime.atomic_write import save_bytes
from runtime.command import Command, use_utf8
from runtime.errors import ConfigError

SEEDS = 3
DENSITY_UPDATES = 56
"""Updates of twelve charts each, from which the density bias is fitted at once."""


def refine_seeds(
    songs: str, out: Path, init: str, seeds: int, updates: int, density_updates: int, device: str
) -> dict[str, float]:
    """Refine, merge, and fit the density bias; returns the last held-out figures."""
    folders = [out / f"seed{seed}" for seed in range(seeds)]
    for seed, folder in enumerate(folders):
        refine(RefineConfig(songs, str(folder), init=init, updates=updates, seed=seed, device=device))
    merged = out / "merged.safetensors"
    merge([refined_of(folder) for folder in folders], merged, init)
    density = out / "density"
    figures = refine(
        RefineConfig(
            songs,
            str(density),
            init=str(merged),
            updates=density_updates,
            rollout="density",
            evaluate_every=density_updates,
            charts_every=density_updates,
            device=device,
        )
    )
    save_bytes(out / "refined.safetensors", refined_of(density).read_bytes())
    return figures


def refined_of(folder: Path) -> Path:
    """The best mapper of a run."""
    from env.monitor.callback import REFINED

    return folder / REFINED


@click.command(cls=Command, help="Refine with several seeds, merge them, fit the density bias.")
@click.option("--songs", required=True, type=click.Path(file_okay=False), help="Dataset of mapper.dataset.")
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the runs."
)
@click.option(
    "--init", default=RefineConfig.init, show_default=True, help="Checkpoint to start from, as in env.refine."
)
@click.option("--seeds", default=SEEDS, show_default=True)
@click.option("--updates", default=RefineConfig.updates, show_default=True, help="Of each seed.")
@click.option("--density-updates", default=DENSITY_UPDATES, show_default=True, help="Of the density alone, at the end.")
@click.option("--device", default=RefineConfig.device, show_default=True, help="auto, cpu, cuda, …")
def main(songs: str, out: Path, init: str, seeds: int, updates: int, density_updates: int, device: str) -> None:
    use_utf8()
    if seeds < 1:
        raise ConfigError(f"--seeds is {seeds}; give at least 1")
    for name, value in refine_seeds(songs, out, init, seeds, updates, density_updates, device).items():
        click.echo(f"{name:42} {value:.4f}")
    click.echo(f"{out / 'refined.safetensors'}")


if __name__ == "__main__":
    main()
