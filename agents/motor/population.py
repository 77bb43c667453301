"""Players: a skill profile each, and populations drawn from published distributions.

A skill is given in levels. A player of level 4.0 plays a chart of about 4.0 official stars at 96 % (MAX = 320 weights,
OD 8); `agents.difficulty_curve.required_skill` measures the level a chart asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agents.motor import columns
from agents.motor.constants import SkillConstants, constants
from runtime.errors import ConfigError

MIN_LEVEL, MAX_LEVEL = 0.0, 14.0
"""Levels outside are clipped: charts beyond are not playable, players below do not read notes yet."""
BEST_SCROLL_MS = 520.0
"""Scroll time at which most can be read: 4K players read at 400–650 ms (REFERENCES.md §3)."""
ETTERNA_PERCENTILES = ((5, 4.9), (25, 10.3), (50, 15.3), (75, 20.5), (90, 25.5), (95, 28.2), (99, 32.8))
"""Overall rating of 29,306 players (REFERENCES.md §3)."""
ETTERNA_PER_LEVEL = 3.9
"""Etterna rating per level: median of MSD / stars on the 15 maps of accuracy.csv is 4.0, at 96 % rather than 93 %."""


SKILL_NAMES = ("speed", "stamina", "jack", "reading", "accuracy", "release")
"""The skills of a player, in the order of their columns."""


@dataclass(frozen=True, slots=True)
class Player:
    """A simulated player; all skills in levels (≈ stars), higher is better."""

    speed: float
    stamina: float
    jack: float
    reading: float
    accuracy: float
    release: float
    left: float = 1.0  # speed of the left hand over the mean of both; the right has 2 − left
    bias_ms: float = 0.0  # mean error of the play, + is late
    scroll_ms: float = BEST_SCROLL_MS  # time a note is on screen

    @property
    def level(self) -> float:
        """Mean of the skills."""
        return (self.speed + self.stamina + self.jack + self.reading + self.accuracy + self.release) / 6

    def shifted(self, levels: float) -> Player:
        """A copy of the player whose skills are all `levels` higher."""
        return replace(self, **{name: getattr(self, name) + levels for name in SKILL_NAMES})


def skill_for(stars: float) -> Player:
    """The all-round player of a level: who plays typical charts of that many official stars at 96 %."""
    if not np.isfinite(stars):
        raise ConfigError(f"skill is {stars}; give a number of stars, 0–{MAX_LEVEL:g}")
    return Player(stars, stars, stars, stars, stars, stars)


@dataclass(frozen=True, eq=False)
class Population:
    """Players as one array; build one with the functions below."""

    skills: NDArray[np.float64]  # [player, 9] in the order of Player's fields

    def __len__(self) -> int:
        return int(self.skills.shape[0])

    @property
    def level(self) -> NDArray[np.float64]:
        """[player], mean of the six skills."""
        return self.skills[:, :6].mean(axis=1)

    def players(self) -> list[Player]:
        """The population as one `Player` object each."""
        return [Player(*map(float, row)) for row in self.skills]


def population_of(players: Population | Player | Iterable[Player]) -> Population:
    """Any way to name players, as a `Population`."""
    if isinstance(players, Population):
        return players
    chosen = [players] if isinstance(players, Player) else list(players)
    rows = [
        (p.speed, p.stamina, p.jack, p.reading, p.accuracy, p.release, p.left, p.bias_ms, p.scroll_ms) for p in chosen
    ]
    return Population(np.array(rows, np.float64).reshape(-1, 9))


def around(
    level: float | Sequence[float] | NDArray, count: int, rng: np.random.Generator, skill: SkillConstants | None = None
) -> Population:
    """`count` players of about this level (or these levels, one each) whose skills scatter as real players' do."""
    s = skill or constants().skill
    levels = np.broadcast_to(np.asarray(level, np.float64), (count,))
    sd = np.array([s.speed_sd, s.stamina_sd, s.jack_sd, s.reading_sd, s.accuracy_sd, s.release_sd])
    off = rng.normal(size=(count, 6)) * sd
    skills = np.empty((count, 9))
    skills[:, :6] = levels[:, None] + off
    skills[:, 5] -= s.release_behind
    skills[:, 6] = np.clip(rng.normal(1.0, s.left_sd, count), 0.8, 1.2)
    skills[:, 7] = rng.normal(0.0, s.bias_ms, count)
    skills[:, 8] = BEST_SCROLL_MS * np.exp(rng.normal(0.0, 0.12, count))
    return Population(skills)


def everyone(count: int, rng: np.random.Generator) -> Population:
    """Draw players of all levels, spread as Etterna's rating percentiles are."""
    share, rating = np.array(ETTERNA_PERCENTILES).T
    levels = np.interp(rng.uniform(0, 100, count), [0, *share, 100], [2.0, *rating, 36.0]) / ETTERNA_PER_LEVEL
    return around(levels, count, rng)


def profiles(population: Population, skill: SkillConstants | None = None) -> NDArray[np.float32]:
    """[player, profile] parameters of each player for the compiled loop, from skills in levels."""
    s = skill or constants().skill
    level = np.clip(population.skills[:, :6], MIN_LEVEL, MAX_LEVEL)
    speed, stamina, jack, reading, accuracy, release = level.T
    left, bias, scroll = population.skills[:, 6:].T
    out = np.empty((len(population), columns.PROFILE))
    out[:, columns.SPREAD_MS] = s.spread_floor_ms + s.spread_base_ms * np.exp(-accuracy / s.spread_levels)
    out[:, columns.BIAS_MS] = bias
    out[:, columns.SPEED] = s.speed_base + s.speed_per_level * speed
    # stamina is what can be kept up in notes/s; the kernel takes it as a share of this player's own speed
    kept = s.stamina * (s.speed_base + s.speed_per_level * stamina)
    out[:, columns.STAMINA] = kept / out[:, columns.SPEED]
    out[:, columns.REPEAT_MS] = s.repeat_floor_ms + s.repeat_base_ms * np.exp(-jack / s.repeat_levels)
    clutter = np.log2(scroll / BEST_SCROLL_MS)
    out[:, columns.READ] = (s.read_base + s.read_per_level * reading) / (1 + clutter * clutter)
    out[:, columns.RELEASE_MS] = s.release_floor_ms + s.release_base_ms * np.exp(-release / s.release_levels)
    out[:, columns.HOLD_MS] = s.hold_ms
    out[:, columns.LEFT] = left
    return out.astype(np.float32)
