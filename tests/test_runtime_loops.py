"""Compiled loops: kept while the contents of all their sources stay, compiled anew when one changes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime import loops

ROOT = Path(__file__).resolve().parents[1]
PROBE = """
from pack.outer import outer
from runtime.loops import is_kept
kept = is_kept(outer)
print(kept, outer(1.0), sum(outer.stats.cache_hits.values()))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a loop that calls another file's, which uses a third's constant."""
    for name, text in {
        "runtime/__init__.py": "",
        "runtime/loops.py": (ROOT / "runtime" / "loops.py").read_text(encoding="utf-8"),
        "pack/__init__.py": "",
        "pack/constants.py": "ADDED = 1.0\n",
        "pack/inner.py": "from pack import constants\nfrom runtime.loops import njit\n\n\n@njit(cache=True)\ndef inner(x):\n    return x + constants.ADDED\n",
        "pack/outer.py": "from pack.inner import (\n    inner,\n)\nfrom runtime.loops import njit\n\n\n@njit(cache=True)\ndef outer(x):\n    return 2 * inner(x)\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def run(project: Path) -> str:
    """The probe's answer: was the loop kept, its result, how often it was loaded."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    done = subprocess.run(
        [sys.executable, "-B", "-c", PROBE], cwd=project, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_change_of_an_imported_file_is_seen_and_a_new_date_is_not(project: Path) -> None:
    assert run(project) == "False 4.0 0"
    assert run(project) == "True 4.0 1"
    for path in (project / "pack").glob("*.py"):
        os.utime(path, (1e9, 1e9))
    assert run(project) == "True 4.0 1"
    (project / "pack" / "constants.py").write_text("ADDED = 3.0\n", encoding="utf-8")
    assert run(project) == "False 8.0 0"


def test_the_digest_covers_imports_of_imports_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "ROOT", tmp_path)
    for name, text in {"a": "from b import c\n", "b": "import d\n", "d": "x = 1\n", "e": "import a\n"}.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")

    def digest() -> str:
        loops.sources_digest.cache_clear()
        loops._read.cache_clear()
        return loops.sources_digest(tmp_path / "a.py")

    first = digest()
    (tmp_path / "e.py").write_text("import b\n", encoding="utf-8")
    assert digest() == first
    (tmp_path / "d.py").write_text("x = 2\n", encoding="utf-8")
    assert digest() != first
    loops.sources_digest.cache_clear()
    loops._read.cache_clear()


def test_a_folder_that_cannot_be_written_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    assert loops.SourcesLocator.from_function(run, str(ROOT / "agents" / "play.py")) is None
    assert loops.SourcesLocator.from_function(run, "/elsewhere/play.py") is None


def test_the_compiler_is_started_only_where_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    sleeper = [sys.executable, "-c", "import sys; sys.stdin.read()"]

    def start(part: str) -> subprocess.Popen[bytes]:
        started.append(part)
        return subprocess.Popen(sleeper, stdin=subprocess.PIPE)

    monkeypatch.setattr(loops, "start_compiler", start)
    monkeypatch.setattr(loops.os, "cpu_count", lambda: 2)
    for kept in (True, False):
        monkeypatch.setattr(loops, "is_kept", lambda loop, kept=kept: kept)
        with loops.compiling_beside(None, "plays"):
            assert started == ([] if kept else ["plays"])


@pytest.mark.parametrize(("closed", "status"), [(True, 1), (False, 0)])
def test_the_compiler_ends_with_the_process_that_started_it_or_when_it_is_done(closed: bool, status: int) -> None:
    work = "threading.Event().wait()" if closed else "pass"
    code = f"import mania4k.compile as c, threading; c.watch_parent(); {work}"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        if closed:
            process.stdin.close()
        assert process.wait(timeout=60) == status


def test_every_loop_of_ours_is_kept_by_its_sources() -> None:
    root = Path(__file__).parents[1]
    packages = ("agents", "chart", "ear", "env", "eye", "mania4k", "mapper", "reward", "runtime")
    importing = [
        path.relative_to(root).as_posix()
        for package in packages
        for path in (root / package).rglob("*.py")
        if "from numba import njit" in path.read_text(encoding="utf-8").splitlines()
    ]
    assert importing == ["runtime/loops.py"]
