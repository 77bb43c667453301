"""Batches for training a beat network: stretches of pieces, altered so that no two are alike.

Everything is done on the spectrogram: the tempo is changed by resampling frames, the pitch by moving bands; loudness, noise,
colour (a smooth curve over the bands) and missing bands are applied where the bands' magnitudes add, before the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ear.audio.spectrogram import BEAT_THIS_BANDS, BEAT_THIS_FRAMES_PER_SECOND
from ear.training.store import MEL_STEPS, BeatPiece

GROUP_SHARES = {
    "rubato piano": 0.12,
    "pop piano": 0.06,
    "band": 0.14,
    "accompaniment": 0.05,
    "electronic": 0.08,
    "module": 0.1,
}
"""Share of stretches drawn from a group, where the set has it; the rest is for maps, by their length. An hour that somebody
composed (bands, modules) is drawn more often than an hour made up by a program (accompaniments, electronic)."""

STRETCH_CHANCE, MAX_STRETCH = 0.75, 0.25
"""Probability of a change of tempo, and its largest size (as a logarithm)."""

PITCH_CHANCE, MAX_PITCH_BANDS = 0.6, 7
COLOUR_CHANCE, COLOUR_DB, COLOUR_KNOTS = 0.7, 8.0, 6
GAIN_DB = 9.0
NOISE_CHANCE, NOISE_LEVELS = 0.3, (0.003, 0.1)
"""Magnitudes of added noise, on the scale where full-scale music reaches about 1 to 5."""

MASK_CHANCE, MAX_MASK_BANDS = 0.4, 20
GAP_CHANCE, MAX_GAPS, GAP_FRAMES = 0.3, 3, (5, 50)
"""Probability of silent gaps, their number and length: beats continue through silence."""

LOG_GAIN = 1000.0

TARGET_REACH = 2.0
"""Frames within which a target falls from 1 to 0; at a beat between two frames both are at .75."""


class BeatBatch(NamedTuple):
    """Stretches of equal length. Targets are 1 at a beat's time and fall to 0 at `TARGET_REACH` frames; `*_known` is 0 where the source has no labels."""

    mel: Tensor  # [batch, frame, band]
    beat: Tensor  # [batch, frame]
    downbeat: Tensor  # [batch, frame]
    beat_known: Tensor  # [batch, frame]
    downbeat_known: Tensor  # [batch, frame]


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """A part of a piece, beats in frames from its start."""

    mel: NDArray[np.float32] = field(repr=False)  # [frame, band]
    beat_frame: NDArray[np.float64] = field(repr=False)  # [beat]
    is_downbeat: NDArray[np.bool_] = field(repr=False)
    first_frame: float
    last_frame: float
    has_downbeats: bool


def piece_weights(pieces: Sequence[BeatPiece]) -> NDArray[np.float64]:
    """Chance of each piece to be drawn: groups by `GROUP_SHARES`, within a group by length."""
    seconds = np.array([piece.seconds for piece in pieces])
    groups = [piece.group if piece.group in GROUP_SHARES else "maps" for piece in pieces]
    present = set(groups)
    shares = {group: share for group, share in GROUP_SHARES.items() if group in present}
    if "maps" in present:
        shares["maps"] = 1 - sum(shares.values())
    totals = {group: sum(s for s, g in zip(seconds, groups, strict=True) if g == group) for group in present}
    weights = np.array([shares[g] * s / totals[g] for s, g in zip(seconds, groups, strict=True)])
    return weights / weights.sum()


def batches(pieces: Sequence[BeatPiece], size: int, frames: int, seed: int, first_step: int = 0) -> Iterator[BeatBatch]:
    """Endless training batches; step k's batch depends on the seed and k alone."""
    weights = piece_weights(pieces)
    step = first_step
    while True:
        rng = np.random.default_rng([seed, step])
        chosen = rng.choice(len(pieces), size=size, p=weights)
        yield collate([altered(cut(pieces[int(index)], frames, rng), rng) for index in chosen], frames)
        step += 1


def cut(piece: BeatPiece, frames: int, rng: np.random.Generator) -> Stretch:
    """A random stretch of the labelled part, `frames` long after a random change of tempo."""
    rate = float(np.exp(rng.uniform(-MAX_STRETCH, MAX_STRETCH))) if rng.random() < STRETCH_CHANCE else 1.0
    needed = int(np.ceil(frames * rate)) + 1
    first_frame, last_frame = (ms * BEAT_THIS_FRAMES_PER_SECOND / 1000 for ms in (piece.first_ms, piece.last_ms))
    latest = max(first_frame, last_frame - needed)
    start = int(min(rng.uniform(first_frame, latest + 1e-9), max(0, len(piece.mel) - needed)))
    part = piece.mel[start : start + needed]
    mel = _resampled(part, rate, frames) if rate != 1.0 else part[:frames].astype(np.float32)
    beat = (piece.beat_ms * (BEAT_THIS_FRAMES_PER_SECOND / 1000) - start) / rate
    inside = (beat >= -0.5) & (beat < frames)
    return Stretch(
        mel / np.float32(MEL_STEPS),
        beat[inside],
        piece.is_downbeat[inside],
        (first_frame - start) / rate,
        (last_frame - start) / rate,
        piece.has_downbeats,
    )


