"""Faults planted in human charts at random places, to be found by the review (`bench.eye`).

Written independently of the detectors and sharing no code with them. A plant takes a chart, its song and a generator and
returns the chart with one fault and its span; sizes are random, so that no detector can be tuned to one of them.
The charts stay valid: columns do not collide and holds do not overlap, so that no rule about collisions gives a plant away.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench import corruptions
from chart.model import KEYS, Chart
from reward.core.song import Song

CLEAR_MS = 60.0
"""Rest kept in a column between a planted note and its neighbours."""
MARGIN_ROWS = 8
"""Rows at both ends of a chart where nothing is planted."""
FASTEST_MS = 60.0
"""Interval of the fastest planted rows."""

Notes = list[tuple[float, int, float]]


@dataclass(frozen=True)
class Planted:
    """A chart with one fault."""

    kind: str
    chart: Chart
    start_ms: float
    end_ms: float


def _beat_ms(chart: Chart, at_ms: float) -> float:
    """A beat of 70–240 BPM there."""
    lines = [line for line in chart.red_lines if line.time_ms <= at_ms + 1] or list(chart.red_lines[:1])
    beat = lines[-1].beat_length_ms if lines else 500.0
    while beat < 250.0:
        beat *= 2
    while beat > 857.0:
        beat /= 2
    return beat


def _row_times(chart: Chart) -> NDArray[np.float64]:
    times = np.unique(chart.time_ms)
    return times[np.diff(times, prepend=-np.inf) > 2.0]


def _place(chart: Chart, rng: np.random.Generator, rows: int) -> tuple[float, float]:
    """First and last time of `rows` rows in a row at a random place that is no break in the chart."""
    times = _row_times(chart)
    low, high = min(MARGIN_ROWS, times.size // 8), times.size - rows - min(MARGIN_ROWS, times.size // 8)
    starts = np.arange(low, max(high, low + 1))
    starts = starts[starts + rows - 1 < times.size]
    lengths = times[starts + rows - 1] - times[starts]
    starts = starts[lengths <= 3 * np.median(lengths)]
    first = int(rng.choice(starts))
    return float(times[first]), float(times[first + rows - 1])


def _with(chart: Chart, notes: Notes) -> Chart:
    """The chart with these notes; where two of a column come too near, the later one goes and holds are cut."""
    kept: Notes = []
    for key in range(KEYS):
        for time, column, end in sorted(note for note in notes if note[1] == key):
            if kept and kept[-1][1] == key:
                before = kept[-1]
                if time - before[0] < CLEAR_MS:
                    continue
                if not np.isnan(before[2]) and time - before[2] < 35.0:
                    cut = time - CLEAR_MS
                    kept[-1] = (before[0], key, cut if cut - before[0] > 1.5 * CLEAR_MS else np.nan)
            kept.append((time, column, end))
    made = Chart.from_notes(
        np.round([note[0] for note in kept]), [note[1] for note in kept], np.round([note[2] for note in kept])
    )
    return replace(chart, time_ms=made.time_ms, column=made.column, end_ms=made.end_ms)


def _notes(chart: Chart) -> Notes:
    return list(zip(chart.time_ms.tolist(), chart.column.tolist(), chart.end_ms.tolist(), strict=True))


def _cleared(chart: Chart, start: float, end: float, columns: tuple[int, ...] = (0, 1, 2, 3)) -> Notes:
    """The chart's notes without those of the columns that begin in the span; holds that reach into it are cut."""
    kept: Notes = []
    for time, column, until in _notes(chart):
        if column in columns and start - CLEAR_MS < time < end + CLEAR_MS:
            continue
        cut = column in columns and time < start and until > start - CLEAR_MS
        kept.append(
            (time, column, start - CLEAR_MS if cut and start - CLEAR_MS - time > CLEAR_MS else np.nan if cut else until)
        )
    return kept


