"""`mania4k doctor`: what this installation has, and what is missing, in the order a helper would ask."""

from __future__ import annotations

import importlib
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from runtime.command import Command, use_utf8
from runtime.errors import Mania4KError

PACKAGES = ("numpy", "numba", "soundfile", "soxr", "rosu-pp-py", "safetensors")
RUNTIMES = ("torch", "onnxruntime", "onnxruntime-directml", "onnxruntime-gpu", "onnxruntime-migraphx")
"""Packages that run networks; one of them is enough to generate."""
TRAINING = ("torch", "gymnasium", "stable-baselines3", "beat-this", "onnx", "tensorboard", "pillow")
"""Packages that training and refinement need besides."""
CODECS = {"WAV": "wav", "OGG": "ogg (Vorbis, Opus)", "FLAC": "flac", "MP3": "mp3"}
"""libsndfile's format names → what people call them."""


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    topic: str
    text: str
    fine: bool = True


def examine() -> Iterator[Finding]:
    """Look at everything; never raises for what it finds."""
    yield Finding("system", f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    yield from _packages()
    yield from _runtimes()
    yield _codecs()
    yield _mapper()


def _packages() -> Iterator[Finding]:
    for name in PACKAGES:
        found = _version(name)
        missing = f"{name} is missing: run `python run.py doctor` to set up again"
        yield Finding("package", f"{name} {found}" if found else missing, fine=bool(found))
    lacking = [name for name in TRAINING if not _version(name)]
    if lacking:
        yield Finding(
            "package", f'for players only: train and refine need `pip install "mania4k[train]"` ({", ".join(lacking)})'
        )


def _runtimes() -> Iterator[Finding]:
    """Libraries that can run networks, and their devices."""
    found = [f"{name} {_version(name)}" for name in RUNTIMES if _version(name)]
    if not found:
        yield Finding("runtime", 'nothing runs networks: pip install "mania4k[infer]"', fine=False)
    for line in found:
        yield Finding("runtime", line)
    torch = _imported("torch")
    if torch is not None:
        names = [f"cuda:{index} {torch.cuda.get_device_name(index)}" for index in range(torch.cuda.device_count())]
        yield Finding("torch", ", ".join(["cpu", *names]))
    elif _version("torch"):
        yield Finding("torch", "torch is installed but cannot be imported", fine=False)
    yield from _providers()


def _providers() -> Iterator[Finding]:
    """The devices of onnxruntime, by the names of `--device`."""
    if _imported("onnxruntime") is None:
        if any(_version(name) for name in RUNTIMES[1:]):
            yield Finding("onnx", "onnxruntime is installed but cannot be imported", fine=False)
        return
    from runtime.onnx.session import usable_devices

    yield Finding("onnx", ", ".join(f"{device} ({name})" for device, name in usable_devices().items()))


def _version(package: str) -> str:
    """The installed version of a package; an empty string where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _codecs() -> Finding:
    soundfile = _imported("soundfile")
    if soundfile is None:
        return Finding("codecs", "soundfile (libsndfile) cannot be imported", fine=False)
    available = soundfile.available_formats()
    missing = [name for key, name in CODECS.items() if key not in available]
    if missing:
        return Finding("codecs", f"libsndfile lacks {', '.join(missing)}", fine=False)
    return Finding("codecs", f"{', '.join(CODECS.values())} ({soundfile.__libsndfile_version__})")


def _mapper() -> Finding:
    from mapper.network.checkpoint import BUNDLED
    from mapper.network.load import open_network

    try:
        opened = open_network()
    except Mania4KError as error:
        return Finding("mapper", str(error), fine=False)
    count = sum(array.size for array in opened.network.arrays().values())
    megabytes = BUNDLED.stat().st_size / 1e6
    where = f"runs on {opened.network.runs_on}" + (f"; {opened.notice}" if opened.notice else "")
    return Finding("mapper", f"bundled checkpoint, {count:,} parameters, {megabytes:.1f} MB, {where}")


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except (ImportError, OSError):
        return None


@click.command(cls=Command, help="Show versions, devices, codecs and checkpoints, and what is wrong with them.")
@click.pass_context
def main(context: click.Context) -> None:
    use_utf8()
    findings = list(examine())
    for finding in findings:
        click.echo(f"{'ok ' if finding.fine else 'BAD'} {finding.topic:8} {finding.text}")
    if not all(finding.fine for finding in findings):
        click.echo("error: something is missing; the lines marked BAD say what", err=True)
        context.exit(1)


if __name__ == "__main__":
    main()
