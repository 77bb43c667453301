"""Fixtures of the studio's tests: requests straight to its application, a real server, a short song."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from mania4k.studio.desk import DEMO_SONG, Desk
from mania4k.studio.guard import Guard
from mania4k.studio.results import do_job
from mania4k.studio.server import application

TOKEN, PORT = "a-token", 4242
HOST = f"127.0.0.1:{PORT}"
START_S = 120.0


@dataclass(frozen=True)
class Answer:
    """Answer of the application."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The line that the page shows."""
        return str(self.json["error"])


class Client:
    """Asks a desk's application as the page does, in one loop, without a network."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.app = Guard(application(desk), TOKEN, PORT)
        self.loop = asyncio.new_event_loop()

    def ask(
        self,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        token: str = TOKEN,
    ) -> Answer:
        """GET, or POST with a body; `headers` replace the page's own."""
        return self.loop.run_until_complete(self._ask(path, body, headers or {}, token))

    async def _ask(self, path: str, body: bytes | None, headers: dict[str, str], token: str) -> Answer:
        sent: list[Any] = []
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET" if body is None else "POST",
            "scheme": "http",
            "path": f"/{token}{path}",
            "raw_path": f"/{token}{path}".encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in ({"host": HOST} | headers).items()],
            "server": ("127.0.0.1", PORT),
            "client": ("127.0.0.1", 5),
        }

        parts = iter([body or b""])

        async def receive() -> dict[str, Any]:
            part = next(parts, None)
            if part is None:
                await asyncio.sleep(3600)  # until the answer is there
            return {"type": "http.request", "body": part, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        start = sent[0]
        names = {name.decode(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], names, b"".join(part.get("body", b"") for part in sent[1:]))

    def do(self, name: str, /, **values: Any) -> Answer:
        """A change."""
        return self.ask(f"/do/{name}", json.dumps(values).encode())

    def drop(self, name: str, data: bytes) -> Answer:
        """A dropped file."""
        from urllib.parse import quote

        return self.ask("/drop", data, {"x-file-name": quote(name)})

    def close(self) -> None:
        """End the desk and its loop."""
        self.desk.stop()
        self.loop.run_until_complete(asyncio.sleep(0.05))
        self.loop.close()


class NoWorker:
    """Stands for a worker process where no work is tested: tasks wait for ever."""

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    async def run(self, task: Any, share: Any, began: Any = lambda: None) -> dict[str, Any]:
        began()
        task()
        await asyncio.sleep(3600)
        return {}


def idle_desk(home: Path) -> Desk:
    """A desk that starts no process."""
    desk = Desk(home, do_job)
    desk.heavy = desk.quick = NoWorker()  # type: ignore[assignment]
    return desk


@cache
def short_song() -> bytes:
    """The demo song's first 24 seconds, as wav."""
    import io

    samples, rate = soundfile.read(DEMO_SONG, dtype="float32")
    file = io.BytesIO()
    soundfile.write(file, np.asarray(samples)[: 24 * rate], rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


@contextmanager
def served(home: Path, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """(address, process) of a real studio."""
    command = [sys.executable, "-m", "mania4k", "studio", "--no-open", "--projects", str(home), *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + process.stdout.read()
        yield found[0], process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
