"""Weight and length of notes against the sound: chords carry the beat, holds last as the sound does.

musicality/accents   notes of a row rise with the onset strength among the rows around it      rank correlation
musicality/sustain   holds begin on sounds that last, taps on those that do not                rank difference

`musicality/emphasis` correlates chord size and strength over the whole chart and so mostly tells loud from quiet
sections; `accents` compares each row with its neighbours only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reward.core.bands import Measured, Term
from reward.core.batch_view import View, mean_by
from reward.core.song import Song
from reward.terms.musicality import MAX_STRENGTH, per_chart, rows_of

AROUND_ROWS = 4
"""Rows to both sides with which a row's strength is compared: about half a bar."""
MIN_ROWS, MIN_HOLDS = 32, 8
LEAST_SPREAD = 0.1
"""Spread of chord sizes about their surroundings below which there is nothing to accent with."""


def local_rank(values: NDArray[np.float64], reach: int = AROUND_ROWS) -> NDArray[np.float64]:
    """[row] share of the rows within `reach` to both sides that are lower, equal ones counting half, about 0 (−½–½)."""
    padded = np.pad(values.astype(np.float64), reach, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    others = np.delete(windows, reach, axis=1)
    lower = (others < values[:, None]) + 0.5 * (others == values[:, None])
    known = (~np.isnan(others)).sum(axis=1)
    return lower.sum(axis=1) / np.maximum(known, 1) - 0.5 * (known > 0)


@per_chart
def accents(view: View, index: int, song: Song) -> Measured:
    """Correlation over rows of notes and onset strength, each ranked among the rows around it."""
    rows, begin, count = rows_of(view, index)
    nothing = Measured(np.full(count, np.nan), np.array([np.nan]))
    if rows.stop - rows.start < MIN_ROWS:
        return nothing
    size = local_rank(view.rows.size[rows].astype(np.float64))
    if size.std() < LEAST_SPREAD:
        return nothing
    frames = song.frames(view.row_ms[rows] - view.offset_ms[index])
    strength = np.interp(frames, np.arange(song.strength.size), song.near_strength, 0.0, 0.0)
    rank = local_rank(np.minimum(strength, MAX_STRENGTH))
    product = size * rank / (size.std() * max(float(rank.std()), 1e-6))
    return Measured(mean_by(view.row_section[rows] - begin, product, count), np.array([product.mean()]))


@per_chart
def sustain(view: View, index: int, song: Song) -> Measured:
    """Mean rank (0–1) of the sustain at hold heads among the chart's notes, less that of taps: 0 = holds are placed blindly."""
    rows, begin, count = rows_of(view, index)
    nothing = Measured(np.full(count, np.nan), np.array([np.nan]))
    mine = (view.note_row >= rows.start) & (view.note_row < rows.stop)
    hold = ~np.isnan(view.end_ms[mine])
    if song.sustain is None or min(hold.sum(), (~hold).sum()) < MIN_HOLDS:
        return nothing
    frames = song.frames(view.note_ms[mine] - view.offset_ms[index])
    value = np.interp(frames, np.arange(song.sustain.size), song.sustain, 0.0, 0.0)
    rank = np.argsort(np.argsort(value, kind="stable"), kind="stable") / max(value.size - 1, 1)
    part = np.where(hold, rank - rank[~hold].mean(), np.nan)
    section = view.row_section[view.note_row[mine]] - begin
    return Measured(mean_by(section, part, count), np.array([np.nanmean(part)]))


def release_rank(view: View, index: int, song: Song) -> float:
    """Share of the quarter beats within holds at which the song's onset is weaker than at the hold's release; ½ = no relation.

    People release where something else begins or the sound ends. nan with fewer than 8 holds of half a beat and more.
    """
    mine = (view.note_chart == index) & ~np.isnan(view.end_ms)
    start, end = view.note_ms[mine], view.end_ms[mine]
    step = view.note_beats.beat_ms[mine] / 4
    inner = np.round((end - start) / step).astype(np.int64) - 1  # quarter beats strictly within
    if (inner > 0).sum() < MIN_HOLDS:
        return float("nan")
    hold = np.repeat(np.arange(inner.size), np.maximum(inner, 0))
    order = np.arange(hold.size) - np.repeat(
        np.cumsum(np.maximum(inner, 0)) - np.maximum(inner, 0), np.maximum(inner, 0)
    )
    within = start[hold] + step[hold] * (order + 1)

    def strength(at_ms: NDArray[np.float64]) -> NDArray[np.float64]:
        frames = song.frames(at_ms - view.offset_ms[index])
        return np.interp(frames, np.arange(song.strength.size), song.near_strength, 0.0, 0.0)

    at_end, inside = strength(end)[hold], strength(within)
    return float(((inside < at_end) + 0.5 * (inside == at_end)).mean())


TERMS = (
    Term("musicality/accents", "rank correlation", "low", accents, "design: chords carry the beat", 0.1, "songs"),
    Term(
        "musicality/sustain", "rank difference", "low", sustain, "design: holds last as the sound does", 0.08, "songs"
    ),
)
