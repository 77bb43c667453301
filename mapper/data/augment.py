"""Augmentation of training windows: label-preserving changes of the chart, its song and its controls.

Every function takes the arrays of `mapper.data.batches.WindowSampler.stretch` and a random generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chart.model import KEYS
from mapper.tokens.log_mel import BANDS
from mapper.tokens.row_codes import (
    HOLD_END,
    HOLD_START,
    SYMBOLS,
    TAP,
    hand_swapped_codes,
    hand_swapped_states,
    mirrored_codes,
    mirrored_states,
)
from mapper.tokens.vocabulary import BEAT_STATES

MIRROR_CHANCE = 0.5
GAIN = (0.85, 1.15)
BAND_MASKS, WIDEST_BAND_MASK = 2, 12
EQUALISER_KNOTS, EQUALISER_SPREAD = 5, 0.08
"""Points of a random equaliser's curve over the bands; standard deviation in the units of the log-mel (about 0–1)."""
PITCH_CHANCE, MOST_PITCH_BANDS = 0.5, 3
LEAVE_OUT_CHANCE, TIME_MASKS, LONGEST_TIME_MASK = 0.12, 2, 100
"""Probability that all log-mel bands, beat states or other channels are left out; masks of all, and their frames at most."""
SIDE_OFFSET = 0.03
"""Standard deviation of the offset added to each side channel other than the states, constant over the window."""
STATES_LEFT_OUT, STATE_GAIN, STATE_OFFSET = 0.25, 0.1, 0.05
"""Share of the beat states that are dropped in a window; standard deviations of the others' gain and offset. A song always has
the same states, by which the network could memorize it."""
SYNC_JITTER_FRAMES = 0.4
"""Standard deviation, 4 ms: the agreement of maps with their audio."""
TEMPO_CHANCE, TEMPO_CHANGE = 0.4, 0.08
DROP_CONTROL_CHANCE, DROP_ALL_CONTROLS_CHANCE = 0.2, 0.1
NOISY_HISTORY_CHANCE, MOST_NOISE = 0.5, 0.15

_HAS_HOLD = ((SYMBOLS == HOLD_START) | (SYMBOLS == HOLD_END)).any(-1)
_TAPS = (SYMBOLS == TAP).sum(-1)


def augmented(arrays: dict[str, Any], random: np.random.Generator) -> dict[str, Any]:
    """The window mirrored or with hands exchanged, louder or faster, with some controls left out."""
    return augmented_window([arrays], random)[0]


def augmented_window(window: Sequence[dict[str, Any]], random: np.random.Generator) -> list[dict[str, Any]]:
    """As `augmented`, for windows of several charts of one song: shared arrays change for all of them alike."""
    for arrays in window:
        _mirror(arrays, random)
    first = window[0]
    if first["mel"].shape[0]:
        _change_sound(first, random)
        slower = float(np.exp(random.uniform(-TEMPO_CHANGE, TEMPO_CHANGE))) if random.random() < TEMPO_CHANCE else 1.0
        if slower != 1.0:
            _change_tempo(first, slower)
        for arrays in window:
            arrays |= {name: first[name] for name in ("mel", "slot_frame", "beat_ms")}
            arrays["controls"][:2] /= slower  # stars and notes a second
    for arrays in window:
        _drop_controls(arrays["controls"], random)
    return list(window)


def _mirror(arrays: dict[str, Any], random: np.random.Generator) -> None:
    """Mirror columns or exchange hands, and set the `mirrored` flags, so that the human asymmetry of left and right is learnt."""
    tables = ((mirrored_codes(), mirrored_states()), (hand_swapped_codes(), hand_swapped_states()))
    for number, (codes, states) in enumerate(tables):
        if random.random() < MIRROR_CHANCE:
            arrays["mirrored"][number] = 1.0
            for name in ("code", "next_code"):
                arrays[name] = codes[arrays[name]]
            for name in ("held", "next_held"):
                arrays[name] = states[arrays[name]]


def _change_sound(arrays: dict[str, Any], random: np.random.Generator) -> None:
    mel, side = arrays["mel"][:, :BANDS] * np.float32(random.uniform(*GAIN)), arrays["mel"][:, BANDS:].copy()
    bands = np.arange(mel.shape[1])
    knots = random.normal(0, EQUALISER_SPREAD, EQUALISER_KNOTS)
    curve = np.interp(bands, np.linspace(0, bands[-1], EQUALISER_KNOTS), knots).astype(np.float32)
    mel = np.where(mel > 0, np.maximum(mel + curve, 0), 0)  # silence stays silent
    if random.random() < PITCH_CHANCE:
        up = int(random.integers(-MOST_PITCH_BANDS, MOST_PITCH_BANDS + 1))
        mel = mel[:, np.clip(bands - up, 0, bands[-1])]
    for _ in range(BAND_MASKS):
        low = random.integers(0, mel.shape[1] - WIDEST_BAND_MASK)
        mel[:, low : low + random.integers(0, WIDEST_BAND_MASK + 1)] = 0
    _leave_out(mel, side, random)
    arrays["mel"] = np.concatenate((mel, side), 1)
    arrays["slot_frame"] = arrays["slot_frame"] + np.float32(random.normal(0, SYNC_JITTER_FRAMES))


