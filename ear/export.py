"""Export a beat network: `python -m ear.export bundled -o network.onnx` (or `.ckpt`, `.safetensors`).

`--mean-with OTHER` exports the mean of both networks' weights: of one before and after it was trained on, the mean keeps
more of what the first could do (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.command import Command, use_utf8
from runtime.errors import ConfigError

if TYPE_CHECKING:
    from beat_this.model.beat_tracker import BeatThis


def export(checkpoint: str, out: Path, mean_with: str | None = None) -> None:
    """Write a checkpoint, or its mean with another, in the format that `out` ends in. Raises CheckpointError or ConfigError."""
    from ear.tracker.checkpoint import (
        find_checkpoint,
        load_config,
        load_network,
        save_ckpt,
        save_network,
        window_frames_of,
    )

    path = find_checkpoint(checkpoint)
    network, config = load_network(path), load_config(path)
    notes = f"exported from {path.name}"
    if mean_with:
        other = find_checkpoint(mean_with)
        if load_config(other) != config:
            raise ConfigError(f"{mean_with}: is another network than {checkpoint}, so their weights have no mean")
        average_weights(network, load_network(other))
        notes = f"mean of {path.name} and {other.name}"
    out.parent.mkdir(parents=True, exist_ok=True)
    match out.suffix.lower():
        case ".onnx":
            from ear.tracker.onnx_runner import export_onnx

            export_onnx(network, out, window_frames_of(path))
        case ".ckpt":
            save_ckpt(network, config, out)
        case ".safetensors":
            save_network(network, config, out, notes=notes)
        case suffix:
            raise ConfigError(f"{out}: cannot export to '{suffix}'; end the name in .onnx, .ckpt or .safetensors")


def average_weights(network: BeatThis, other: BeatThis) -> None:
    """Set the network's weights to their mean with those of another of the same architecture; counts and tables stay."""
    import torch

    others = other.state_dict()
    with torch.no_grad():
        for name, weight in network.state_dict().items():
            if weight.is_floating_point():
                weight.add_(others[name]).div_(2)


@click.command(cls=Command)
@click.argument("checkpoint")
@click.option("-o", "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File to write.")
@click.option("--mean-with", help="Another checkpoint: export the mean of both networks' weights.")
def main(checkpoint: str, out: Path, mean_with: str | None) -> None:
    """Export CHECKPOINT (bundled, an official name, or a file) for other programs."""
    use_utf8()
    export(checkpoint, out, mean_with)
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
