"""Musicality: agreement of the chart with the song's onsets, loudness and repetition.

    onsets      strength of the onsets that rows fall on            over the strongest as many onsets of the section
    support     rows that no onset of the song supports             share
    coverage    strongest onsets that have a row                    share of the strongest half as many as rows
    emphasis    chords on strong onsets                             correlation of chord size and strength
    energy      density follows loudness, section by section        correlation
    silence     notes where nothing sounds                          share of notes
    presence    the song is charted wherever it sounds              share of sections
    repetition  bars are alike where the music's bars are alike     correlation of the two similarity tables

Every measure is per chart against its own song; without a song it is nan and counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from chart.model import KEYS
from reward.core.bands import Measured, Term
from reward.core.batch_view import SECTION_BEATS, View
from reward.core.inputs import Inputs
from reward.core.song import Song

MIN_ROWS = 4
MAX_STRENGTH = 4.0
"""Strengths are capped at four times their surroundings, lest one cymbal outweigh a bar."""
WEAK_SHARE = 0.2
"""An onset weaker than this share of the song's typical one is hardly audible."""
COVER_MS = 30.0
"""A row covers an onset this near; beyond it two events are perceived."""
BEATS_PER_BAR = 4
BARS_PER_SECTION = SECTION_BEATS // BEATS_PER_BAR
SLOTS_PER_BAR = 48
MAX_BARS = 400
"""Most bars compared with one another; the similarity table grows with their square."""


def per_chart(measure: Callable[[View, int, Song], Measured]) -> Callable[[View, Inputs], Measured]:
    """A measure over a batch from one of a single chart and its song."""

    def batched(view: View, inputs: Inputs) -> Measured:
        section, chart = np.full(view.n_sections, np.nan), np.full(view.n_charts, np.nan)
        for index in range(view.n_charts):
            song = inputs.songs[index] if index < len(inputs.songs) else None
            if song is None or song.loudness.size < 2:
                continue
            found = measure(view, index, song)
            section[view.section_chart == index] = found.section
            chart[index] = found.chart[0]
        return Measured(section, chart)

    batched.__doc__ = measure.__doc__
    return batched


def rows_of(view: View, index: int) -> tuple[slice, int, int]:
    """Rows of one chart, its first section and its number of sections."""
    first, last = np.searchsorted(view.row_chart, [index, index + 1])
    begin, end = np.searchsorted(view.section_chart, [index, index + 1])
    return slice(int(first), int(last)), int(begin), int(end - begin)


def _row_strength(view: View, index: int, song: Song) -> NDArray[np.float64]:
    """[row of the chart] capped onset strength at each row."""
    rows, _, _ = rows_of(view, index)
    frames = song.frames(view.row_ms[rows] - view.offset_ms[index])
    return np.minimum(np.interp(frames, np.arange(song.strength.size), song.near_strength, 0.0, 0.0), MAX_STRENGTH)


def _peaks_by_section(view: View, index: int, song: Song) -> tuple[NDArray, NDArray, NDArray]:
    """Peaks in sections of the chart: (flat time of a note that meets it, section from 0, capped strength)."""
    _, begin, count = rows_of(view, index)
    note_ms = song.peaks * song.hop_ms - song.lag_ms + view.offset_ms[index]
    edges = np.append(view.section_start_ms[begin : begin + count], view.section_end_ms[begin + count - 1])
    section = np.searchsorted(edges, note_ms, side="right") - 1
    inside = (section >= 0) & (section < count)
    return note_ms[inside], section[inside], np.minimum(song.strength[song.peaks[inside]], MAX_STRENGTH)


def _rank_in_section(section: NDArray[np.int64], strength: NDArray[np.float64]) -> NDArray[np.int64]:
    """[peak] rank of each peak in its section, 0 = strongest."""
    order = np.lexsort((-strength, section))
    begins = np.flatnonzero(np.diff(section[order], prepend=-1))
    sizes = np.diff(np.append(begins, section.size))
    rank = np.empty(section.size, np.int64)
    rank[order] = np.arange(section.size) - np.repeat(begins, sizes)
    return rank