def _leave_out(mel: NDArray[np.float32], side: NDArray[np.float32], random: np.random.Generator) -> None:
    """Drop kinds of channels in the whole window, and all channels for up to a second, so that none is relied upon alone."""
    states = side.shape[1] - BEAT_STATES
    side[:, :states] += random.normal(0, SIDE_OFFSET, states).astype(np.float32)
    kept = random.random(BEAT_STATES) >= STATES_LEFT_OUT
    gain = kept / (1 - STATES_LEFT_OUT) * random.normal(1, STATE_GAIN, BEAT_STATES)
    offset = random.normal(0, STATE_OFFSET, BEAT_STATES)
    side[:, states:] = side[:, states:] * gain.astype(np.float32) + offset.astype(np.float32)
    for part in (mel, side[:, :states], side[:, states:]):
        if random.random() < LEAVE_OUT_CHANCE:
            part[:] = 0
    for _ in range(TIME_MASKS):
        first = int(random.integers(0, len(mel)))
        span = slice(first, first + int(random.integers(0, LONGEST_TIME_MASK + 1)))
        mel[span], side[span] = 0, 0


def _change_tempo(arrays: dict[str, Any], slower: float) -> None:
    """Stretch the song by the factor `slower`; its pitch stays. Density falls with it, and the stars about as much."""
    mel = arrays["mel"]
    frames = round(mel.shape[0] * slower)
    at = np.minimum(np.arange(frames) / slower, mel.shape[0] - 1.001)
    before = at.astype(int)
    share = (at - before)[:, None].astype(np.float32)
    arrays["mel"] = mel[before] * (1 - share) + mel[np.minimum(before + 1, mel.shape[0] - 1)] * share
    arrays["slot_frame"] = arrays["slot_frame"] * np.float32(slower)
    arrays["beat_ms"] = arrays["beat_ms"] * np.float32(slower)


def _drop_controls(controls: NDArray[np.float32], random: np.random.Generator) -> None:
    """Leave out some controls: stars, notes a second, hold share, style (index 3), pattern mix (from 4, as one)."""
    drop = random.random(5) < DROP_CONTROL_CHANCE
    if random.random() < DROP_ALL_CONTROLS_CHANCE:
        drop[:] = True
    controls[:3][drop[:3]] = np.nan
    if drop[3]:
        controls[3] = 0
    if drop[4]:
        controls[4:] = np.nan


def noisy_history(
    slot: NDArray[np.int64],
    code: NDArray[np.int64],
    held: NDArray[np.int64],
    free_slots: NDArray[np.int64],
    random: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(slot, code) of the rows with errors as an imperfect model makes them: some taps missing, moved or added.

    Targets stay the human's, so that the mapper learns to recover from its own mistakes. `held` [row]
    is the held state after each row, `free_slots` where rows may be added. Holds stay, so held states do too.
    """
    noise = random.uniform(0, MOST_NOISE)
    only_taps = ~_HAS_HOLD[code]
    kept = ~(only_taps & (random.random(slot.size) < noise))
    code = code.copy()
    for row in np.flatnonzero(only_taps & kept & (random.random(slot.size) < noise)):
        code[row] = _taps(int(_TAPS[code[row]]), int(held[row]), random)
    added = np.sort(
        random.choice(free_slots, min(random.binomial(slot.size, noise / 2), free_slots.size), replace=False)
    )
    before = np.searchsorted(slot, added)
    held_there = np.where(before > 0, held[np.maximum(before - 1, 0)], 0)
    added_code = np.array([_taps(1, int(state), random) for state in held_there], np.int64)
    slots = np.concatenate((slot[kept], added[added_code > 0]))
    codes = np.concatenate((code[kept], added_code[added_code > 0]))
    order = np.argsort(slots, kind="stable")
    return slots[order], codes[order]


def _taps(count: int, held: int, random: np.random.Generator) -> int:
    """Code of `count` taps in random columns that are not held; 0 when none is free."""
    free = [column for column in range(KEYS) if not held >> column & 1]
    columns = random.permutation(free)[:count]
    return int(sum(TAP << (2 * int(column)) for column in columns))
