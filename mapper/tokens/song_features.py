"""Audio features of the encoder: uint8 [frame, channel], 100 frames a second, the same for training and generation.

The first `BANDS` channels are the log-mel spectrogram (`mapper.tokens.log_mel`); the others are read off at each slot:

    beat, downbeat       log-odds of the beat network, in the frame and the greatest within ±20 ms
    onset                onset strength of four bands and of all, the greatest from 10 ms before to 20 ms after
    onset_rank           the same as shares of the song's frames that are weaker
    loudness_rank        mean level of 1 s and of 5 s, and onset strength of 4 s, as shares of the song's frames
    state                hidden states of the beat network

The beat network is a copy that belongs to the mapper (`FRONT_END`), so that a new network of the Ear does not change
the inputs that a mapper was trained on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ear.audio.decode import Audio
from ear.audio.shared import onset_of
from ear.audio.spectrogram import log_mel
from ear.tracker.hidden_states import HiddenStates, load_hidden_states
from mapper.tokens.log_mel import BANDS, FRAMES_PER_SECOND, MS_PER_FRAME, as_network_mel, quantized
from mapper.tokens.vocabulary import SIDE_CHANNELS

FRONT_END = Path(__file__).parents[1] / "weights" / "front_end.safetensors"
"""The mapper's own beat network."""

ZERO, STEPS_PER_UNIT = 128, 128.0
"""Stored byte of a side channel that is 0 in the network's input, and steps for 1; outside the audio all bytes are 0."""

LOG_ODDS_MIDDLE, LOG_ODDS_RANGE = -2.0, 10.0
ONSET_RANGE = 6.4
"""Natural logarithm of 1 + the onset strength that is 1 in the network's input."""
STATE_RANGES = (8.0, 11.0, 1.2)
"""Absolute values of the hidden states of each depth that are 1 in the network's input: about four standard deviations."""
LOUDNESS_FRAMES, DENSITY_FRAMES = (50, 250), 200
"""Frames before and after that are averaged."""


def song_features(audio: Audio, mel: NDArray[np.float32] | None = None) -> NDArray[np.uint8]:
    """[frame, channel] of the whole song; frame k is centred at k · 10 ms. `mel`: the log-mel bytes, if known already."""
    mel = log_mel(audio.samples, audio.sample_rate) if mel is None else mel
    return joined_features(quantized(mel), onset_of(audio).strength, _front_end()(audio))


def joined_features(mel: NDArray[np.uint8], strength: NDArray[np.float32], states: HiddenStates) -> NDArray[np.uint8]:
    """`song_features` from the log-mel bytes [frame, band], the onset strength [ms, band] and the beat network's states."""
    frames = len(mel)
    log_odds = _at_frames(states.log_odds, states.frames_per_s, frames)
    greatest = _at_frames(_greatest(states.log_odds, 1), states.frames_per_s, frames)
    onset = _onsets(strength, frames)
    level = mel.mean(1, dtype=np.float64)
    loudness = [_rank(_moving_mean(level, reach)) for reach in LOUDNESS_FRAMES]
    density = _rank(_moving_mean(onset[:, -1].astype(np.float64), DENSITY_FRAMES))
    side = (
        (np.concatenate((log_odds, greatest), 1) - LOG_ODDS_MIDDLE) / LOG_ODDS_RANGE,
        onset / ONSET_RANGE,
        2 * np.stack([_rank(band) for band in onset.T], -1) - 1,
        2 * np.stack((*loudness, density), -1) - 1,
    )
    depths = np.split(states.hidden, len(STATE_RANGES), 1)
    hidden = (
        np.divide(_at_frames(one, states.frames_per_s, frames), reach, dtype=np.float64)
        for one, reach in zip(depths, STATE_RANGES, strict=True)
    )
    features = np.concatenate((mel, *map(_stored, side), *map(_stored, hidden)), 1)  # part by part: states are large
    assert features.shape[1] == BANDS + SIDE_CHANNELS, "SIDE_CHANNELS says how many there are"
    return features


def _stored(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Side channels as bytes."""
    return np.clip(np.round(values * STEPS_PER_UNIT) + ZERO, 0, 255).astype(np.uint8)


def features_of_mel(mel: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Features of a log-mel spectrogram alone, for synthetic songs: the other channels are 0 in the network's input."""
    return np.concatenate((mel, np.full((len(mel), SIDE_CHANNELS), ZERO, np.uint8)), 1)


def as_network_input(features: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Stored bytes → `Cells.mel`, float32."""
    side = (features[:, BANDS:].astype(np.float32) - ZERO) / np.float32(STEPS_PER_UNIT)
    return np.concatenate((as_network_mel(features[:, :BANDS]), side), 1)


@lru_cache(maxsize=1)
def _front_end() -> Callable[[Audio], HiddenStates]:
    return load_hidden_states(FRONT_END)


def _at_frames(values: NDArray[np.float32], per_s: float, frames: int) -> NDArray[np.float32]:
    """[frame, value] of values [frame of the beat network, value], interpolated linearly between their frames."""
    position = np.clip(np.arange(frames) * (per_s / FRAMES_PER_SECOND), 0, len(values) - 1.001)
    before = position.astype(np.int64)
    share = (position - before)[:, None].astype(np.float32)
    return values[before] * (1 - share) + values[np.minimum(before + 1, len(values) - 1)] * share


def _greatest(values: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """[frame, value]: the greatest within so many frames before and after."""
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    greatest: NDArray[np.float32] = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0).max(-1)
    return greatest


def _onsets(strength: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """[frame, band and sum]: log(1 + the greatest onset strength [ms, band] from 10 ms before a frame to 20 ms after)."""
    step = round(MS_PER_FRAME)
    joined = np.concatenate((strength, strength.sum(1, keepdims=True)), 1)
    padded = np.zeros((frames * step, joined.shape[1]), np.float32)
    padded[: len(joined)] = joined[: len(padded)]
    blocks = padded.reshape(frames, step, -1).max(1)
    return np.log1p(_greatest(blocks, 1))


def _rank(values: NDArray[Any]) -> NDArray[np.float32]:
    """[frame]: the share of the song's frames whose value is smaller."""
    ranks: NDArray[np.float32] = (np.searchsorted(np.sort(values), values) / values.size).astype(np.float32)
    return ranks


def _moving_mean(values: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """[frame]: the mean of the frames within `reach`."""
    total = np.concatenate(([0.0], np.cumsum(values)))
    frame = np.arange(values.size)
    first, last = np.maximum(frame - reach, 0), np.minimum(frame + reach + 1, values.size)
    means: NDArray[np.float64] = (total[last] - total[first]) / (last - first)
    return means
