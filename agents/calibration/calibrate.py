"""Derive the constants of hands and skill from real plays: `python -m agents.calibration.calibrate ../shared/data`.

Every third play of each map is held out; the report, written into the same file, compares people and simulated players
on those plays alone, and gives the ranked population's accuracy map by map, each also predicted with the population's
constants fitted to the other maps only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from runtime.command import Command, use_utf8
from runtime.errors import ConfigError

HELD_OUT_EVERY = 3
FIT_PLAYS = 8
"""Plays of a map that the fit looks at, so that a map with many plays does not rule it."""
REPORT_POOL, REPORT_MATCHES = 192, 4
"""For the report simulated players are chosen from more, and each real play is set against more of them."""
STAR_CHARTS = 5
"""Charts of each band of stars that tie levels to stars."""
MAX_STAR_NOTES = 3_500
SEED = 5
MASHED_MS, MASHED = 60.0, 0.02
"""A chart with more than this fraction of repeats faster than this is mashed, not played."""
STYLES = ("osu!mania", "Quaver 4K", "Malody 4K")
"""Charts made for keys; pad charts are another game."""


@dataclass(frozen=True, slots=True)
class CalibrateOptions:
    """Options of the command."""

    data: Path
    out: Path
    rounds: int = 4
    passes: int = 1
    population: bool = True
    start: Path | None = None
    figures: Path | None = None

    def __post_init__(self) -> None:
        if self.rounds < 0 or self.passes < 0:
            raise ConfigError(f"--rounds is {self.rounds} and --passes {self.passes}; give 0 (report only) or more")


def split_plays(plays: list[Any]) -> tuple[list[Any], list[Any]]:
    """(fit, held out): every third play of each map is held out."""
    seen: dict[str, int] = {}
    fit: list[Any] = []
    held_out: list[Any] = []
    for real in plays:
        number = seen[real.map_name] = seen.get(real.map_name, 0) + 1
        (held_out if number % HELD_OUT_EVERY == 0 else fit).append(real)
    return fit, held_out


def comparable_plays(plays: list[Any]) -> list[Any]:
    """Plays judged by ScoreV1, as the simulated ones beside them are, on charts that fingers can play.

    Where a column repeats within `MASHED_MS` again and again people mash, which is not modelled: one map, three plays.
    """
    import numpy as np

    def is_mashed(chart: Any) -> bool:
        gaps = np.concatenate([np.diff(chart.time_ms[chart.column == key]) for key in range(4)])
        return float((gaps < MASHED_MS).mean()) > MASHED

    return [real for real in plays if real.rules == "stable" and not is_mashed(real.chart)]


def at_most(plays: list[Any], count: int) -> list[Any]:
    """The first `count` plays of each map."""
    seen: dict[str, int] = {}
    out = []
    for real in plays:
        seen[real.map_name] = seen.get(real.map_name, 0) + 1
        if seen[real.map_name] <= count:
            out.append(real)
    return out


def key_charts(songs: Path, split: str) -> Iterator[Any]:
    """Charts made for keys from the songs of a split."""
    from chart.formats.osz import read_osz

    for song in json.loads((songs / "songs.json").read_text(encoding="utf-8")):
        if song["split"] == split and song["style"] in STYLES:
            yield from read_osz(songs / song["file"]).charts


def star_charts(data: Path) -> list[tuple[Any, float]]:
    """Charts of every band of stars, from training songs and from charts without audio."""
    import numpy as np

    from chart.analysis.star_rating import stars
    from chart.model import Chart

    rng = np.random.default_rng(SEED)
    charts = key_charts(data / "songs", "train")
    found: list[tuple[Any, float]] = [(chart, stars(chart)) for chart in charts if 150 < len(chart) < MAX_STAR_NOTES]
    with np.load(data / "patterns" / "robeats.npz", allow_pickle=False) as arrays:
        parts = {name: arrays[name] for name in ("offset", "time_ms", "column", "end_ms")}
    for number in rng.choice(parts["offset"].size - 1, 120, replace=False):
        inside = slice(parts["offset"][number], parts["offset"][number + 1])
        time, end = parts["time_ms"][inside].astype(float), parts["end_ms"][inside].astype(float)
        if 400 < time.size < MAX_STAR_NOTES and (np.isfinite(time) & (time >= 0)).all():
            chart = Chart.from_notes(time, parts["column"][inside], np.where(end < 0, np.nan, end))
            if stars(chart) > 4:
                found.append((chart, stars(chart)))
    picked = []
    for band in range(1, 7):
        inside_band = [one for one in found if band <= one[1] < band + 1]
        picked += [inside_band[n] for n in rng.permutation(len(inside_band))[:STAR_CHARTS]]
    return picked


def likeness_report(plays: list[Any], shared: Any) -> dict[str, dict[str, float | bool]]:
    """Statistic → human and simulated mean over plays, the human's 95 % bootstrap interval, and whether they agree.

    Where no note was missed, which a bootstrap can say nothing of, the interval ends at three in all those notes.
    """
    import numpy as np

    from agents.calibration.least_squares import nan_mean, simulated_statistics, targets_of
    from agents.calibration.statistics import MISSES_AT, gap_bins

    targets = targets_of(plays, [], [])
    notes: dict[str, int] = {}
    for view in (targets.views[one] for one in targets.view_of_play):
        for name, inside in gap_bins(view).items():
            notes[MISSES_AT + name] = notes.get(MISSES_AT + name, 0) + int(inside.sum())
    simulated = simulated_statistics(targets, shared, REPORT_POOL, REPORT_MATCHES)
    rng = np.random.default_rng(SEED)
    table: dict[str, dict[str, float | bool]] = {}
    for name in targets.human[0]:
        human = np.array([one[name] for one in targets.human])
        human = human[np.isfinite(human)]
        if human.size < 3:
            continue
        low, high = np.percentile(rng.choice(human, (2000, human.size)).mean(axis=1), [2.5, 97.5]).tolist()
        if high == 0 and name in notes:  # none of so many notes was missed: the rule of three
            high = 3 * 1000 / notes[name]
        ours = nan_mean([one[name] for one in simulated])
        near = abs(ours - human.mean()) <= 0.2 * abs(human.mean())
        table[name] = {
            "human": round(float(human.mean()), 3),
            "low": round(low, 3),
            "high": round(high, 3),
            "simulated": round(ours, 3),
            "agrees": bool(near or low <= ours <= high),
        }
    return table


def ranked_report(maps: list[Any], shared: Any, left_out: bool = True) -> dict[str, Any]:
    """Predicted and real mean accuracy of ranked players by map, and the same with each map left out of the population's fit."""
    import numpy as np

    from agents.calibration.ranked_population import fit_population, ranked_pools, spearman

    pools = ranked_pools(maps, shared)
    real = np.array([one.mean for one in maps])
    required = np.array([pool.curve.level_for(0.96) for pool in pools])
    predicted = [pool.figures(shared.skill) for pool in pools]
    off = np.array([mean for mean, _, _ in predicted]) - real
    report: dict[str, Any] = {
        "spearman": round(spearman(real + off, real), 4),
        "mean_error": round(float(off.mean()), 4),
        "mean_absolute_error": round(float(np.abs(off).mean()), 4),
        "worst_error": round(float(np.abs(off).max()), 4),
        "mean_error_by_third": [round(float(off[third].mean()), 4) for third in np.array_split(np.argsort(required), 3)],
        "maps": {
            one.map_name: {
                "stars": one.stars, "required": round(float(level), 2), "real": one.mean, "predicted": round(mean, 4),
                "real_p10": one.p10, "p10": round(p10, 4), "real_p50": one.p50, "p50": round(p50, 4),
            }
            for one, level, (mean, p10, p50) in zip(maps, required, predicted, strict=True)
        },
    }  # fmt: skip
    if not left_out:
        return report
    without = []
    for number, one in enumerate(maps):
        skill = fit_population(pools[:number] + pools[number + 1 :], shared.skill)
        without.append(pools[number].figures(skill)[0])
        report["maps"][one.map_name]["left_out"] = round(without[-1], 4)
    report["left_out_spearman"] = round(spearman(without, real), 4)
    report["left_out_mean_absolute_error"] = round(float(np.abs(np.array(without) - real).mean()), 4)
    return report


