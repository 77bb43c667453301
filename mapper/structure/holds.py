"""Share of holds for a song when none is requested, and the slots where holds begin and end.

The share is a ridge regression of its root on the song's spectrum, onsets, sustain, tempo and length, fitted on people's
charts. A regression alone would give every song nearly the same share; its rank among songs is therefore mapped to
people's share at that rank.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chart.grid import Grid
from mapper.structure.settings import Settings
from mapper.tokens.log_mel import FRAMES_PER_SECOND, MS_PER_FRAME, log_mel_of
from reward.core.song import sustained_rise

GROUPS = 8
"""Groups of neighbouring mel bands."""
PEAK_FRAMES = 3
HELD_ON = 0.8
"""Log-odds taken from every release: people's holds are .9 to 1.4 beats long, the network's half of it."""
JOINED_AWAY = 1.15
"""Candidates are joined where no column is held, and so lose some of the holds they were written with."""
QUARTER_S_FRAMES = 25
BEGIN_GAIN, END_GAIN = 1.3, 1.6
"""Log-odds of a hold's begin between the least and the most sustained sound of the song, and of its end between the
weakest and the strongest onset: people's charts have about these (docs/LOG.md)."""


def song_profile(features: NDArray[np.uint8], grid: Grid) -> NDArray[np.float64]:
    """[song feature] of the stored features [frame, channel]."""
    mel = log_mel_of(features)
    loudness = mel.mean(axis=1)
    sounding = loudness > 0.3 * np.median(loudness)
    sounding = sounding if sounding.sum() > FRAMES_PER_SECOND else np.ones(loudness.size, np.bool_)
    rise = np.zeros_like(mel)
    rise[2:] = np.maximum(mel[2:] - mel[:-2], 0.0)
    flux, sustain = rise.mean(axis=1), sustained_rise(mel, FRAMES_PER_SECOND)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(flux, PEAK_FRAMES), 2 * PEAK_FRAMES + 1).max(axis=1)
    peaks = (flux >= around) & (flux > flux.mean())
    peaks = peaks if peaks.any() else np.ones(flux.size, np.bool_)
    loud, onset = float(loudness[sounding].mean()), float(flux[sounding].mean())
    least, most = (
        np.abs(op(mel[QUARTER_S_FRAMES:], mel[:-QUARTER_S_FRAMES])).sum(axis=1) for op in (np.minimum, np.maximum)
    )
    spectrum, rises = (_grouped(values[sounding]) for values in (mel, rise))
    scalars = (
        np.log(max(loud, 1e-3)),
        np.log(max(onset, 1e-4)),
        onset / max(loud, 1e-3),
        sustain[peaks].mean(),
        sustain[peaks].std(),
        np.quantile(sustain[peaks], 0.9),
        np.abs(mel[8:] - mel[:-8]).mean(),
        (mel[sounding].std(axis=1) / (mel[sounding].mean(axis=1) + 0.1)).mean(),
        least.mean() / max(most.mean(), 1e-3),
    )
    timing = (np.log(np.median(grid.beat_ms)), np.log(max(len(mel), 1) * MS_PER_FRAME))
    peak_rate = peaks.mean() * FRAMES_PER_SECOND
    return np.array([*scalars, *spectrum, *rises, peak_rate, loudness[sounding].std() / max(loud, 1e-3), *timing])


def _grouped(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """[group] mean by groups of bands [frame, band], over their mean."""
    groups = values.mean(axis=0).reshape(GROUPS, -1).mean(axis=1)
    return groups / max(float(groups.mean()), 1e-6)


def predicted_root(profile: NDArray[np.float64], fitted: Settings) -> float:
    """The regression's root of the share."""
    scaled = (profile - fitted.hold_mean) / fitted.hold_deviation
    return float(fitted.hold_weights[0] + scaled @ fitted.hold_weights[1:])


def hold_share(profile: NDArray[np.float64], fitted: Settings) -> float:
    """Share of holds among the notes to ask for, so that charts have as many as people would write, 0–1."""
    return JOINED_AWAY * float(np.interp(predicted_root(profile, fitted), fitted.hold_predicted, fitted.hold_people))


def hold_odds(
    features: NDArray[np.uint8], grid: Grid, lag_ms: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[slot] log-odds to add for each hold that begins there (mean 0), and for each that ends there."""
    mel = log_mel_of(features)
    rise = np.zeros(len(mel), np.float32)
    rise[2:] = np.maximum(mel[2:] - mel[:-2], 0.0).mean(axis=1)
    near = np.lib.stride_tricks.sliding_window_view(np.pad(rise, 1), 3).max(axis=1)
    frame = np.clip(np.round((grid.slot_ms + lag_ms) / MS_PER_FRAME).astype(np.int64), 0, len(mel) - 1)
    begin, end = sustained_rise(mel, FRAMES_PER_SECOND)[frame], near[frame]
    return BEGIN_GAIN * _ranks(begin), END_GAIN * _ranks(end) - HELD_ON


def _ranks(values: NDArray) -> NDArray[np.float64]:
    """[item] ranks from −½ to ½."""
    return np.argsort(np.argsort(values, kind="stable"), kind="stable") / max(values.size - 1, 1) - 0.5
