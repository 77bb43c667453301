"""Inputs of terms besides the notes: target stars, songs and simulated plays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reward.core.song import Song


@dataclass(frozen=True)
class Inputs:
    """Inputs of a batch, one entry a chart."""

    stars: NDArray[np.float64]  # [chart], requested star rating
    songs: Sequence[Song | None] = ()  # [chart], empty = none known
    plays: Sequence[Any] = ()  # [chart], `agents.Plays`, empty = none
    lost: Any = None  # `fairness.Lost` of these plays, once computed; terms compute it where absent
    counts: Any = None  # `rules.Counts` at the target's level, likewise
