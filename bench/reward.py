"""Discrimination of the reward, human charts against their corrupted versions, and its cost.

    python -m bench.reward ../shared/data/songs --split val --workers 2

Reports, per probe, the share of pairs that the human chart wins; the terms' correlations and which probes lower them;
the spread over player seeds; rule findings per 1,000 notes by level; and the time of plays plus terms on one core, which is
measured in this process whatever the workers.
Ends with one line of JSON.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from bench.corruptions import PROBES, drum_holds, other_song, quiet_doubled
from bench.human_charts import read_human_charts
from chart.analysis.star_rating import stars as stars_of
from chart.model import Chart
from reward.human_charts import HumanChart
from reward.rules.check import check
from reward.rules.criteria import level_of
from reward.total import TERMS, Score, score
from runtime.command import Command
from runtime.workers import Workers, all_results, worker_options

MIN_NOTES = 60
HUMAN = "human"
"""Name of the uncorrupted chart among its corruptions."""
SPEED_NOTES = 1_500
SPEED_REPEATS = 15
STABILITY_CHARTS, STABILITY_SEEDS = 20, 8
MOVED_SHARE = 0.25
"""A probe moves a term when at least this share of its charts score lower on it than the human chart by 0.02."""
MOVED_BY = 0.02


@dataclass(frozen=True)
class Pairs:
    """Scores of the human charts and of every probe."""

    probes: list[str]
    human: NDArray[np.float64]  # [chart, 1 + term], total first, nan = nothing to measure
    corrupted: NDArray[np.float64]  # [chart, probe, 1 + term]


def row(result: Score) -> list[float]:
    """Total and terms of a single chart's score."""
    return [float(result.total[0]), *(float(result.terms[term.name][0]) for term in TERMS)]


def corruptions(item: HumanChart, other: Chart, seed: int) -> dict[str, Chart]:
    """Every probe of one chart."""
    made = {name: probe(item.chart, np.random.default_rng(seed)) for name, probe in PROBES.items()}
    made["quiet_doubled"] = quiet_doubled(item.chart, np.random.default_rng(seed), item.song)
    made["drum_holds"] = drum_holds(item.chart, np.random.default_rng(seed), item.song)
    made["other_song"] = other_song(item.chart, other)
    return made


def nearest_other(items: list[HumanChart], item: HumanChart) -> Chart:
    """The chart of another song whose stars are nearest."""
    return min(
        (one for one in items if one.chart.metadata.title != item.chart.metadata.title),
        key=lambda one: abs(one.stars - item.stars),
    ).chart


def run_pairs(items: list[HumanChart], workers: Workers) -> Pairs:
    """Score every chart and its corruptions with the human chart's stars as the target and the same player seeds."""
    jobs = [(item, nearest_other(items, item), seed) for seed, item in enumerate(items)]
    scores = all_results(scores_of, jobs, workers, "scoring")
    names = [name for name in scores[0] if name != HUMAN] if scores else []
    human = np.array([one[HUMAN] for one in scores])
    return Pairs(names, human, np.array([[one[name] for name in names] for one in scores]))


def scores_of(job: tuple[HumanChart, Chart, int]) -> dict[str, list[float]]:
    """Rows of one chart and of each of its corruptions, from the chart, one of another song, and a seed."""
    item, other, seed = job
    made = {HUMAN: item.chart, **corruptions(item, other, seed)}
    return {name: row(score(chart, item.stars, item.song)) for name, chart in made.items()}


def wins(pairs: Pairs) -> dict[str, float]:
    """Share of charts that beat their corrupted version, by probe."""
    better = pairs.human[:, None, 0] > pairs.corrupted[:, :, 0]
    return dict(zip(pairs.probes, better.mean(axis=0).tolist(), strict=True))


def moved_by(pairs: Pairs) -> dict[str, list[str]]:
    """For each term the probes that lower it."""
    lower = pairs.human[:, None, 1:] - pairs.corrupted[:, :, 1:] > MOVED_BY  # nan compares false
    share = lower.mean(axis=0)  # [probe, term]
    return {
        term.name: [name for name, value in zip(pairs.probes, share[:, index], strict=True) if value >= MOVED_SHARE]
        for index, term in enumerate(TERMS)
    }


def correlations(pairs: Pairs) -> NDArray[np.float64]:
    """[term, term] correlation of term scores over human charts and probes, nan values left out by pair."""
    every = np.concatenate([pairs.human[:, 1:], pairs.corrupted[:, :, 1:].reshape(-1, len(TERMS))])
    result = np.full((len(TERMS), len(TERMS)), np.nan)
    for one in range(len(TERMS)):
        for two in range(len(TERMS)):
            known = ~np.isnan(every[:, one]) & ~np.isnan(every[:, two])
            a, b = every[known, one], every[known, two]
            if a.size > 2 and a.std() > 0 and b.std() > 0:
                result[one, two] = np.corrcoef(a, b)[0, 1]
    return result


