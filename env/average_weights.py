"""Merge refined mappers: `python -m env.average_weights RUN/refined.safetensors … -o refined.safetensors`.

The mean of the changes of several seeds keeps what they share ("model soups", Wortsman et al. 2022). The rest of the noise is
small enough to extrapolate (`--reach`: a factor on the mean change, task-vector scaling), as an outer step of local SGD does.
The density bias is averaged but not extrapolated: it is where each run met the target. It is fitted again after merging
(`env.refine --rollout density`). Measured in docs/LOG.md.

With `--onto` the change is carried over to a mapper that was pretrained further ("task arithmetic", Ilharco et al. 2023): the decoder
changes as it did, the encoder stays that mapper's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import torch
from torch import Tensor

from mapper.network.checkpoint import checkpoint_named, load_mapper, save_mapper
from mapper.network.model import Mapper
from mapper.tokens.vocabulary import ENCODER_PARTS, shapes_of
from runtime.command import Command, use_utf8
from runtime.errors import ConfigError

REACH = 4.0
MAX_REACH = 100.0


def merged(
    pretrained: Mapper, refined: Sequence[Mapper], reach: float, onto: Mapper | None = None
) -> dict[str, Tensor]:
    """Weights by name: the pretrained ones plus `reach` times the mean change; the density bias plus its mean change.

    With `onto` that mapper's weights, and the changes of the decoder.
    """
    weights: dict[str, Tensor] = {}
    others = [one.state_dict() for one in refined]
    base = (onto or pretrained).state_dict()
    for name, before in pretrained.state_dict().items():
        change = torch.stack([one[name].float() - before.float() for one in others]).mean(0)
        times = 1.0 if name.startswith("lean.") else reach
        if onto is not None and name.split(".")[0] in ENCODER_PARTS:
            times = 0.0
        weights[name] = (base[name] + times * change).to(before.dtype)
    return weights


def merge(checkpoints: Sequence[Path], out: Path, init: str, reach: float = REACH, onto: str = "") -> None:
    """Write the merged mapper of `checkpoints`, which were refined from `init` (a name or a file), to `out`.

    `onto` (a name or a file): the mapper that the change is carried over to; empty: `init`.
    Raises ConfigError when a checkpoint has another size.
    """
    pretrained = load_mapper(checkpoint_named(init))
    base = load_mapper(checkpoint_named(onto)) if onto else None
    if base is not None and shapes_of(base.config) != shapes_of(pretrained.config):
        raise ConfigError(f"{onto}: is of another size than {init}; carry the change over to one of the same")
    refined = [load_mapper(path) for path in checkpoints]
    for path, one in zip(checkpoints, refined, strict=True):
        if one.config != pretrained.config:
            raise ConfigError(f"{path}: has another size than {init}; merge mappers that were refined from it")
    names = ", ".join("/".join(path.parts[-2:]) for path in checkpoints)
    notes = f"{reach:g} times the mean change of {names}" + (f", carried over to {onto}" if onto else "")
    save_mapper(base or pretrained, out, merged(pretrained, refined, reach, base), notes=notes)


@click.command(cls=Command, help="Merge the refined mappers CHECKPOINTS of several seeds into one.")
@click.argument("checkpoints", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--init", default="pretrained", show_default=True, help="What all were refined from: pretrained, bundled or a file."
)
@click.option("--onto", default="", help="Mapper that the change is carried over to; default: that of --init.")
@click.option("--reach", default=REACH, show_default=True, help="Factor on the mean change.")
def main(checkpoints: tuple[Path, ...], out: Path, init: str, onto: str, reach: float) -> None:
    use_utf8()
    if not 0 < reach <= MAX_REACH:
        raise ConfigError(f"--reach is {reach:g}; give more than 0 and at most {MAX_REACH:g}")
    merge(checkpoints, out, init, reach, onto)
    click.echo(f"{out}: merged from {len(checkpoints)}")


if __name__ == "__main__":
    main()
