"""Corruptions of human charts, which the reward must score below the originals.

A probe takes a chart and a generator and gives a corrupted chart that is still a chart: columns do not collide and
holds do not overlap, unless that is the corruption, so that no probe is caught by a technicality.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from chart.analysis.rows import row_starts
from chart.analysis.snap import beats_at
from chart.model import KEYS, Chart
from reward.core.batch_view import view_of
from reward.core.rhythm import WINDOW_MS
from reward.core.song import Song

SHORT_HOLD_MS = 20.0
JITTER_MS = 15.0
MIN_GAP_MS = 40.0
"""Probes that move notes keep this distance within a column, so that rules about collisions stay silent."""
RANDOM_DIVISORS = (3, 4, 5, 6, 7, 8, 9, 12, 16)
JACK_COLUMN_BEATS = 8
QUIET_SHARE = 0.25
QUIET_WINDOW_MS = 4_000.0

Probe = Callable[[Chart, np.random.Generator], Chart]


def _with_notes(chart: Chart, time_ms: NDArray, column: NDArray, end_ms: NDArray | None = None) -> Chart:
    """The chart with other notes; times rounded as a file would, notes too close in a column dropped, holds cut."""
    time_ms, column = np.round(np.asarray(time_ms, np.float64)), np.asarray(column, np.int64)
    end_ms = np.full(time_ms.size, np.nan) if end_ms is None else np.round(end_ms)
    keep, new_end = [], end_ms.copy()
    for key in range(KEYS):
        mine = np.flatnonzero(column == key)
        mine = mine[np.argsort(time_ms[mine], kind="stable")]
        last = -1
        for index in mine.tolist():
            if last >= 0 and time_ms[index] - time_ms[last] < MIN_GAP_MS:
                continue
            if last >= 0 and new_end[last] > time_ms[index] - MIN_GAP_MS:
                cut = time_ms[index] - MIN_GAP_MS
                new_end[last] = cut if cut - time_ms[last] > MIN_GAP_MS else np.nan
            keep.append(index)
            last = index
    chosen = np.array(sorted(keep), np.int64)
    notes = Chart.from_notes(time_ms[chosen], column[chosen].astype(np.int8), new_end[chosen])
    return replace(chart, time_ms=notes.time_ms, column=notes.column, end_ms=notes.end_ms)


def _row_of_note(chart: Chart) -> NDArray[np.int64]:
    return np.cumsum(row_starts(chart.time_ms)) - 1


def jack_wall(chart: Chart, rng: np.random.Generator) -> Chart:
    """Every beat that had a note becomes four notes at 1/4 in one column, which changes every eight beats."""
    beats = beats_at(chart.time_ms, chart.red_lines)
    beat, first = np.unique(np.floor(beats.beat + 0.01).astype(np.int64), return_index=True)
    start = chart.time_ms[first] - (beats.beat[first] - beat) * beats.beat_ms[first]
    time_ms = (start[:, None] + beats.beat_ms[first][:, None] * np.arange(4) / 4).ravel()
    order = rng.permutation(KEYS)
    return _with_notes(chart, time_ms, np.repeat(order[beat // JACK_COLUMN_BEATS % KEYS], 4))


def quad_spam(chart: Chart, rng: np.random.Generator) -> Chart:
    """Every row becomes a chord of four."""
    time_ms = chart.time_ms[row_starts(chart.time_ms)]
    return _with_notes(chart, np.repeat(time_ms, KEYS), np.tile(np.arange(KEYS), time_ms.size))


def short_holds(chart: Chart, rng: np.random.Generator) -> Chart:
    """Every note becomes a hold of 20 ms."""
    return replace(chart, end_ms=chart.time_ms + SHORT_HOLD_MS)


def one_hand(chart: Chart, rng: np.random.Generator) -> Chart:
    """The right hand's notes move to the left hand."""
    return _with_notes(chart, chart.time_ms, chart.column % 2, chart.end_ms)


