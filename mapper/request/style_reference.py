"""Style conditioning from the options `--like map.osz`, `--holds`, `--patterns`, `--density` and `--style`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from chart.analysis.pattern_mix import pattern_mix
from chart.analysis.star_rating import stars
from chart.formats.read import read_charts
from chart.model import Chart
from mapper.data.build import PAD_SOURCES
from mapper.request.options import DENSITY_RANGE, MAX_HOLDS, GenerateConfig
from mapper.sampling.conditioning import DENSITY, MIN_NOTES_PER_S, StyleConditioning
from runtime.errors import ChartFileError

MIN_NOTES = 30
"""Charts with fewer notes are no style reference."""


def conditioning_of(config: GenerateConfig) -> tuple[StyleConditioning, ...]:
    """One conditioning, or with `like` one for each of its charts; explicit options override the reference."""
    followed = conditioning_like(config.like) if config.like is not None else (StyleConditioning(),)
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


def conditioning_like(path: Path) -> tuple[StyleConditioning, ...]:
    """Style, hold share, pattern mix and density of each chart of a map."""
    charts = [chart for chart in read_charts(path) if len(chart) >= MIN_NOTES]
    if not charts:
        raise ChartFileError(f"{path}: no chart with {MIN_NOTES} notes or more, so nothing to follow")
    return tuple(_steering(chart, path) for chart in charts)


def _steering(chart: Chart, path: Path) -> StyleConditioning:
    pad = path.suffix.lower() in (".sm", ".ssc") or chart.metadata.source.strip().lower() in PAD_SOURCES
    style, rating = "pad" if pad else "keyboard", stars(chart)
    notes_per_s = len(chart) / max((chart.last_ms - chart.time_ms[0]) / 1000, 1)
    typical = max(float(np.polyval(DENSITY[style], rating)), MIN_NOTES_PER_S)
    return StyleConditioning(
        style=style,
        hold_share=min(float(chart.is_hold.mean()), MAX_HOLDS),
        patterns=tuple(pattern_mix(chart).tolist()),
        density=float(np.clip(notes_per_s / typical, *DENSITY_RANGE)),
        stars=rating,
    )
