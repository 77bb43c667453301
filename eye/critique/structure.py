"""The song's sections: what the music does in each, and how the patterns answer it.

The song is cut into phrases of four bars (`reward.core.batch_view`). Phrases that sound alike (loudness, accents in three bands, the
rhythm of a bar) get one letter, neighbours of one letter make a section. When a letter comes back and the rows do not, it
is primed: A′ is the music of A with other patterns. Without a song the rows themselves stand for the music, and notes a
second for its loudness.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from chart.model import KEYS
from eye.critique.pattern_rows import commonest, families_of
from eye.critique.row_measures import Measures
from eye.critique.types import Section
from reward.core.batch_view import SECTION_BEATS, View
from reward.core.song import Song

SLOTS = SECTION_BEATS * 4
"""Sixteenths of a phrase."""
LETTERS_FOR = (4, 8, 16, 28)
"""Phrases from which a song has two, three, four and five kinds of section."""
FARTHEST = 1.5
"""Standard deviations beyond which a phrase is simply far: a silent opening must not make all the rest one section."""
MOST_COMPARED = 128
"""Phrases compared with one another; the letters of a longer song's rest follow the nearest of these."""
SMOOTH = np.array([0.15, 0.7, 0.15])
"""Neighbouring phrases colour one another: sections are longer than four bars."""
SAME = 1.5
"""Squared distance, in standard deviations of all features, under which two kinds are one."""
LOUDNESS_WEIGHT = 2.0
"""Loudness counts as much as so many other features: it is what listeners notice first."""
LOUDER = 0.2
"""Difference of energy, 0–1, that is worth a word."""
AGAIN = 0.5
"""Share of rows taken up from which patterns are felt to return."""
STRONG = 0.75
"""Accents are the strongest quarter of a song's onsets."""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
QUIET, LOUD = 0.33, 0.67
APART = 0.45
"""Difference of the ranks of loudness and density, among the sections, that is worth a word."""


@dataclass(frozen=True)
class Phrases:
    """The phrases of a chart; arrays are [phrase, …]."""

    start_ms: NDArray[np.float64]
    end_ms: NDArray[np.float64]
    song_features: NDArray[np.float64]  # [phrase, feature], what sections are compared by
    written: NDArray[np.float64]  # [phrase, slot · (column + 1)], rows in sixteenths
    energy: NDArray[np.float64]  # 0–1
    accents: NDArray[np.float64]  # strong onsets a second; nan without a song
    rows: tuple[slice, ...]  # rows of each phrase


def sections_of(measures: Measures, song: Song | None) -> tuple[Section, ...]:
    """The sections in order of time, without gaps."""
    phrases = _phrases(measures, song)
    kinds = _kinds(phrases.song_features)
    bounds = [0, *(np.flatnonzero(np.diff(kinds)) + 1).tolist(), kinds.size]
    spans = list(pairwise(bounds))
    family = families_of(measures.view.rows)
    density = np.array([_notes_a_second(measures, phrases, span) for span in spans])
    energy = np.array([phrases.energy[a:b].mean() for a, b in spans])
    sections: list[Section] = []
    for index, (a, b) in enumerate(spans):
        before = [k for k in range(index) if kinds[spans[k][0]] == kinds[a]]
        again = max((_again(phrases, (a, b), spans[k]) for k in before), default=0.0)
        letter = sections[before[0]].label if before else LETTERS[len({s.label[0] for s in sections}) % len(LETTERS)]
        intent = _intent(phrases, spans, index, song is not None) + (f"; {letter} again" if before else "")
        answer = _answer(measures, phrases, (a, b), family, density[index])
        if before and density[index] > 0:
            answer += f"; takes up {again:.0%} of {letter}" if again >= AGAIN else f"; new patterns for {letter}"
        if song is not None and len(spans) > 2:
            answer += _balance(_rank(density)[index], _rank(energy)[index])
        label = letter + "′" if before and again < AGAIN else letter
        start, end = float(phrases.start_ms[a]), float(phrases.end_ms[b - 1])
        sections.append(Section(start, end, label, float(energy[index]), intent, answer))
    return tuple(sections)


