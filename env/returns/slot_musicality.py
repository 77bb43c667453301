"""The reward's song terms for rows that lie on grid slots, many times faster.

Terms and bands are those of `reward.terms.musicality` and `reward.terms.local_musicality`; the onset features of each slot
are computed once. `tests/test_env_scoring.py` compares the measures with the reward's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from env.task.songs import ChartedSong
from reward.core.batch_view import SECTION_BEATS
from reward.terms.local_musicality import SLOTS_PER_BEAT
from reward.terms.musicality import COVER_MS, MAX_STRENGTH, MIN_ROWS, WEAK_SHARE
from runtime.loops import njit

TERMS = (
    "musicality/onsets",
    "musicality/support",
    "musicality/coverage",
    "musicality/silence",
    "musicality/presence",
    "musicality/choice",
)
ONSETS, SUPPORT, COVERAGE, SILENCE, PRESENCE, CHOICE = range(len(TERMS))
QUARTERS = SECTION_BEATS * SLOTS_PER_BEAT
"""Quarter beats of a phrase."""


@dataclass(frozen=True)
class OnsetFeatures:
    """Onset features of a song, by slot and by onset."""

    slot: NDArray[np.float64]  # [slot, 3], capped onset strength, 1 where it is weak, 1 where the song is silent
    peak_ms: NDArray[np.float64]  # [peak], time of a note that meets it
    peak_strength: NDArray[np.float64]  # [peak], capped


def onset_features(charted: ChartedSong) -> OnsetFeatures:
    """The onset features of a song."""
    song, note_ms = charted.song, charted.grid.slot_ms
    frames, axis = song.frames(note_ms), np.arange(song.strength.size)
    strength = np.minimum(np.interp(frames, axis, song.near_strength, 0.0, 0.0), MAX_STRENGTH)
    weak = np.interp(frames, axis, song.near_onset, 0.0, 0.0) < WEAK_SHARE * song.typical_onset
    nearest = np.round(frames).astype(np.int64)
    outside = (nearest < 0) | (nearest >= song.silent.size)
    silent = outside | song.silent[np.clip(nearest, 0, song.silent.size - 1)]
    peaks = np.minimum(song.strength[song.peaks], MAX_STRENGTH).astype(np.float64)
    return OnsetFeatures(
        np.stack([strength, weak, silent], axis=1), song.peaks.astype(np.float64) * song.hop_ms - song.lag_ms, peaks
    )


def follow(
    charted: ChartedSong, onsets: OnsetFeatures, heads: NDArray[np.int64], start_ms: float, end_ms: float
) -> NDArray[np.float64]:
    """[term] measures of the phrase from `start_ms` to `end_ms` with note heads on the slots `heads`."""
    song = charted.song
    first, last = np.searchsorted(onsets.peak_ms, [start_ms, end_ms])
    beat_ms = (end_ms - start_ms) / SECTION_BEATS
    quarter_ms = start_ms + np.arange(QUARTERS) * beat_ms / SLOTS_PER_BEAT
    axis = np.arange(song.strength.size)
    strength = np.interp(song.frames(quarter_ms), axis, song.near_strength, 0.0, 0.0)
    low, high = np.clip(np.round(song.frames(np.array([start_ms, end_ms]))), 0, song.silent.size).astype(np.int64)
    audible = (~song.silent[low:high]).sum() > (end_ms - start_ms) / song.hop_ms / 2
    head_ms = charted.grid.slot_ms[heads]
    quarter = np.clip(np.round((head_ms - start_ms) / (beat_ms / SLOTS_PER_BEAT)), 0, QUARTERS - 1).astype(np.int64)
    out = np.full(len(TERMS), np.nan)
    if audible:
        out[PRESENCE] = float(heads.size > 0)
    if heads.size:
        capped = np.minimum(strength, MAX_STRENGTH)
        _measure(head_ms, onsets.slot[heads], onsets.peak_ms[first:last], onsets.peak_strength[first:last], out)
        out[CHOICE] = _choice(quarter, capped)
    return out


@njit()
def _measure(head_ms, features, peak_ms, peak_strength, out):  # type: ignore[no-untyped-def]
    """Write onsets, support, coverage and silence of rows head_ms [row] with features [row, 3] into `out`."""
    count = head_ms.size
    out[SILENCE] = features[:, 2].sum() / count
    if count < MIN_ROWS:
        return
    out[SUPPORT] = features[:, 1].sum() / count
    order = np.argsort(-peak_strength, kind="mergesort")
    possible, strong, covered = 0.0, 0, 0
    for rank in range(min(count, order.size)):
        possible += peak_strength[order[rank]]
        if rank * 2 >= count:
            continue
        strong += 1
        at = np.searchsorted(head_ms, peak_ms[order[rank]])
        near = at < count and head_ms[at] - peak_ms[order[rank]] <= COVER_MS
        if near or (at > 0 and peak_ms[order[rank]] - head_ms[at - 1] <= COVER_MS):
            covered += 1
    if possible > 0:
        out[ONSETS] = features[:, 0].sum() / possible
    if strong > 0:
        out[COVERAGE] = covered / strong


@njit()
def _choice(quarter, strength):  # type: ignore[no-untyped-def]
    """Correlation of row presence and strength [quarter], each less its mean at the same place of the beat."""
    taken = np.zeros(QUARTERS)
    taken[quarter] = 1.0
    one, two = _about_place(taken), _about_place(strength)
    return (one * two).mean()


@njit()
def _about_place(values):  # type: ignore[no-untyped-def]
    left = np.empty(QUARTERS)
    for place in range(SLOTS_PER_BEAT):
        left[place::SLOTS_PER_BEAT] = values[place::SLOTS_PER_BEAT] - values[place::SLOTS_PER_BEAT].mean()
    left -= left.mean()
    spread = np.sqrt((left * left).mean())
    return left / spread if spread > 1e-6 else np.zeros(QUARTERS)