def jack_wall(chart: Chart, song: Song | None, rng: np.random.Generator) -> Planted:
    """12–24 presses at 1/4 in one column, or in two together; the other columns rest or go on as they were."""
    start, _ = _place(chart, rng, 16)
    step = _beat_ms(chart, start) / 4
    step = step if step >= 80.0 else 2 * step
    count = int(rng.integers(12, 25))
    columns = tuple(int(key) for key in rng.permutation(KEYS)[: 1 if rng.random() < 0.7 else 2])
    end = start + step * (count - 1)
    kept = _cleared(chart, start, end, columns if rng.random() < 0.5 else (0, 1, 2, 3))
    wall = [(start + step * index, key, np.nan) for index in range(count) for key in columns]
    return Planted("jack", _with(chart, kept + wall), start, end)


def unsnapped_run(chart: Chart, song: Song | None, rng: np.random.Generator) -> Planted:
    """8–24 rows off the grid: each by its own error, or all by the same."""
    rows = int(rng.integers(8, 25))
    start, end = _place(chart, rng, rows)
    times = _row_times(chart)
    room = float(np.min(np.diff(times[(times >= start - 1) & (times <= end + 1)]), initial=200.0)) * 0.35
    most = max(min(25.0, room), 5.0)
    steady = rng.random() < 0.5
    shared = rng.uniform(0.4, 1.0) * most * rng.choice([-1, 1])
    moved: Notes = []
    errors: dict[int, float] = {}
    for time, column, until in _notes(chart):
        if start - 1 <= time <= end + 1:
            row = int(np.argmin(np.abs(times - time)))
            own = errors.setdefault(row, rng.uniform(0.3, 1.0) * most * rng.choice([-1, 1]))
            error = shared if steady else own
            moved.append((time + error, column, until + error))
        else:
            moved.append((time, column, until))
    return Planted("unsnapped", _with(chart, moved), start, end)


def hand_imbalance(chart: Chart, song: Song | None, rng: np.random.Generator) -> Planted:
    """14–28 rows played by one hand but for a few notes."""
    rows = int(rng.integers(14, 29))
    start, end = _place(chart, rng, rows)
    hand = int(rng.integers(0, 2))
    stays = rng.uniform(0.0, 0.1)
    moved: Notes = []
    for time, column, until in _notes(chart):
        if start - 1 <= time <= end + 1 and column // 2 != hand and rng.random() >= stays:
            column = hand * 2 + (column % 2 if rng.random() < 0.8 else 1 - column % 2)
        moved.append((time, column, until))
    return Planted("hand-imbalance", _with(chart, moved), start, end)


def hold_cluster(chart: Chart, song: Song | None, rng: np.random.Generator) -> Planted:
    """4–8 beats of holds in all columns with hardly a gap, let go one by one at odd moments."""
    start, _ = _place(chart, rng, 16)
    beat = _beat_ms(chart, start)
    end = start + beat * int(rng.integers(4, 9))
    cluster: Notes = []
    for key in range(KEYS):
        at = start + beat / 4 * int(rng.integers(0, 3))
        while at < end - beat / 2:
            quarters = int(rng.integers(2, 5))
            following = at + quarters * beat / 4
            gap = max(beat / rng.choice([6, 8, 12]), 36.0)
            cluster.append((at, key, following - gap))
            at = following
    return Planted("holds", _with(chart, _cleared(chart, start, end) + cluster), start, end)


