"""`--threads` and `--memory`: results stay the same, too much memory ends a command with one line and nothing half-written."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from runtime import limits
from runtime.command import Command
from runtime.limits import limit_libraries, limit_options, threads
from runtime.workers import Workers, all_results

ROOT = Path(__file__).resolve().parents[1]


@click.command(cls=Command)
@limit_options
def probe() -> None:
    click.echo(threads())


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test sets is taken back."""
    for name in (limits.THREADS, limits.MEMORY):
        monkeypatch.setenv(name, "1")  # so that it is put back as it was
        monkeypatch.delenv(name)


def test_threads_are_those_that_the_user_says_else_one_a_core() -> None:
    assert threads() == len(os.sched_getaffinity(0))
    assert CliRunner().invoke(probe, ["--threads", "3"]).stdout == "3\n"
    assert threads() == 3, "workers and libraries for networks see it too"


def test_libraries_know_the_threads_before_they_are_imported() -> None:
    limit_libraries(["review", "--threads", "0"])
    limit_libraries(["review", "--threads", "many"])
    assert limits.THREADS not in os.environ
    limit_libraries(["review", "map.osz", "--threads", "2", "--json"])
    assert os.environ[limits.THREADS] == "2"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--threads", "0"], "0: give 1 to 256"), (["--memory", "63"], "63: give 64 or more"), (["--memory", "x"], "'x'")],
)
def test_senseless_limits_are_wrong_usage(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(probe, arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_command_that_takes_too_much_ends_with_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    song, out = ROOT / "examples" / "demo_song.ogg", tmp_path / "set.osz"
    command = [sys.executable, "-m", "mania4k", "generate", str(song), "--stars", "3", "-o", str(out)]
    done = subprocess.run([*command, "--memory", "64"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: --memory 64: more is needed (")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_cannot_be_interrupted_ends_all_the_same() -> None:
    code = (
        "import runtime.limits as limits, os, signal, threading\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "os.environ[limits.MEMORY], limits.PATIENCE_S = '1', 0.0\n"
        "limits.watch_memory(limits._thread.interrupt_main)\n"
        "threading.Event().wait()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: --memory 1: more is needed (")


def test_memory_of_the_process_that_started_a_command_does_not_count() -> None:
    held = bytearray(300 << 20)
    held[:: 1 << 12] = bytes(len(held) >> 12)
    code = "from runtime import limits; print(limits.peak_mb())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 200 < limits.peak_mb()


def fill(megabytes: int) -> int:
    """Hold so much memory."""
    return len(bytearray(megabytes << 20)) >> 20


def test_a_worker_that_takes_too_much_ends_and_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    from runtime.workers import results

    usual = max(dict(results(peak, [0, 0], Workers(2), lost=lambda job: -1)).values())
    monkeypatch.setenv(limits.MEMORY, str(usual + 400))
    jobs = [1, 600, 1]
    assert dict(results(hold, jobs, Workers(2), lost=lambda job: -1)) == {0: 1, 1: -1, 2: 1}
    assert all_results(hold, [1, 1], Workers(2), "jobs") == [1, 1]


def peak(_: int) -> int:
    """The most memory that this worker has taken, MB."""
    return int(limits.peak_mb())


def hold(megabytes: int) -> int:
    """Hold so much memory until the watch has looked twice."""
    held = fill(megabytes)
    limits._exceeded.wait(4 * limits.LOOK_EVERY_S)
    return held
