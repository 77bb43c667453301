"""The curves of training runs in the browser: `mania4k tensorboard`, which is TensorBoard on the folder of the runs."""

from __future__ import annotations

import threading
import webbrowser
from pathlib import Path

import click

from runtime.command import Command, use_utf8
from runtime.errors import ConfigError
from runtime.progress import waiting

RUNS = Path("runs")
"""Folder of runs that the documentation uses."""
CURVES = "events.out.tfevents.*"


def serve(folder: Path, port: int | None = None) -> str:
    """Start TensorBoard on the runs below `folder` in a thread of this process; returns its address.

    Raises ConfigError where there are no runs or the port is taken.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; name the folder of a run, the -o of `mania4k train` or `refine`")
    if not any(folder.rglob(CURVES)):
        raise ConfigError(f"{folder}: no curves in it; `mania4k train` and `mania4k refine` write them")
    from tensorboard import program
    from tensorboard.program import TensorBoardServerException

    board = program.TensorBoard()
    board.configure(argv=["tensorboard", "--logdir", str(folder), *(["--port", str(port)] if port else [])])
    try:
        return board.launch()
    except TensorBoardServerException as error:
        raise ConfigError(f"TensorBoard cannot start ({error.msg}); give another --port") from error


@click.command(cls=Command)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=RUNS)
@click.option("--port", type=click.IntRange(1, 65535), help="Default: 6006, or a free one near it.")
@click.option("--no-open", is_flag=True, help="Only serve; print the address.")
def main(folder: Path, port: int | None, no_open: bool) -> None:
    """Show the curves of the runs in FOLDER (default: runs) in the browser, until Ctrl-C."""
    use_utf8()
    with waiting("Starting TensorBoard"):
        address = serve(folder, port)
    click.echo(f"{address} (Ctrl-C ends it)")
    if not no_open:
        webbrowser.open(address)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        click.echo("")


if __name__ == "__main__":
    main()
