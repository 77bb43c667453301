"""The verbs of `mania4k`. Each is the `main` of a module, imported only when it is asked for, so that help is quick."""

from __future__ import annotations

import importlib

import click

from runtime.command import is_optional, missing_package
from runtime.limits import limit_libraries
from runtime.progress import waiting

VERBS = {
    "studio": ("mania4k.studio.command", "Make a set in the browser: drop a song, hear, compare and mend."),
    "generate": ("mapper.cli", "Write an .osz with 4K difficulties for a song."),
    "timing": ("ear.beat_to_osu", "Find a song's BPM, offset and metre and write osu! red lines."),
    "play": ("agents.play", "Let simulated players play a chart; write a replay."),
    "score": ("reward.score", "Score a chart: fairness, readability, ergonomics, the ranking criteria."),
    "review": ("eye.review", "Review a chart: what to mend and why, what is good, section by section."),
    "view": ("mania4k.view", "Watch a chart, read its review and play it, in the browser."),
    "convert": ("mania4k.convert", "Convert charts to StepMania, Etterna, Quaver or osu! files."),
    "fetch": ("mapper.fetch", "List 4K maps with their metadata by osu!'s official API."),
    "dataset": ("mapper.dataset", "Build training arrays from folders of maps."),
    "train": ("mapper.train", "Pretrain the mapper on a dataset."),
    "refine": ("env.refine", "Refine the mapper by letting simulated players play what it writes."),
    "tensorboard": ("mania4k.board", "Show the curves of training and refinement runs in the browser."),
    "export": ("mapper.export", "Write the networks as ONNX graphs, checked against torch."),
    "compile": ("mania4k.compile", "Compile the loops now: the first chart then takes no longer than the others."),
    "doctor": ("mania4k.doctor", "Show versions, devices, codecs and checkpoints, and what is wrong with them."),
}
"""Verb → (module whose `main` it is, one line of help)."""


class Verbs(click.Group):
    """A group whose commands are imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        limit_libraries(args)
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        try:
            with waiting("Starting"):
                return importlib.import_module(VERBS[cmd_name][0]).main
        except ModuleNotFoundError as error:
            if not is_optional(error):
                raise
            raise click.ClickException(missing_package(error)) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(verb, line) for verb, (_, line) in VERBS.items()])


def project_version() -> str:
    """The installed version, or "unknown" where the project runs without being installed."""
    from importlib.metadata import PackageNotFoundError, version  # a third of the time that help takes

    try:
        return version("mania4k")
    except PackageNotFoundError:
        return "unknown"


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"mania4k, version {project_version()}")
        ctx.exit()


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="An osu!mania 4K mapper: give it a song, get an .osz.\n\nTry: mania4k generate song.mp3 --stars 2 3.5 5",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def main() -> None:
    pass
