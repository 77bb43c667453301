"""Requests of the page: a difficulty to write, the set's names and settings. All values are untrusted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtime.errors import ConfigError

MAX_TEXT = 200
MAX_TAGS = 1_000
MAX_SEED = 2**31 - 1
EFFORTS = ("fast", "normal", "best")
DENSITY_RANGE = (0.5, 1.6)
"""As mapper.request.options has it, which takes long to import; a test keeps them equal."""
TEXTS = ("title", "title_unicode", "artist", "artist_unicode", "creator", "source", "tags")
LEVELS = {"Easy": 1.5, "Normal": 2.2, "Hard": 3.3, "Insane": 4.5, "Expert": 5.5, "Expert+": 6.8}
"""Stars that a level stands for, as mapper.request.levels has them, which takes long to import; a test keeps them equal."""
PRESETS: dict[str, dict[str, Any]] = {
    "A set for everyone": {"stars": [1.5, 2.2, 3.3]},
    "A full spread": {"stars": [1.5, 2.2, 3.3, 4.5, 5.5]},
    "Streams": {"stars": [3.5], "patterns": {"stream": 0.5}, "holds": 0.02},
    "Holds": {"stars": [3.0], "holds": 0.45},
    "Chordjacks": {"stars": [4.0], "patterns": {"chordjack": 0.3}, "holds": 0.02},
}
"""Starting points that the form offers."""


def checked_order(values: Any) -> dict[str, Any]:
    """One difficulty as `mania4k generate` takes it, as plain JSON; raises ConfigError naming the field."""
    if not isinstance(values, dict):
        raise ConfigError("order: not a form")
    order = {
        "stars": number_of(values, "stars", 0.5, 10.0),
        "seed": int(number_of(values, "seed", 0, MAX_SEED, 0)),
        "effort": values.get("effort", "fast"),
        "style": values.get("style", ""),
        "name": text_of(values.get("name", ""), "name", 80),
        "patterns": {},
    }
    if order["effort"] not in EFFORTS:
        raise ConfigError(f"effort: must be one of {', '.join(EFFORTS)}")
    if values.get("holds") is not None:
        order["holds"] = number_of(values, "holds", 0.0, 0.9)
    if values.get("density") is not None:
        order["density"] = number_of(values, "density", *DENSITY_RANGE)
    patterns = values.get("patterns", {})
    if not isinstance(patterns, dict) or len(patterns) > 20:
        raise ConfigError("patterns: not a form")
    order["patterns"] = {str(name)[:40]: number_of(patterns, name, 0.0, 1.0) for name in patterns}
    for name in ("hp", "od"):
        if values.get(name) is not None:
            order[name] = number_of(values, name, 0.0, 10.0)
    config_of(order, Path("song.ogg"), Path("song.osz"))  # which knows styles and patterns
    return order


def config_of(order: Mapping[str, Any], song: Path, out: Path, timing: Path | None = None) -> Any:
    """The GenerateConfig of an order, the same as the command makes of the same choices."""
    from mapper.request.options import GenerateConfig

    return GenerateConfig(
        song=song,
        out=out,
        timing=timing,
        stars=(float(order["stars"]),),
        seed=int(order["seed"]),
        effort=order["effort"],
        style=order["style"],
        holds=order.get("holds"),
        patterns=dict(order["patterns"]),
        density=order.get("density"),
    )


def checked_metadata(values: Any) -> dict[str, Any]:
    """Names and settings of the set, as plain JSON; only the fields that were given. A preview of -1 and no kiai are chosen for one."""
    if not isinstance(values, dict):
        raise ConfigError("metadata: not a form")
    fields: dict[str, Any] = {
        name: text_of(values[name], name, MAX_TAGS if name == "tags" else MAX_TEXT) for name in TEXTS if name in values
    }
    for name in ("title", "artist"):
        if not fields.get(name, "").isascii():
            raise ConfigError(
                f"{name}: the romanised {name} takes Latin letters only; the other field has the original"
            )
    if "preview_ms" in values:
        fields["preview_ms"] = int(number_of(values, "preview_ms", -1, 86_400_000))
    if "kiai" in values:
        fields["kiai"] = None if values["kiai"] is None else checked_spans(values["kiai"])
    return fields


def checked_spans(values: Any) -> list[list[float]]:
    """Spans of time in ms, in order; none may overlap."""
    if not isinstance(values, list) or len(values) > 200:
        raise ConfigError("spans: not a list")
    spans = sorted([checked_span(value) for value in values])
    if any(later[0] < earlier[1] for earlier, later in itertools.pairwise(spans)):
        raise ConfigError("spans: two of them overlap")
    return spans


def checked_span(value: Any) -> list[float]:
    """[start_ms, end_ms] from outside."""
    if not isinstance(value, list) or len(value) != 2 or not all(_is_number(one) for one in value):
        raise ConfigError("span: must be two times in ms")
    start, end = float(value[0]), float(value[1])
    if not -60_000 <= start < end <= 86_400_000:
        raise ConfigError("span: must end after it starts")
    return [start, end]


def text_of(value: Any, name: str, limit: int) -> str:
    """One line of printable text."""
    if not isinstance(value, str):
        raise ConfigError(f"{name}: must be text")
    if len(value) > limit:
        raise ConfigError(f"{name}: longer than {limit} characters")
    return " ".join("".join(letter if letter.isprintable() else " " for letter in value).split())


def number_of(values: Mapping[str, Any], name: str, low: float, high: float, default: float | None = None) -> float:
    """The number that a request gives for `name`, or the default. Raises ConfigError outside `low`–`high`."""
    value = values.get(name, default)
    if not _is_number(value) or not low <= float(value) <= high:
        raise ConfigError(f"{str(name)[:40]}: must be {low:g} to {high:g}")
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