def stability(items: list[HumanChart]) -> NDArray[np.float64]:
    """[chart, seed] deviation of each seed's total from the mean over seeds."""
    totals = [
        [score(item.chart, item.stars, item.song, seed=seed).total[0] for seed in range(STABILITY_SEEDS)]
        for item in items[:: max(len(items) // STABILITY_CHARTS, 1)]
    ]
    return np.abs(np.array(totals) - np.mean(totals, axis=1, keepdims=True))


def speed_ms(items: list[HumanChart]) -> list[float]:
    """Processor time of plays plus all terms, scaled to 1,500 notes, of the chart nearest to that size."""
    item = min(items, key=lambda one: abs(len(one.chart) - SPEED_NOTES))
    score(item.chart, item.stars, item.song)
    times = []
    for seed in range(SPEED_REPEATS):
        begin = time.process_time()
        score(item.chart, item.stars, item.song, seed=seed)
        times.append((time.process_time() - begin) * 1000.0 * SPEED_NOTES / len(item.chart))
    return times


def findings(items: list[HumanChart]) -> dict[str, dict[str, float]]:
    """Findings per 1,000 notes by level, commonest first."""
    found: dict[str, Counter[str]] = {}
    notes: Counter[str] = Counter()
    for item in items:
        level = level_of(item.stars)
        notes[level.name] += len(item.chart)
        found.setdefault(level.name, Counter()).update(finding.rule for finding in check(item.chart, level))
    return {
        level: {rule: round(1000 * number / notes[level], 2) for rule, number in counter.most_common()}
        for level, counter in sorted(found.items())
    }


def report(items: list[HumanChart], pairs: Pairs) -> dict[str, object]:
    """Print the tables; returns all figures as plain data."""
    won, moved = wins(pairs), moved_by(pairs)
    click.echo("probe               human wins   mean total")
    click.echo(f"{'(human)':18}                {pairs.human[:, 0].mean():.3f}")
    for index, name in enumerate(pairs.probes):
        click.echo(f"{name:18}  {won[name]:8.1%}      {pairs.corrupted[:, index, 0].mean():.3f}")
    matrix = correlations(pairs)
    click.echo("\nterm                      human mean  nearest term (r)                  lowered by")
    for index, term in enumerate(TERMS):
        others = np.where(np.arange(len(TERMS)) == index, -np.inf, np.nan_to_num(matrix[index], nan=-np.inf))
        near = int(np.argmax(others))
        mean = float(np.nanmean(pairs.human[:, 1 + index]))
        click.echo(
            f"{term.name:25} {mean:9.3f}   {TERMS[near].name:24} {others[near]:5.2f}   {', '.join(moved[term.name])}"
        )
    rules = findings(items)
    click.echo("\nfindings per 1,000 notes")
    for level, counts in rules.items():
        click.echo(f"  {level}: " + ", ".join(f"{rule} {value}" for rule, value in list(counts.items())[:8]))
    times, moved_off = speed_ms(items), stability(items)
    return {
        "charts": len(items),
        "human_mean": round(float(pairs.human[:, 0].mean()), 4),
        "wins": {name: round(value, 4) for name, value in won.items()},
        "wins_mean": round(float(np.mean(list(won.values()))), 4),
        "unmoved_terms": [name for name, probes in moved.items() if not probes],
        "seed_off_mean": [round(float(value), 5) for value in (np.median(moved_off), moved_off.max())],
        "cpu_ms_per_1500_notes": [round(float(np.percentile(times, share)), 2) for share in (10, 50, 90)],
        "stars": [round(float(value), 2) for value in np.percentile([stars_of(i.chart) for i in items], [0, 50, 100])],
    }


@click.command(cls=Command)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--split", default="val", show_default=True, help="Songs of songs.json to use.")
@click.option("--limit", default=0, help="Use at most this many charts, evenly spread (0 = all).")
@click.option("--dump", type=click.Path(path_type=Path), help="Write all scores to this .npz as well.")
@worker_options(default=1)
def main(folder: Path, split: str, limit: int, dump: Path | None, workers: Workers) -> None:
    """Score the human charts in FOLDER against their corrupted versions."""
    items = read_human_charts(folder, split, MIN_NOTES, workers)
    if limit:
        items = items[:: max(len(items) // limit, 1)]
    pairs = run_pairs(items, workers)
    if dump:
        np.savez(dump, human=pairs.human, corrupted=pairs.corrupted, probes=pairs.probes)
    click.echo(json.dumps(report(items, pairs)))


if __name__ == "__main__":
    main()