def _phrases(measures: Measures, song: Song | None) -> Phrases:
    view = measures.view
    offset = float(view.offset_ms[0])
    edges = np.searchsorted(view.row_section, np.arange(view.n_sections + 1))
    middle = (view.section_start_ms + view.section_end_ms) / 2 - offset
    known = np.diff(edges) > 0  # or heard: a phrase that lies before the audio for the most part is none
    if song is not None:
        known |= (middle >= -song.lag_ms) & (middle <= song.duration_ms - song.lag_ms)
    known[np.argmax(known) : known.size - np.argmax(known[::-1])] = True
    start, end = view.section_start_ms[known] - offset, view.section_end_ms[known] - offset
    rows = tuple(slice(int(a), int(b)) for (a, b), keep in zip(pairwise(edges), known, strict=True) if keep)
    written = _written(view)[known]
    notes = np.array([view.rows.size[part].sum() for part in rows]) / np.maximum(end - start, 1.0) * 1000.0
    if song is None or song.loudness.size < 2:
        song_features = _standard(
            np.column_stack([np.sqrt(notes) * LOUDNESS_WEIGHT, _bar_rhythm(written[:, KEYS :: KEYS + 1])])
        )
        energy = notes / max(float(notes.max()), 1e-9)
        return Phrases(start, end, song_features, written, energy, np.full(start.size, np.nan), rows)
    loudness = song.mean_loudness(start, end)
    strength = song.strength[song.peaks]
    peaks = song.peaks[strength >= np.quantile(strength, STRONG)] if strength.size else song.peaks
    found = np.diff(np.searchsorted(peaks * song.hop_ms - song.lag_ms, np.append(start, end[-1])))
    accents = found / np.maximum(end - start, 1.0) * 1000.0
    song_features = _song_features(song, start, view.section_beat_ms[known] * SECTION_BEATS, loudness)
    lowest, highest = float(loudness.min()), float(loudness.max())
    energy = ((loudness - lowest) / max(highest - lowest, 1e-9) + _rank(loudness)) / 2
    return Phrases(start, end, song_features, written, energy, accents, rows)


def _song_features(song: Song, start_ms: NDArray, length_ms: NDArray, loudness: NDArray) -> NDArray[np.float64]:
    """[phrase, feature] standardised: loudness, onset strength by band, the rhythm of a bar."""
    times = start_ms[:, None] + np.arange(SLOTS) / SLOTS * length_ms[:, None]
    frames = np.clip(np.round(song.frames(times)).astype(np.int64), 0, song.loudness.size - 1)
    bands = np.sqrt(song.near_bands[frames]).astype(np.float64)  # [phrase, slot, band]
    features = np.column_stack([loudness, bands.mean(axis=1), _bar_rhythm(bands.sum(axis=2))])
    weight = np.ones(features.shape[1])
    weight[0] = LOUDNESS_WEIGHT
    return _standard(features) * weight


def _bar_rhythm(slots: NDArray[np.float64]) -> NDArray[np.float64]:
    """[phrase, 4] how strong the quarters of a beat are, over the phrase's beats."""
    by_beat = slots.reshape(slots.shape[0], -1, 4).mean(axis=1)
    return by_beat / np.maximum(by_beat.sum(axis=1, keepdims=True), 1e-9)


