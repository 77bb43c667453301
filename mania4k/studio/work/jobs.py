"""Work beside the server: processes that do it, and jobs that can be watched, cancelled and gone on with.

A job's order is kept in the project until it is done, so that a killed server can name it and do it again.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from runtime.errors import Mania4KError

Share = Callable[[float], None]
Task = dict[str, Any]
"""A request to a worker, plain JSON; see `mania4k.studio.work.worker`."""


class JobError(Mania4KError):
    """Error of a worker, in one line."""


class WorkerProcess:
    """One process that does one task at a time; the next waits. Killed with its task when that is cancelled."""

    def __init__(self, yields: bool = False) -> None:
        """yields: the process has a lower priority, so that the page and the other process are served first."""
        self.yields = yields
        self.process: Any = None
        self.connection: Connection | None = None
        self.turn = asyncio.Lock()
        self.numbers = itertools.count()

    def start(self) -> None:
        """Start the process, if it is not there; it warms up by itself."""
        if self.process is not None and self.process.is_alive():
            return
        from mania4k.studio.work.worker import serve

        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, self.yields), daemon=True, name="mania4k-studio")
        self.process.start()
        theirs.close()

    async def run(
        self, task: Callable[[], Task], share: Share, began: Callable[[], None] = lambda: None
    ) -> dict[str, Any]:
        """Do a task, which is made when its turn comes; raises JobError with what the worker says. Cancelling kills the process."""
        async with self.turn:
            began()
            present = task()
            self.start()
            number = next(self.numbers)
            try:
                return await self._answer({**present, "number": number}, share)
            except asyncio.CancelledError:
                self.stop()
                raise

    async def _answer(self, task: Task, share: Share) -> dict[str, Any]:
        connection = self.connection
        assert connection is not None, "started"
        try:
            await asyncio.to_thread(connection.send, task)
            while True:
                message = await asyncio.to_thread(connection.recv)
                if message["number"] != task["number"]:
                    continue
                if "share" in message:
                    share(message["share"])
                elif "error" in message:
                    raise JobError(message["error"])
                else:
                    result: dict[str, Any] = message["result"]
                    return result
        except (EOFError, OSError) as error:
            self.stop()
            raise JobError("the work ended unexpectedly (out of memory?); try again") from error

    def stop(self) -> None:
        """Kill the worker process."""
        if self.process is not None:
            self.process.kill()
            self.process.join(5)
        if self.connection is not None:
            self.connection.close()
        self.process = self.connection = None


@dataclass
class Job:
    """One piece of work; `spec` is plain JSON and enough to do it again."""

    identity: str
    what: str  # for the user
    spec: dict[str, Any]
    status: str = "waiting"  # running, done, failed, cancelled, unfinished
    share: float = 0.0
    error: str = ""
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, Any]:
        """The job as the page is sent it."""
        plain = {"id": self.identity, "what": self.what, "kind": self.spec["kind"], "status": self.status}
        return {**plain, "share": round(self.share, 3), "error": self.error, "difficulty": self.spec.get("id", "")}


class Jobs:
    """The jobs of a project. `do` does one and keeps its result; `changed` is called with every job that changes."""

    def __init__(
        self, do: Callable[[Job], Awaitable[None]], keep: Callable[[], None], changed: Callable[[Job], None]
    ) -> None:
        self.do = do
        self.keep = keep
        self.changed = changed
        self.all: dict[str, Job] = {}
        self.stopped = False

    def restore(self, kept: dict[str, Any]) -> None:
        """The jobs that a killed server left."""
        for identity, one in kept.items():
            self.all[identity] = Job(identity, str(one["what"]), dict(one["spec"]), "unfinished")

    def kept(self) -> dict[str, Any]:
        """Jobs that are not done, for the project's file."""
        open_ones = ("waiting", "running", "unfinished")
        return {
            one.identity: {"what": one.what, "spec": one.spec} for one in self.all.values() if one.status in open_ones
        }

    def add(self, identity: str, what: str, spec: dict[str, Any]) -> Job:
        """Begin a job; it is in the project's file before it runs. Raises JobError while one of that name waits or runs."""
        if self.is_open(identity):
            raise JobError(f"{what}: is at work already; cancel that first, or wait for it")
        job = Job(identity, what, spec)
        self.all[identity] = job
        self._begin(job)
        return job

    def is_open(self, identity: str) -> bool:
        """Whether a job waits or runs."""
        job = self.all.get(identity)
        return job is not None and job.status in ("waiting", "running")

    def again(self, identity: str) -> None:
        """Go on with a job that was not finished, failed or was cancelled."""
        job = self.all.get(identity)
        if job is None or job.status in ("waiting", "running", "done"):
            raise JobError("there is no such unfinished job")
        job.status, job.share, job.error = "waiting", 0.0, ""
        self._begin(job)

    def cancel(self, identity: str) -> None:
        """Stop a job, or forget one that is not running."""
        job = self.all.get(identity)
        if job is None:
            raise JobError("there is no such job")
        if job.task is not None and not job.task.done():
            job.task.cancel()
        elif job.status != "done":
            job.status = "cancelled"
            self.keep()
            self.changed(job)

    def stop(self) -> None:
        """Stop all, keeping them in the project's file as unfinished."""
        self.stopped = True
        for job in self.all.values():
            if job.task is not None and not job.task.done():
                job.task.cancel()

    def _begin(self, job: Job) -> None:
        self.keep()
        self.changed(job)
        job.task = asyncio.get_running_loop().create_task(self._run(job))

    async def _run(self, job: Job) -> None:
        try:
            await self.do(job)
            job.status, job.share = "done", 1.0
        except asyncio.CancelledError:
            job.status = "unfinished" if self.stopped else "cancelled"
        except Mania4KError as error:
            job.status, job.error = "failed", str(error).splitlines()[0]
        except Exception as error:  # a fault of ours, or a full disk, must not leave it running for ever
            job.status, job.error = "failed", f"{type(error).__name__}: {error}"[:300]
        if self.stopped:
            return  # the file has it as unfinished, and may be another's by now
        self.keep()
        self.changed(job)
