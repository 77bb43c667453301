"""Sonification of a chart: a click for each row over the song."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chart.model import Chart

CLICK_HZ, CLICK_DECAY_PER_S, CLICK_MS = 2000.0, 400.0, 15.0
CLICK_LEVEL, SONG_LEVEL = 0.35, 0.5


def with_clicks(
    chart: Chart, start_ms: float, end_ms: float, sample_rate: int, song: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """[sample] mono audio of the given time, -1 to 1: a click a note, hence louder for chords, over the song if given.

    `song` [sample] is mono from time 0 of the chart's clock.
    """
    length = int((end_ms - start_ms) / 1000 * sample_rate)
    sound = np.zeros(length, np.float32)
    if song is not None:
        first = int(start_ms / 1000 * sample_rate)
        part = song[max(first, 0) : max(first + length, 0)]
        at = max(-first, 0)
        sound[at : at + part.size] = SONG_LEVEL * part / max(float(np.abs(part).max(initial=0.0)), 1e-9)
    time = np.arange(int(CLICK_MS / 1000 * sample_rate)) / sample_rate
    click = (CLICK_LEVEL / 2 * np.sin(2 * np.pi * CLICK_HZ * time) * np.exp(-time * CLICK_DECAY_PER_S)).astype(
        np.float32
    )
    for note_ms in chart.time_ms[(chart.time_ms >= start_ms) & (chart.time_ms < end_ms)]:
        at = int((note_ms - start_ms) / 1000 * sample_rate)
        sound[at : at + click.size] += click[: length - at]
    return np.clip(sound, -1, 1)
