"""Train a beat network, or tune one to a style: `python -m ear.finetune DATA -o RUN`.

    python -m ear.dataset Songs -o data/beats --val-artist "Camellia"
    python -m ear.finetune data/beats --init-checkpoint bundled --tune heads -o runs/style
    python -m ear.beat_to_osu song.ogg --checkpoint runs/style/best.ckpt
    tensorboard --logdir runs

`--tune heads` moves the last layer only: the style of a set of maps, quickly and without forgetting; `all` needs hours of
music. `--init-checkpoint none` trains from nothing; so was the bundled network made (docs/ear.md). RUN gets
`best.safetensors`, `best.ckpt` and `best.onnx`; the same command resumes.
"""

from __future__ import annotations

from pathlib import Path

import click

from runtime.command import Command, use_utf8


@click.command(cls=Command)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder of the run.")
@click.option("--init-checkpoint", default="bundled", show_default=True, help="bundled, final0, …, a file, or none.")
@click.option("--tune", type=click.Choice(["heads", "all"]), default="heads", show_default=True)
@click.option("--steps", default=1000, show_default=True, help="Steps of the whole run.")
@click.option("--batch", default=4, show_default=True, help="Stretches a step.")
@click.option("--frames", default=600, show_default=True, help="Length of a stretch, 50 a second.")
@click.option("--learning-rate", default=3e-4, show_default=True)
@click.option("--validate-every", default=100, show_default=True, help="Steps between validations.")
@click.option("--patience", default=8, show_default=True, help="Validations without improvement before stopping.")
@click.option("--compile", is_flag=True, help="Let torch compile the network; needs a C++ compiler.")
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="auto", show_default=True)
def main(data: Path, out: Path, init_checkpoint: str, **settings: object) -> None:
    """Train or tune a beat network on the dataset DATA of `ear.dataset`."""
    from ear.training.train import TrainConfig, summary, train

    use_utf8()
    config = TrainConfig(str(data), str(out), init=init_checkpoint, **settings)  # type: ignore[arg-type]
    scores = train(config, say=lambda line: click.echo(line, err=True))
    click.echo(f"{out / 'best.ckpt'}: {summary(scores)}")


if __name__ == "__main__":
    main()