def one_column(chart: Chart, rng: np.random.Generator) -> Chart:
    """All notes in the first column."""
    return _with_notes(chart, chart.time_ms, np.zeros(len(chart)), chart.end_ms)


def random_snaps(chart: Chart, rng: np.random.Generator) -> Chart:
    """Every row moves to a random snap of a random divisor within its beat."""
    row, begins = _row_of_note(chart), row_starts(chart.time_ms)
    beats = beats_at(chart.time_ms[begins], chart.red_lines)
    divisor = rng.choice(RANDOM_DIVISORS, beats.beat.size)
    target = (np.floor(beats.phase + 0.01) + rng.integers(0, divisor) / divisor - beats.phase) * beats.beat_ms
    return _with_notes(chart, chart.time_ms + target[row], chart.column, chart.end_ms + target[row])


def shuffled_columns(chart: Chart, rng: np.random.Generator) -> Chart:
    """Each row's notes go to random columns; rhythm, chord sizes and hold lengths stay."""
    row = _row_of_note(chart)
    order = np.argsort(rng.random((int(row[-1]) + 1, KEYS)), axis=1)
    return _with_notes(chart, chart.time_ms, order[row, chart.column], chart.end_ms)


def jittered(chart: Chart, rng: np.random.Generator) -> Chart:
    """Each row moves by a normal error of 15 ms; chords stay whole."""
    shift = np.round(rng.normal(0.0, JITTER_MS, len(chart)))[_row_of_note(chart)]
    return _with_notes(chart, chart.time_ms + shift, chart.column, chart.end_ms + shift)


