"""Everything of a difficulty besides its notes: names, settings, preview point, breaks, kiai, tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from chart.model import Chart, Difficulty, Metadata, TimingPoint
from mapper.request.levels import SETTINGS, names_of
from mapper.tokens.log_mel import BANDS, MS_PER_FRAME
from reward.rules.criteria import Level, level_of

BREAK_MS = 5_000.0
"""Rests at least this long become breaks."""
BREAK_AFTER_MS, BREAK_BEFORE_MS = 200.0, 1_000.0
"""A break starts this long after the last note and ends this long before the next, as osu!'s editor places it."""
PREVIEW_S = 15.0
"""The preview point is the downbeat before the loudest stretch of this length."""
PHRASE_BARS, KIAI_PHRASES = 4, 2
"""Kiai begins and ends with a phrase of this many bars, and lasts at least so many phrases."""
KIAI_RISE = 0.5
"""A phrase is kiai when its loudness is this share of the way from the song's median phrase to its loudest."""
MAX_KIAI_SHARE = 0.4
"""Of the song; more is no highlight. (Two thirds of the osu!mania charts of the `train` songs have kiai.)"""
NAMED_AS_REQUESTED = 0.2
"""Stars that a chart may miss its request by and still be named by it."""
KIAI = 1  # osu! effect bit
SPEEDS = (0.1, 10.0)
"""Scroll speeds that osu!'s editor offers."""


def finish(
    charts: Sequence[Chart],
    stars: Sequence[float],
    metadata: Metadata,
    preview_ms: int,
    kiai_ms: Sequence[tuple[float, float]] = (),
    hp: float | None = None,
    od: float | None = None,
) -> list[Chart]:
    """Charts of one set, easiest first, with names, settings, preview point, breaks and kiai of their level.

    `stars` give the levels: those requested (`named_stars`), so that a name does not change with a hundredth of a star.
    """
    return [
        replace(
            chart,
            metadata=replace(metadata, version=name),
            difficulty=_settings(level_of(value), hp, od),
            preview_ms=preview_ms,
            breaks=breaks_of(chart),
            timing_points=with_kiai(chart.timing_points, kiai_ms, chart.last_ms),
        )
        for chart, value, name in zip(charts, stars, names_of(stars), strict=True)
    ]


def named_stars(requested: float, stars: float) -> float:
    """The stars that name a chart: those requested where it nearly has them, else its own."""
    return requested if abs(stars - requested) <= NAMED_AS_REQUESTED else stars


def _settings(level: Level, hp: float | None, od: float | None) -> Difficulty:
    usual = SETTINGS[level]
    return Difficulty(hp=usual.hp if hp is None else hp, od=usual.od if od is None else od)


def with_kiai(
    points: Sequence[TimingPoint], spans_ms: Sequence[tuple[float, float]], end_ms: float
) -> tuple[TimingPoint, ...]:
    """The red lines of a chart that ends at `end_ms`, with kiai, and green lines that keep the scroll speed the same."""
    red = [point for point in points if point.uninherited]
    speeds = _even_speeds(red, end_ms)
    edges = [(point.time_ms, _is_inside(point.time_ms, spans_ms)) for point in red] if set(speeds) != {1.0} else []
    edges += [
        (float(round(time)), inside) for span in spans_ms for time, inside in zip(span, (True, False), strict=True)
    ]
    green = []
    for time, inside in edges:
        ruling = max(index for index, point in enumerate(red) if index == 0 or point.time_ms <= time)
        green.append(TimingPoint(time, -100.0 / speeds[ruling], uninherited=False, effects=KIAI * inside))
    lit = [replace(point, effects=point.effects | KIAI * _is_inside(point.time_ms, spans_ms)) for point in red]
    return tuple(sorted([*lit, *green], key=lambda point: (point.time_ms, not point.uninherited)))


