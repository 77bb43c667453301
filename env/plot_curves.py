"""Draw the learning curves of refinement runs as one picture: `python -m env.plot_curves RUN… -o curves.png`.

One line a run, one panel a figure, from the runs' TensorBoard logs: evaluations on held-out songs. matplotlib and TensorBoard
are imported when they are needed.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import click

from runtime.atomic_write import save_bytes
from runtime.command import Command, use_utf8
from runtime.errors import ConfigError

FIGURES = {
    "held_out/reward": "reward, held-out sections",
    "held_out/skill_error": "levels off the target, held-out sections",
    "charts/total": "whole reward, held-out charts",
    "charts/skill_error": "levels off the target, held-out charts",
    "charts/value": "whole reward less .3 a level off, charts",
    "leash/kl": "nats a step from the pretrained mapper",
}
"""Tag → title of a field."""
WIDTH_INCHES, ROW_INCHES, FIELDS_A_ROW, DPI = 12.0, 3.0, 3, 100

Curve = list[tuple[int, float]]
"""(update, value) in order."""


def read_curves(run: Path) -> dict[str, Curve]:
    """Tag → its curve, over updates; raises ConfigError where there is no log of a refinement."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    if not run.is_dir():
        raise ConfigError(f"{run}: no such folder; give the folder of a refinement run (-o of env.refine)")
    log = EventAccumulator(str(run), size_guidance={"scalars": 0})
    log.Reload()
    tags = set(log.Tags()["scalars"])
    if "held_out/reward" not in tags:
        raise ConfigError(f"{run}: holds no log of a refinement; is it the folder of a run that has been evaluated?")
    steps = sorted({0, *(event.step for event in log.Scalars("rollout/reward"))} if "rollout/reward" in tags else {0})
    update_of = {step: update for update, step in enumerate(steps)}
    return {
        tag: sorted(
            {update_of[event.step]: event.value for event in log.Scalars(tag) if event.step in update_of}.items()
        )
        for tag in FIGURES
        if tag in tags
    }


def draw_curves(runs: Sequence[Path], path: Path) -> None:
    """Write a PNG of the runs' curves."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    curves = {run.name: read_curves(run) for run in runs}
    rows = -(-len(FIGURES) // FIELDS_A_ROW)
    figure, fields = pyplot.subplots(
        rows, FIELDS_A_ROW, figsize=(WIDTH_INCHES, ROW_INCHES * rows), squeeze=False, layout="constrained"
    )
    for field, (tag, title) in zip(fields.ravel(), FIGURES.items(), strict=False):
        for name, of_run in curves.items():
            points = of_run.get(tag, [])
            mark = "" if len(points) > 30 else "o"
            field.plot([update for update, _ in points], [value for _, value in points], marker=mark, label=name)
        field.set_title(title, fontsize=10)
        field.set_xlabel("updates", fontsize=8)
        field.xaxis.get_major_locator().set_params(integer=True)
        field.grid(alpha=0.3)
    fields[0, 0].legend(fontsize=8)
    picture = io.BytesIO()
    figure.savefig(picture, dpi=DPI, format="png")
    pyplot.close(figure)
    save_bytes(path, picture.getvalue())


@click.command(cls=Command, help="Draw the learning curves of refinement runs RUNS as one picture.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False), help="PNG to write.")
def main(runs: tuple[Path, ...], output: Path) -> None:
    use_utf8()
    draw_curves(runs, output)
    click.echo(str(output))


if __name__ == "__main__":
    main()
