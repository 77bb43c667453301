"""`mania4k studio [SONG | SET.osz | FOLDER]`: the studio in the browser, until Ctrl-C."""

from __future__ import annotations

import asyncio
import socket
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.command import Command, use_utf8
from runtime.errors import ConfigError
from runtime.limits import limit_options

if TYPE_CHECKING:
    import uvicorn

    from mania4k.studio.desk import Desk

HOST = "127.0.0.1"


@click.command(cls=Command)
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--projects", type=click.Path(path_type=Path), help="Folder for new projects; default: the current one.")
@click.option("--port", default=0, help="Port on this computer; default: a free one.")
@click.option("--no-open", is_flag=True, help="Do not open the browser; only print the address.")
@limit_options
def main(path: Path | None, projects: Path | None, port: int, no_open: bool) -> None:
    """Make a set in the browser: drop a song, correct its timing, order difficulties, hear and mend them.

    PATH is a song or an .osz to begin with, or a project's folder to go on with. Ends with Ctrl-C.
    """
    use_utf8()
    run(path, projects or Path.cwd(), port, not no_open)


def run(path: Path | None, home: Path, port: int, opens: bool) -> None:
    """Serve the studio until it is interrupted."""
    import uvicorn

    from mania4k.studio.desk import Desk
    from mania4k.studio.guard import Guard, new_token
    from mania4k.studio.results import do_job
    from mania4k.studio.server import application

    if not home.is_dir():
        raise ConfigError(f"--projects {home}: no such folder")
    if path is not None and not path.exists():
        raise ConfigError(f"{path}: no such file or folder (check the name)")
    listener = _listener(port)
    port = listener.getsockname()[1]
    token = new_token()
    address = f"http://{HOST}:{port}/{token}/"
    desk = Desk(home, do_job)
    app = Guard(application(desk), token, port)
    config = uvicorn.Config(app, log_level="error", lifespan="off", access_log=False, timeout_graceful_shutdown=1)
    try:
        asyncio.run(_serve(uvicorn.Server(config), listener, desk, path, address, opens))
    except KeyboardInterrupt:
        pass
    finally:
        desk.stop()
        listener.close()


async def _serve(
    server: uvicorn.Server, listener: socket.socket, desk: Desk, path: Path | None, address: str, opens: bool
) -> None:
    """Open what was named, say where the studio is, and answer until it is interrupted."""
    if path is not None:
        desk.open_path(path)
    click.echo(f"The studio is open at {address}\nKeep this address to yourself. Ctrl-C ends it; nothing is lost.")
    if opens:
        asyncio.get_running_loop().call_later(0.3, _open_browser, address)
    try:
        await server.serve(sockets=[listener])
    finally:
        desk.stop()  # while the loop still runs: unfinished jobs are kept


def _open_browser(address: str) -> None:
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def _listener(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.bind((HOST, port))
        listener.listen()  # from here on the address can be opened
    except OSError as error:
        listener.close()
        raise ConfigError(f"--port {port}: cannot be used ({error.strerror}); leave it out for a free one") from error
    return listener