def _even_speeds(red: Sequence[TimingPoint], end_ms: float) -> list[float]:
    """[red line] scroll speed that undoes its tempo against the tempo that rules longest, as the game scrolls."""
    ends = [*(point.time_ms for point in red[1:]), max(end_ms, red[-1].time_ms)]
    lasts: dict[float, float] = {}
    for point, end in zip(red, ends, strict=True):
        lasts[point.beat_length_ms] = lasts.get(point.beat_length_ms, 0.0) + end - point.time_ms
    main = max(lasts, key=lambda beat_ms: lasts[beat_ms])
    return [float(np.clip(point.beat_length_ms / main, *SPEEDS)) for point in red]


def _is_inside(time_ms: float, spans_ms: Sequence[tuple[float, float]]) -> bool:
    return any(start <= time_ms < end for start, end in spans_ms)


def kiai_spans(
    features: NDArray[np.uint8], downbeats_ms: NDArray[np.float64], lag_ms: float
) -> list[tuple[float, float]]:
    """(start, end) of the song's loudest runs of phrases; none where no part stands out. Times as the downbeats'."""
    edges = downbeats_ms[::PHRASE_BARS]
    frame = np.clip(np.round((edges + lag_ms) / MS_PER_FRAME), 0, features.shape[0]).astype(np.int64)
    total = np.append(0.0, np.cumsum(features[:, :BANDS].mean(axis=1, dtype=np.float64)))
    frames = np.diff(frame)
    if frames.size < 2 * KIAI_PHRASES or not frames.all():
        return []
    loudness = np.diff(total[frame]) / frames
    middle = float(np.median(loudness))
    loud = loudness >= middle + KIAI_RISE * (loudness.max() - middle)
    change = np.flatnonzero(np.diff(np.concatenate(([0], loud.astype(np.int8), [0]))))
    runs = [(int(a), int(b)) for a, b in zip(change[::2], change[1::2], strict=True) if b - a >= KIAI_PHRASES]
    runs.sort(key=lambda run: -float(loudness[run[0] : run[1]].mean()))
    kept: list[tuple[int, int]] = []
    for run in runs:
        if sum(b - a for a, b in (*kept, run)) <= MAX_KIAI_SHARE * loudness.size:
            kept.append(run)
    return [(float(edges[a]), float(edges[b])) for a, b in sorted(kept)]


def breaks_of(chart: Chart) -> tuple[tuple[float, float], ...]:
    """(start_ms, end_ms) of the rests worth a break, in whole ms."""
    if len(chart) < 2:
        return ()
    ends = np.maximum.accumulate(np.fmax(chart.time_ms, chart.end_ms))
    rests = np.flatnonzero(chart.time_ms[1:] - ends[:-1] >= BREAK_MS)
    return tuple(
        (float(round(ends[at] + BREAK_AFTER_MS)), float(round(chart.time_ms[at + 1] - BREAK_BEFORE_MS))) for at in rests
    )


def preview_point_ms(
    features: NDArray[np.uint8],
    downbeats_ms: NDArray[np.float64],
    lag_ms: float,
    kiai_ms: Sequence[tuple[float, float]] = (),
) -> int:
    """Whole ms of the start of the kiai nearest to the song's loudest `PREVIEW_S` seconds; of the downbeat before them without kiai.

    Times as the downbeats'.
    """
    window = min(int(PREVIEW_S * 1000 / MS_PER_FRAME), features.shape[0])
    loudness = np.concatenate(([0.0], np.cumsum(features[:, :BANDS].mean(axis=1, dtype=np.float64))))
    start_ms = float(np.argmax(loudness[window:] - loudness[:-window])) * MS_PER_FRAME - lag_ms
    if kiai_ms:
        starts = np.array([start for start, _ in kiai_ms])
        return max(round(float(starts[np.argmin(np.abs(starts - start_ms))])), 0)
    before = downbeats_ms[(downbeats_ms <= start_ms + 1) & (downbeats_ms >= 0)]
    return max(round(float(before[-1])) if before.size else round(start_ms), 0)
