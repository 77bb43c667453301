"""Let simulated players play charts: `python -m agents.play map.osu --skill 4.2 --plays 200 --replay out.osr`.

python -m agents.play Songs --json --workers 4    # every chart below a folder, a row each
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.command import Command, OutputFile, make_callable, use_utf8
from runtime.errors import ChartFileError, ConfigError
from runtime.limits import memory_option
from runtime.progress import waiting
from runtime.text import json_text
from runtime.workers import Workers, worker_options

if TYPE_CHECKING:
    from agents.playtest import PlayOptions

POPULATIONS = ("ranked", "all")
RULES = ("stable", "scorev2", "lazer")


def run(
    path: Path, options: PlayOptions, replay: Path | None = None, plots: Path | None = None
) -> tuple[str, dict[str, object]]:
    """Play one .osu and write its replay and plots; returns the table and its figures as plain data."""
    import numpy as np

    from agents.playtest import playtest
    from agents.summary import as_text
    from chart.formats.osu_read import parse_osu
    from chart.formats.parsing import decode_as_the_game, read_bytes

    data = read_bytes(path)
    chart = parse_osu(decode_as_the_game(data), str(path))
    test = playtest(chart, path.stem, options, keep_presses=replay is not None)
    out, plays = test.as_dict(str(path)), test.plays
    if replay is not None:
        from agents.judgement.mods import SCOREV2
        from agents.replays import replay_of
        from chart.formats.osr import write_replay

        bits = test.mods.bits | (SCOREV2 if options.rules == "scorev2" else 0)
        middle = int(np.argsort(plays.accuracy, kind="stable")[plays.accuracy.size // 2])
        write_replay(replay_of(plays, middle, hashlib.md5(data).hexdigest(), bits), replay)
        out |= {"replay": str(replay), "replay_accuracy": float(plays.accuracy[middle])}
    if plots is not None:
        from agents.plots import draw_plots

        out["plots"] = [str(one) for one in draw_plots(chart, plays, test.curve, plots)]
    return as_text(test.summary, test.title, test.who), out


def run_collection(paths: tuple[Path, ...], options: PlayOptions, workers: Workers, as_json: bool) -> None:
    """Play all charts of files and folders, print a row each, and name what could not be played."""
    from agents.batch import as_table, playtest_collection

    found = playtest_collection(paths, options, workers)
    for line in (line for file in found for line in file.skipped):
        click.echo(f"skipped {line}", err=True)
    rows = [row for file in found for row in file.rows]
    if rows:
        click.echo(as_table(rows))
    if as_json:
        for row in rows:
            click.echo(json_text(row))
    failed = sum(not file.rows for file in found)
    if failed:
        raise ChartFileError(f"{failed} of {len(found)} files could not be played (named above)")


@click.command(cls=Command)
@click.argument("paths", metavar="MAP...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--skill", type=float, help="Level of the players, about the stars they play at 96 %.")
@click.option("--population", type=click.Choice(POPULATIONS), help="ranked: as hand in scores (default); all: anybody.")
@click.option("--plays", default=200, show_default=True, help="Number of plays, one player each.")
@click.option("--mods", default="", help="Modifiers such as DT or HRMR.")
@click.option("--rules", type=click.Choice(RULES), default="stable", show_default=True,
              help="How plays are judged: ScoreV1, ScoreV2 (both stable), or lazer.")  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same plays.")
@click.option(
    "--threads", default=0, show_default=True, help="Processor cores to use for a map, 0 for all (several maps: one)."
)
@click.option("--replay", type=OutputFile(".osr"), help="Write the median play as an .osr to watch in osu!.")
@click.option("--plots", type=click.Path(path_type=Path), help="Draw accuracy by skill and errors by time here.")
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON, a line a chart for several.")
@worker_options(default=0)
@memory_option
def main(
    paths: tuple[Path, ...], replay: Path | None, plots: Path | None, as_json: bool, workers: Workers, **options: Any
) -> None:
    """Play MAP with simulated players and say who passes, where they fail and on what.

    One .osu is reported in full. Of several, of a folder with all below it, or of an .osz, .qua or .sm there is a row for
    each chart, played in --workers processes or on the machines of --ray; what cannot be played is named and left out.
    """
    use_utf8()
    from agents.playtest import PlayOptions

    chosen = PlayOptions(**options)
    if len(paths) == 1 and paths[0].suffix.lower() == ".osu" and not paths[0].is_dir():
        with waiting("Playing"):
            text, data = run(paths[0], chosen, replay, plots)
        click.echo(text)
        if as_json:
            click.echo(json_text(data))
        return
    if replay is not None or plots is not None:
        raise ConfigError("--replay and --plots are of one map: name one .osu")
    run_collection(paths, chosen, workers, as_json)


make_callable(__name__, "agents.simulate", "play")

if __name__ == "__main__":
    main()
