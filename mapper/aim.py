"""Writes charts until their official stars are those asked for.

The mapper is told the stars it shall write, and mostly comes near; what remains is closed here. Each round writes
several charts a target side by side, with different rate biases (more or fewer rows); the next round's biases lie
where the rounds before say that the stars would be right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from chart.grid import Grid
from chart.model import KEYS, Chart, TimingPoint
from chart.problems import find_problems
from chart.stars import stars
from mapper.hearing import hear
from mapper.model import STYLES, Controls, Mapper
from mapper.rows import notes_of
from mapper.sampling import Sampling, write_rows

FIRST_BIASES = (-0.6, 0.0, 0.6)
"""Log-odds tried in the first round."""
MAX_BIAS = 4.0
SPREAD = (-0.12, 0.0, 0.12)
"""Around the estimated bias in later rounds."""


@dataclass(frozen=True)
class Song:
    """What the mapper needs of a song. Grid and timing points are in one time; sound comes `lag_ms` after it."""

    grid: Grid
    timing_points: tuple[TimingPoint, ...]
    features: NDArray[np.uint8]  # [frame, band]
    lag_ms: float = 0.0
    first_ms: float = -np.inf  # no note before this
    last_ms: float = np.inf


@dataclass(frozen=True)
class Candidate:
    """A chart that was written for a target."""

    target: float
    bias: float
    stars: float
    chart: Chart

    @property
    def error(self) -> float:
        return abs(self.stars - self.target)


@dataclass(frozen=True)
class AimConfig:
    """How hard to try."""

    seed: int = 0
    style: str = "keyboard"
    tolerance: float = 0.05  # stars
    rounds: int = 3


def write_charts(
    model: Mapper,
    song: Song,
    targets: Sequence[float],
    config: AimConfig,
    report: Callable[[float], None] = lambda share: None,
) -> list[Candidate]:
    """One chart for each target, in order of stars; the k-th easiest belongs to the k-th lowest target.

    A target that the song does not allow gets the nearest chart that was found. `report` is told the share done.
    """
    tried: list[list[Candidate]] = [[] for _ in targets]
    seeds = np.random.SeedSequence(config.seed).generate_state(config.rounds)
    for number, seed in enumerate(seeds):
        open_targets = [index for index in range(len(targets)) if not _is_met(tried[index], config.tolerance)]
        if not open_targets:
            break
        wanted = [(index, bias) for index in open_targets for bias in _biases(tried[index])]
        asked = np.array([targets[index] for index, _ in wanted])
        bias = np.array([bias for _, bias in wanted])
        share = lambda done, number=number: report((number + done) / len(seeds))  # noqa: E731
        for (index, _), candidate in zip(
            wanted, _write(model, song, asked, bias, config, int(seed), share), strict=True
        ):
            tried[index].append(candidate)
    report(1.0)
    return _one_each(tried, targets)


def _is_met(tried: Sequence[Candidate], tolerance: float) -> bool:
    return any(candidate.error <= tolerance and is_whole(candidate.chart) for candidate in tried)


def is_whole(chart: Chart) -> bool:
    """Whether the chart is valid and uses every column."""
    return len(np.unique(chart.column)) == KEYS and not find_problems(chart)


def _biases(tried: Sequence[Candidate]) -> tuple[float, ...]:
    """Where to try next: around the bias at which a line through the nearest charts meets the target."""
    if not tried:
        return FIRST_BIASES
    bias = np.array([candidate.bias for candidate in tried])
    excess = np.array([candidate.stars - candidate.target for candidate in tried])
    near = np.argsort(np.abs(excess))[:3]
    slope = np.polyfit(bias, excess, 1)[0] if np.ptp(bias) > 0 else 0.0
    slope = max(slope, 0.3)  # stars per unit of log-odds; noise can hide that more rows are harder
    centre = float(np.clip(np.mean(bias[near] - excess[near] / slope), -MAX_BIAS, MAX_BIAS))
    return tuple(centre + offset for offset in SPREAD)


def _write(
    model: Mapper,
    song: Song,
    asked: NDArray,
    bias: NDArray,
    config: AimConfig,
    seed: int,
    report: Callable[[float], None],
) -> list[Candidate]:
    unset = torch.full((len(asked),), float("nan"))
    style = torch.full((len(asked),), STYLES.index(config.style))
    controls = Controls(torch.tensor(asked, dtype=torch.float32), unset, unset, style)
    heard = hear(model, song.grid, song.features, song.lag_ms, controls, (song.first_ms, song.last_ms))
    candidates = []
    for target, chart_bias, rows in zip(
        asked, bias, write_rows(model, heard, Sampling(seed, bias), report), strict=True
    ):
        chart = Chart.from_notes(*notes_of(rows, song.grid), timing_points=song.timing_points)
        candidates.append(Candidate(float(target), float(chart_bias), stars(chart) if len(chart) else 0.0, chart))
    return candidates


def _one_each(tried: Sequence[Sequence[Candidate]], targets: Sequence[float]) -> list[Candidate]:
    """The nearest whole chart of each target, handed out so that harder targets never get easier charts."""
    best = [min(charts, key=lambda candidate: (not is_whole(candidate.chart), candidate.error)) for charts in tried]
    by_stars = sorted(best, key=lambda candidate: candidate.stars)
    return [
        Candidate(target, candidate.bias, candidate.stars, candidate.chart)
        for target, candidate in zip(sorted(targets), by_stars, strict=True)
    ]
