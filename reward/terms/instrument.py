"""Consistency of the followed instrument: charts of one song may follow its drums, its bass or its singer.

A linear prediction of the quarter beats with rows is fitted to the chart's own phrases, from the onset strength of three
bands and the loudness there and up to half a beat around. Each phrase is predicted by the fit to the others (cross-
validation), so that only consistent behaviour counts. A chart that does not belong to its song
follows nothing, or something else in every phrase.

`musicality/choice` rewards the strongest sounds whatever they are; this term lets the chart choose its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reward.core.bands import Measured, Term
from reward.core.batch_view import ROW_TOLERANCE_MS, SECTION_BEATS, View
from reward.core.song import BANDS, Song
from reward.terms.local_musicality import SLOTS_PER_BEAT
from reward.terms.musicality import MAX_STRENGTH, per_chart, rows_of

SLOTS = SECTION_BEATS * SLOTS_PER_BEAT
LAGS = (0, 1, -1, 2, -2)
"""Lags of the features, in quarter beats around a slot."""
FOLDS = 4
"""Every fourth phrase is predicted from the other three quarters."""
EXPECTED = (0.2, 0.2, 0.05, 0.05, 0.0)
"""Prior weights at lag 0: onsets, mostly low ones (kicks)."""
CERTAINTY = 200.0
"""Weight of the prior, in slots; short charts stay near it."""
LEAST_SPREAD = 0.05
"""Standard deviation of the choice of slots, beyond their place in the beat, below which the chart takes all or none."""


@per_chart
def voice(view: View, index: int, song: Song) -> Measured:
    """Correlation over quarter-beat slots of having a row and the prediction from the chart's other phrases.

    The means of slots at one place in the beat, and of each phrase, are removed first, as in `musicality/choice`. Charts of
    one phrase have no other phrase to fit.
    """
    rows, begin, count = rows_of(view, index)
    section = view.row_section[rows] - begin
    nothing = Measured(np.full(count, np.nan), np.array([np.nan]))
    if not section.size or section[-1] == section[0]:
        return nothing
    first, last = int(section[0]), int(section[-1]) + 1
    own = slice(begin + first, begin + last)
    start, slot_ms = view.section_start_ms[own], view.section_beat_ms[own] / SLOTS_PER_BEAT
    note_ms = start[:, None] + slot_ms[:, None] * np.arange(SLOTS)  # [section, slot]
    row_ms = view.row_ms[rows]
    inside = note_ms < view.section_end_ms[own][:, None] - ROW_TOLERANCE_MS
    inside &= (note_ms > row_ms[0] - slot_ms[0] / 2) & (note_ms < row_ms[-1] + slot_ms[-1] / 2)
    taken = np.zeros((*inside.shape, 1), np.float32)
    slot = np.round((row_ms - start[section - first]) / slot_ms[section - first]).astype(np.int64)
    taken[section - first, np.clip(slot, 0, SLOTS - 1)] = 1.0
    goal, spread = _centred(taken, inside)
    product = np.zeros(inside.shape)
    if spread[0] > LEAST_SPREAD:
        sounds, _ = _centred(_sounds_at(song, note_ms - view.offset_ms[index]), inside)
        guess, _ = _centred(_predicted(_around(sounds), goal[..., 0])[..., None], inside)
        product[:] = (guess * goal)[..., 0]
    value = np.full(count, np.nan)
    value[first:last] = product.sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
    value[np.bincount(section, minlength=count) == 0] = np.nan
    return Measured(value, np.array([product.sum() / max(int(inside.sum()), 1)]))


def _sounds_at(song: Song, note_ms: NDArray[np.float64]) -> NDArray[np.float32]:
    """[section, slot, sound] onset strength, its three bands and loudness at every slot."""
    frames = song.frames(note_ms).ravel()
    low = np.clip(frames.astype(np.int64), 0, max(song.loudness.size - 2, 0))
    high = np.minimum(low + 1, song.loudness.size - 1)
    share = np.clip(frames - low, 0.0, 1.0).astype(np.float32)
    sounds = np.empty((frames.size, len(EXPECTED)), np.float32)
    for column, sound in enumerate((song.near_strength, *song.near_bands.T, song.loudness)):
        sounds[:, column] = sound[low] * (1.0 - share) + sound[high] * share
    sounds[:, 0] = np.minimum(sounds[:, 0], MAX_STRENGTH)
    sounds[:, 1 : 1 + BANDS] = np.sqrt(sounds[:, 1 : 1 + BANDS])
    sounds[(frames < 0.0) | (frames > song.loudness.size - 1)] = 0.0
    return sounds.reshape(*note_ms.shape, -1)


def _around(sounds: NDArray[np.float32]) -> NDArray[np.float32]:
    """[section, slot, sound · lag] features at and around every slot."""
    flat, reach = sounds.reshape(-1, sounds.shape[-1]), max(LAGS)
    padded = np.pad(flat, ((reach, reach), (0, 0)))
    around = [padded[reach - lag : reach - lag + len(flat)] for lag in LAGS]
    return np.concatenate(around, axis=1).reshape(*sounds.shape[:2], -1)


def _predicted(sounds: NDArray[np.float32], goal: NDArray[np.float32]) -> NDArray[np.float32]:
    """[section, slot] prediction of the goal by ridge regression on the other folds' sections."""
    features = sounds.shape[-1]
    expected = np.zeros(features)
    expected[: len(EXPECTED)] = EXPECTED
    parts = [(sounds[fold::FOLDS].reshape(-1, features), goal[fold::FOLDS].ravel()) for fold in range(FOLDS)]
    squares = np.stack([part.T @ part for part, _ in parts]).astype(np.float64)
    products = np.stack([part.T @ wanted for part, wanted in parts]).astype(np.float64)
    guess = np.empty(goal.shape, np.float32)
    for fold, (part, _) in enumerate(parts):
        square = squares.sum(axis=0) - squares[fold] + CERTAINTY * np.eye(features)
        weight = np.linalg.solve(square, products.sum(axis=0) - products[fold] + CERTAINTY * expected)
        guess[fold::FOLDS] = (part @ weight.astype(np.float32)).reshape(-1, SLOTS)
    return guess


def _centred(values: NDArray[np.float32], inside: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """[section, slot, item] z-scores of values less the mean of their place in the beat, then section; 0 outside.

    The second part is the standard deviation, [item].
    """
    mask = inside[..., None].astype(np.float32)
    by_place = (values * mask).reshape(-1, SLOTS_PER_BEAT, values.shape[-1])
    many = mask.reshape(-1, SLOTS_PER_BEAT, 1).sum(axis=0)
    left = (by_place - by_place.sum(axis=0) / np.maximum(many, 1.0)).reshape(values.shape) * mask
    left -= left.sum(axis=1, keepdims=True) / np.maximum(mask.sum(axis=1, keepdims=True), 1.0)
    left *= mask
    spread = np.sqrt((left**2).sum(axis=(0, 1)) / max(float(mask.sum()), 1.0))
    return left / np.maximum(spread, 1e-4), spread


TERMS = (
    Term("musicality/voice", "correlation", "low", voice, "osu! wiki: follow the song consistently", 0.1, "songs"),
)