def density_spike(chart: Chart, song: Song | None, rng: np.random.Generator) -> Planted:
    """4–6 beats of rolls and jumps, far denser than the chart's busiest second, where the song is quiet."""
    times = _row_times(chart)
    beat = _beat_ms(chart, float(np.median(times)))
    length = beat * int(rng.integers(4, 7))
    starts = times[(times > times[0] + 4 * beat) & (times + length < times[-1] - 4 * beat)]
    starts = starts if starts.size else times[: max(times.size // 2, 1)]
    if song is not None:
        loud = song.mean_loudness(starts, starts + length)
    else:
        loud = np.searchsorted(times, starts + length) - np.searchsorted(times, starts)
    quiet = starts[loud <= np.quantile(loud, 0.15)]
    start = float(rng.choice(quiet))
    busiest = np.quantile(
        np.searchsorted(chart.time_ms, times + 500.0) - np.searchsorted(chart.time_ms, times - 500.0), 0.95
    )
    beat = _beat_ms(chart, start)
    wanted = max(1.5 * busiest, 8.0)
    options = [(beat / divisor, size) for size in (1, 2, 3) for divisor in (4, 6, 8) if beat / divisor >= FASTEST_MS]
    step, size = next(((s, n) for s, n in options if 1000.0 / s * n >= wanted), options[-1])
    order = rng.permutation(KEYS)
    spike = [
        (start + step * index, int(order[(index * size + part) % KEYS]), np.nan)
        for index in range(int(length / step))
        for part in range(size)
    ]
    return Planted("density", _with(chart, _cleared(chart, start, start + length) + spike), start, start + length)


def trill(chart: Chart, song: Song | None, rng: np.random.Generator) -> Planted:
    """14–28 rows become a chord of three and the note it leaves out in turn; rows further apart than .4 s are filled up."""
    rows = int(rng.integers(14, 29))
    start, end = _place(chart, rng, rows)
    times = _closed(_row_times(chart), start, end, 400.0)
    single = int(rng.integers(0, KEYS))
    planted = [
        (float(at), key, np.nan)
        for number, at in enumerate(times)
        for key in range(KEYS)
        if (key == single) == bool(number % 2)
    ]
    return Planted("trill", _with(chart, _cleared(chart, start, end) + planted), start, end)


def anchor(chart: Chart, song: Song | None, rng: np.random.Generator) -> Planted:
    """20–36 rows of one or two notes of which nine in ten press one column."""
    rows = int(rng.integers(20, 37))
    start, end = _place(chart, rng, rows)
    times, key = _closed(_row_times(chart), start, end, 1e9), int(rng.integers(0, KEYS))
    others = [other for other in range(KEYS) if other != key]
    planted: Notes = []
    for number, at in enumerate(times):
        if number == 0 or rng.random() < 0.9:
            planted.append((float(at), key, np.nan))
        else:
            planted.append((float(at), int(rng.choice(others)), np.nan))
        if rng.random() < 0.3:
            planted.append((float(at), int(rng.choice(others)), np.nan))
    return Planted("anchor", _with(chart, _cleared(chart, start, end) + planted), start, end)


def _closed(times: NDArray[np.float64], start: float, end: float, most_ms: float) -> NDArray[np.float64]:
    """Row times of the span, with rows between those further apart than `most_ms`."""
    inside = times[(times >= start - 1) & (times <= end + 1)]
    parts = [np.linspace(a, b, int(np.ceil((b - a) / most_ms)) + 1)[:-1] for a, b in itertools.pairwise(inside)]
    return np.append(np.concatenate(parts), inside[-1]) if parts else inside


def _whole(kind: str, chart: Chart) -> Planted:
    return Planted(kind, chart, float(chart.time_ms[0]), chart.last_ms)


def flat_density(chart: Chart, song: Song | None, rng: np.random.Generator) -> Planted:
    """The whole chart at its mean density everywhere."""
    return _whole("rhythm/dynamics", corruptions.flat_density(chart, rng))


def random_rhythm(chart: Chart, song: Song | None, rng: np.random.Generator) -> Planted:
    """Every bar's rows at quarter beats drawn at random."""
    return _whole("rhythm/recurrence", corruptions.random_rhythm(chart, rng))


def drum_holds(chart: Chart, song: Song | None, rng: np.random.Generator) -> Planted:
    """Holds on the sounds that die at once."""
    return _whole("musicality/sustain", corruptions.drum_holds(chart, rng, song))


FAULTS: dict[str, Callable[[Chart, Song | None, np.random.Generator], Planted]] = {
    "jack_wall": jack_wall,
    "unsnapped_run": unsnapped_run,
    "hand_imbalance": hand_imbalance,
    "hold_cluster": hold_cluster,
    "density_spike": density_spike,
    "trill": trill,
    "anchor": anchor,
    "flat_density": flat_density,
    "random_rhythm": random_rhythm,
    "drum_holds": drum_holds,
}
