"""SIGKILL leaves whole files or none. `python -m bench.kill` kills every command at 50 moments."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.kill import JOBS, Job, Tally, broken, digests, make_inputs, try_job
from mapper.network.checkpoint import BUNDLED

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
ROOT = Path(__file__).parents[1]
LENGTH = 300_000
WRITER = """
import os, signal, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from runtime import atomic_write

left = {steps}

def step(frame, event, argument):
    global left
    if frame.f_code.co_filename == atomic_write.__file__:
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return step

sys.settrace(step)
atomic_write.save_bytes(Path({path!r}), b"b" * {length})
sys.settrace(None)
"""


def test_a_writer_killed_at_any_of_its_steps_leaves_a_whole_file(tmp_path: Path) -> None:
    """Killed before its first line of code, its second, and so on, until one comes to its end."""
    path = tmp_path / "result"
    seen = []
    for steps in range(200):
        path.write_bytes(b"a" * LENGTH)
        script = WRITER.format(root=str(ROOT), path=str(path), steps=steps, length=LENGTH)
        status = subprocess.run([sys.executable, "-c", script], check=False).returncode
        data = path.read_bytes()
        assert data in (b"a" * LENGTH, b"b" * LENGTH)
        seen.append(data[:1])
        if status == 0:
            break
        assert status == -signal.SIGKILL
    assert status == 0
    assert seen == sorted(seen), "the old content up to a step, the new one from there"
    assert 5 < seen.count(b"a") < len(seen) - 1
    left = [one.name for one in tmp_path.iterdir() if one != path]
    assert left
    assert all(name.startswith(".mania4k-") for name in left)


def test_a_half_written_result_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that writes its result in two steps, which the bench must not let pass."""
    slow = "import time; f = open('out', 'w'); f.write('a'); f.flush(); time.sleep(1); f.write('b'); f.close()"
    monkeypatch.setattr("bench.kill.command", lambda job: [sys.executable, "-c", slow])
    monkeypatch.setattr("bench.kill.make_inputs", lambda folder: folder.mkdir())
    tally = try_job(Job("slow", (), ("out",)), 3, np.random.default_rng(1))
    assert tally.killed
    assert any("half-written" in line for line in tally.wrong)


@pytest.mark.slow
def test_a_killed_command_gives_the_same_result_when_run_again() -> None:
    tally = try_job(next(job for job in JOBS if job.name == "dataset"), 1, np.random.default_rng(0))
    assert not tally.wrong


def test_jobs_name_their_results(tmp_path: Path) -> None:
    make_inputs(tmp_path / "a")
    assert sorted(path.name for path in (tmp_path / "a" / "songs").iterdir()) == ["0.wav", "1.wav"]
    assert digests(tmp_path / "a", ("songs/0.wav", "none")).keys() == {"songs/0.wav"}
    assert {job.name for job in JOBS} >= {"generate", "folder", "dataset", "train", "refine", "export", "studio"}


def test_a_checkpoint_that_is_cut_off_is_found(tmp_path: Path) -> None:
    (tmp_path / "best").write_bytes(BUNDLED.read_bytes()[:1000])
    job = Job("x", (), (), grows=("best", "not there"))
    assert any("damaged" in line for line in broken(tmp_path, job, {}))
    assert Tally().wrong == []
