"""Pictures of a playtest; matplotlib is imported only here, when a picture is asked for."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from agents.difficulty_curve import AccuracyCurve
from agents.simulate import Plays
from chart.model import Chart
from runtime.atomic_write import save_bytes
from runtime.errors import ConfigError

BANDS = (10, 50, 90)
BINS = 120
"""Time steps of the error plot."""


def draw_plots(chart: Chart, plays: Plays, curve: AccuracyCurve, folder: Path) -> list[Path]:
    """Write accuracy-by-skill.png and error-by-time.png into `folder`; returns their paths."""
    plt = _pyplot()
    folder.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(6, 4))
    axes.plot(curve.level, 100 * curve.accuracy, label="all-round players")
    axes.plot(plays.population.level, 100 * plays.accuracy, ".", alpha=0.5, label="plays")
    axes.axhline(96, color="grey", linewidth=0.8)
    axes.set(xlabel="skill (level ≈ stars)", ylabel="accuracy (%)", title=chart.metadata.version or "accuracy by skill")
    axes.legend()
    first = _save(plt, figure, folder / "accuracy-by-skill.png")

    figure, axes = plt.subplots(figsize=(9, 4))
    if len(chart):
        edges = np.linspace(chart.time_ms[0], chart.last_ms + 1, BINS + 1)
        middle = (edges[1:] + edges[:-1]) / 2000
        inside = [plays.hit_error_ms[:, a:b] for a, b in _spans(chart, edges)]
        bands = [[np.nanpercentile(e, p) if np.isfinite(e).any() else np.nan for e in inside] for p in BANDS]
        axes.fill_between(middle, bands[0], bands[2], alpha=0.3, label="10th to 90th percentile")
        axes.plot(middle, bands[1], label="median")
        axes.legend()
    axes.set(xlabel="time (s)", ylabel="hit error (ms, + is late)", title="errors over the song")
    return [first, _save(plt, figure, folder / "error-by-time.png")]


def draw_report(report: dict[str, Any], folder: Path) -> list[Path]:
    """The figures of docs/agents.md from a calibration report: people against simulated players, and ranked maps."""
    plt = _pyplot()
    folder.mkdir(parents=True, exist_ok=True)
    rows = {name: row for name, row in report["likeness"].items() if name.startswith(("SD", "release SD"))}
    figure, axes = plt.subplots(figsize=(8, 5))
    place = np.arange(len(rows))
    human = np.array([row["human"] for row in rows.values()])
    low, high = (np.array([row[end] for row in rows.values()]) for end in ("low", "high"))
    axes.errorbar(human, place, xerr=(human - low, high - human), fmt="o", label="people, 95 % interval")
    axes.plot([row["simulated"] for row in rows.values()], place, "x", label="simulated")
    axes.set_yticks(place, list(rows))
    axes.invert_yaxis()
    axes.set(xlabel="ms", title="spread of errors on held-out plays")
    axes.legend()
    first = _save(plt, figure, folder / "agents-likeness.png")

    figure, axes = plt.subplots(figsize=(5, 5))
    maps = report["ranked"]["maps"].values()
    real, ours = ([100 * one[key] for one in maps] for key in ("real", "predicted"))
    axes.plot(real, ours, "o")
    axes.plot([86, 98], [86, 98], color="grey", linewidth=0.8)
    axes.set(xlabel="mean accuracy of ranked players (%)", ylabel="simulated (%)", title="15 ranked maps")
    return [first, _save(plt, figure, folder / "agents-ranked.png")]


def _spans(chart: Chart, edges: Any) -> list[tuple[int, int]]:
    at = np.searchsorted(chart.time_ms, edges)
    return [(int(a), int(b)) for a, b in pairwise(at)]


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise ConfigError("plots need matplotlib, which is not installed: pip install matplotlib") from error
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def _save(plt: Any, figure: Any, path: Path) -> Path:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, bbox_inches="tight")
    plt.close(figure)
    save_bytes(path, buffer.getvalue())
    return path
