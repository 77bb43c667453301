"""Writes charts until their official stars are those asked for.

The mapper is told the stars that it shall write and the density that such charts have, and mostly comes near; what
remains is closed here in rounds of several charts a target, written side by side. The first round tells the mapper
more or fewer stars than wanted (a *push*); the later ones keep the push at which the stars should be right and vary a
*bias* on the hazard's log-odds, more or fewer rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from chart.errors import AudioFileError
from chart.grid import Grid
from chart.model import KEYS, Chart, TimingPoint
from chart.problems import find_problems
from chart.stars import stars
from mapper.hearing import Heard, hear
from mapper.model import STYLES, Controls, Mapper
from mapper.rows import notes_of
from mapper.sampling import Sampling, write_rows

PUSHES = (-0.5, 0.0, 0.5)
"""Stars added to the target in the first round's controls."""
MAX_PUSH = 3.0
MIN_TOLD_STARS, MAX_TOLD_STARS = 0.3, 9.0
MIN_STARS_PER_PUSH = 0.4
"""Least effect of a push that is believed when a line is laid through few noisy charts."""
BIASES = (-0.12, 0.0, 0.12)
"""Log-odds around the estimate, in later rounds."""
STARS_PER_BIAS = 0.8
MAX_BIAS = 1.5
DENSITY = {"keyboard": (3.29, -1.19), "pad": (2.49, -0.56)}
"""Notes a second of human charts by style: slope and intercept over stars, least squares on the `train` charts."""
HOLD_SHARE = 0.1
"""Holds among the notes of a typical human chart (the mean of `train` charts is .08 to .16 at any stars)."""


@dataclass(frozen=True)
class Song:
    """What the mapper needs of a song. Grid and timing points are in one time; sound comes `lag_ms` after it."""

    grid: Grid
    timing_points: tuple[TimingPoint, ...]
    features: NDArray[np.uint8]  # [frame, band]
    lag_ms: float = 0.0
    first_ms: float = -np.inf  # no note before this


@dataclass(frozen=True)
class Candidate:
    """A chart that was written for a target."""

    target: float
    push: float
    bias: float
    stars: float
    chart: Chart

    @property
    def excess(self) -> float:
        """Stars above the target."""
        return self.stars - self.target


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
    listener = _Listener(model, song, config.style)
    for number, seed in enumerate(np.random.SeedSequence(config.seed).generate_state(config.rounds)):
        wanted = [
            Wanted(index, targets[index], push, bias)
            for index in range(len(targets))
            if not _is_met(tried[index], config.tolerance)
            for push, bias in _next_settings(tried[index])
        ]
        if not wanted:
            break
        heard = listener.hear(wanted)
        sampling = Sampling(int(seed), np.array([one.bias for one in wanted]))
        rows = write_rows(model, heard, sampling, _share_of_round(report, number, config.rounds))
        for one, written in zip(wanted, rows, strict=True):
            chart = Chart.from_notes(*notes_of(written, song.grid), timing_points=song.timing_points)
            rating = stars(chart) if len(chart) else 0.0
            tried[one.index].append(Candidate(one.target, one.push, one.bias, rating, chart))
    report(1.0)
    return _one_each(tried, targets)


def _share_of_round(report: Callable[[float], None], number: int, rounds: int) -> Callable[[float], None]:
    return lambda done: report((number + done) / rounds)


@dataclass(frozen=True)
class Wanted:
    """A chart to write for the target with this index."""

    index: int
    target: float
    push: float
    bias: float


class _Listener:
    """Hears the song for any controls, and remembers what it heard: hearing costs as much as writing."""

    def __init__(self, model: Mapper, song: Song, style: str) -> None:
        self.model, self.song, self.style = model, song, style
        self.known: dict[float, Heard] = {}  # told stars → what is heard for them, one chart each

    def hear(self, wanted: Sequence[Wanted]) -> Heard:
        """What each wanted chart hears, in order."""
        told = [float(np.clip(one.target + one.push, MIN_TOLD_STARS, MAX_TOLD_STARS)) for one in wanted]
        new = sorted(set(told) - set(self.known))
        if new:
            song, controls = self.song, typical_controls(new, self.style)
            heard = hear(self.model, song.grid, song.features, song.lag_ms, controls, song.first_ms)
            self.known |= {stars: heard.repeated([number]) for number, stars in enumerate(new)}
        return Heard.joined([self.known[stars] for stars in told])


def typical_controls(told_stars: Sequence[float], style: str) -> Controls:
    """Controls of charts with these stars, as dense and with as many holds as such human charts."""
    slope, intercept = DENSITY[style]
    stars = torch.tensor(told_stars, dtype=torch.float32)
    return Controls(
        stars=stars,
        notes_per_s=(slope * stars + intercept).clamp(min=0.5),
        hold_share=torch.full_like(stars, HOLD_SHARE),
        style=torch.full(stars.shape, STYLES.index(style)),
    )


def _is_met(tried: Sequence[Candidate], tolerance: float) -> bool:
    return any(abs(candidate.excess) <= tolerance and is_whole(candidate.chart) for candidate in tried)


def is_whole(chart: Chart) -> bool:
    """Whether the chart is valid and uses every column."""
    return len(np.unique(chart.column)) == KEYS and not find_problems(chart)


def _next_settings(tried: Sequence[Candidate]) -> list[tuple[float, float]]:
    """(push, bias) of the charts to try next, after all those that were tried for the target."""
    if not tried:
        return [(push, 0.0) for push in PUSHES]
    first = tried[: len(PUSHES)]
    push = np.array([candidate.push for candidate in first])
    excess = np.array([candidate.excess for candidate in first])
    slope = max(float(np.polyfit(push, excess, 1)[0]), MIN_STARS_PER_PUSH)
    best_push = float(np.clip(np.mean(push) - np.mean(excess) / slope, -MAX_PUSH, MAX_PUSH))
    later = tried[len(PUSHES) :]
    bias = float(np.mean([candidate.bias - candidate.excess / STARS_PER_BIAS for candidate in later])) if later else 0.0
    return [(best_push, float(np.clip(bias + offset, -MAX_BIAS, MAX_BIAS))) for offset in BIASES]


def _one_each(tried: Sequence[Sequence[Candidate]], targets: Sequence[float]) -> list[Candidate]:
    """The nearest whole chart of each target, handed out so that harder targets never get easier charts."""
    whole = [[candidate for candidate in charts if is_whole(candidate.chart)] for charts in tried]
    if not all(whole):
        raise AudioFileError("the song leaves too little room for a chart; is it mostly silent, or very short?")
    best = [min(charts, key=lambda candidate: abs(candidate.excess)) for charts in whole]
    by_stars = sorted(best, key=lambda candidate: candidate.stars)
    return [replace(candidate, target=target) for target, candidate in zip(sorted(targets), by_stars, strict=True)]
