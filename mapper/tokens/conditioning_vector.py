"""Conditioning vector of the network: the requested properties of a chart as numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chart.analysis.pattern_mix import FAMILIES
from mapper.tokens.vocabulary import STYLES


@dataclass(frozen=True)
class Controls:
    """Requested properties, one entry a chart; nan (or style 0): unconstrained."""

    stars: ArrayLike  # [chart], official star rating
    notes_per_s: ArrayLike  # [chart]
    hold_share: ArrayLike  # [chart], holds / notes, 0–1
    style: ArrayLike  # [chart], index into STYLES
    patterns: ArrayLike | None = (
        None  # [chart, family] share of rows, 0–1, by chart.analysis.pattern_mix.FAMILIES; None: all nan
    )

    mirrored: ArrayLike | None = None  # [chart, 2], whether columns are mirrored, hands exchanged; None: neither

    @staticmethod
    def free(charts: int = 1) -> Controls:
        """Unconditional controls of one chart."""
        nothing = np.full(charts, np.nan)
        return Controls(nothing, nothing, nothing, np.zeros(charts, np.int64))

    def features(self) -> NDArray[np.float32]:
        """[chart, CONTROL_FEATURES]: value and presence of each control."""
        scalars = [np.asarray(values, np.float32) for values in (self.stars, self.notes_per_s, self.hold_share)]
        scaled = np.stack(scalars, -1) * np.array([1 / 4, 1 / 8, 2], np.float32)
        style = np.eye(len(STYLES), dtype=np.float32)[np.asarray(self.style, np.int64)]
        nothing = np.full((len(style), len(FAMILIES)), np.nan, np.float32)
        patterns = nothing if self.patterns is None else np.asarray(self.patterns, np.float32)
        mirrored = np.zeros((len(style), 2)) if self.mirrored is None else self.mirrored
        parts = (*_with_presence(scaled), style, *_with_presence(patterns), np.asarray(mirrored, np.float32))
        return np.concatenate(parts, -1)


def _with_presence(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return np.nan_to_num(values), (~np.isnan(values)).astype(np.float32)
