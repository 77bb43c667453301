"""A user's session with the studio, for bench.kill: `python -m bench.kill_studio SONG`, in a folder of its own.

Opens the song, or the project of it that an earlier run left, has one difficulty written, goes on with what was not finished,
and writes the difficulty to `notes.json`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import click

from runtime.atomic_write import save_bytes
from runtime.errors import ConfigError

POLL_S, PATIENCE_S = 0.5, 900.0
ORDER = {"stars": 2.0, "seed": 0}


def ask(address: str, path: str, values: dict[str, Any] | None = None) -> Any:
    """The answer to GET, or to POST with values."""
    body = None if values is None else json.dumps(values).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{address}{path}", body), timeout=60) as answer:
        return json.loads(answer.read())


def chart_of(address: str) -> dict[str, Any]:
    """The difficulty, once it is written; whatever is missing before it is begun."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        view = ask(address, "view")
        if view["state"]["difficulties"]:
            return dict(view["state"]["difficulties"][0])
        jobs = {job["status"]: job for job in view["jobs"]}
        if failed := jobs.get("failed"):
            raise ConfigError(f"{failed['what']}: {failed['error']}")
        if "unfinished" in jobs:
            ask(address, "do/again", {"job": jobs["unfinished"]["id"]})
        elif view["state"]["timing"] and not {"waiting", "running"} & jobs.keys():
            ask(address, "do/order", {"orders": [ORDER]})
        time.sleep(POLL_S)
    raise ConfigError(f"the studio wrote nothing within {PATIENCE_S:g} s")


@click.command()
@click.argument("song", type=click.Path(path_type=Path))
def main(song: Path) -> None:
    """Have one difficulty of SONG written in the studio."""
    begun = [folder for folder in sorted(Path().glob("*.studio")) if (folder / "project.json").is_file()]
    command = [sys.executable, "-m", "mania4k", "studio", "--no-open", str(begun[0] if begun else song)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://\S+", server.stdout.readline())
            if found is None:
                raise ConfigError("the studio did not start")
            one = chart_of(found[0])
            text = json.dumps(ask(found[0], f"notes/{one['chart']}"))
        finally:
            server.terminate()
    save_bytes(Path("notes.json"), text.encode())


if __name__ == "__main__":
    main()