def _standard(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Z-scores of each column, smoothed over neighbouring phrases."""
    scores = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-6)
    scores = np.clip(scores, -FARTHEST, FARTHEST)
    padded = np.pad(scores, ((1, 1), (0, 0)), mode="edge")
    return SMOOTH[0] * padded[:-2] + SMOOTH[1] * padded[1:-1] + SMOOTH[2] * padded[2:]


def _kinds(song_features: NDArray[np.float64]) -> NDArray[np.int64]:
    """[phrase] which kind of section each belongs to: the nearest joined (Ward) until few kinds are left."""
    compared = song_features[
        np.linspace(0, song_features.shape[0] - 1, min(song_features.shape[0], MOST_COMPARED)).astype(np.int64)
    ]
    centre, size = compared.copy(), np.ones(compared.shape[0])
    wanted = 1 + sum(song_features.shape[0] >= least for least in LETTERS_FOR)
    while size.size > 1:
        apart = ((centre[:, None] - centre[None]) ** 2).sum(axis=2)
        np.fill_diagonal(apart, np.inf)
        cost = apart * size[:, None] * size[None] / (size[:, None] + size[None])
        if size.size <= wanted and apart.min() >= SAME:
            break
        one, two = sorted(np.unravel_index(int(np.argmin(cost if size.size > wanted else apart)), cost.shape))
        centre[one] = (size[one] * centre[one] + size[two] * centre[two]) / (size[one] + size[two])
        size[one] += size[two]
        centre, size = np.delete(centre, two, axis=0), np.delete(size, two)
    return np.argmin(((song_features[:, None] - centre[None]) ** 2).sum(axis=2), axis=1)


def _written(view: View) -> NDArray[np.float64]:
    """[phrase, slot · (columns + 1)] what is pressed at each sixteenth, and whether anything is."""
    section = view.row_section
    slot_ms = view.section_beat_ms[section] * SECTION_BEATS / SLOTS
    slot = np.round((view.row_ms - view.section_start_ms[section]) / np.maximum(slot_ms, 1e-9)).astype(np.int64)
    slot = np.clip(slot, 0, SLOTS - 1) + section * SLOTS
    table = np.zeros((view.n_sections * SLOTS, KEYS + 1))
    for key in range(KEYS):
        table[slot, key] = view.rows.mask >> key & 1
    table[slot, KEYS] = 1.0
    return table.reshape(view.n_sections, -1)


def _notes_a_second(measures: Measures, phrases: Phrases, span: tuple[int, int]) -> float:
    a, b = span
    notes = measures.view.rows.size[phrases.rows[a].start : phrases.rows[b - 1].stop].sum()
    return float(notes / max(phrases.end_ms[b - 1] - phrases.start_ms[a], 1.0) * 1000.0)


def _rank(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """[item] rank over the highest, 0–1; equal values share the mean of their ranks."""
    ordered = np.sort(values)
    below, upto = np.searchsorted(ordered, values, side="left"), np.searchsorted(ordered, values, side="right")
    return (below + upto - 1) / 2 / max(values.size - 1, 1)


def _intent(phrases: Phrases, spans: list[tuple[int, int]], index: int, with_song: bool) -> str:
    """Text about the music: loudness and density."""
    if not with_song:
        return "no audio: cut by rhythm alone"
    a, b = spans[index]
    energy = float(phrases.energy[a:b].mean())
    words = ["quiet" if energy < QUIET else "full" if energy > LOUD else "middling"]
    if index:
        c, d = spans[index - 1]
        rise = energy - float(phrases.energy[c:d].mean())
        words += ["after a rise"] if rise > LOUDER else ["after a fall"] if rise < -LOUDER else []
    if b - a > 1 and abs(phrases.energy[b - 1] - phrases.energy[a]) > LOUDER:
        words.append("swelling" if phrases.energy[b - 1] > phrases.energy[a] else "ebbing")
    return f"{', '.join(words)}; {np.mean(phrases.accents[a:b]):.1f} strong accents/s"


def _answer(
    measures: Measures, phrases: Phrases, span: tuple[int, int], family: NDArray[np.int64], density: float
) -> str:
    """Text about the patterns."""
    rows = slice(phrases.rows[span[0]].start, phrases.rows[span[1] - 1].stop)
    if rows.stop == rows.start:
        return "nothing is charted"
    names = commonest(family[rows]) or ["single notes"]
    held = float((measures.view.rows.held[rows] > 0).mean())
    return f"{density:.1f} notes/s, {' and '.join(names)}" + (
        f", holds under {held:.0%} of rows" if held >= 0.2 else ""
    )


def _again(phrases: Phrases, span: tuple[int, int], first: tuple[int, int]) -> float:
    """Share of the rows' columns that the earlier section had at the same place, or mirrored."""
    (a, b), (c, d) = span, first
    best = 0.0
    for mirror in (False, True):
        shared = total = 0.0
        for k in range(b - a):
            now = phrases.written[a + k].reshape(SLOTS, KEYS + 1)[:, :KEYS]
            then = phrases.written[c + k % (d - c)].reshape(SLOTS, KEYS + 1)[:, :KEYS]
            shared += float((now * (then[:, ::-1] if mirror else then)).sum())
            total += float(now.sum())
        best = max(best, shared / max(total, 1.0))
    return best


def _balance(dense: float, loud: float) -> str:
    """A word where density and loudness disagree; ranks among the sections, 0–1."""
    if dense - loud > APART:
        return "; busier than the music asks"
    return "; sparser than the music asks" if loud - dense > APART else ""
