"""The wheel holds what the packages need besides their modules."""

import tomllib
from pathlib import Path

from setuptools import find_packages

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
PATTERNS = SETTINGS["packages"]["find"]["include"]
PACKAGES = [pattern.removesuffix("*") for pattern in PATTERNS]


def test_every_file_of_a_package_is_packed():
    packed = {
        path
        for package, patterns in SETTINGS["package-data"].items()
        for pattern in patterns
        for path in ROOT.glob(f"{package}/{pattern}")
        if path.is_file()
    }
    there = {
        path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".loop", ".tmp")
    }
    only_to_refine = ROOT / "mapper" / "weights" / "pretrained.safetensors"  # players do not need it
    assert there - packed == {only_to_refine}
    assert packed <= there
    assert any(path.name == "mapper.safetensors" for path in packed)


def test_every_folder_with_modules_is_a_package():
    found = set(find_packages(str(ROOT), include=PATTERNS))
    folders = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert folders == {ROOT / package.replace(".", "/") for package in found}
