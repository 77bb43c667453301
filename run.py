#!/usr/bin/env python3
"""Set up and run OsuManiaTransformer4K; needs nothing but Python 3.11 or newer.

    python run.py demo                  make difficulties for the example song and say where they are
    python run.py test [pytest args]    run every check of the project (paths are relative to the repository)
    python run.py COMMAND ...           anything else: the same as `mania4k COMMAND ...`; try --help

The first call sets up a virtual environment in `.venv` beside this file, once; it is brought up to date when
pyproject.toml or constraints.txt change. Set-up messages and progress go to stderr.

Exit status: what the command returned; 1 when the set-up failed, 2 for wrong usage, 130 when interrupted. `test` exits
with 0, or with the status of the first check that failed: 11 ruff check, 12 ruff format, 13 mypy, 14 import-linter,
15 pytest, 16 mkdocs.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - this file is what tells users of an older Python
    sys.exit(
        f"error: this project needs Python 3.11 or newer, but {sys.executable} is Python "
        f"{sys.version_info[0]}.{sys.version_info[1]}: install a newer one from https://www.python.org/downloads/ "
        "and run this file with it, for example: python3.11 run.py demo"
    )

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "mania4k-setup.txt"  # fingerprint of the last complete set-up
LOG = VENV / "mania4k-setup.log"
CONSTRAINTS = ROOT / "constraints.txt"
EXAMPLE_SONG = ROOT / "examples" / "demo_song.ogg"
DEMO_RESULT = ROOT / "out" / "demo_song.osz"
DEMO_STARS = ("2", "3.5", "5")

TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""PyTorch's own download site: on Linux the default wheels bring several GB of CUDA libraries, these do not."""
INDEX_WAIT_S = 5.0  # patience with that site before the default wheels are taken
LOG_TAIL_LINES = 15  # how much of pip's output is shown when it fails

CHECKS = (
    ("ruff check", 11, ("-m", "ruff", "check", ".")),
    ("ruff format", 12, ("-m", "ruff", "format", "--check", ".")),
    ("mypy", 13, ("-m", "mypy")),
    ("import-linter", 14, ("-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-logo")),
    ("mkdocs", 16, ("-m", "mkdocs", "build", "--strict", "--quiet")),
    ("pytest", 15, ("-m", "pytest", "--browser=without", "-n", "2", "--dist", "worksteal")),
    ("pytest browser", 15, ("-m", "pytest", "--browser=only", "--reruns", "1", "-raR")),
)
"""(name, exit status, arguments for the environment's Python), in the order in which they run.

Tests without a browser run in two processes; then those with one run alone, since a browser beside other work is late. One
of these that fails runs once more and is listed as RERUN (docs/decisions: browser tests run twice before they fail).
"""
NO_TESTS = 5
"""Status of pytest where no test was selected: a failure only if none of its runs had one."""


class SetupError(Exception):
    """The environment cannot be made; the text says why and what to do."""


def say(text: str = "") -> None:
    """One line of progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def venv_python() -> Path:
    """The environment's interpreter, which need not exist yet."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def fingerprint() -> str:
    """Digest of all that a set-up depends on: the two files, the folder (moved?) and the interpreter (upgraded?)."""
    digest = hashlib.sha256()
    for part in (
        (ROOT / "pyproject.toml").read_bytes(),
        CONSTRAINTS.read_bytes(),
        os.fsencode(ROOT),
        os.fsencode(os.path.realpath(venv_python())),
    ):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def is_set_up() -> bool:
    """Whether the environment is complete and of the current requirements."""
    if not venv_python().exists() or not STAMP.exists():
        return False
    return STAMP.read_text(encoding="utf-8").strip() == fingerprint()


def venv_works() -> bool:
    """Whether the environment has a Python that is new enough and a pip."""
    if not venv_python().exists():
        return False
    probe = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    try:
        return subprocess.run([venv_python(), "-c", probe], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def make_venv() -> None:
    """Create `.venv`, in place of a half-made or broken one if there is one."""
    if venv_works():
        return
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise SetupError(
            f"Python {version} at {sys.executable} cannot make virtual environments: its `venv` or `ensurepip` module "
            "is missing. On Debian and Ubuntu install it with: sudo apt install python3-venv "
            f"(or python{version}-venv); elsewhere install Python from https://www.python.org/downloads/. "
            "Then run the same command again."
        )
    say(f"  Creating the virtual environment {VENV}")
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    made = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False)
    if made.returncode or not venv_works():
        detail = (made.stdout + made.stderr).strip() or "no message"
        raise SetupError(f"cannot create the virtual environment {VENV} (is the folder writable?): {detail}")


def show_status(text: str, width: int = 78) -> None:
    """Overwrite the current line of a terminal; print nothing where stderr is a file."""
    if sys.stderr.isatty():
        print("\r" + text[:width].ljust(width) + "\r", end="", file=sys.stderr, flush=True)


