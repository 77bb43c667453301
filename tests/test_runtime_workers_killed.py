"""Workers that are killed, and parents that are: nothing is left running, no job is lost, no traceback is printed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mapper.data.check_corpus import is_whole_part
from runtime.errors import OutputError, WorkerError
from runtime.lock import locked
from runtime.workers import Workers, results

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


def die_once(job: tuple[int, str]) -> int:
    """Job 2 kills its process the first time it is done."""
    number, folder = job
    mark = Path(folder) / "died"
    if number == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * 10


def die_always(number: int) -> str:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return f"done {number}"


def test_jobs_of_a_killed_worker_are_done_again(tmp_path: Path) -> None:
    jobs = [(number, str(tmp_path)) for number in range(5)]
    assert dict(results(die_once, jobs, Workers(2))) == {number: number * 10 for number in range(5)}


def test_a_job_that_kills_its_worker_costs_only_itself() -> None:
    found = dict(results(die_always, range(5), Workers(2), lambda number: f"lost {number}"))
    assert found == {0: "done 0", 1: "done 1", 2: "lost 2", 3: "done 3", 4: "done 4"}
    with pytest.raises(WorkerError, match=r"a worker process was killed at job 3 of 5; was it out of memory\?"):
        list(results(die_always, range(5), Workers(2)))


SCRIPT = """
import signal, sys
sys.path.insert(0, {root!r})
from runtime.workers import Workers, results

def wait(number):
    with open({pipe!r}, "w") as pipe:
        pipe.write(".")
        pipe.flush()
        signal.pause()

if __name__ == "__main__":
    list(results(wait, [1, 2, 3], Workers(2)))
"""


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(tmp_path: Path, kind: int) -> None:
    script, path = tmp_path / "run.py", tmp_path / "pipe"
    os.mkfifo(path)
    script.write_text(SCRIPT.format(root=str(ROOT), pipe=str(path)), encoding="utf-8")
    with (tmp_path / "lines").open("wb") as lines:
        parent = subprocess.Popen([sys.executable, str(script)], stderr=lines)
    try:
        with path.open("rb", buffering=0) as pipe:
            assert pipe.read(1) + pipe.read(1) == b"..", "two workers are at work"
            parent.send_signal(kind)
            assert parent.wait(30) != 0
            assert pipe.read() == b"", "the pipe ends when no worker has it open any more"
    finally:
        parent.kill()
    said = (tmp_path / "lines").read_text()
    assert said.count("Traceback") <= (kind == signal.SIGINT), "only the script itself has no handler for Ctrl-C"


HALF_SENT = """
import signal, sys, threading
sys.path.insert(0, {root!r})
from multiprocessing.connection import Connection
from runtime.workers import Workers, results

def send_half(connection, data):
    with open({pipe!r}, "w") as pipe:
        Connection._write(connection._handle, bytes(data)[: len(data) // 2])
        pipe.write(".")
        pipe.flush()
        signal.pause()

def job(number):
    Connection._send = send_half
    return bytes(1000)

if __name__ == "__main__":
    list(results(job, [1, 2], Workers(2)))
"""


def test_a_result_that_a_worker_was_sending_holds_nobody_up_after_ctrl_c(tmp_path: Path) -> None:
    script, path = tmp_path / "run.py", tmp_path / "pipe"
    os.mkfifo(path)
    script.write_text(HALF_SENT.format(root=str(ROOT), pipe=str(path)), encoding="utf-8")
    parent = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)
    try:
        with path.open("rb", buffering=0) as pipe:
            assert pipe.read(1) == b".", "half a result is sent; the parent waits for the rest"
            parent.send_signal(signal.SIGINT)
            assert parent.wait(30) != 0
    finally:
        parent.kill()


def test_a_folder_is_for_one_at_a_time(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(OutputError, match="another run is writing there"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass
    with pytest.raises(OutputError, match="cannot be written"), locked(tmp_path / "none"):
        pass


def test_a_lock_is_free_when_its_process_was_killed(tmp_path: Path) -> None:
    script = f"import sys,os;sys.path.insert(0,{str(ROOT)!r})\nfrom runtime.lock import locked\nfrom pathlib import Path\nwith locked(Path({str(tmp_path)!r})): os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == -9
    with locked(tmp_path):
        pass


@pytest.mark.parametrize("content", [b"", b"PK\3\4", None])
def test_parts_that_were_cut_off_are_built_again(tmp_path: Path, content: bytes | None) -> None:
    part = tmp_path / "a.npz"
    np.savez(part, rows=np.arange(1000))
    assert is_whole_part(part)
    part.write_bytes(part.read_bytes()[:-100] if content is None else content)
    assert not is_whole_part(part)
    assert not is_whole_part(tmp_path / "none.npz")
