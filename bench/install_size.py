"""Size of an installation that maps songs, without torch: `python -m bench.install_size OLD NEW`.

OLD and NEW are checkouts. Each is installed with the extra `infer` into a fresh environment, by pip; the size is that of all its
files, pip's own included, and of the loops that `mania4k compile` keeps where `--compile` is given. The last line is JSON.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import click

from bench.report import print_json


def size_mb(folder: Path) -> float:
    """Size of all files below the folder, MB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink()) / (
        1 << 20
    )


def installed_mb(checkout: Path, extra: str, compiled: bool) -> float:
    """Size of a fresh environment with the checkout's package, MB; a failure ends the program with pip's words."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder, with_pip=True)
        python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        steps = [["pip", "install", "--quiet", "--no-cache-dir", f"{checkout}[{extra}]"]]
        for arguments in [*steps, *([["mania4k", "compile"]] if compiled else [])]:
            done = subprocess.run([python, "-m", *arguments], cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{checkout}: {' '.join(arguments)}:\n{done.stderr}")
        return size_mb(folder)


@click.command()
@click.argument("old", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("new", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--extra", default="infer", show_default=True, help="Extra of the package to install.")
@click.option("--compile", "compiled", is_flag=True, help="Count compiled loops too.")
def main(old: Path, new: Path, extra: str, compiled: bool) -> None:
    """Install the checkouts OLD and NEW and compare the sizes."""
    old_mb, new_mb = (installed_mb(one.resolve(), extra, compiled) for one in (old, new))
    print_json("install_size", {"old_mb": round(old_mb), "new_mb": round(new_mb), "ratio": round(new_mb / old_mb, 3)})


if __name__ == "__main__":
    main()
