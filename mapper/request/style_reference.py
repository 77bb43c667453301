"""Targets from the options `--stars`, `--like map.osz`, `--holds`, `--patterns`, `--density` and `--style`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from chart.analysis.pattern_mix import pattern_mix
from chart.analysis.star_rating import stars
from chart.formats.read import read_charts
from chart.model import Chart
from mapper.data.build import PAD_SOURCES
from mapper.request.options import DENSITY_RANGE, MAX_HOLDS, GenerateConfig
from mapper.sampling.conditioning import ChartTarget
from runtime.errors import ChartFileError

MIN_NOTES = 30
"""Charts with fewer notes are no style reference."""


def targets_of(config: GenerateConfig) -> list[ChartTarget]:
    """The target of every requested difficulty."""
    references = references_of(config)
    return [target_at(references, stars) for stars in config.target_stars]


def target_at(references: Sequence[ChartTarget], stars: float) -> ChartTarget:
    """The reference with the nearest stars, at these stars."""
    return replace(min(references, key=lambda one: abs(one.stars - stars)), stars=stars)


def references_of(config: GenerateConfig) -> tuple[ChartTarget, ...]:
    """One style reference, or with `like` one for each of its charts; explicit options override it."""
    followed = references_in(config.like) if config.like is not None else (ChartTarget(0.0),)
    requested = config.pattern_shares
    return tuple(
        replace(
            one,
            style=config.style or one.style,
            hold_share=one.hold_share if config.holds is None else config.holds,
            density=one.density if config.density is None else config.density,
            patterns=tuple(np.where(np.isnan(requested), one.patterns, requested).tolist()),
        )
        for one in followed
    )


def references_in(path: Path) -> tuple[ChartTarget, ...]:
    """Stars, style, hold share, pattern mix and density of each chart of a map. Raises ChartFileError without charts."""
    charts = [chart for chart in read_charts(path) if len(chart) >= MIN_NOTES]
    if not charts:
        raise ChartFileError(f"{path}: no chart with {MIN_NOTES} notes or more, so nothing to follow")
    return tuple(_reference(chart, path) for chart in charts)


def _reference(chart: Chart, path: Path) -> ChartTarget:
    pad = path.suffix.lower() in (".sm", ".ssc") or chart.metadata.source.strip().lower() in PAD_SOURCES
    style, rating = "pad" if pad else "keyboard", stars(chart)
    notes_per_s = len(chart) / max((chart.last_ms - chart.time_ms[0]) / 1000, 1)
    reference = ChartTarget(
        rating, style, min(float(chart.is_hold.mean()), MAX_HOLDS), tuple(pattern_mix(chart).tolist())
    )
    return replace(reference, density=float(np.clip(notes_per_s / reference.notes_per_s, *DENSITY_RANGE)))
