"""Measure human charts for critique: `python -m eye.calibrate ../shared/data/songs` writes `eye/critique/human.json`.

Only the folder's `train` split is read. For every measure: how often its classes occur by stars, and how much the worst
stretch of a chart stands out (what `eye.critique.anomaly` calls rarity); and how many charts break each rule of the criteria.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from eye.critique.anomaly import MEASURES, SHARES, TABLE, Human, knot_weights, row_bits, segments
from eye.critique.row_measures import CLASSES, Measures, measure
from eye.critique.rule_remarks import rule_rarity
from reward.core.bands import STAR_KNOTS
from reward.human_charts import HumanChart, human_charts
from reward.rules.check import Finding, all_rules, check
from reward.rules.criteria import level_of
from runtime.atomic_write import save_bytes
from runtime.command import Command
from runtime.progress import progress

MIN_NOTES = 60
LIKE_STARS = 0.8
"""Charts count for a star knot by a bell curve of this width: hard charts are too few to stand alone."""
EVERYBODY = 0.1
"""Smallest weight of a chart at any distance in stars: tails need samples."""
START = 1e-3


def class_shares(measured: list[Measures], stars: list[float]) -> dict[str, NDArray[np.float64]]:
    """[knot, class] shares of each measure, every chart counting alike."""
    shares = {}
    for name, count in CLASSES.items():
        table = np.full((len(STAR_KNOTS), count), START)
        for measures, rating in zip(measured, stars, strict=True):
            if name in measures.classes and measures.size:
                found = np.bincount(measures.classes[name], minlength=count) / measures.size
                table += knot_weights(rating)[:, None] * found
        shares[name] = table / table.sum(axis=1, keepdims=True)
    return shares


def worst_bits(measured: list[Measures], stars: list[float], table: Human) -> dict[str, NDArray[np.float64]]:
    """[knot, share] log(1 + bits) of the worst stretch of a chart, at the shares of `SHARES`."""
    result = {}
    for name in MEASURES:
        worst, rating = [], []
        for measures, own in zip(measured, stars, strict=True):
            if name in measures.classes:
                found = segments(row_bits(measures, name, own, table))
                worst.append(np.log1p(max((bits for bits, _, _ in found), default=0.0)))
                rating.append(own)
        result[name] = np.array(
            [
                _quantiles(np.array(worst), np.exp(-(((np.array(rating) - knot) / LIKE_STARS) ** 2) / 2))
                for knot in STAR_KNOTS
            ]
        )
    return result


def _quantiles(values: NDArray, weight: NDArray) -> NDArray[np.float64]:
    order, weight = np.argsort(values), weight + EVERYBODY
    return np.interp(SHARES, np.cumsum(weight[order]) / weight.sum(), values[order])


def rule_shares(breaches: list[list[Finding]], stars: list[float]) -> dict[str, float]:
    """Share of the charts at a rule's levels that break it, one more of each added so that none is 0."""
    levels = [level_of(rating) for rating in stars]
    shares = {}
    for rule in all_rules():
        own = [
            {breach.rule for breach in found}
            for found, level in zip(breaches, levels, strict=True)
            if level in rule.levels
        ]
        shares[rule.name] = (1 + sum(rule.name in names for names in own)) / (2 + len(own))
    return shares


def human_of(items: Iterable[HumanChart]) -> Human:
    """The table of these charts."""
    measured, stars, breaches = [], [], []
    for item in items:
        measured.append(measure(item.chart, item.song, item.stars))
        stars.append(item.stars)
        breaches.append(check(item.chart, level_of(item.stars)))
    table = Human(class_shares(measured, stars), {}, rule_shares(breaches, stars), np.zeros(len(SHARES)))
    rarest = [_rarest(found, table) for found in breaches]
    return Human(table.classes, worst_bits(measured, stars, table), table.rules, np.quantile(rarest, SHARES))


def _rarest(breaches: list[Finding], table: Human) -> float:
    names = [breach.rule for breach in breaches]
    return max((rule_rarity(name, names.count(name), table) for name in set(names)), default=0.0)


def as_json(table: Human) -> str:
    """The table as JSON text, one row of numbers a line."""

    def rows(tables: dict[str, NDArray]) -> dict[str, list[list[float]]]:
        return {name: np.round(values, 5).tolist() for name, values in tables.items()}

    plain = {
        "classes": rows(table.classes),
        "worst": rows(table.worst),
        "rules": {name: round(share, 5) for name, share in table.rules.items()},
        "rules_worst": np.round(table.rules_worst, 4).tolist(),
    }
    parts = []
    for key, value in plain.items():
        if isinstance(value, dict):
            lines = [f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in value.items()]
            parts.append(f"{json.dumps(key)}: {{\n" + ",\n".join(lines) + "\n}")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


@click.command(cls=Command)
@click.argument("songs", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), default=TABLE, help="Where to write the table.")
def main(songs: Path, output: Path) -> None:
    """Measure the human charts of the folder SONGS (its songs.json names their split) and write the table."""
    table = human_of(progress(human_charts(songs, "train", MIN_NOTES), "measuring"))
    save_bytes(output, as_json(table).encode())
    click.echo(f"wrote {output}")


if __name__ == "__main__":
    main()
