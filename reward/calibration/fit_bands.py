"""Fit the bands of `reward.band_table` to charts made by people.

    python -m reward.calibration.fit_bands songs/ --split train --out reward/band_table.py

Reads every `.osz` of the folder (with `songs.json`: those of the split), measures each chart with its own stars as the
target, and writes percentiles around each of `STAR_KNOTS`: a one-sided band ends at the human median and
the score is one half where 3 % do. Sections and whole charts have tables of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from reward.core.bands import STAR_KNOTS, Band, Term
from runtime.atomic_write import save_bytes
from runtime.command import Command
from runtime.errors import ConfigError
from runtime.progress import progress

EDGE, HALF = 0.50, 0.03
"""Shares of human charts beyond a one-sided band's edge, and beyond the point of half score."""
EDGE_TWO_SIDED = 0.30
KNOT_WIDTH = 0.7
"""Stars around a knot that count for it (standard deviation of a Gaussian weight)."""
MIN_CHART_NOTES = 60


Tables = dict[str, dict[str, dict[str, tuple[float, ...]]]]
"""Table → term → side of the band → [knot]."""


def quantile(values: NDArray[np.float64], weights: NDArray[np.float64], share: float) -> float:
    """Quantile of `values` in which each counts by its weight; `share` is 0–1."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][min(int(np.searchsorted(total, share * total[-1])), values.size - 1)])


def band_rows(term: Term, values: NDArray[np.float64], stars: NDArray[np.float64]) -> dict[str, tuple[float, ...]]:
    """Limits of one term at every knot."""
    known = ~np.isnan(values)
    values, stars = values[known], stars[known]
    if not values.size:  # a measure of whole charts has no values of sections
        nothing = (0.0,) * len(STAR_KNOTS)
        soft = (term.least_soft,) * len(STAR_KNOTS)
        return {"low": nothing, "high": nothing, "soft_low": soft, "soft_high": soft}
    edge = EDGE_TWO_SIDED if term.side == "both" else EDGE
    rows: dict[str, list[float]] = {"low": [], "high": [], "soft_low": [], "soft_high": []}
    for knot in STAR_KNOTS:
        weights = np.exp(-(((stars - knot) / KNOT_WIDTH) ** 2) / 2) + 1e-6
        low, high = quantile(values, weights, edge), quantile(values, weights, 1 - edge)
        rows["low"].append(low if term.side != "high" else -np.inf)
        rows["high"].append(high if term.side != "low" else np.inf)
        rows["soft_low"].append(max(low - quantile(values, weights, HALF), term.least_soft))
        rows["soft_high"].append(max(quantile(values, weights, 1 - HALF) - high, term.least_soft))
    return {name: tuple(_short(value) for value in row) for name, row in rows.items()}


def _short(value: float) -> float:
    return value if np.isinf(value) else float(f"{value:.4g}")


def write_table(path: Path, tables: Tables, charts: int) -> None:
    """Write the module that holds the bands."""
    lines = [
        f'"""Bands of human values, made by `python -m reward.calibration.fit_bands` from {charts} charts; do not edit by hand."""',
        "",
        "from math import inf",
        "",
        "from reward.core.bands import Band",
        "",
        "# fmt: off",
    ]
    for table, bands in tables.items():
        lines.append(f"{table} = {{")
        for name, rows in bands.items():
            limits = ", ".join(str(row) for row in rows.values())
            lines.append(f'    "{name}": Band({limits}),')
        lines.append("}")
    save_bytes(path, ("\n".join(lines) + "\n").encode("utf-8"))


def fit(folder: Path, split: str, only: str = "") -> tuple[Tables, int]:
    """Measure the folder's charts and fit both tables for the terms whose names contain `only`; the rest stay as shipped."""
    from reward.band_table import CHART_BANDS, SECTION_BANDS
    from reward.human_charts import human_charts, measure_all
    from reward.total import TERMS

    terms = [term for term in TERMS if only in term.name]
    section: dict[str, list[NDArray[np.float64]]] = {term.name: [] for term in terms}
    chart: dict[str, list[NDArray[np.float64]]] = {term.name: [] for term in terms}
    section_stars, chart_stars = [], []
    for item in progress(list(human_charts(folder, split, MIN_CHART_NOTES)), "measuring"):
        measured = measure_all(item, terms)
        for name, found in measured.items():
            section[name].append(found.section)
            chart[name].append(found.chart)
        section_stars.append(np.full(next(iter(measured.values())).section.size, item.stars))
        chart_stars.append(item.stars)
    if not chart_stars:
        raise ConfigError(f"{folder}: no charts with audio for the split “{split}”")
    by_section, by_chart = np.concatenate(section_stars), np.array(chart_stars)
    tables = {"SECTION_BANDS": _rows_of(SECTION_BANDS), "CHART_BANDS": _rows_of(CHART_BANDS)}
    for term in terms:
        tables["SECTION_BANDS"][term.name] = band_rows(term, np.concatenate(section[term.name]), by_section)
        tables["CHART_BANDS"][term.name] = band_rows(term, np.concatenate(chart[term.name]), by_chart)
    return tables, by_chart.size


def _rows_of(bands: Mapping[str, Band]) -> dict[str, dict[str, tuple[float, ...]]]:
    return {name: asdict(band) for name, band in bands.items()}


@click.command(cls=Command)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--split", default="train", show_default=True, help="Which songs of songs.json to use.")
@click.option("--only", default="", help="Fit only terms whose name contains this; keep the other bands.")
@click.option("--out", type=click.Path(path_type=Path), default=Path(__file__).parents[1] / "band_table.py")
def main(folder: Path, split: str, only: str, out: Path) -> None:
    """Fit the bands to the human charts in FOLDER."""
    tables, charts = fit(folder, split, only)
    write_table(out, tables, charts)
    click.echo(json.dumps({"charts": charts, "table": str(out)}))


if __name__ == "__main__":
    main()