def fit_constants(options: CalibrateOptions, shared: Any, plays: list[Any], ranked: list[Any]) -> Any:
    """Fit the constants, from those in `shared`: least squares, one by one in passes, then the population."""
    from dataclasses import replace

    from agents.calibration.descent import descend, polish
    from agents.calibration.least_squares import constants_from, residuals_of, targets_of, vector_of
    from agents.calibration.ranked_population import fit_population, ranked_pools
    from agents.motor.constants import Constants, HandConstants, SkillConstants

    published = Constants(HandConstants(), SkillConstants())
    if options.population:
        shared = replace(shared, skill=fit_population(ranked_pools(ranked, shared), shared.skill))
    if options.rounds or options.passes:
        targets = targets_of(at_most(plays, FIT_PLAYS), ranked, star_charts(options.data))

        def residuals(vector: Any) -> Any:
            return residuals_of(targets, constants_from(vector, shared), published)

        def log(stage: str, of: int) -> Any:
            return lambda number, cost: click.echo(f"{stage} {number + 1}/{of}: {cost:.1f}", err=True)

        vector = descend(residuals, vector_of(shared), options.rounds, log("round", options.rounds))
        vector = polish(residuals, vector, options.passes, log("pass", options.passes))
        shared = constants_from(vector, shared)
        if options.population:
            shared = replace(shared, skill=fit_population(ranked_pools(ranked, shared), shared.skill))
    return shared