def _share(part: NDArray, whole: NDArray, enough: NDArray[np.bool_]) -> Measured:
    """Section shares and the chart's, over sections with enough rows."""
    section = np.full(whole.shape, np.nan)
    good = enough & (whole > 0)
    np.divide(part, whole, out=section, where=good)
    total = whole[good].sum()
    return Measured(section, np.array([part[good].sum() / total if total > 0 else np.nan]))


@per_chart
def onsets(view: View, index: int, song: Song) -> Measured:
    """Onset strength at the rows over that of the section's strongest as many onsets; 1 = no better place exists."""
    rows, begin, count = rows_of(view, index)
    section = view.row_section[rows] - begin
    wanted = np.bincount(section, minlength=count)
    got = np.bincount(section, _row_strength(view, index, song), minlength=count)
    _, peak_section, strength = _peaks_by_section(view, index, song)
    best = _rank_in_section(peak_section, strength) < wanted[peak_section]
    possible = np.bincount(peak_section[best], strength[best], minlength=count)
    return _share(got, possible, wanted >= MIN_ROWS)


@per_chart
def support(view: View, index: int, song: Song) -> Measured:
    """Share of rows that no onset of the song supports: onset strength under a fifth of the song's own onsets."""
    rows, begin, count = rows_of(view, index)
    frames = song.frames(view.row_ms[rows] - view.offset_ms[index])
    strength = np.interp(frames, np.arange(song.strength.size), song.near_onset, 0.0, 0.0)
    weak = (strength < WEAK_SHARE * song.typical_onset).astype(np.float64)
    section = view.row_section[rows] - begin
    many = np.bincount(section, minlength=count)
    return _share(np.bincount(section, weak, minlength=count), many.astype(np.float64), many >= MIN_ROWS)


@per_chart
def coverage(view: View, index: int, song: Song) -> Measured:
    """Share of the section's strongest onsets, half as many as it has rows, that have a row within 30 ms."""
    rows, begin, count = rows_of(view, index)
    wanted = np.bincount(view.row_section[rows] - begin, minlength=count)
    note_ms, peak_section, strength = _peaks_by_section(view, index, song)
    strong = _rank_in_section(peak_section, strength) * 2 < wanted[peak_section]
    row_ms = np.concatenate([[-1e12], view.row_ms[rows], [1e12]])
    right = np.searchsorted(row_ms, note_ms)
    near = np.minimum(row_ms[right] - note_ms, note_ms - row_ms[right - 1]) <= COVER_MS
    covered = np.bincount(peak_section[strong & near], minlength=count)
    possible = np.bincount(peak_section[strong], minlength=count)
    return _share(covered.astype(np.float64), possible.astype(np.float64), wanted >= MIN_ROWS)


@per_chart
def emphasis(view: View, index: int, song: Song) -> Measured:
    """Correlation of chord size and onset strength over rows; a section's value is its share of the covariance."""
    rows, begin, count = rows_of(view, index)
    size = view.rows.size[rows].astype(np.float64)
    section = view.row_section[rows] - begin
    many = np.bincount(section, minlength=count)
    product = standard(size) * standard(_row_strength(view, index, song))
    if size.size < MIN_ROWS or size.std() < 0.1:  # hardly any chords
        return Measured(np.full(count, np.nan), np.array([np.nan]))
    return Measured(
        np.where(many >= MIN_ROWS, np.bincount(section, product, minlength=count) / np.maximum(many, 1), np.nan),
        np.array([product.mean()]),
    )


def standard(values: NDArray) -> NDArray:
    """Z-scores; zeros where all values are equal."""
    if values.size < 2 or values.std() < 1e-9:
        return np.zeros_like(values)
    return (values - values.mean()) / values.std()


