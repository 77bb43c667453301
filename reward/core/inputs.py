"""What terms may look at besides the notes: the target, the songs and the simulated plays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reward.core.song import Song


@dataclass(frozen=True)
class Inputs:
    """Per chart of the batch."""

    stars: NDArray[np.float64]  # [chart], the official star rating asked for
    songs: Sequence[Song | None] = ()  # [chart], empty = none known
    plays: Sequence[Any] = ()  # [chart], `agents.Plays`, empty = none
    lost: Any = None  # `fairness.Lost` of these plays, once computed; terms compute it where absent
    counts: Any = None  # `rules.Counts` at the target's level, likewise