def run(options: CalibrateOptions) -> dict[str, Any]:
    """Fit, report and write; returns the report."""
    from agents.calibration.real_plays import read_plays, read_ranked
    from agents.motor.constants import Constants, HandConstants, SkillConstants, read_constants
    from runtime.atomic_write import save_bytes

    shared = read_constants(options.start) if options.start else Constants(HandConstants(), SkillConstants())
    fit, held_out = split_plays(comparable_plays(read_plays(options.data / "players")))
    ranked = read_ranked(options.data / "players")
    shared = fit_constants(options, shared, fit, ranked)
    report = {
        "held_out_plays": len(held_out),
        "likeness": likeness_report(held_out, shared),
        "ranked": ranked_report(ranked, shared),
    }
    data = {"hand": _rounded(asdict(shared.hand)), "skill": _rounded(asdict(shared.skill)), "report": report}
    if options.figures:
        from agents.plots import draw_report

        draw_report(report, options.figures)
    save_bytes(options.out, (json.dumps(data, indent=1) + "\n").encode())
    return report


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.5g}") for name, value in values.items()}


@click.command(cls=Command)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path(__file__).parents[1] / "motor" / "constants.json",
              help="Where to write; the package's own constants by default.")  # fmt: skip
@click.option("--passes", default=1, show_default=True, help="Passes over the constants one by one, after the rounds.")
@click.option("--population/--no-population", default=True, help="Fit the ranked population to accuracy.csv.")
@click.option("--figures", type=click.Path(path_type=Path), help="Draw the report's two figures into this folder.")
@click.option("--rounds", default=4, show_default=True, help="Rounds of the descent, 0 to report only.")
@click.option(
    "--start", type=click.Path(path_type=Path), help="Constants to start from; the published ones by default."
)
def main(**options: Any) -> None:
    """Fit the constants to the real plays in DATA (with players, songs and patterns in it) and report on held-out plays."""
    use_utf8()
    report = run(CalibrateOptions(**options))
    for name, row in report["likeness"].items():
        mark = "" if row["agrees"] else "  differs"
        click.echo(f"{name:<45}{row['human']:>9.2f}{row['simulated']:>9.2f}{mark}")
    click.echo(json.dumps({key: value for key, value in report["ranked"].items() if key != "maps"}))


if __name__ == "__main__":
    main()
