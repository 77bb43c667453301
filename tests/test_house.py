"""The rules of the house: sizes of folders, modules and functions, no import circles, public names declared."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("agents", "chart", "ear", "env", "eye", "mania4k", "mapper", "reward", "runtime")
MOST_MODULES = 12
MOST_LINES = 300
LONGER_MODULES = {"env/ppo/ppo.py": 330}  # one algorithm, read as one file
MOST_LINES_OF_FUNCTION = 40

FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FOLDERS = sorted({path.parent for path in FILES})


def name_of(path: Path) -> str:
    """The path below the repository, with slashes."""
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    """The dotted name of a module."""
    return name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


MODULES = {module_of(path): path for path in FILES}


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Modules of the project that a module imports anywhere, with the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield (full if full in MODULES else node.module), node.lineno
        elif isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, without the docstring."""
    first = function.body[0]
    has_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def test_the_packages_are_found() -> None:
    assert {path.parents[len(path.parents) - 1 - len(ROOT.parents) - 1].name for path in FILES} == set(PACKAGES)
    assert len(FILES) > 200


def test_a_folder_holds_at_most_twelve_modules() -> None:
    counts = {name_of(folder): len([p for p in folder.glob("*.py") if p.stem != "__init__"]) for folder in FOLDERS}
    assert {folder: count for folder, count in counts.items() if count > MOST_MODULES} == {}


def test_modules_are_short() -> None:
    counts = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: n for name, n in counts.items() if n > LONGER_MODULES.get(name, MOST_LINES)} == {}


def test_functions_are_short() -> None:
    long = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and lines_of(node) > MOST_LINES_OF_FUNCTION:
                long[f"{name_of(path)}:{node.name}"] = lines_of(node)
    assert long == {}


def test_no_module_imports_itself_over_others() -> None:
    graph = {
        module: {name for name, _ in imports_of(path) if name in MODULES and name != module}
        for module, path in MODULES.items()
    }
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"import circle: {' -> '.join(error.args[1])}")


def declared(path: Path) -> list[str] | None:
    """The names of a package's `__all__`, in the order in which they stand; None without one."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return list(ast.literal_eval(node.value))
    return None


def order(name: str) -> tuple[bool, bool, str]:
    """Constants, then classes, then functions and modules, as ruff sorts them."""
    return not name.isupper(), not name[0].isupper(), name


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_a_package_declares_its_public_names(folder: Path) -> None:
    names = declared(folder / "__init__.py")
    assert names is not None, "no __all__"
    assert names == sorted(names, key=order)
    modules = {p.stem for p in folder.glob("*.py")} | {p.parent.name for p in folder.glob("*/__init__.py")}
    if folder.parent != ROOT and set(names) <= modules:  # a folder of machinery: all of its modules are public
        assert set(names) == modules - {"__init__"}


@pytest.mark.parametrize("package", PACKAGES)
def test_types_are_published(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
