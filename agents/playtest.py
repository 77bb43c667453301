"""One chart played as the command was asked: its players, their plays and what is said of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.difficulty_curve import AccuracyCurve, curve_by
from agents.judgement.mods import Mods, mods_of
from agents.motor.population import Population, around, everyone
from agents.ranking import ranked
from agents.rating import rate_by
from agents.simulate import Plays, Simulator
from agents.summary import Summary, summarise
from chart.formats.parsing import shown
from chart.model import Chart
from runtime.errors import ConfigError

MAX_PLAYS = 10_000


@dataclass(frozen=True, slots=True)
class PlayOptions:
    """Settings of a playtest."""

    skill: float | None = None
    population: str | None = None
    plays: int = 200
    mods: str = ""
    rules: str = "stable"
    seed: int = 0
    threads: int = 0

    def __post_init__(self) -> None:
        if self.skill is not None and self.population is not None:
            raise ConfigError("--skill and --population contradict one another: choose one")
        if not 1 <= self.plays <= MAX_PLAYS:
            raise ConfigError(f"--plays is {self.plays}; give 1–{MAX_PLAYS:,}")
        mods_of(self.mods)  # unknown ones end a collection before it begins


@dataclass(frozen=True, slots=True, eq=False)
class Playtest:
    """A chart's plays and their summary."""

    options: PlayOptions
    title: str  # Artist – Title [Version] +mods
    who: str  # who played
    mods: Mods
    curve: AccuracyCurve
    plays: Plays
    summary: Summary

    def as_dict(self, file: str) -> dict[str, object]:
        """Plain data for JSON; `file` is where the chart was read from."""
        head = {"file": file, "title": self.title, "mods": self.options.mods, "rules": self.options.rules}
        return {**head, "seed": self.options.seed, **self.summary.as_dict()}


def playtest(chart: Chart, name: str, options: PlayOptions, keep_presses: bool = False) -> Playtest:
    """Let players play `chart`, which is called `name` where it names neither artist nor title."""
    mods = mods_of(options.mods)
    simulator = Simulator(chart, mods, options.rules)
    curve = curve_by(simulator, options.seed, options.threads)
    players, who = _players(options, curve)
    plays = simulator.play(players, options.seed, options.threads, keep_presses)
    names = " – ".join(shown(part) for part in (chart.metadata.artist, chart.metadata.title) if part) or name
    title = f"{names} [{shown(chart.metadata.version)}]" + (f" +{options.mods}" if options.mods else "")
    ratings = rate_by(simulator, options.seed, options.threads, curve)
    summary = summarise(chart, plays, curve, mods, options.rules, ratings)
    return Playtest(options, title, who, mods, curve, plays, summary)


def _players(options: PlayOptions, curve: AccuracyCurve) -> tuple[Population, str]:
    """The players and what they are called; `curve` is the chart's."""
    rng = np.random.default_rng([options.seed, 1])
    if options.skill is not None:
        return around(options.skill, options.plays, rng), f"players of level {options.skill:g}"
    if options.population == "all":
        return everyone(options.plays, rng), "players of all levels"
    return ranked(curve, options.plays, rng), "ranked players, who choose charts near their skill"
