"""Merge refined mappers: `python -m env.average_weights RUN/refined.safetensors … -o refined.safetensors`.

Runs of several seeds from one mapper learn the same and err differently: the mean of their changes keeps what they share
("model soups", Wortsman et al. 2022). What is left of the noise is small enough to go further the same way (`--reach`),
as an outer step of local SGD does. The lean is no step but where each run found the target, so it is the mean; how rows that
went further meet the target is learnt after it (`env.refine --rollout density`). Measured in docs/LOG.md.
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
    """Weights by name: the pretrained ones and `reach` times the mean of the changes; of the lean, once."""
    weights: dict[str, Tensor] = {}
    others = [one.state_dict() for one in refined]
    for name, before in pretrained.state_dict().items():
        change = torch.stack([one[name].float() - before.float() for one in others]).mean(0)
        weights[name] = (before + (1.0 if name.startswith("lean.") else reach) * change).to(before.dtype)
    return weights


def merge(checkpoints: Sequence[Path], out: Path, init: str, reach: float = REACH) -> None:
    """Write the merged mapper of `checkpoints`, which were refined from `init` (a name or a file), to `out`."""
    pretrained = load_mapper(checkpoint_named(init))
    refined = [load_mapper(path) for path in checkpoints]
    for path, one in zip(checkpoints, refined, strict=True):
        if one.config != pretrained.config:
            raise ConfigError(f"{path}: is of another size than {init}; merge mappers that were refined from it")
    names = ", ".join("/".join(path.parts[-2:]) for path in checkpoints)
    notes = f"{reach:g} times the mean change of {names}"
    save_mapper(pretrained, out, merged(pretrained, refined, reach), notes=notes)


@click.command(cls=Command, help="Merge the refined mappers CHECKPOINTS of several seeds into one.")
@click.argument("checkpoints", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--init", default="pretrained", show_default=True, help="What all were refined from: pretrained, bundled or a file."
)
@click.option("--reach", default=REACH, show_default=True, help="How many times the mean change of rows is taken.")
def main(checkpoints: tuple[Path, ...], out: Path, init: str, reach: float) -> None:
    use_utf8()
    if not 0 < reach <= MAX_REACH:
        raise ConfigError(f"--reach is {reach:g}; give more than 0 and at most {MAX_REACH:g}")
    merge(checkpoints, out, init, reach)
    click.echo(f"{out}: merged from {len(checkpoints)}")


if __name__ == "__main__":
    main()
