"""Many jobs at once: in this process, in local processes, or on a Ray cluster.

    for number, result in results(time_song, paths, Workers(4)): …                  # four processes
    for number, result in results(time_song, paths, Workers(ray="10.0.0.1:6379")): … # every core of a cluster

Each job's result comes exactly once, as it is done. On a cluster, jobs of a node that dies are done again elsewhere, so a
job must not mind being done twice: it returns what it found, or writes its file in one piece under a name of its own. Files are
named by path: the nodes of a cluster see them in a shared folder. A command takes `--workers` and `--ray` by `worker_options`.
"""

from __future__ import annotations

import importlib
import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import wraps
from itertools import islice
from typing import Any, TypeVar

import click

from runtime.errors import ConfigError, WorkerError
from runtime.limits import threads, watch_memory
from runtime.progress import progress

J = TypeVar("J")
R = TypeVar("R")

MAX_WORKERS = 64
KILLED = "was it out of memory? try fewer --workers"
JOBS_IN_FLIGHT = 1000
"""Jobs that a cluster is given at a time."""
PATIENCE_S = 5.0


@dataclass(frozen=True)
class Workers:
    """The place where jobs run: this process, local processes or a cluster."""

    count: int = 0  # local processes; 0: one a core, 1: this process
    ray: str = ""  # address of a Ray cluster, HOST:PORT; empty: none

    def __post_init__(self) -> None:
        if not 0 <= self.count <= MAX_WORKERS:
            raise ConfigError(f"--workers {self.count}: must be 0 (one a core) to {MAX_WORKERS}")


def worker_options(default: int) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Gives a command `--workers` and `--ray`; its function gets both as one argument, `workers: Workers`."""

    def decorate(function: Callable[..., R]) -> Callable[..., R]:
        @click.option("--workers", default=default, show_default=True, help="Processes; 0: one a core.")
        @click.option("--ray", default="", help="Address of a Ray cluster, HOST:PORT; folders must be shared.")
        @wraps(function)
        def command(*args: Any, workers: int, ray: str, **options: Any) -> R:
            return function(*args, workers=Workers(workers, ray), **options)

        return command

    return decorate


def all_results(function: Callable[[J], R], jobs: Sequence[J], workers: Workers, description: str) -> list[R]:
    """The jobs' results in the order of the jobs, whoever was faster; a bar on stderr counts them."""
    found = dict(progress(results(function, jobs, workers), description, total=len(jobs)))
    return [found[number] for number in range(len(jobs))]


def results(
    function: Callable[[J], R], jobs: Sequence[J], workers: Workers, lost: Callable[[J], R] | None = None
) -> Iterator[tuple[int, R]]:
    """(number of the job, its result) as they are done; `function` must be one of a module, for other processes.

    Jobs whose process was killed are done again. One that kills its process has the result `lost` gives it; without
    `lost`, WorkerError is raised. Raises ConfigError when the cluster cannot be reached.
    """
    if workers.ray:
        yield from _on_ray(function, jobs, workers.ray)
        return
    count = min(workers.count or threads(), max(len(jobs), 1))
    if count == 1:
        yield from enumerate(map(function, jobs))
        return
    todo = set(range(len(jobs)))
    for number, result in _on_pool(function, jobs, sorted(todo), count):
        todo.discard(number)
        yield number, result
    for number in sorted(todo):  # a process was killed: the others' jobs are done again, each in a process of its own
        found = list(_on_pool(function, jobs, [number], 1))
        if not found and lost is None:
            raise WorkerError(f"a worker process was killed at job {number + 1} of {len(jobs)}; {KILLED}")
        yield found[0] if found or lost is None else (number, lost(jobs[number]))


def _on_pool(
    function: Callable[[J], R], jobs: Sequence[J], numbers: Sequence[int], count: int
) -> Iterator[tuple[int, R]]:
    """Results of these jobs in processes that end with this one; ends early where one of them is killed."""
    pool = ProcessPoolExecutor(count, initializer=start_worker)
    try:
        waiting = {pool.submit(function, jobs[number]): number for number in numbers}
        for done in as_completed(waiting):
            try:
                result = done.result()
            except BrokenProcessPool:
                return
            yield waiting[done], result
        pool.shutdown()
    finally:
        _stop(pool)


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the pool's processes at once: after the last result they have nothing to do, after Ctrl-C nothing to finish."""
    processes = list((pool._processes or {}).values())
    queue: Any = pool._result_queue
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    if queue is not None:
        queue._writer.close()  # a thread of the pool's may wait for the rest of a result: it ends with the last sender, this one


def start_worker() -> None:
    """Initialize a worker: one thread, Ctrl-C left to the parent, exit when the parent exits."""
    use_one_thread()
    watch_memory(lambda: os._exit(1))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """Wait for the parent process to end and exit."""
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def use_one_thread() -> None:
    """Workers share the processor; networks must not start a thread a core in each."""
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:  # it has read the variable already
        sys.modules["torch"].set_num_threads(1)


def _on_ray(function: Callable[[J], R], jobs: Sequence[J], address: str) -> Iterator[tuple[int, R]]:
    import ray

    _check_answers(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"--ray {address}: no Ray cluster answers there ({reason}); start one: ray start --head"
        ) from error
    try:
        task = ray.remote(num_cpus=1, max_retries=-1)(_do)
        function = _importable(function)
        todo = iter(enumerate(jobs))
        waiting: dict[Any, int] = {}
        while True:
            for number, job in islice(todo, JOBS_IN_FLIGHT - len(waiting)):
                waiting[task.remote(ray.cloudpickle.dumps((function, job)))] = number
            if not waiting:
                return
            (done, *_), _ = ray.wait(list(waiting), num_returns=1)
            yield waiting.pop(done), pickle.loads(ray.get(done))
    finally:
        ray.shutdown()


def _importable(function: Callable[[J], R]) -> Callable[[J], R]:
    """The function under its module's importable name: nodes cannot import `__main__` of `python -m ear.batch`."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if function.__module__ != "__main__" or spec is None:
        return function
    named: Callable[[J], R] = getattr(importlib.import_module(spec.name), function.__qualname__)
    return named


def _check_answers(address: str) -> None:
    """Check that the cluster answers; Ray itself would wait for minutes."""
    host, colon, port = address.rpartition(":")
    if not (colon and port.isdecimal()):
        raise ConfigError(f"--ray {address}: write the cluster's address as HOST:PORT, such as 127.0.0.1:6379")
    try:
        socket.create_connection((host, int(port)), PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"--ray {address}: no Ray cluster answers there ({error}); start one: ray start --head"
        ) from error


def _do(task: bytes) -> bytes:
    """One job on a node. As bytes, since arrays that Ray hands over lie in its own memory, read-only and gone with it."""
    from ray import cloudpickle  # also packs what is of a command's own module, `__main__`

    use_one_thread()
    function, job = pickle.loads(task)
    result: bytes = cloudpickle.dumps(function(job))
    return result
