"""run.py: set-up, passing on, checks; and the files it relies on. Nothing installs a package or needs a network."""

import ast
import os
import re
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import run
from tests import conftest

ROOT = Path(__file__).resolve().parents[1]
SPECIAL = "ein Ordner 日本"  # a folder's name with a space and characters outside ASCII


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project in a folder with an awkward name, which `run` takes for its own."""
    root = tmp_path / SPECIAL
    root.mkdir()
    (root / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    (root / "constraints.txt").write_text("numpy==1\ntorch==2.13.0  # exact\n", encoding="utf-8")
    for name in ("ROOT", "VENV", "STAMP", "LOG", "CONSTRAINTS", "EXAMPLE_SONG", "DEMO_RESULT"):
        monkeypatch.setattr(run, name, root / getattr(run, name).relative_to(ROOT))
    return root


@pytest.fixture
def ready(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that is set up with the interpreter of the tests."""
    monkeypatch.setattr(run, "venv_python", lambda: Path(sys.executable))
    run.VENV.mkdir()
    run.STAMP.write_text(run.fingerprint(), encoding="utf-8")
    return project


@pytest.fixture
def pip_calls(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Arguments of every `pip install`, which installs nothing; no network, and a venv that costs nothing."""
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(run, "pip_install", lambda what, *arguments: calls.append(arguments))
    monkeypatch.setattr(run, "is_reachable", lambda url: False)
    monkeypatch.setattr(run, "compile_loops", lambda: None)
    monkeypatch.setattr(run, "venv_python", lambda: Path(sys.executable))
    run.VENV.mkdir()
    return calls


def fake_mania4k(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Put a `mania4k` that runs `code` in front of the real one."""
    package = folder / "stand-in" / "mania4k"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "__main__.py").write_text(code, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.setenv("PYTHONUTF8", "1")


@pytest.mark.parametrize("status", [0, 1])
def test_loops_are_compiled_at_set_up_and_a_failure_is_no_harm(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_mania4k(tmp_path, monkeypatch, f"import sys; sys.exit({status} if sys.argv[1:] == ['compile'] else 9)")
    monkeypatch.setattr(run, "venv_python", lambda: Path(sys.executable))
    run.compile_loops()
    assert ("could not be compiled" in capsys.readouterr().err) == bool(status)


def test_an_old_python_gets_a_message_with_the_version_needed() -> None:
    code = (
        "import sys; sys.version_info = (3, 9, 1); sys.argv = ['run.py', 'demo'];"
        f"import runpy; runpy.run_path({str(ROOT / 'run.py')!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 1
    assert re.search(r"needs Python 3\.11 or newer, but .* is Python 3\.9", done.stderr)
    assert "Traceback" not in done.stderr


def test_an_old_python_can_parse_the_file_and_no_package_is_imported() -> None:
    tree = ast.parse((ROOT / "run.py").read_text(encoding="utf-8"), feature_version=(3, 7))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names
    assert "subprocess" in imported


def test_no_arguments_prints_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main([]) == 2
    assert "python run.py demo" in capsys.readouterr().out


def test_demo_refuses_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["demo", "--seed", "3"]) == 2
    assert "takes no arguments" in capsys.readouterr().err


def test_set_up_installs_once_and_again_after_a_change(
    project: Path, pip_calls: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    run.set_up()
    assert pip_calls == [
        ("--constraint", "constraints.txt", "torch==2.13.0"),
        ("--constraint", "constraints.txt", "--editable", ".[dev]"),
    ]
    assert "Setting up (once" in capsys.readouterr().err
    run.set_up()
    assert len(pip_calls) == 2
    for name in ("pyproject.toml", "constraints.txt"):
        with (project / name).open("a", encoding="utf-8") as file:
            file.write("# changed\n")
        assert not run.is_set_up()
        run.set_up()
        assert run.is_set_up()
    assert len(pip_calls) == 6


def test_a_moved_folder_is_set_up_again(ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run.is_set_up()
    before = run.fingerprint()
    monkeypatch.setattr(run, "ROOT", ready.rename(tmp_path / "moved"))
    monkeypatch.setattr(run, "CONSTRAINTS", run.ROOT / "constraints.txt")
    assert run.fingerprint() != before


def test_an_interrupted_set_up_is_taken_up_again(
    pip_calls: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run.set_up()
    with run.CONSTRAINTS.open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    record = run.pip_install

    def interrupt(*arguments: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "pip_install", interrupt)
    assert run.main(["doctor"]) == 130
    assert "Run the same command again" in capsys.readouterr().err
    assert not run.STAMP.exists()
    monkeypatch.setattr(run, "pip_install", record)
    run.set_up()
    assert run.is_set_up()


def test_torch_comes_from_the_cpu_index_on_linux_when_it_answers(
    pip_calls: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "is_reachable", lambda url: True)
    monkeypatch.setattr(sys, "platform", "linux")
    run.install_torch()
    monkeypatch.setattr(sys, "platform", "win32")
    run.install_torch()
    assert pip_calls == [
        ("--no-deps", "--index-url", run.TORCH_CPU_INDEX, "torch==2.13.0"),
        ("--constraint", "constraints.txt", "torch==2.13.0"),
    ]


def test_torch_falls_back_to_the_default_wheel(
    pip_calls: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = run.pip_install

    def refuse_the_index(what: str, *arguments: str) -> None:
        record(what, *arguments)
        if "--index-url" in arguments:
            raise run.SetupError("no such wheel")

    monkeypatch.setattr(run, "is_reachable", lambda url: True)
    monkeypatch.setattr(run, "pip_install", refuse_the_index)
    monkeypatch.setattr(sys, "platform", "linux")
    run.install_torch()
    assert pip_calls[-1] == ("--constraint", "constraints.txt", "torch==2.13.0")
    assert "taking the default one" in capsys.readouterr().err


def test_constraints_without_torch_are_refused(project: Path) -> None:
    run.CONSTRAINTS.write_text("numpy==1\n", encoding="utf-8")
    with pytest.raises(run.SetupError, match="no line `torch==VERSION`"):
        run.torch_requirement()


def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts, and says nothing
        port = server.getsockname()[1]
        assert not run.is_reachable(f"http://127.0.0.1:{port}/", wait_s=0.3)
        with server.accept()[0] as connection:
            assert connection.recv(4) == b"HEAD", "it was asked, and did not answer"
    assert not run.is_reachable("http://127.0.0.1:1/", wait_s=5.0)  # refused at once
    assert not run.is_reachable("nonsense", wait_s=5.0)


def test_a_server_that_answers_is_reachable() -> None:
    code = (
        "from http.server import HTTPServer, SimpleHTTPRequestHandler as Handler\n"
        "server = HTTPServer(('127.0.0.1', 0), Handler)\n"
        "print(server.server_port, flush=True)\n"
        "server.handle_request()"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        try:
            assert run.is_reachable(f"http://127.0.0.1:{server.stdout.readline().strip()}/", wait_s=20.0)
        finally:
            server.kill()


def test_a_python_without_ensurepip_gets_a_message_with_the_package(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(run.SetupError, match=r"`venv` or `ensurepip` module is missing.*apt install python3-venv"):
        run.make_venv()


def test_a_broken_environment_is_made_anew(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run.venv_python().parent.mkdir(parents=True)
    run.venv_python().write_text("not a program", encoding="utf-8")
    assert not run.venv_works()
    run.make_venv()
    assert run.venv_works()
    monkeypatch.setattr(run.subprocess, "Popen", None)  # a second creation would fail
    monkeypatch.setattr(run, "venv_works", lambda: True)
    run.make_venv()


def test_an_environment_that_cannot_be_made_says_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run.VENV.write_text("a file where the folder should be", encoding="utf-8")
    assert run.main(["doctor"]) == 1
    assert "error: cannot create the virtual environment" in capsys.readouterr().err


def test_a_missing_project_file_is_named(ready: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (ready / "pyproject.toml").unlink()
    assert run.main(["doctor"]) == 1
    assert "pyproject.toml" in capsys.readouterr().err


def test_pip_failures_show_the_end_of_the_log(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(run.SetupError, match=r"(?s)could not install a thing.*Run the same command again") as failure:
        run.pip_install("a thing", "--no-index", "--no-such-option-日本")
    assert "no such option" in str(failure.value)
    assert "no such option" in run.LOG.read_text(encoding="utf-8")


def test_other_commands_go_to_mania4k_from_where_the_user_stands(
    ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fake_mania4k(tmp_path, monkeypatch, "import os, sys; print(os.getcwd(), sys.argv[1:]); import chart; sys.exit(7)")
    here = tmp_path / "here 日本"
    here.mkdir()
    (here / "chart.py").write_text("print('the wrong chart')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.environ["PYTHONPATH"], str(ROOT)]))
    monkeypatch.chdir(here)
    assert run.main(["generate", "a b.ogg", "--title", "日本"]) == 7
    assert capfd.readouterr().out.splitlines() == [f"{here} ['generate', 'a b.ogg', '--title', '日本']"]


def test_demo_generates_and_says_where_the_map_is(
    ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fake_mania4k(tmp_path, monkeypatch, "import sys; print(sys.argv[1:]); open(sys.argv[-1], 'w').close()")
    assert run.main(["demo"]) == 0
    first, *_ = (out := capfd.readouterr().out).splitlines()
    song, result = str(run.EXAMPLE_SONG), str(run.DEMO_RESULT)
    assert ast.literal_eval(first) == ["generate", song, "--stars", "2", "3.5", "5", "-o", result]
    assert f"The map is here: {result}\n" in out
    assert run.DEMO_RESULT.exists()


def test_a_failed_demo_names_no_result(
    ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fake_mania4k(tmp_path, monkeypatch, "raise SystemExit('error: no')")
    assert run.main(["demo"]) == 1
    assert "The map is here" not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ((0, 0, 0, 0), 0),
        ((0, 3, 0, 0), 12),
        ((1, 0, 1, 0), 11),
        ((0, 0, 1, 0), 15),
        ((0, 0, 0, 1), 15),
        ((0, 0, 5, 0), 0),
        ((0, 0, 0, 5), 0),
        ((0, 0, 1, 5), 15),
        ((0, 5, 0, 0), 12),
    ],
)
def test_all_checks_run_and_the_first_failure_is_the_status(
    ready: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    outcomes: tuple[int, ...],
    status: int,
) -> None:
    names = (("ruff check", 11), ("ruff format", 12), ("pytest", 15), ("pytest browser", 15))
    code = "import os, sys; print('ran', os.getcwd(), sys.argv[2:]); sys.exit(int(sys.argv[1]))"
    checks = [
        (name, number, ("-c", code, str(outcome))) for (name, number), outcome in zip(names, outcomes, strict=True)
    ]
    monkeypatch.setattr(run, "CHECKS", checks)
    monkeypatch.setenv("PYTHONUTF8", "1")
    assert run.main(["test", "-k", "some thing"]) == status
    out = capfd.readouterr().out
    assert out.count(f"ran {ready}") == 4
    assert out.count("['-k', 'some thing']") == 2
    failed = [bool(code) for code in outcomes[:2]] + [code == 1 for code in outcomes[2:]]
    assert [word == "FAILED" for word in re.findall(r"FAILED|passed", out)] == failed


def test_a_selection_without_any_test_is_a_failure(
    ready: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    checks = [(name, 15, ("-c", "import sys; sys.exit(5)")) for name in ("pytest", "pytest browser")]
    monkeypatch.setattr(run, "CHECKS", checks)
    assert run.main(["test", "-k", "none"]) == 15
    assert capfd.readouterr().out.count("FAILED") == 2


def test_every_test_with_a_browser_stands_in_a_file_named_so() -> None:
    """`--browser` selects by the file's name."""
    marks = ("headless(", "opened_studio(", "from tests.browser import")
    opening = {
        path.stem
        for path in (ROOT / "tests").glob("test_*.py")
        if path != Path(__file__) and any(mark in path.read_text(encoding="utf-8") for mark in marks)
    }
    assert opening == {path.stem for path in (ROOT / "tests").glob("test_*_browser.py")}


def test_the_two_runs_of_pytest_have_every_test_once() -> None:
    items = [SimpleNamespace(path=Path(f"test_{name}.py")) for name in ("run", "page_browser", "browser", "a_browser")]

    def selected(arguments: tuple[str, ...]) -> list[Any]:
        kind = next((one.removeprefix("--browser=") for one in arguments if one.startswith("--browser=")), "with")
        hook = SimpleNamespace(pytest_deselected=lambda items: None)
        kept = list(items)
        conftest.pytest_collection_modifyitems(SimpleNamespace(getoption=lambda name: kind, hook=hook), kept)  # type: ignore[arg-type]
        return kept

    runs = [selected(arguments) for name, _, arguments in run.CHECKS if name.startswith("pytest")]
    assert [len(one) for one in runs] == [1, 3]
    assert sorted((one for run in runs for one in run), key=items.index) == items == selected(())


def test_constraints_pin_every_dependency() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = settings["dependencies"] + [one for group in settings["optional-dependencies"].values() for one in group]
    lines = [line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()]
    pins = [line for line in lines if line]
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", pin)] == []

    def plain(name: str) -> str:
        return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", name).group()).lower()  # type: ignore[union-attr]

    pinned = [plain(pin.split("==")[0]) for pin in pins]
    assert len(pinned) == len(set(pinned))
    assert {plain(one) for one in wanted} - {"mania4k"} <= set(pinned)
    assert "torch==2.13.0" in pins


def test_every_package_is_installed_and_has_its_layer() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    packages = {file.parent.name for file in ROOT.glob("*/__init__.py")} - {"tests"}
    layers = settings["importlinter"]["contracts"][0]["layers"]
    assert {f"{package}*" for package in packages} <= set(settings["setuptools"]["packages"]["find"]["include"])
    assert packages <= set(settings["importlinter"]["root_packages"])
    assert packages <= set(settings["mypy"]["files"])
    assert packages <= {name.strip() for layer in layers for name in layer.split("|")}
    assert "chart" in packages


def test_the_ci_script_has_unix_line_ends() -> None:
    script = (ROOT / ".ci" / "run").read_bytes()
    assert script.startswith(b"#!/usr/bin/env bash\n")
    assert b"\r" not in script