@per_chart
def energy(view: View, index: int, song: Song) -> Measured:
    """Correlation over sections of notes a second and loudness; a section's value is its product of z-scores."""
    rows, begin, count = rows_of(view, index)
    own = slice(begin, begin + count)
    notes = np.bincount(view.row_section[rows] - begin, view.rows.size[rows], minlength=count)
    seconds = np.maximum(view.section_end_ms[own] - view.section_start_ms[own], 1.0) / 1000.0
    span = np.stack([view.section_start_ms[own], view.section_end_ms[own]]) - view.offset_ms[index]
    loudness = song.mean_loudness(span[0], span[1])
    product = np.clip(standard(np.sqrt(notes / seconds)) * standard(loudness), -3.0, 3.0)
    value = product if count >= MIN_ROWS else np.full(count, np.nan)
    return Measured(value, np.array([value.mean()]))


@per_chart
def silence(view: View, index: int, song: Song) -> Measured:
    """Share of rows at which the song is silent, or that lie outside it."""
    rows, begin, count = rows_of(view, index)
    frame = np.round(song.frames(view.row_ms[rows] - view.offset_ms[index])).astype(np.int64)
    outside = (frame < 0) | (frame >= song.silent.size)
    mute = outside | song.silent[np.clip(frame, 0, song.silent.size - 1)]
    section = view.row_section[rows] - begin
    many = np.bincount(section, minlength=count)
    return _share(np.bincount(section, mute, minlength=count).astype(np.float64), many.astype(np.float64), many > 0)


@per_chart
def presence(view: View, index: int, song: Song) -> Measured:
    """Share of the sections in which the song sounds for the most part that have rows."""
    rows, begin, count = rows_of(view, index)
    own = slice(begin, begin + count)
    edges = song.frames(np.stack([view.section_start_ms[own], view.section_end_ms[own]]) - view.offset_ms[index])
    sounding = np.append(0, np.cumsum(~song.silent))
    low, high = np.clip(np.round(edges), 0, song.silent.size).astype(np.int64)
    audible = sounding[high] - sounding[low] > (edges[1] - edges[0]) / 2
    charted = np.bincount(view.row_section[rows] - begin, minlength=count) > 0
    value = np.where(audible, charted.astype(np.float64), np.nan)
    return Measured(value, np.array([charted[audible].mean() if audible.any() else np.nan]))


@per_chart
def repetition(view: View, index: int, song: Song) -> Measured:
    """Correlation over pairs of bars of the charts' likeness and the music's; a section's value is that of its bars."""
    _, _, count = rows_of(view, index)
    bars = min(count * BARS_PER_SECTION, MAX_BARS)
    written, sounds = _bar_vectors(view, index, bars), _onset_vectors(view, index, song, bars)
    filled = (written.any(axis=1)) & (sounds.any(axis=1))
    if filled.sum() < 2 * BARS_PER_SECTION:
        return Measured(np.full(count, np.nan), np.array([np.nan]))
    found = _pair_correlation(_likeness(written[filled]), _kept_likeness(sounds[filled].tobytes(), int(filled.sum())))
    by_bar = np.full(count * BARS_PER_SECTION, np.nan)
    by_bar[np.flatnonzero(filled)] = found
    known = ~np.isnan(by_bar).reshape(count, BARS_PER_SECTION)
    total = np.where(known, np.nan_to_num(by_bar).reshape(count, BARS_PER_SECTION), 0.0).sum(axis=1)
    section = np.full(count, np.nan)
    np.divide(total, known.sum(axis=1), out=section, where=known.any(axis=1))
    return Measured(section, np.array([found.mean()]))


