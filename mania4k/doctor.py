"""`mania4k doctor`: what this installation has, and what is missing, in the order a helper would ask."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from chart.command import Command, use_utf8
from chart.errors import Mania4KError

PACKAGES = ("torch", "numpy", "numba", "onnxruntime", "onnxruntime-directml", "soundfile", "soxr", "rosu-pp-py")
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
    yield _devices()
    yield _providers()
    yield _codecs()
    yield _mapper()


def _packages() -> Iterator[Finding]:
    other_onnxruntime = {"onnxruntime", "onnxruntime-directml"}
    for name in PACKAGES:
        try:
            yield Finding("package", f"{name} {version(name)}")
        except PackageNotFoundError:
            wanted = name not in other_onnxruntime or (name == "onnxruntime-directml") == (sys.platform == "win32")
            if wanted:
                yield Finding("package", f"{name} is missing: run `python run.py doctor` to set up again", fine=False)


def _devices() -> Finding:
    torch = _imported("torch")
    if torch is None:
        return Finding("device", "torch cannot be imported", fine=False)
    names = [f"cuda:{index} {torch.cuda.get_device_name(index)}" for index in range(torch.cuda.device_count())]
    return Finding("device", ", ".join(["cpu", *names]))


def _providers() -> Finding:
    onnxruntime = _imported("onnxruntime")
    if onnxruntime is None:
        return Finding("onnx", "onnxruntime cannot be imported", fine=False)
    return Finding("onnx", ", ".join(onnxruntime.get_available_providers()))


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
    from mapper.checkpoint import BUNDLED, load_mapper, parameter_count

    try:
        model = load_mapper()
    except Mania4KError as error:
        return Finding("mapper", str(error), fine=False)
    megabytes = BUNDLED.stat().st_size / 1e6
    return Finding("mapper", f"bundled checkpoint, {parameter_count(model):,} parameters, {megabytes:.1f} MB")


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