def pip_install(what: str, *arguments: str) -> None:
    """Run `pip install`, with its output in the log and its current step on one line of the terminal."""
    say(f"  Installing {what}")
    began = time.monotonic()
    env = os.environ | {"PYTHONUTF8": "1", "PIP_NO_INPUT": "1", "PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    command = [str(venv_python()), "-m", "pip", "install", "--progress-bar", "off", *arguments]
    tail: deque[str] = deque(maxlen=LOG_TAIL_LINES)
    pip = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert pip.stdout is not None
    with pip, LOG.open("ab") as log:
        for raw in pip.stdout:
            log.write(raw)
            line = raw.decode("utf-8", errors="replace").strip()
            tail.append(line)
            show_status(f"  {time.monotonic() - began:4.0f} s  {line}")
    show_status("")
    if pip.returncode:
        raise SetupError(
            f"pip could not install {what}; its last words (all of them: {LOG}):\n    "
            + "\n    ".join(tail)
            + "\nIs the network reachable and the disk not full? Run the same command again to go on."
        )


def is_reachable(url: str, wait_s: float = INDEX_WAIT_S) -> bool:
    """Whether `url` answers within `wait_s` seconds; a thread, because name look-ups ignore urllib's timeout."""
    answered = threading.Event()

    def ask() -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=wait_s):
                answered.set()
        except (OSError, ValueError, urllib.error.URLError):
            pass

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(wait_s)
    return answered.is_set()


def torch_requirement() -> str:
    """The exact torch version of constraints.txt, as `torch==X`."""
    for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines():
        if line.startswith("torch=="):
            return line.split("#")[0].split(";")[0].strip()
    raise SetupError(f"{CONSTRAINTS} has no line `torch==VERSION`: restore it: git checkout constraints.txt")


def install_torch() -> None:
    """PyTorch first and alone: from its CPU wheels on Linux if that site answers, else the platform's default wheel."""
    torch = torch_requirement()
    if sys.platform == "linux" and is_reachable(f"{TORCH_CPU_INDEX}/torch/"):
        try:
            pip_install("PyTorch for the CPU (about 200 MB)", "--no-deps", "--index-url", TORCH_CPU_INDEX, torch)
            return
        except SetupError:
            say("  PyTorch's own site has no wheel for this machine; taking the default one")
    pip_install("PyTorch", "--constraint", CONSTRAINTS.name, torch)


def compile_loops() -> None:
    """Compile what charts are made with, so that the first one takes no longer than the others; no harm if that fails."""
    say("  Compiling loops")
    done = subprocess.run([venv_python(), "-P", "-m", "mania4k", "compile"], capture_output=True, check=False)
    if done.returncode:
        say("  They could not be compiled now and will be when they are first used")


def set_up() -> None:
    """Bring `.venv` up to date; returns at once when it is. An interrupted set-up goes on where it stopped."""
    if is_set_up():
        return
    say("Setting up (once, 2 to 5 minutes and 1.5 GB of disk) ...")
    began = time.monotonic()
    make_venv()
    STAMP.unlink(missing_ok=True)
    LOG.unlink(missing_ok=True)
    install_torch()
    pip_install("everything else", "--constraint", CONSTRAINTS.name, "--editable", ".[dev]")
    compile_loops()
    unfinished = STAMP.with_suffix(".tmp")
    unfinished.write_text(fingerprint() + "\n", encoding="utf-8")
    os.replace(unfinished, STAMP)
    say(f"Set up in {time.monotonic() - began:.0f} s.")


def mania4k(*arguments: str) -> int:
    """Run `mania4k` in the environment, from the user's current folder."""
    # -P: a folder named `chart` or `env` where the user stands must not be imported in place of ours.
    return subprocess.run([venv_python(), "-P", "-m", "mania4k", *arguments], check=False).returncode


def demo() -> int:
    """Generate difficulties for the example song; say where the result is."""
    DEMO_RESULT.parent.mkdir(exist_ok=True)
    status = mania4k("generate", str(EXAMPLE_SONG), "--stars", *DEMO_STARS, "-o", str(DEMO_RESULT))
    if status == 0:
        print(f"\nThe map is here: {DEMO_RESULT}\nOpen it with osu! (double-click it or drop it on the game).")
    return status


def run_checks(pytest_arguments: list[str]) -> int:
    """Run every check, the later ones also when one fails; print a summary; 0 or the status of the first to fail."""
    results: dict[str, tuple[int, float]] = {}  # check → what it returned, seconds
    for name, _, arguments in CHECKS:
        say(f"\n== {name}")
        began = time.monotonic()
        extra = pytest_arguments if name.startswith("pytest") else []
        done = subprocess.run([venv_python(), *arguments, *extra], cwd=ROOT, check=False)
        results[name] = (done.returncode, time.monotonic() - began)
    tested = {code for name, (code, _) in results.items() if name.startswith("pytest")}
    fine = (0, NO_TESTS) if tested > {NO_TESTS} else (0,)
    print("\nSummary")
    for name, (code, seconds) in results.items():
        print(f"  {name:<14} {'passed' if code in fine else 'FAILED'} {seconds:6.1f} s")
    return next((status for name, status, _ in CHECKS if results[name][0] not in fine), 0)


def main(arguments: list[str]) -> int:
    """Do what the command line asks; the exit status."""
    for stream in (sys.stdout, sys.stderr):  # a console's code page must not stop a path with 日本語 in it
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    if not arguments:
        print(__doc__.strip())
        return 2
    if arguments[0] == "demo" and arguments[1:]:
        say("error: `demo` takes no arguments; for your own songs and options: python run.py generate --help")
        return 2
    try:
        set_up()
        if arguments[0] == "demo":
            return demo()
        if arguments[0] == "test":
            return run_checks(arguments[1:])
        return mania4k(*arguments)
    except SetupError as error:
        say(f"error: {error}")
    except OSError as error:
        say(f"error: {error} (is the folder writable and the disk not full?)")
    except KeyboardInterrupt:
        say("\nInterrupted. Run the same command again to go on.")
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
