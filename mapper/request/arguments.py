"""Arguments of `generate` as people write them: percents, and options that exclude one another."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from chart.formats.read import CHART_SUFFIXES
from runtime.errors import ConfigError


class Ratio(click.ParamType):
    """A ratio from 0 to 1, written as .2 or as 20%."""

    name = "ratio"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The ratio; fails as wrong usage for what is no number, or a percentage without its sign."""
        if isinstance(value, float):
            return value
        try:
            ratio = read_ratio(str(value))
        except ValueError:
            self.fail(f"“{value}” is no ratio; write it as .2 or 20%", param, ctx)
        if 1 < ratio <= 100:
            self.fail(f"{value} is more than all; write it as {ratio / 100:g} or {ratio:g}%", param, ctx)
        return ratio


def read_ratio(text: str) -> float:
    """The ratio in `.2` or `20%`. Raises ValueError."""
    return float(text.rstrip("% ")) / 100 if text.rstrip().endswith("%") else float(text)


def effort_of(fast: bool, best: bool) -> str:
    """Value of the config's `effort`. Raises ConfigError for both."""
    if fast and best:
        raise ConfigError("--fast and --best contradict one another: give one")
    return "fast" if fast else "best" if best else "normal"


def check_song(song: Path | None) -> None:
    """Raise ConfigError where a map stands in the place of a song, or a folder's name is wrong."""
    if song is None:
        return
    if song.suffix.lower() in CHART_SUFFIXES and os.path.isfile(song):
        raise ConfigError(f"{song}: is a map, not a song; to add difficulties to it: mania4k generate --from {song}")
    if not song.suffix and not os.path.exists(song):
        raise ConfigError(f"{song}: no such file or folder; check the name")
