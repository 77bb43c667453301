"""Let simulated players play a chart: `python -m agents.play map.osu --skill 4.2 --plays 200 --replay out.osr`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from chart.command import Command, make_callable, use_utf8
from chart.errors import ConfigError

MAX_PLAYS = 10_000
POPULATIONS = ("ranked", "all")


@dataclass(frozen=True, slots=True)
class PlayOptions:
    """What the command was asked for."""

    path: Path
    skill: float | None = None
    population: str | None = None
    plays: int = 200
    mods: str = ""
    rules: str = "stable"
    seed: int = 0
    threads: int = 0
    replay: Path | None = None
    plots: Path | None = None

    def __post_init__(self) -> None:
        if self.skill is not None and self.population is not None:
            raise ConfigError("--skill and --population contradict one another: choose one")
        if not 1 <= self.plays <= MAX_PLAYS:
            raise ConfigError(f"--plays is {self.plays}; give 1–{MAX_PLAYS:,}")


def run(options: PlayOptions) -> tuple[str, dict[str, object]]:
    """Play as asked; returns the table and the same as plain data, and writes replay and plots."""
    import numpy as np

    from agents.mods import mods_of
    from agents.required import accuracy_curve
    from agents.simulate import play as simulate
    from agents.skill import around, everyone, ranked
    from agents.summary import as_text, summarise
    from chart.osu import parse_osu
    from chart.parsing import decode_utf8, read_bytes

    data = read_bytes(options.path)
    chart = parse_osu(decode_utf8(data, str(options.path)), str(options.path))
    mods = mods_of(options.mods)
    rng = np.random.default_rng([options.seed, 1])
    curve = accuracy_curve(chart, mods, rules=options.rules, seed=options.seed, threads=options.threads)
    if options.skill is not None:
        players, who = around(options.skill, options.plays, rng), f"players of level {options.skill:g}"
    elif options.population == "all":
        players, who = everyone(options.plays, rng), "players of all levels"
    else:
        required = curve.level_for(0.96)
        players, who = ranked(required, options.plays, rng), "ranked players, who choose charts near their skill"
    plays = simulate(
        chart,
        players,
        options.seed,
        mods,
        rules=options.rules,
        threads=options.threads,
        keep_presses=options.replay is not None,
    )
    summary = summarise(chart, plays, curve, mods)
    out: dict[str, object] = {"file": str(options.path), "mods": options.mods, "rules": options.rules}
    out |= {"seed": options.seed, **summary.as_dict()}
    names = " – ".join(part for part in (chart.metadata.artist, chart.metadata.title) if part) or options.path.stem
    title = f"{names} [{chart.metadata.version}]" + (f" +{options.mods}" if options.mods else "")
    if options.replay is not None:
        from agents.recording import replay_of
        from chart.replay import write_replay

        middle = int(np.argsort(plays.accuracy, kind="stable")[plays.accuracy.size // 2])
        write_replay(replay_of(plays, middle, hashlib.md5(data).hexdigest(), mods.bits), options.replay)
        out |= {"replay": str(options.replay), "replay_accuracy": float(plays.accuracy[middle])}
    if options.plots is not None:
        from agents.plots import draw_plots

        out["plots"] = [str(path) for path in draw_plots(chart, plays, curve, options.plots)]
    return as_text(summary, title, who), out


@click.command(cls=Command)
@click.argument("path", metavar="MAP.OSU", type=click.Path(path_type=Path))
@click.option("--skill", type=float, help="Level of the players, about the stars they play at 96 %.")
@click.option("--population", type=click.Choice(POPULATIONS), help="ranked: as hand in scores (default); all: anybody.")
@click.option("--plays", default=200, show_default=True, help="Number of plays, one player each.")
@click.option("--mods", default="", help="Modifiers such as DT or HRMR.")
@click.option("--rules", type=click.Choice(["stable", "lazer"]), default="stable", show_default=True)
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same plays.")
@click.option("--threads", default=0, show_default=True, help="Processor cores to use, 0 for all.")
@click.option("--replay", type=click.Path(path_type=Path), help="Write the median play as an .osr to watch in osu!.")
@click.option("--plots", type=click.Path(path_type=Path), help="Draw accuracy by skill and errors by time here.")
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON.")
def main(as_json: bool, **options: Any) -> None:
    """Play MAP.OSU with simulated players and say who passes, where they fail and on what."""
    use_utf8()
    text, data = run(PlayOptions(**options))
    click.echo(text)
    if as_json:
        click.echo(json.dumps(data, ensure_ascii=False))


make_callable(__name__, "agents.simulate", "play")

if __name__ == "__main__":
    main()
