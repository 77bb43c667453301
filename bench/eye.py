"""Recall of the review: human charts with one planted fault, and the same charts untouched.

    python -m bench.eye ../shared/data/songs --split val --workers 2

A fault is found when the review's first finding lies where it was planted: it shares half of the shorter of the two,
and is no more than `MAX_LENGTH` times as long as the fault. `named` counts those whose kind is also the fault's. On the
untouched charts every finding called a problem must be backed by a problem of the criteria (`reward.rules.check`) at its place.
Ends with one line of JSON.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from bench.human_charts import read_human_charts
from bench.planted_faults import FAULTS, Planted
from bench.report import print_json
from eye.critique.types import Finding
from eye.review import review_chart
from reward.human_charts import HumanChart
from reward.rules.check import check
from reward.rules.criteria import level_of
from runtime.command import Command, use_utf8
from runtime.workers import Workers, all_results, worker_options

MIN_NOTES = 60
MAX_LENGTH, SLACK_MS = 4.0, 1_000.0
SHARED = 0.5
NEAR_MS = 1.0


@dataclass(frozen=True)
class Outcome:
    """One planted fault and the review's first finding."""

    fault: str
    style: str
    stars: float
    found: bool
    named: bool
    first_kind: str


def lies_there(finding: Finding, planted: Planted) -> bool:
    """Whether a finding lies on the planted fault and is not much longer."""
    shared = min(finding.end_ms, planted.end_ms) - max(finding.start_ms, planted.start_ms)
    length, planted_length = finding.end_ms - finding.start_ms, planted.end_ms - planted.start_ms
    return shared >= SHARED * min(max(length, 1.0), planted_length) and length <= MAX_LENGTH * planted_length + SLACK_MS


def outcomes(items: Sequence[HumanChart], seed: int, workers: Workers) -> list[Outcome]:
    """Every fault planted once in every chart."""
    jobs = [(item, seed, index) for index, item in enumerate(items)]
    return [one for found in all_results(outcomes_of, jobs, workers, "planting faults") for one in found]


def outcomes_of(job: tuple[HumanChart, int, int]) -> list[Outcome]:
    """Every fault planted once in one chart, at places drawn from the two seeds."""
    item, *seeds = job
    result = []
    for fault, plant in FAULTS.items():
        planted = plant(item.chart, item.song, np.random.default_rng(seeds))
        first = next(iter(review_chart(planted.chart, item.song).findings), None)
        found = first is not None and lies_there(first, planted)
        kind = "" if first is None else first.kind
        result.append(Outcome(fault, item.style, item.stars, found, found and kind == planted.kind, kind))
    return result


def unbacked(item: HumanChart) -> list[Finding]:
    """Findings of the untouched chart that are called problems where the criteria have none."""
    review = review_chart(item.chart, item.song)
    backing = [breach for breach in check(item.chart, level_of(item.stars)) if breach.severity == "problem"]
    return [
        finding
        for finding in review.findings
        if finding.severity == "problem"
        and not any(finding.start_ms - NEAR_MS <= breach.start_ms <= finding.end_ms + NEAR_MS for breach in backing)
    ]


def seconds_a_review(items: Sequence[HumanChart]) -> list[float]:
    """Processor time of one review a chart, compiled code warm."""
    times = []
    for item in items[:1]:  # workers loaded the compiled code for themselves
        review_chart(item.chart, item.song)
    for item in items:
        began = time.process_time()
        review_chart(item.chart, item.song)
        times.append(time.process_time() - began)
    return times


def share_by(results: Sequence[Outcome], fault: str, attribute: str) -> float:
    """Share of the outcomes of a fault that are found, or named."""
    mine = [getattr(one, attribute) for one in results if one.fault == fault]
    return float(np.mean(mine)) if mine else float("nan")


@click.command(cls=Command)
@click.argument("songs", type=click.Path(path_type=Path))
@click.option("--split", default="val", show_default=True, help="Split of songs.json to measure on.")
@click.option("--every", default=1, show_default=True, help="Take only every so many charts.")
@click.option("--seed", default=0, show_default=True, help="Seed of the planted faults.")
@worker_options(default=1)
def main(songs: Path, split: str, every: int, seed: int, workers: Workers) -> None:
    """Measure how many faults planted in the human charts of SONGS the review finds."""
    use_utf8()
    items = read_human_charts(songs, split, MIN_NOTES, workers)[::every]
    results = outcomes(items, seed, workers)
    false_problems = sum(map(len, all_results(unbacked, items, workers, "untouched charts")))
    seconds = seconds_a_review(items)
    figures: dict[str, object] = {"split": split, "charts": len(items), "seed": seed}
    for fault in FAULTS:
        missed = Counter(one.first_kind for one in results if one.fault == fault and not one.found)
        found, named = share_by(results, fault, "found"), share_by(results, fault, "named")
        figures |= {f"{fault}_found": round(found, 4), f"{fault}_named": round(named, 4)}
        click.echo(f"{fault:16} found {found:6.1%}  named {named:6.1%}  instead: {dict(missed.most_common(4))}")
    figures |= {
        "unbacked_problems": false_problems,
        "review_s_median": round(float(np.median(seconds)), 4),
        "review_s_max": round(max(seconds), 4),
    }
    click.echo(f"problems without backing on untouched charts: {false_problems}")
    click.echo(f"seconds a review: median {np.median(seconds):.3f}, most {max(seconds):.3f}")
    print_json("eye", figures)


if __name__ == "__main__":
    main()