def halved(chart: Chart, rng: np.random.Generator) -> Chart:
    """A random half of the notes is gone."""
    keep = np.sort(rng.permutation(len(chart))[: len(chart) // 2])
    return _with_notes(chart, chart.time_ms[keep], chart.column[keep], chart.end_ms[keep])


def second_half_empty(chart: Chart, rng: np.random.Generator) -> Chart:
    """Nothing in the second half of the charted time."""
    keep = np.flatnonzero(chart.time_ms <= (chart.time_ms[0] + chart.time_ms[-1]) / 2)
    return _with_notes(chart, chart.time_ms[keep], chart.column[keep], chart.end_ms[keep])


def time_mirrored(chart: Chart, rng: np.random.Generator) -> Chart:
    """The chart runs backwards; the mirror lies on a bar line, so that notes stay on the beat grid."""
    last = float(np.nanmax(np.where(np.isnan(chart.end_ms), chart.time_ms, chart.end_ms)))
    edge = beats_at(np.array([chart.time_ms[0], last]), chart.red_lines).beat
    total = 4.0 * np.round(edge.sum() / 4.0)
    end = np.where(np.isnan(chart.end_ms), chart.time_ms, chart.end_ms)
    start_ms = _beat_to_ms(chart, total - beats_at(end, chart.red_lines).beat)
    end_ms = _beat_to_ms(chart, total - beats_at(chart.time_ms, chart.red_lines).beat)
    return _with_notes(chart, start_ms, chart.column, np.where(np.isnan(chart.end_ms), np.nan, end_ms))


def _beat_to_ms(chart: Chart, beat: NDArray[np.float64]) -> NDArray[np.float64]:
    lines = np.array([line.time_ms for line in chart.red_lines])
    length = np.array([line.beat_length_ms for line in chart.red_lines])
    at = np.concatenate([[0.0], np.cumsum(np.diff(lines) / length[:-1])])
    line = np.maximum(np.searchsorted(at, beat + 1e-6, side="right") - 1, 0)
    return lines[line] + (beat - at[line]) * length[line]


def empty(chart: Chart, rng: np.random.Generator) -> Chart:
    """No notes at all."""
    return _with_notes(chart, np.zeros(0), np.zeros(0), np.zeros(0))


TRILL_ROWS, TRILL_EVERY = 24, 48
"""Length of a planted trill or anchor, and rows from the begin of one to the next."""
CELLS_PER_BAR = 16


def planted_trills(chart: Chart, rng: np.random.Generator) -> Chart:
    """Half of the rows become a chord of three and the single note beside it in turn; rhythm stays."""
    row = _row_of_note(chart)
    time_ms = chart.time_ms[row_starts(chart.time_ms)]
    planted = np.arange(time_ms.size) % TRILL_EVERY < TRILL_ROWS
    single = rng.integers(0, KEYS, time_ms.size // TRILL_EVERY + 1)[np.arange(time_ms.size) // TRILL_EVERY]
    notes = [
        (time_ms[at], key)
        for at in np.flatnonzero(planted).tolist()
        for key in range(KEYS)
        if (key == single[at]) == bool(at % 2)
    ]
    return _with_replaced(chart, planted[row], notes)


def planted_anchors(chart: Chart, rng: np.random.Generator) -> Chart:
    """In half of the chart, 24 rows at a time, one column is pressed in every row; other notes and rhythm stay."""
    row = _row_of_note(chart)
    time_ms = chart.time_ms[row_starts(chart.time_ms)]
    planted = np.arange(time_ms.size) % TRILL_EVERY < TRILL_ROWS
    anchor = rng.integers(0, KEYS, time_ms.size // TRILL_EVERY + 1)[np.arange(time_ms.size) // TRILL_EVERY]
    replaced = planted[row] & ((chart.column == anchor[row]) | (np.diff(row, prepend=-1) > 0))
    return _with_replaced(chart, replaced, [(time_ms[at], int(anchor[at])) for at in np.flatnonzero(planted).tolist()])


def _with_replaced(chart: Chart, replaced: NDArray[np.bool_], notes: list[tuple[float, int]]) -> Chart:
    """The chart without the marked notes and with taps (time, column) instead."""
    times, columns = np.array([time for time, _ in notes]), np.array([key for _, key in notes])
    return _with_notes(
        chart,
        np.concatenate([chart.time_ms[~replaced], times]),
        np.concatenate([chart.column[~replaced], columns]),
        np.concatenate([chart.end_ms[~replaced], np.full(len(notes), np.nan)]),
    )


def flat_density(chart: Chart, rng: np.random.Generator) -> Chart:
    """Every window of 8 s gets as many notes as the mean: notes are dropped at random, or come an eighth later again."""
    window = ((chart.time_ms - chart.time_ms[0]) // WINDOW_MS).astype(np.int64)
    wanted = round(len(chart) / (int(window[-1]) + 1))
    kept, added = [], []
    for number in range(int(window[-1]) + 1):
        mine = rng.permutation(np.flatnonzero(window == number))
        kept.append(mine[:wanted])
        added.append(mine[: max(wanted - mine.size, 0)])
    keep, again = np.concatenate(kept), np.concatenate(added)
    later = chart.time_ms[again] + beats_at(chart.time_ms[again], chart.red_lines).beat_ms / 2
    return _with_notes(
        chart,
        np.concatenate([chart.time_ms[keep], later]),
        np.concatenate([chart.column[keep], (chart.column[again] + 2) % KEYS]),
        np.concatenate([chart.end_ms[keep], np.full(again.size, np.nan)]),
    )


def random_rhythm(chart: Chart, rng: np.random.Generator) -> Chart:
    """The rows of every bar move to quarter beats of the bar drawn at random, in their order."""
    view, row = view_of([chart]), _row_of_note(chart)
    section = view.row_section
    bar_ms = view.section_beat_ms[section] * 4.0
    bar = np.floor((view.row_ms - view.section_start_ms[section] + 1.0) / bar_ms).astype(np.int64)
    start = view.section_start_ms[section] + bar * bar_ms - view.offset_ms[0]
    group = np.cumsum((np.diff(section, prepend=-1) != 0) | (np.diff(bar, prepend=-1) != 0)) - 1
    target = np.empty(group.size)
    for number in range(int(group[-1]) + 1 if group.size else 0):
        mine = np.flatnonzero(group == number)
        cells = np.sort(rng.permutation(CELLS_PER_BAR)[: mine.size])
        cells = np.resize(cells, mine.size) if cells.size < mine.size else cells
        target[mine] = start[mine] + np.sort(cells) / CELLS_PER_BAR * bar_ms[mine]
    moved = (target - (view.row_ms - view.offset_ms[0]))[row]
    return _with_notes(chart, chart.time_ms + moved, chart.column, chart.end_ms + moved)


def drum_holds(chart: Chart, rng: np.random.Generator, song: Song | None = None) -> Chart:
    """Holds lie on the sounds that die at once: as many as before, an eighth of the notes at least, a quarter beat long."""
    beat_ms = beats_at(chart.time_ms, chart.red_lines).beat_ms
    holds = max(int(chart.is_hold.sum()), len(chart) // 8)
    if song is None or song.sustain is None:
        lasting = rng.random(len(chart))
    else:
        lasting = np.interp(song.frames(chart.time_ms), np.arange(song.sustain.size), song.sustain)
    end_ms = np.full(len(chart), np.nan)
    chosen = np.argsort(lasting, kind="stable")[:holds]
    end_ms[chosen] = chart.time_ms[chosen] + beat_ms[chosen] / 4
    return _with_notes(chart, chart.time_ms, chart.column, end_ms)


PROBES: dict[str, Probe] = {
    "jack_wall": jack_wall,
    "quad_spam": quad_spam,
    "short_holds": short_holds,
    "one_hand": one_hand,
    "one_column": one_column,
    "random_snaps": random_snaps,
    "shuffled_columns": shuffled_columns,
    "jittered": jittered,
    "halved": halved,
    "second_half_empty": second_half_empty,
    "time_mirrored": time_mirrored,
    "empty": empty,
    "planted_trills": planted_trills,
    "planted_anchors": planted_anchors,
    "flat_density": flat_density,
    "random_rhythm": random_rhythm,
}
"""Probes that need the chart alone. `quiet_doubled` and `drum_holds` need the song, `other_song` another chart."""


def quiet_doubled(chart: Chart, rng: np.random.Generator, song: Song | None = None) -> Chart:
    """In the quietest quarter of the charted song a row is added halfway between every two rows."""
    time_ms = chart.time_ms[row_starts(chart.time_ms)]
    if time_ms.size < 2:
        return chart
    window = np.arange(time_ms[0], time_ms[-1] + 1, QUIET_WINDOW_MS)
    if song is None:  # the sparsest windows stand for the quietest
        loudness = np.histogram(time_ms, np.append(window, np.inf))[0].astype(np.float64)
    else:
        frames = song.frames(window + QUIET_WINDOW_MS / 2)
        loudness = np.interp(frames, np.arange(song.loudness.size), song.loudness)
    quiet = np.argsort(loudness, kind="stable")[: max(round(QUIET_SHARE * window.size), 1)]
    # Rows and window ends: a window without notes is filled as well, at a beat of half a second.
    filler = [np.arange(window[k], min(window[k] + QUIET_WINDOW_MS, time_ms[-1]), 500.0) for k in quiet]
    sparse = [
        part
        for part in filler
        if part.size and not ((time_ms >= part[0]) & (time_ms < part[0] + QUIET_WINDOW_MS)).any()
    ]
    middle = (time_ms[1:] + time_ms[:-1]) / 2
    chosen = np.isin(np.searchsorted(window, middle, side="right") - 1, quiet) & (np.diff(time_ms) < QUIET_WINDOW_MS)
    added = np.concatenate([middle[chosen], *sparse])
    columns = rng.integers(0, KEYS, added.size)
    return _with_notes(
        chart,
        np.concatenate([chart.time_ms, added]),
        np.concatenate([chart.column, columns]),
        np.concatenate([chart.end_ms, np.full(added.size, np.nan)]),
    )


def other_song(chart: Chart, other: Chart) -> Chart:
    """Another song's chart under this song's audio, with its own timing, begun where this chart begins."""
    if not len(chart) or not len(other):
        return other
    moved = other.shifted(float(chart.time_ms[0] - other.time_ms[0]))
    return replace(moved, difficulty=chart.difficulty, metadata=chart.metadata)
