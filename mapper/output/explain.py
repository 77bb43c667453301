"""Attribution of generated notes: onset evidence under each note, and the earlier row that each row repeats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chart.grid import SLOTS_PER_CELL
from chart.model import Chart
from eye.critique.explanation import ModelReasons
from mapper.network.interface import Network
from mapper.sampling.encode_song import SongEncoding, encode_song
from mapper.sampling.song_analysis import SongAnalysis
from mapper.tokens.conditioning_vector import Controls
from mapper.tokens.row_codes import rows_of
from mapper.tokens.vocabulary import MOTIF_LAGS

ALIKE = 0.9
"""Similarity of the song at two places from which an equal row counts as a repetition."""


def reasons_of(
    model: Network, song: SongAnalysis, charts: Sequence[Chart], targets: Sequence[str]
) -> list[ModelReasons]:
    """Attribution for each chart; charts are on the song's clock, `targets` [chart] are texts such as "3.50 stars".

    The evidence is the onset probability of the unconditional encoding, which knows nothing of stars or density.
    """
    encoding = encode_song(model, song.grid, song.features, song.lag_ms, Controls.free(), song.first_ms)
    return [_reasons(song, encoding, chart, target) for chart, target in zip(charts, targets, strict=True)]


def _reasons(song: SongAnalysis, encoding: SongEncoding, chart: Chart, target: str) -> ModelReasons:
    slot = song.grid.nearest_slot(chart.time_ms)
    onset = 1 / (1 + np.exp(-encoding.onset_logit[0].astype(np.float64)))
    repeats_ms = _repeats_ms(song, encoding.alike[0], chart)
    return ModelReasons(onset[slot], repeats_ms[slot], target)


def _repeats_ms(song: SongAnalysis, alike: NDArray[np.float32], chart: Chart) -> NDArray[np.float64]:
    """[slot] time of the earlier slot whose row is repeated here while the song is similar; nan where there is none.

    Of several slots the earliest counts: it is the origin of the motif.
    """
    grid, rows = song.grid, rows_of(chart, song.grid)
    code_at = np.zeros(grid.slot_ms.size, np.int64)
    code_at[rows.slot] = rows.code
    found = np.full(grid.slot_ms.size, np.nan)
    for number, lag in enumerate(MOTIF_LAGS):
        slot = rows.slot[rows.slot >= lag]
        same = (code_at[slot] == code_at[slot - lag]) & (alike[slot // SLOTS_PER_CELL, number] > ALIKE)
        found[slot[same]] = grid.slot_ms[slot[same] - lag]
    return found
