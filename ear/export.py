"""Export a beat network: `python -m ear.export bundled -o network.onnx` (or `.ckpt`, `.safetensors`)."""

from __future__ import annotations

from pathlib import Path

import click

from runtime.command import Command, use_utf8
from runtime.errors import ConfigError


def export(checkpoint: str, out: Path) -> None:
    """Write a checkpoint in the format that `out` ends in. Raises CheckpointError or ConfigError."""
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
    out.parent.mkdir(parents=True, exist_ok=True)
    match out.suffix.lower():
        case ".onnx":
            from ear.tracker.onnx_runner import export_onnx

            export_onnx(network, out, window_frames_of(path))
        case ".ckpt":
            save_ckpt(network, config, out)
        case ".safetensors":
            save_network(network, config, out, notes=f"exported from {path.name}")
        case suffix:
            raise ConfigError(f"{out}: cannot export to '{suffix}'; end the name in .onnx, .ckpt or .safetensors")


@click.command(cls=Command)
@click.argument("checkpoint")
@click.option("-o", "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File to write.")
def main(checkpoint: str, out: Path) -> None:
    """Export CHECKPOINT (bundled, an official name, or a file) for other programs."""
    use_utf8()
    export(checkpoint, out)
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
