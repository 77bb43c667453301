"""Compiled loops: kept while the contents of all their sources stay, called without numba, compiled anew when one changes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from runtime.loops import Loop, beside, is_kept, njit, sources, store
from runtime.loops.arguments import key_of, text_of

ROOT = Path(__file__).resolve().parents[1]
PROBE = """
import sys
import numpy as np
from pack.outer import outer, Pair
from runtime.loops import is_kept
kept = is_kept(outer)
print(kept, outer(1.0, Pair(np.ones(2), 3)), "numba" in sys.modules, outer(np.float64(2), Pair(np.ones(2), 3))[1])
print(outer.__name__)
"""
OUTER = """
from typing import NamedTuple

import numpy as np
from pack.inner import (
    inner,
)
from runtime.loops import njit

class Pair(NamedTuple):
    values: np.ndarray
    number: int

@njit(nogil=True)
def outer(x, pair):
    if x < 0:
        raise ValueError("below zero")
    return pair.values * inner(x), pair.number + inner(x)
"""
INNER = "from pack import constants\nfrom runtime.loops import njit\n\n@njit()\ndef inner(x):\n    return x + constants.ADDED\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a loop that calls another file's, which uses a third's constant."""
    (tmp_path / "pack").mkdir()
    shutil.copytree(ROOT / "runtime", tmp_path / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in {
        "__init__": "",
        "constants": "ADDED = 1.0\n",
        "inner": INNER,
        "outer": OUTER,
    }.items():
        (tmp_path / "pack" / f"{name}.py").write_text(text, encoding="utf-8")
    return tmp_path


def run(project: Path, code: str = PROBE, **settings: str) -> str:
    """What the code prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "PYTHONPATH"))}
    command = [sys.executable, "-B", "-c", code]
    done = subprocess.run(command, cwd=project, env=environment | settings, capture_output=True, text=True, check=True)
    return done.stdout


COMPILED = "False (array([2., 2.]), 5.0) True 6.0\nouter\n"
LOADED = "True (array([2., 2.]), 5.0) False 6.0\nouter\n"


def test_a_loop_that_is_kept_needs_no_numba_and_one_of_other_sources_does(project: Path) -> None:
    assert run(project) == COMPILED
    assert run(project) == LOADED
    for path in (project / "pack").glob("*.py"):
        os.utime(path, (1e9, 1e9))
    assert run(project) == LOADED, "the date of a file is no matter"
    (project / "pack" / "constants.py").write_text("ADDED = 3.0\n", encoding="utf-8")
    assert run(project) == "True (array([4., 4.]), 7.0) True 8.0\nouter\n"


def test_other_settings_of_numba_and_a_damaged_file_compile_anew(project: Path) -> None:
    run(project)
    assert run(project, NUMBA_BOUNDSCHECK="1") == COMPILED.replace("False", "True", 1)
    for path in project.rglob("*.loop"):
        path.write_bytes(path.read_bytes()[:-1])
    assert run(project) == COMPILED.replace("False", "True", 1)


def test_numba_can_be_used_after_machine_code_and_frees_what_that_allocated(project: Path) -> None:
    code = """
import numpy as np
from pack.outer import outer, Pair
first = outer(1.0, Pair(np.ones(2), 3))[0]
import numba
@numba.njit
def twice(x):
    return 2 * x
second = twice(first)
del first
third = outer(1.0, Pair(second, 3))[0]  # machine code that was loaded before numba was
fourth = outer(1, Pair(np.ones(2)[::-1], 3))[0]  # types that numba compiles now
print(third, fourth)
"""
    run(project)
    assert run(project, code) == "[8. 8.] [2. 2.]\n"


def test_an_error_in_machine_code_is_raised_as_it_is(project: Path) -> None:
    code = """
import numpy as np
from pack.outer import outer, Pair
try:
    outer(-1.0, Pair(np.ones(2), 3))
except ValueError as error:
    print(error)
"""
    assert run(project, code) == run(project, code) == "below zero\n"


def test_loops_are_interpreted_where_numba_is_set_to(project: Path) -> None:
    assert "function" in run(project, "from pack.outer import outer; print(type(outer))", NUMBA_DISABLE_JIT="1")


def test_the_digest_covers_imports_of_imports_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    for name, text in {"a": "from b import c\n", "b": "import d\n", "d": "x = 1\n", "e": "import a\n"}.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    functions = (sources.sources_digest, sources._read, sources._files_of)

    def digest() -> str:
        for function in functions:
            function.cache_clear()
        return sources.sources_digest(tmp_path / "a.py")

    first = digest()
    (tmp_path / "e.py").write_text("import b\n", encoding="utf-8")
    assert digest() == first
    (tmp_path / "d.py").write_text("x = 2\n", encoding="utf-8")
    assert digest() != first
    for function in functions:
        function.cache_clear()


class Fields(NamedTuple):
    values: np.ndarray
    number: int


def test_types_are_told_apart_as_far_as_machine_code_depends_on_them() -> None:
    array = np.zeros((2, 4))
    locked = array.copy()
    locked.flags.writeable = False
    texts = {
        text_of(key_of(value)): value
        for value in (
            array,
            array.T,
            array[:, 1:],
            locked,
            array[0],
            array.astype(np.float32),
            array.astype(bool),
            1,
            1.0,
            True,
            None,
            np.int32(1),
            (1, 2),
            (1, 2, 3),
            Fields(array, 1),
            Fields(array, 1.0),
        )
    }
    assert len(texts) == 16
    assert {"<f8 2 F", "<f8 2 Cr", "<f8 2 A", "|b1 2 C", "builtins.tuple(int64 | int64)"} <= set(texts)
    assert text_of(key_of(np.float64(1))) == text_of(key_of(1.0))
    assert text_of(key_of(array.copy())) == text_of(key_of(array))


@pytest.mark.parametrize("value", [2**63, "text", np.zeros(1, [("a", int)]), (1, "text"), object()])
def test_a_type_that_is_not_known_is_left_to_numba(value: object) -> None:
    assert text_of(key_of(value)) == ""


def test_a_loop_is_kept_nowhere_for_modules_that_are_not_ours_or_where_no_folder_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, kept = ROOT / "agents" / "play.py", store.Kept("a", "b", (), (), b"code")
    assert store.folders_of(Path("/elsewhere/play.py")) == []
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    store.save(ours, "f", "types", kept)
    assert store.load(ours, "f", "types") is None
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "folder"))
    store.save(ours, "f", "types", kept)
    assert store.load(ours, "f", "types") == kept
    assert store.load(ours, "f", "other") is None


def test_a_loop_of_another_place_is_compiled_and_not_kept() -> None:
    names = {"njit": njit}
    exec(compile("@njit()\ndef double(x):\n    return 2 * x\n", "/elsewhere/double.py", "exec"), names)
    double = names["double"]
    assert isinstance(double, Loop)
    assert double(3) == 6
    assert not is_kept(double)


def test_the_compiler_is_started_only_where_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    sleeper = [sys.executable, "-c", "import sys; sys.stdin.read()"]

    def start(part: str) -> subprocess.Popen[bytes]:
        started.append(part)
        return subprocess.Popen(sleeper, stdin=subprocess.PIPE)

    monkeypatch.setattr(beside, "start_compiler", start)
    for threads, kept in (("2", True), ("1", False), ("2", False)):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        monkeypatch.setattr(beside, "is_kept", lambda loop, kept=kept: kept)
        with beside.compiling_beside(None, "plays"):
            assert started == (["plays"] if threads == "2" and not kept else [])


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
    packages = ("agents", "chart", "ear", "env", "eye", "mania4k", "mapper", "reward", "runtime")
    importing = [
        path.relative_to(ROOT).as_posix()
        for package in packages
        for path in (ROOT / package).rglob("*.py")
        if any(
            line.split()[:2] in (["import", "numba"], ["from", "numba"])
            for line in path.read_text("utf-8").splitlines()
        )
        and path.parent != ROOT / "runtime" / "loops"
    ]
    assert importing == []
