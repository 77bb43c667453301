"""Difficulty levels: star rating requested by a name, name and settings of a chart by its stars."""

from __future__ import annotations

from collections.abc import Sequence

from chart.model import Difficulty
from reward.rules.criteria import Level, level_of
from runtime.errors import ConfigError

LEVEL_NAMES = {
    Level.EASY: "Easy",
    Level.NORMAL: "Normal",
    Level.HARD: "Hard",
    Level.INSANE: "Insane",
    Level.EXPERT: "Expert",
    Level.EXPERT_PLUS: "Expert+",
}
TYPICAL_STARS = {
    Level.EASY: 1.5,
    Level.NORMAL: 2.2,
    Level.HARD: 3.3,
    Level.INSANE: 4.5,
    Level.EXPERT: 5.5,
    Level.EXPERT_PLUS: 6.8,
}
"""Stars requested by a name: medians of the osu!mania charts of the level in the `train` songs (Expert+: by hand)."""

SETTINGS = {
    Level.EASY: Difficulty(hp=6.5, od=7.0),
    Level.NORMAL: Difficulty(hp=7.0, od=7.0),
    Level.HARD: Difficulty(hp=7.5, od=7.5),
    Level.INSANE: Difficulty(hp=8.0, od=8.0),
    Level.EXPERT: Difficulty(hp=8.5, od=8.5),
    Level.EXPERT_PLUS: Difficulty(hp=8.5, od=8.5),
}
"""HP and OD: medians of the osu!mania charts of the level among the `train` songs, within the caps of the ranking
criteria (7, 7.5, 8); HP a little below for Insane and up (theirs: 8.2 and 9), as nobody has tested these maps."""


def stars_of_names(names: Sequence[str]) -> tuple[float, ...]:
    """Stars for names such as `easy hard`; raises ConfigError for a name that is no level, or given twice."""
    by_name = {name.casefold(): TYPICAL_STARS[level] for level, name in LEVEL_NAMES.items()}
    requested = [name.casefold() for name in names]
    for name in requested:
        if name not in by_name:
            raise ConfigError(f"--set {name}: no difficulty of that name; there are {' '.join(by_name)}")
        if requested.count(name) > 1:
            raise ConfigError(f"--set {name}: named twice; use --stars for several difficulties of a level")
    return tuple(by_name[name] for name in requested)


def names_of(stars: Sequence[float]) -> list[str]:
    """A name for each difficulty of a set, no two alike: its level, and Light before the easier of two of a level."""
    levels = [level_of(value) for value in stars]
    names = []
    for index, (value, level) in enumerate(zip(stars, levels, strict=True)):
        same = [other for other, also in enumerate(levels) if also == level]
        name = LEVEL_NAMES[level]
        if len(same) == 2 and index == min(same, key=lambda other: (stars[other], other)):
            name = f"Light {name}"
        elif len(same) > 2:
            name = f"{name} {value:.2f}*"
        names.append(name)
    return [
        f"{name} ({names[:index].count(name) + 1})" if names.count(name) > 1 else name
        for index, name in enumerate(names)
    ]
