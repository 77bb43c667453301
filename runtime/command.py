"""Base of every command: one-line errors, exit statuses."""

from __future__ import annotations

import importlib
import os
import sys
import types
from pathlib import Path
from typing import Any

import click

from runtime.errors import Mania4KError
from runtime.limits import excess
from runtime.outputs import OUTPUT_NAMES, guarded
from runtime.text import printable

EXTRAS = {
    **dict.fromkeys(("torch", "gymnasium", "stable_baselines3", "beat_this", "onnx", "tensorboard", "PIL"), "train"),
    "onnxruntime": "infer",
    "matplotlib": "dev",
    "ray": "ray",
}
"""Module of a package that not every installation has → the extra of pyproject.toml that brings it."""


OUT_OF_MEMORY = (
    "there is too little memory for this; allow more with --memory, give fewer difficulties or a shorter song"
)


class Command(click.Command):
    """A click command that prints a `Mania4KError` as one line and exits 1; `--debug` shows the traceback.

    Exit status: 0 done, 1 expected failure, 2 wrong usage (click's own).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(
                ["--debug"],
                is_flag=True,
                expose_value=False,
                is_eager=True,
                help="Show tracebacks.",
                callback=lambda context, _, value: context.meta.__setitem__("debug", value),
            )
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for param in self.params:
            if isinstance(param, ManyOption):
                args = param.joined(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            inputs, outputs = self._files(ctx)
            with guarded(inputs, outputs):
                return super().invoke(ctx)
        except Mania4KError as error:
            if ctx.meta.get("debug"):
                raise
            click.echo(f"error: {error}", err=True)
            ctx.exit(1)
        except OSError as error:  # over-long names, full devices, lost network drives: no fault of ours
            if ctx.meta.get("debug") or isinstance(error, BrokenPipeError):
                raise
            place = f"{printable(str(error.filename))}: " if error.filename else ""
            click.echo(f"error: {place}{error.strerror or error}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            if not (reason := excess()):
                raise
            click.echo(f"error: {reason}", err=True)
            ctx.exit(1)
        except MemoryError:
            if ctx.meta.get("debug"):
                raise
            click.echo(f"error: {OUT_OF_MEMORY}", err=True)
            ctx.exit(1)
        except ModuleNotFoundError as error:
            if ctx.meta.get("debug") or not is_optional(error):
                raise
            click.echo(f"error: {missing_package(error)}", err=True)
            ctx.exit(1)

    def _files(self, ctx: click.Context) -> tuple[list[Path], dict[str, Path]]:
        """Paths that the command reads, and those that it writes by option."""
        inputs: list[Path] = []
        outputs: dict[str, Path] = {}
        for param in self.params:
            value = ctx.params.get(param.name or "")
            if not isinstance(param.type, click.Path) or value is None:
                continue
            paths = [Path(one) for one in (value if isinstance(value, tuple) else (value,))]
            if param.name in OUTPUT_NAMES:
                outputs |= {max(param.opts, key=len): path for path in paths}
            else:
                inputs += paths
        return inputs, outputs


class OutputFile(click.Path):
    """A path to write, whose name must end in one of the suffixes of what is written."""

    def __init__(self, *suffixes: str) -> None:
        super().__init__(path_type=Path)
        self.suffixes = suffixes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; fails as wrong usage for other names."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if path.suffix.lower() not in self.suffixes:
            self.fail(f"{path} must end in {' or '.join(self.suffixes)}, since that is what is written", param, ctx)
        return path


def is_optional(error: ModuleNotFoundError) -> bool:
    """Whether the module belongs to a package that a small installation does without."""
    return _package(error) in EXTRAS


def missing_package(error: ModuleNotFoundError) -> str:
    """Message for the user where such a module is missing."""
    package = _package(error)
    return f'{package} is not installed, and this needs it: pip install "mania4k[{EXTRAS[package]}]"'


def _package(error: ModuleNotFoundError) -> str:
    return (error.name or "").split(".")[0]


class ManyOption(click.Option):
    """An option that takes all the values that follow it."""

    def joined(self, args: list[str]) -> list[str]:
        """The arguments, with the values that follow this option joined into one, as click expects."""
        rest, joined = list(args), []
        while rest:
            joined.append(rest.pop(0))
            if joined[-1] in self.opts and rest:
                values = [rest.pop(0)]
                while rest and self.goes_on(rest[0]):
                    values.append(rest.pop(0))
                joined.append(" ".join(values))
        return joined

    def goes_on(self, text: str) -> bool:
        """Whether the argument after a value of the option is another value of it."""
        raise NotImplementedError


class NumbersOption(ManyOption):
    """An option that takes all the numbers that follow it: `--stars 2 3.5 5`; commas do as well."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "type": _Numbers()})

    def goes_on(self, text: str) -> bool:
        return _is_number(text)


class ChoicesOption(ManyOption):
    """An option that takes all the words of a list that follow it: `--set easy hard`; commas do as well."""

    def __init__(self, *args: Any, choices: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "type": _Words()})
        self.choices = choices

    def goes_on(self, text: str) -> bool:
        return text.casefold() in self.choices


class _Words(click.ParamType):
    name = "words"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        return value if isinstance(value, tuple) else tuple(value.replace(",", " ").split())


class _Numbers(click.ParamType):
    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        parts = value if isinstance(value, tuple) else value.replace(",", " ").split()
        if not parts or not all(_is_number(str(part)) for part in parts):
            self.fail(f"{value!r} is not a list of numbers such as 2 3.5 5", param, ctx)
        return tuple(float(part) for part in parts)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def use_utf8() -> None:
    """Write UTF-8 whatever the console's code page is, so that Unicode titles never stop a command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")


def make_callable(module: str, home: str, function: str) -> None:
    """Let a command's module be called as the function of its name, which lives in the module `home`.

    Importing `agents.play` binds that name in `agents` to the module, over the function `agents.play`.
    """

    class CallableModule(types.ModuleType):
        def __call__(self, *args: Any, **options: Any) -> Any:
            return getattr(importlib.import_module(home), function)(*args, **options)

    sys.modules[module].__class__ = CallableModule
