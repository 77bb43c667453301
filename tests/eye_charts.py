"""Charts and songs for the tests of the review: plain, even, without a fault."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chart.model import Chart, Metadata, TimingPoint
from reward.core.song import Song

BEAT_MS = 400.0
START_MS = 1_000.0
HOP_MS = 10.0


def plain_chart(beats: int = 256, seed: int = 0) -> Chart:
    """Notes on half beats that go from hand to hand, a chord on every fourth beat, quarter-beat pairs now and then."""
    rng = np.random.default_rng(seed)
    time, column, hand = [], [], 0
    for half in range(beats * 2):
        at = START_MS + half * BEAT_MS / 2
        time.append(at)
        column.append(hand * 2 + int(rng.integers(0, 2)))
        if half % 8 == 0:
            time.append(at)
            column.append((1 - hand) * 2 + int(rng.integers(0, 2)))
        if rng.random() < 0.1:
            time.append(at + BEAT_MS / 4)
            column.append((1 - hand) * 2 + int(rng.integers(0, 2)))
        hand = 1 - hand if rng.random() < 0.8 else hand
    return Chart.from_notes(
        time, column, timing_points=(TimingPoint(START_MS, BEAT_MS),), metadata=Metadata(title="plain", version="Test")
    )


def even_song(chart: Chart) -> Song:
    """A song with an onset at every row of the chart; the first of each four stretches of 32 beats is soft."""
    frames = int(chart.last_ms / HOP_MS) + 200
    onset = np.full((frames, 3), 0.1, np.float32)
    np.add.at(onset, np.round(chart.time_ms / HOP_MS).astype(int), 1.0)
    loud = (np.arange(frames) * HOP_MS // (32 * BEAT_MS)) % 4 > 0
    return Song(onset, (0.6 + 0.4 * loud).astype(np.float32), HOP_MS)


def beat_ms(beat: float) -> float:
    """Time of a beat of the plain chart."""
    return START_MS + beat * BEAT_MS


def with_notes(chart: Chart, notes: list[tuple[float, int, float]], start_ms: float, end_ms: float) -> Chart:
    """The chart with these (time, column, end) in place of what begins in the span."""
    keep = (chart.time_ms < start_ms - 1) | (chart.time_ms > end_ms + 1)
    time, column, end = zip(*notes, strict=True) if notes else ((), (), ())
    made = Chart.from_notes(
        np.append(chart.time_ms[keep], time), np.append(chart.column[keep], column), np.append(chart.end_ms[keep], end)
    )
    return replace(chart, time_ms=made.time_ms, column=made.column, end_ms=made.end_ms)