def _resampled(part: NDArray[np.uint8], rate: float, frames: int) -> NDArray[np.float32]:
    """Frames at 0, rate, 2·rate … of `part`, by linear interpolation."""
    at = np.arange(frames) * rate
    at = at[at <= len(part) - 1]
    below = np.minimum(at.astype(np.int64), max(len(part) - 2, 0))
    share = (at - below).astype(np.float32)[:, None]
    whole = part.astype(np.float32)
    return np.asarray(whole[below] * (1 - share) + whole[np.minimum(below + 1, len(part) - 1)] * share)


def altered(stretch: Stretch, rng: np.random.Generator) -> Stretch:
    """The stretch at another pitch, loudness and colour, with noise, missing bands or gaps."""
    mel = stretch.mel
    if rng.random() < PITCH_CHANCE:
        shift = int(rng.integers(-MAX_PITCH_BANDS, MAX_PITCH_BANDS + 1))
        mel = np.roll(mel, shift, axis=1)
        mel[:, :shift] = 0 if shift > 0 else mel[:, :shift]
        if shift < 0:
            mel[:, shift:] = 0
    gain_db = np.full(BEAT_THIS_BANDS, rng.uniform(-GAIN_DB, GAIN_DB))
    if rng.random() < COLOUR_CHANCE:
        knots = rng.normal(0, COLOUR_DB / 2, COLOUR_KNOTS).clip(-COLOUR_DB, COLOUR_DB)
        gain_db += np.interp(np.linspace(0, COLOUR_KNOTS - 1, BEAT_THIS_BANDS), np.arange(COLOUR_KNOTS), knots)
    magnitude = np.expm1(mel) * (10 ** (gain_db / 20)).astype(np.float32)
    if rng.random() < NOISE_CHANCE:
        low, high = np.log(NOISE_LEVELS)
        level = LOG_GAIN * np.exp(rng.uniform(low, high))
        magnitude += level * np.abs(rng.standard_normal(mel.shape, np.float32))
    mel = np.log1p(magnitude)
    if rng.random() < MASK_CHANCE:
        width = int(rng.integers(1, MAX_MASK_BANDS + 1))
        first = int(rng.integers(0, BEAT_THIS_BANDS - width))
        mel[:, first : first + width] = 0
    if rng.random() < GAP_CHANCE:
        for length in rng.integers(*GAP_FRAMES, size=rng.integers(1, MAX_GAPS + 1)):
            first = int(rng.integers(0, max(1, len(mel) - length)))
            mel[first : first + length] = 0
    return Stretch(
        mel, stretch.beat_frame, stretch.is_downbeat, stretch.first_frame, stretch.last_frame, stretch.has_downbeats
    )


def collate(stretches: Sequence[Stretch], frames: int) -> BeatBatch:
    """Stretches as one batch, padded with unlabelled silence."""
    size = len(stretches)
    mel = np.zeros((size, frames, BEAT_THIS_BANDS), np.float32)
    beat, downbeat, beat_known, downbeat_known = np.zeros((4, size, frames), np.float32)
    for row, stretch in enumerate(stretches):
        mel[row, : len(stretch.mel)] = stretch.mel
        beat[row] = target(stretch.beat_frame, frames)
        downbeat[row] = target(stretch.beat_frame[stretch.is_downbeat], frames)
        first, last = max(0, int(np.ceil(stretch.first_frame))), min(len(stretch.mel), int(stretch.last_frame) + 1)
        beat_known[row, first : max(first, last)] = 1
        downbeat_known[row] = beat_known[row] * stretch.has_downbeats
    return BeatBatch(*(torch.from_numpy(array) for array in (mel, beat, downbeat, beat_known, downbeat_known)))


def target(beat_frame: NDArray[np.float64], frames: int) -> NDArray[np.float32]:
    """[frame]: a triangle at each beat, whose shape says where between two frames it is."""
    out = np.zeros(frames, np.float32)
    for step in range(-1, 3):
        at = np.floor(beat_frame).astype(np.int64) + step
        height = 1 - np.abs(at - beat_frame) / TARGET_REACH
        inside = (at >= 0) & (at < frames) & (height > 0)
        np.maximum.at(out, at[inside], height[inside].astype(np.float32))
    return out
