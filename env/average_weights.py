"""Merge refined mappers: `python -m env.average_weights RUN/refined.safetensors … -o refined.safetensors`.

The mean of the changes of several seeds keeps what they share ("model soups", Wortsman et al. 2022). The rest of the noise is
small enough to extrapolate (`--reach`: a factor on the mean change, task-vector scaling), as an outer step of local SGD does.
The density bias is averaged but not extrapolated: it is where each run met the target. It is fitted again after merging
(`env.refine --rollout density`). Measured in docs/LOG.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import torch
from torch import Tensor

from mapper.network.checkpoint import checkpoint_named, load_mapper, save_mapper
from mapper.network.model import Mapper
from runtime.command import Command, use_utf8
from runtime.errors import ConfigError

REACH = 4.0
MAX_REACH = 100.0


def merged(pretrained: Mapper, refined: Sequence[Mapper], reach: float) -> dict[str, Tensor]:
    """Weights by name: the pretrained ones plus `reach` times the mean change; the density bias plus its mean change."""
    weights: dict[str, Tensor] = {}
    others = [one.state_dict() for one in refined]
    for name, before in pretrained.state_dict().items():
        change = torch.stack([one[name].float() - before.float() for one in others]).mean(0)
        weights[name] = (before + (1.0 if name.startswith("lean.") else reach) * change).to(before.dtype)
    return weights


def merge(checkpoints: Sequence[Path], out: Path, init: str, reach: float = REACH) -> None:
    """Write the merged mapper of `checkpoints`, refined from `init` (a name or a file), to `out`.

    Raises ConfigError when a checkpoint has another size than `init`.
    """
    pretrained = load_mapper(checkpoint_named(init))
    refined = [load_mapper(path) for path in checkpoints]
    for path, one in zip(checkpoints, refined, strict=True):
        if one.config != pretrained.config:
            raise ConfigError(f"{path}: has another size than {init}; merge mappers that were refined from it")
    names = ", ".join("/".join(path.parts[-2:]) for path in checkpoints)
    notes = f"{reach:g} times the mean change of {names}"
    save_mapper(pretrained, out, merged(pretrained, refined, reach), notes=notes)


@click.command(cls=Command, help="Merge the refined mappers CHECKPOINTS of several seeds into one.")
@click.argument("checkpoints", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--init", default="pretrained", show_default=True, help="What all were refined from: pretrained, bundled or a file."
)
@click.option("--reach", default=REACH, show_default=True, help="Factor on the mean change.")
def main(checkpoints: tuple[Path, ...], out: Path, init: str, reach: float) -> None:
    use_utf8()
    if not 0 < reach <= MAX_REACH:
        raise ConfigError(f"--reach is {reach:g}; give more than 0 and at most {MAX_REACH:g}")
    merge(checkpoints, out, init, reach)
    click.echo(f"{out}: merged from {len(checkpoints)}")


if __name__ == "__main__":
    main()
