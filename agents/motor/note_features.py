"""Demands of a chart on hands and eyes, note by note: the player-independent half of the hand model.

Computed once a chart; `agents.motor.columns.play_hands` combines it with each player's skill.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.judgement.mods import Mods
from agents.motor import columns
from agents.motor.constants import HandConstants
from agents.motor.feature_kernels import fill_fingers, fill_hands, fill_neighbours, fill_rows
from chart.model import KEYS, Chart


@dataclass(frozen=True, eq=False)
class Demand:
    """The kernel's view of a chart, in time order."""

    features: NDArray[np.float32]  # [note, feature], see agents.motor.columns
    column: NDArray[np.int8]  # [note], after Mirror


def demand_of(chart: Chart, mods: Mods, constants: HandConstants) -> Demand:
    """Features of every note in real time (map time / rate); simultaneous notes keep the chart's order."""
    column = (KEYS - 1 - chart.column if mods.mirror else chart.column).astype(np.int8)
    time = np.rint(chart.time_ms) / mods.rate
    end = np.where(chart.is_hold, np.maximum(np.rint(chart.end_ms) / mods.rate, time), time)
    features = np.zeros((len(chart), columns.FEATURES))
    if len(chart):
        _fill(features, time, end, column, constants)
    return Demand(features.astype(np.float32), column)


def _fill(features: NDArray, time: NDArray, end: NDArray, column: NDArray, constants: HandConstants) -> None:
    release = (constants.release_lag_ms, constants.release_near_ms, constants.release_pull)
    fill_fingers(time, end, column, constants.finger_memory_ms, release, features)
    fill_neighbours(time, end, column, features)
    tire_ms = (constants.tire_short_ms, constants.tire_long_ms)
    flam = (constants.flam_ms, constants.chord_load, constants.flam_pull)
    fill_hands(time, end, column, constants.hand_memory_ms, tire_ms, flam, features)
    read = (constants.look_ahead_ms, constants.chunk_cost, constants.sudden_cost)
    fill_rows(time, constants.drift_memory_ms, read, features)
