"""Local musicality: whether the chart follows the song half bar by half bar and slot by slot.

    swells      density follows loudness, half bar by half bar, from the first row to the last    correlation
    choice      of moments at the same place in the beat, the stronger ones have rows            correlation

`musicality.energy` and `onsets` measure the same over whole phrases; a phrase may be right on average and wrong within.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reward.core.bands import Measured, Term
from reward.core.batch_view import ROW_TOLERANCE_MS, SECTION_BEATS, View, mean_by
from reward.core.song import Song
from reward.terms.musicality import MAX_STRENGTH, per_chart, rows_of, standard

SLOTS_PER_BEAT = 4
"""The grid on which rows are chosen: most rows of people's charts lie on quarter beats."""
SPAN_BEATS = 2
"""Half bars: shorter than any swell, longer than the half second over which loudness is smoothed."""
SPANS = SECTION_BEATS // SPAN_BEATS
MIN_SPANS = 16
"""A correlation over fewer half bars says little."""
EVEN = 0.4
"""Standard deviation of the root of notes below which there is no swell: that of two and five notes a half bar in turn."""


@per_chart
def swells(view: View, index: int, song: Song) -> Measured:
    """Correlation over charted half bars of the square root of the number of notes with the rank of the loudness.

    Ranks keep one loud chorus from deciding alone. Only half bars between the first and the last row count;
    `presence` measures the rest. A chart of even density has a value near 0; a section's value is the mean
    of its half bars' products.
    """
    rows, begin, count = rows_of(view, index)
    own = slice(begin, begin + count)
    span_ms = view.section_beat_ms[own] * SPAN_BEATS
    start = view.section_start_ms[own, None] + span_ms[:, None] * np.arange(SPANS)  # [section, span]
    length = np.minimum(span_ms[:, None], view.section_end_ms[own, None] - start)
    section = view.row_section[rows] - begin
    span = np.floor((view.row_ms[rows] - start[section, 0] + ROW_TOLERANCE_MS) / span_ms[section]).astype(np.int64)
    span = np.clip(span, 0, SPANS - 1) + section * SPANS
    notes = np.bincount(span, view.rows.size[rows], minlength=start.size)
    share = (length / span_ms[:, None]).ravel()  # a red line may cut a section short
    charted = np.zeros(start.size, np.bool_)
    charted[span.min(initial=start.size) : span.max(initial=-1) + 1] = True
    charted &= share > 0.5
    if charted.sum() < MIN_SPANS:
        return Measured(np.full(count, np.nan), np.array([np.nan]))
    first_ms = start.ravel()[charted] - view.offset_ms[index]
    loudness = song.mean_loudness(first_ms, first_ms + length.ravel()[charted])
    dense = np.sqrt(notes[charted] / share[charted])
    product = (dense - dense.mean()) / np.hypot(dense.std(), EVEN) * standard(_ranks(loudness))
    return Measured(mean_by(np.flatnonzero(charted) // SPANS, product, count), np.array([product.mean()]))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """[item] ranks from 0, equal values sharing the mean of theirs."""
    _, kind, many = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(many) - (many + 1) / 2)[kind]


@per_chart
def choice(view: View, index: int, song: Song) -> Measured:
    """Correlation over quarter-beat slots of having a row and onset strength, each about its place and phrase.

    The means of slots at one place in the beat, and of each section, are removed from both, so that the measure is of the
    choice among metrically equal slots. Charts that take all or none have 0.
    """
    rows, begin, count = rows_of(view, index)
    section = view.row_section[rows] - begin
    filled = np.bincount(section, minlength=count) > 0
    if not filled.any():
        return Measured(np.full(count, np.nan), np.array([np.nan]))
    start, slot_ms = (
        view.section_start_ms[begin : begin + count],
        view.section_beat_ms[begin : begin + count] / SLOTS_PER_BEAT,
    )
    slots = SECTION_BEATS * SLOTS_PER_BEAT
    taken = np.zeros((count, slots))
    slot = np.round((view.row_ms[rows] - start[section]) / slot_ms[section]).astype(np.int64)
    taken[section, np.clip(slot, 0, slots - 1)] = 1.0
    note_ms = start[filled, None] + slot_ms[filled, None] * np.arange(slots)  # [section, slot]
    frames = song.frames(note_ms - view.offset_ms[index])
    strength = np.interp(frames, np.arange(song.strength.size), song.near_strength, 0.0, 0.0)
    inside = note_ms < view.section_end_ms[begin : begin + count][filled, None] - ROW_TOLERANCE_MS
    product = _about_place(taken[filled], inside) * _about_place(np.minimum(strength, MAX_STRENGTH), inside)
    value = np.full(count, np.nan)
    value[filled] = product.sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
    return Measured(value, np.array([product.sum() / inside.sum()]))


def _about_place(values: NDArray[np.float64], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """[section, slot] z-scores of values less the mean of their place in the beat, then of their section; 0 outside."""
    by_place = np.where(inside, values, 0.0).reshape(len(values), -1, SLOTS_PER_BEAT)
    many = inside.reshape(by_place.shape).sum(axis=(0, 1))
    left = (by_place - by_place.sum(axis=(0, 1)) / np.maximum(many, 1)).reshape(values.shape)
    left = np.where(inside, left, 0.0)
    left -= left.sum(axis=1, keepdims=True) / np.maximum(inside.sum(axis=1, keepdims=True), 1)
    left = np.where(inside, left, 0.0)
    spread = np.sqrt((left**2).sum() / max(int(inside.sum()), 1))
    return left / spread if spread > 1e-6 else np.zeros_like(left)


TERMS = (
    Term(
        "musicality/swells", "rank correlation", "low", swells, "osu! wiki: difficulty follows intensity", 0.15, "songs"
    ),
    Term("musicality/choice", "correlation", "low", choice, "design: strong onsets have notes", 0.1, "songs"),
)