def _pair_correlation(one: NDArray[np.float32], two: NDArray[np.float32]) -> NDArray[np.float64]:
    """[bar] mean product of z-scores of each bar's pairs in two [bar, bar] tables with empty diagonals."""
    others = one.shape[0] - 1
    sums = [table.sum(axis=1, dtype=np.float64) for table in (one, two, one * two)]  # [bar]
    means = [float(part.mean()) / others for part in sums]
    spread = [
        np.sqrt(max(float(np.vdot(table, table)) / (one.shape[0] * others) - mean**2, 0.0))
        for table, mean in ((one, means[0]), (two, means[1]))
    ]
    if min(spread) < 1e-6:
        return np.zeros(one.shape[0])
    product = sums[2] / others - (means[1] * sums[0] + means[0] * sums[1]) / others + means[0] * means[1]
    return product / (spread[0] * spread[1])


def _bar_vectors(view: View, index: int, bars: int) -> NDArray[np.float32]:
    """[bar, slot · (columns + 1)] presses in each bar: by column, and whether there are any."""
    rows, begin, _ = rows_of(view, index)
    section = view.row_section[rows]
    bar_ms = view.section_beat_ms[section] * BEATS_PER_BAR
    slot = np.round((view.row_ms[rows] - view.section_start_ms[section]) / bar_ms * SLOTS_PER_BAR).astype(np.int64)
    slot = np.clip(slot + (section - begin) * BARS_PER_SECTION * SLOTS_PER_BAR, 0, bars * SLOTS_PER_BAR - 1)
    vectors = np.zeros((bars * SLOTS_PER_BAR, KEYS + 1), np.float32)
    for key in range(KEYS):
        vectors[slot, key] = view.rows.mask[rows] >> key & 1
    vectors[slot, KEYS] = 1.0
    return vectors.reshape(bars, -1)


def _onset_vectors(view: View, index: int, song: Song, bars: int) -> NDArray[np.float32]:
    """[bar, slot · band] onset strength by band at every sixteenth of each bar, each bar about its own mean."""
    _, begin, _ = rows_of(view, index)
    section = begin + np.arange(bars) // BARS_PER_SECTION
    start = view.section_start_ms[section] - view.offset_ms[index]
    bar_ms = view.section_beat_ms[section] * BEATS_PER_BAR
    start = start + np.arange(bars) % BARS_PER_SECTION * bar_ms
    frames = song.frames(start[:, None] + np.arange(16) / 16 * bar_ms[:, None])
    sampled = np.clip(np.round(frames).astype(np.int64), 0, song.loudness.size - 1)
    vectors = np.sqrt(song.near_bands[sampled]).reshape(bars, -1)
    return vectors - vectors.mean(axis=1, keepdims=True)


def _likeness(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """[bar, bar] cosine similarity, the diagonal emptied."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    table = unit @ unit.T
    np.fill_diagonal(table, 0.0)
    return table


@lru_cache(maxsize=32)
def _kept_likeness(vectors: bytes, bars: int) -> NDArray[np.float32]:
    """`_likeness` of float32 vectors [bar, …] given as bytes: the sound of a song is compared once for all its charts."""
    return _likeness(np.frombuffer(vectors, np.float32).reshape(bars, -1).copy())


TERMS = (
    Term("musicality/onsets", "share of the best", "low", onsets, "osu! wiki: every note has a sound", 0.05, "songs"),
    Term("musicality/support", "share of rows", "high", support, "osu! wiki: every note has a sound", 0.05, "songs"),
    Term("musicality/coverage", "share of onsets", "low", coverage, "design: strong onsets have notes", 0.1, "songs"),
    Term("musicality/emphasis", "correlation", "low", emphasis, "design: chords on strong onsets", 0.15, "songs"),
    Term("musicality/energy", "correlation", "low", energy, "osu! wiki: difficulty follows intensity", 0.15, "songs"),
    Term("musicality/silence", "share of rows", "high", silence, "osu! wiki: breaks in silence", 0.02, "songs"),
    Term("musicality/repetition", "correlation", "low", repetition, "design: repeats with the music", 0.1, "songs"),
    Term("musicality/presence", "share of sections", "low", presence, "design: the song is charted", 0.15, "songs"),
)
